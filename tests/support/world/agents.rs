//! The agents of the world: how they come up, work, hang and end.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, time::Duration};

use gastown_supervisor::sessions::{Fact, Key, Session};
use jiff::Timestamp;

use super::{DEACON, State, World, is_boot, millis, sessions::shown, wall_at};

/// How agents behave.
#[derive(Debug, Clone)]
pub struct Nature {
    /// The time until the agent's process exists, in milliseconds.
    pub appears: Range<u64>,
    /// The time from then until it shows a prompt, in milliseconds.
    pub prompts: Range<u64>,
    /// The time between two heartbeats of the deacon, in milliseconds.
    pub beats: Range<u64>,
    /// How long boot works, in milliseconds.
    pub boot_works: Range<u64>,
    /// The probability that an agent never appears in its session.
    pub never_appears: f64,
    /// The probability that an agent dies soon.
    pub frail: f64,
    /// How long such an agent lives, in milliseconds.
    pub frail_lives: Range<u64>,
    /// The probability that an agent which ends leaves a shell behind instead of ending its session.
    pub leaves_shell: f64,
    /// The probability that a person opens a pane of their own beside a new agent.
    pub splits: f64,
    /// What new agents ask at their start, by session.
    pub asks: BTreeMap<String, Asks>,
    /// The probability that a new agent shows a question at its start.
    pub curious: f64,
    /// Sessions whose agents never appear.
    pub stillborn: Vec<String>,
    /// Sessions whose agents end two seconds after their first instruction.
    pub doomed: Vec<String>,
    /// The probability that a hanging deacon wakes when it is nudged.
    pub wakes_on_nudge: f64,
    /// What new agents show on their screens, by session.
    pub shows: BTreeMap<String, String>,
    /// How long agents live, by session, also those that a hook of their session starts.
    pub short_lived: BTreeMap<String, Duration>,
    /// Agents whose program cannot be run, by session, and the exit code that says so.
    pub cannot_run: BTreeMap<String, i32>,
    /// The names of agents' processes that are not `claude`, by session.
    pub runs_as: BTreeMap<String, String>,
}

impl Default for Nature {
    fn default() -> Self {
        Nature {
            appears: 300..301,
            prompts: 700..701,
            beats: 60_000..60_001,
            boot_works: 60_000..60_001,
            never_appears: 0.0,
            frail: 0.0,
            frail_lives: 1_000..120_000,
            leaves_shell: 0.0,
            splits: 0.0,
            asks: BTreeMap::new(),
            curious: 0.0,
            stillborn: Vec::new(),
            doomed: Vec::new(),
            wakes_on_nudge: 0.0,
            shows: BTreeMap::new(),
            short_lived: BTreeMap::new(),
            cannot_run: BTreeMap::new(),
            runs_as: BTreeMap::new(),
        }
    }
}

/// A question on an agent's screen, as a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// How long after the start of its process the question comes up, in milliseconds.
    pub after: u64,
    /// The lines of the question.
    pub lines: Vec<&'static str>,
    /// The options.
    pub options: Vec<&'static str>,
    /// The index of the option under the cursor.
    pub cursor: usize,
    /// The option with which the agent continues; all others end it.
    pub right: usize,
    /// Whether the supervisor may choose that option.
    pub may_answer: bool,
    /// How long a key takes to show, in milliseconds.
    pub lag: u64,
    /// How many keys were pressed that do not show yet.
    pub on_their_way: usize,
    /// What it asks next.
    pub then: Option<Box<Asks>>,
}

impl Asks {
    /// Claude's warning of its mode without permissions.
    pub fn permissions(after: u64) -> Self {
        Asks {
            after,
            lines: vec![" WARNING: Claude Code running in Bypass Permissions mode", ""],
            options: vec!["No, exit", "Yes, I accept"],
            cursor: 0,
            right: 1,
            may_answer: true,
            lag: 0,
            on_their_way: 0,
            then: None,
        }
    }

    /// Claude's question about a directory, which the settings do not allow to answer.
    pub fn trust() -> Self {
        Asks {
            lines: vec![" Do you trust the files in this folder?", ""],
            options: vec!["Yes, proceed", "No, exit"],
            right: 0,
            may_answer: false,
            ..Asks::permissions(0)
        }
    }

    /// Claude's menu at a usage limit that ends at ten, with the cursor on the last option.
    pub fn limit() -> Self {
        Asks {
            lines: vec![
                "",
                "❯ go on",
                "  ⎿  You've hit your session limit · resets 10am (UTC)",
                "",
                "────────────",
                " What do you want to do?",
                "",
            ],
            options: vec![
                "Switch to extra usage (paid)",
                "Stop and wait for limit to reset",
                "Upgrade your plan",
            ],
            cursor: 2,
            ..Asks::permissions(0)
        }
    }

    /// A question that only a person can answer.
    pub fn theme(after: u64) -> Self {
        Asks {
            after,
            lines: vec![" Choose the text style that looks best with your terminal", ""],
            options: vec!["Dark mode", "Light mode", "No, exit"],
            cursor: 0,
            right: 1,
            may_answer: false,
            lag: 0,
            on_their_way: 0,
            then: None,
        }
    }

    /// What Claude asks at its usage limit, below what it says of it. The cursor is on another option than the one that waits.
    pub fn usage_limit() -> Self {
        Asks {
            lines: vec!["", " What do you want to do?", ""],
            options: vec!["Upgrade your plan", "Stop and wait for limit to reset"],
            ..Asks::permissions(0)
        }
    }

    fn screen(&self) -> Vec<String> {
        let option = |(at, text): (usize, &&str)| {
            format!(" {} {}. {text}", if at == self.cursor { "❯" } else { " " }, at + 1)
        };
        let lines = self.lines.iter().map(|line| (*line).to_owned());
        let end = ["".to_owned(), " Enter to confirm · Esc to cancel".to_owned()];
        lines.chain(self.options.iter().enumerate().map(option)).chain(end).collect()
    }
}

/// Who created a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The supervisor.
    Supervisor,
    /// The supervisor too, but the caller was gone when it was created.
    Orphan,
    /// `gt`, which the supervisor ran to its end.
    Gt,
    /// `gt`, which the supervisor ran and which did not end by itself, so that it is not known what it made.
    GtCut,
    /// Another program or person.
    Operator,
}

impl By {
    /// Whether the supervisor knows that it was created.
    pub fn is_known(self) -> bool {
        matches!(self, By::Supervisor | By::Gt)
    }
}

/// What runs in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Its agent, working or coming up.
    Well,
    /// Its agent, without progress.
    Hung,
    /// Only a shell: its agent has ended.
    Zombie,
    /// Something that never becomes an agent.
    Never,
    /// A process that has ended with this exit code, whose pane was kept.
    Exited(i32),
}

/// One session.
#[derive(Debug, Clone)]
pub struct FakeSession {
    /// The server's number for it.
    pub id: u64,
    /// The time of creation according to the server: whole seconds of the wall clock.
    pub created: Timestamp,
    /// When it was created (monotonic).
    pub born: Duration,
    /// When its process appears (monotonic).
    pub appears: Duration,
    /// When it shows its prompt (monotonic).
    pub prompts: Duration,
    /// Its pane's process.
    pub pid: u32,
    /// The process of the pane that a person opened beside it, which comes first in every list.
    pub persons_shell: Option<u32>,
    /// Whether its pane stays when its process ends.
    pub keep_exit: bool,
    /// Whether a hook of it starts its agent again 3 s after that ended, in a pane that stays.
    pub respawns: bool,
    /// Whether the pane of its agent was removed, beside which a person has one.
    pub removed: bool,
    /// Who created it.
    pub by: By,
    /// What runs in it.
    pub condition: Condition,
    /// Since when only a shell is left in it.
    pub shell_since: Duration,
    /// The name of its agent's process.
    pub process: String,
    /// The directory it was created in, when the supervisor created it.
    pub directory: PathBuf,
    /// The command it was created with, when the supervisor created it.
    pub command: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// What was typed into it, with times.
    pub typed: Vec<(Duration, String)>,
    /// Its question while it is unanswered, and from when it shows.
    pub asks: Option<(Duration, Asks)>,
    /// The lines above the prompt while its agent runs.
    pub shows: Vec<String>,
    /// What a person typed at its prompt and did not send.
    pub draft: String,
}

impl FakeSession {
    /// Whether an agent lives in it, or is coming up.
    pub fn live(&self) -> bool {
        matches!(self.condition, Condition::Well | Condition::Hung)
    }

    /// The question on its screen now, and since when.
    pub fn asks_now(&self, now: Duration) -> Option<&(Duration, Asks)> {
        self.asks.as_ref().filter(|(since, _)| *since <= now)
    }

    /// What its screen shows.
    pub fn screen(&self, now: Duration) -> Vec<String> {
        let has_shown = self.appears <= now || matches!(self.condition, Condition::Exited(_));
        let shown = if has_shown { self.shows.clone() } else { Vec::new() };
        // A program writes below what is there.
        let shown: Vec<String> =
            if shown.is_empty() { shown } else { std::iter::once(String::new()).chain(shown).collect() };
        if let Some((_, asks)) = self.asks_now(now) {
            return shown.into_iter().chain(asks.screen()).collect();
        }
        let ready = self.live() && self.prompts <= now;
        shown.into_iter().chain(ready.then(|| format!("> {}", self.draft))).collect()
    }
}

impl State {
    /// Whether an agent lives (or comes up) in this session.
    pub fn lives(&self, session: &str) -> bool {
        self.sessions.get(session).is_some_and(FakeSession::live)
    }

    /// Whether its process exists.
    pub fn appeared(&self, session: &str, now: Duration) -> bool {
        self.sessions.get(session).is_some_and(|it| it.live() && it.appears <= now)
    }
}

impl World {
    /// A new session with an agent in it, unless there is one of this name.
    pub fn begin(
        &self,
        name: &str,
        by: By,
        mut environment: BTreeMap<String, String>,
    ) -> Option<FakeSession> {
        let now = self.time();
        if let Some(home) = self.home(name) {
            environment.entry("HOME".to_owned()).or_insert(home);
        }
        let mut state = self.state();
        if state.sessions.contains_key(name) {
            return None;
        }
        if state.sessions.is_empty() {
            state.generation += 1;
        }
        let nature = state.nature.clone();
        let (id, pid) = (state.number(), state.number() as u32);
        let appears = now + state.some(&nature.appears);
        let prompts = appears + state.some(&nature.prompts);
        let wall = wall_at(now, state.wall_offset);
        let never = nature.stillborn.iter().any(|it| it == name) || state.chance(nature.never_appears);
        let condition = if never { Condition::Never } else { Condition::Well };
        let persons_shell = state.chance(nature.splits).then(|| state.number() as u32);
        let curious = state.chance(nature.curious).then(|| {
            let after = state.some(&(0..6_000)).as_millis() as u64;
            if state.rng.bool() { Asks::permissions(after) } else { Asks::theme(after) }
        });
        let asks = nature.asks.get(name).cloned().or(curious.clone());
        let asks = asks.filter(|_| condition == Condition::Well && !is_boot(name));
        let asks = asks.map(|asks| (appears + millis(asks.after), asks));
        let patience = curious.map(|_| state.some(&(1_000..90_000)));
        let created = Timestamp::from_second(wall.as_second()).unwrap();
        let session = FakeSession {
            id,
            created,
            born: now,
            appears,
            prompts,
            pid,
            persons_shell,
            keep_exit: false,
            respawns: false,
            removed: false,
            by,
            condition,
            shell_since: Duration::ZERO,
            process: nature.runs_as.get(name).cloned().unwrap_or_else(|| "claude".to_owned()),
            directory: PathBuf::new(),
            command: String::new(),
            environment,
            typed: Vec::new(),
            asks,
            shows: nature.shows.get(name).cloned().into_iter().collect(),
            draft: String::new(),
        };
        state.sessions.insert(name.to_owned(), session.clone());
        state.note(now, true, || format!("session {name} is there (${id}, by {by:?}, {condition:?})"));
        let frail = state.chance(nature.frail).then(|| state.some(&nature.frail_lives));
        let boot = is_boot(name).then(|| state.some(&nature.boot_works));
        drop(state);
        self.hint_sessions();
        let short = nature.short_lived.get(name).copied();
        for lives in [frail, boot, short].into_iter().flatten() {
            let name = name.to_owned();
            self.after(lives, move |world| world.end_agent(&name, id));
        }
        if let Some(code) = nature.cannot_run.get(name).copied() {
            let name = name.to_owned();
            self.after(millis(3), move |world| world.exit_at_once(&name, id, code));
        }
        if let Some(patience) = patience {
            let name = name.to_owned();
            self.after(appears - now + patience, move |world| world.answer(&name, id));
        }
        if name == DEACON {
            self.next_beat(id, prompts - now);
        }
        Some(session)
    }

    pub(super) fn exit_at_once(&self, name: &str, id: u64, code: i32) {
        let mut state = self.state();
        match state.sessions.get_mut(name).filter(|it| it.id == id) {
            Some(session) if session.keep_exit => session.condition = Condition::Exited(code),
            Some(_) => {
                drop(state);
                self.end_agent(name, id);
                return;
            }
            None => return,
        }
        drop(state);
        self.hint_sessions();
    }

    /// The process of this session's agent ends with this exit code; its pane stays where the server is to keep it.
    pub fn exit_agent(&self, name: &str, code: i32) {
        let now = self.time();
        let mut state = self.state();
        if !state.sessions.get(name).is_some_and(|it| it.keep_exit) {
            drop(state);
            return self.end_session(name, "its agent exited");
        }
        state.ends(now, name);
        let Some(session) = state.sessions.get_mut(name) else { return };
        let before = shown(name, session);
        session.condition = Condition::Exited(code);
        let pid = session.pid;
        state.note(now, true, || format!("the agent in {name} exits with {code}, its pane stays"));
        drop(state);
        self.report(Duration::ZERO, Fact::Listed([before].into()));
        self.report(millis(2), Fact::Exited { pid, exit: Some(code) });
        self.hint_sessions();
    }

    /// What an agent does when it gets typed text.
    pub(super) fn was_told(&self, name: &str, text: &str) {
        self.asks_its_program(name);
        let mut state = self.state();
        if text.starts_with("HEALTH_CHECK") {
            let wakes = state.nature.wakes_on_nudge;
            if state.chance(wakes) {
                drop(state);
                self.hang_agent(name, false);
            }
        } else if text.contains("\nRun `gt ") && state.nature.doomed.iter().any(|it| it == name) {
            let Some(id) = state.sessions.get(name).map(|it| it.id) else { return };
            drop(state);
            let name = name.to_owned();
            self.after(super::secs(2), move |world| world.end_agent(&name, id));
        }
    }

    fn next_beat(&self, id: u64, wait: Duration) {
        let beats = self.state().nature.beats.clone();
        let interval = self.state().some(&beats);
        self.after(wait + interval, move |world| {
            let condition =
                world.state().sessions.get(DEACON).filter(|it| it.id == id).map(|it| it.condition);
            match condition {
                Some(Condition::Well) => world.beat(),
                Some(Condition::Hung) => {}
                _ => return,
            }
            world.next_beat(id, Duration::ZERO);
        });
    }

    /// The deacon writes its heartbeat.
    pub fn beat(&self) {
        let wall = self.wall();
        let now = self.time();
        self.state().beat_at = Some(now);
        self.write("deacon/heartbeat.json", &format!(r#"{{"timestamp":"{wall}","cycle":1}}"#));
    }

    /// This incarnation's agent ends by itself; its shell may stay.
    fn end_agent(&self, name: &str, id: u64) {
        let there = self.state().sessions.get(name).is_some_and(|it| it.id == id && it.live());
        if there {
            let zombie = self.state().nature.leaves_shell;
            let zombie = self.state().chance(zombie);
            self.crash_agent(name, zombie);
        }
    }

    /// The agent of this session ends; its session with it, unless a shell stays behind.
    pub fn crash_agent(&self, name: &str, leaves_shell: bool) {
        let respawns = self.state().sessions.get(name).is_some_and(|it| it.respawns);
        if respawns {
            return self.leaves_to_its_hook(name);
        }
        let split = self.state().sessions.get(name).is_some_and(|it| it.persons_shell.is_some());
        if !leaves_shell && !split {
            return self.end_session(name, "its agent ended");
        }
        let now = self.time();
        let mut state = self.state();
        state.ends(now, name);
        if let Some(session) = state.sessions.get_mut(name) {
            session.condition = Condition::Zombie;
            session.shell_since = now;
            state.note(now, true, || format!("the agent in {name} ends, a shell stays"));
        }
    }

    /// The agent of this session ends, its pane stays, and the session's hook starts it again after 3 s.
    fn leaves_to_its_hook(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        state.ends(now, name);
        let Some(session) = state.sessions.get_mut(name) else { return };
        session.condition = Condition::Exited(137);
        let (id, ended) = (session.id, session.pid);
        state.note(now, true, || format!("the agent in {name} ends, its pane stays"));
        drop(state);
        self.report(millis(2), Fact::Exited { pid: ended, exit: Some(137) });
        self.hint_sessions();
        let name = name.to_owned();
        self.after(super::secs(3), move |world| world.its_hook_runs(&name, id));
    }

    /// The hook begins when the agent ends, and cannot be called back: it looks for a dead pane.
    fn its_hook_runs(&self, name: &str, id: u64) {
        let now = self.time();
        let mut state = self.state();
        let (pid, short) =
            (u32::try_from(state.number()).unwrap(), state.nature.short_lived.get(name).copied());
        let dead = |it: &&mut FakeSession| {
            it.id == id && matches!(it.condition, Condition::Exited(_)) && !it.removed
        };
        let Some(session) = state.sessions.get_mut(name).filter(dead) else { return };
        (session.pid, session.condition) = (pid, Condition::Well);
        (session.born, session.appears, session.prompts) = (now, now + millis(300), now + millis(1000));
        state.note(now, true, || format!("the hook of {name} respawns its pane"));
        drop(state);
        self.hint_sessions();
        if let Some(lives) = short {
            let name = name.to_owned();
            self.after(lives, move |world| world.end_agent(&name, id));
        }
    }

    /// The pane of an agent that ended is removed from this session: nothing is left of it, or what a person opened.
    pub(super) fn remove_dead_pane(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        let dead = |it: &&mut FakeSession| matches!(it.condition, Condition::Exited(_)) && !it.removed;
        let Some(session) = state.sessions.get_mut(name).filter(dead) else { return };
        if session.persons_shell.is_none() {
            drop(state);
            return self.end_session(name, "its dead pane was removed");
        }
        session.removed = true;
        state.note(now, true, || format!("the dead pane of {name} is removed, a person's stays"));
    }

    /// The agent hangs, or wakes up.
    pub fn hang_agent(&self, name: &str, hangs: bool) {
        let now = self.time();
        let mut state = self.state();
        if let Some(session) = state.sessions.get_mut(name).filter(|it| it.live()) {
            session.condition = if hangs { Condition::Hung } else { Condition::Well };
            state
                .note(now, true, || format!("the agent in {name} {}", if hangs { "hangs" } else { "wakes" }));
        }
    }

    /// A person opens a pane of their own beside the agent, and works in it.
    pub fn split(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        let pid = state.number() as u32;
        if let Some(session) = state.sessions.get_mut(name) {
            session.persons_shell = Some(pid);
            state.note(now, true, || format!("a person splits the window of {name}"));
        }
    }

    /// A person answers an agent's question, if it still shows.
    pub fn answer(&self, name: &str, id: u64) {
        let now = self.time();
        let mut state = self.state();
        if let Some(session) = state.sessions.get_mut(name).filter(|it| it.id == id)
            && session.asks.take().is_some()
        {
            state.note(now, true, || format!("a person answers the question in {name}"));
        }
    }

    /// A key is pressed at a question of an agent, which may take it later.
    pub(super) fn was_pressed(&self, name: &str, key: Key) {
        let now = self.time();
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(name).filter(|it| it.asks_now(now).is_some()) else {
            return;
        };
        let id = session.id;
        let Some((_, asks)) = &mut session.asks else { return };
        let lag = millis(asks.lag);
        if lag.is_zero() {
            drop(state);
            return self.takes_key(name, key);
        }
        asks.on_their_way += 1;
        drop(state);
        let name = name.to_owned();
        self.after(lag, move |world| {
            if world.state().sessions.get(&name).is_some_and(|it| it.id == id) {
                world.takes_key(&name, key);
            }
        });
    }

    fn takes_key(&self, name: &str, key: Key) {
        let now = self.time();
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(name) else { return };
        let Some((_, asks)) = &mut session.asks else { return };
        asks.on_their_way = asks.on_their_way.saturating_sub(1);
        match key {
            Key::Up => asks.cursor = asks.cursor.saturating_sub(1),
            Key::Down => asks.cursor = (asks.cursor + 1).min(asks.options.len() - 1),
            Key::Enter if asks.cursor == asks.right => {
                session.asks = asks.then.take().map(|next| (now, *next));
            }
            Key::Enter | Key::Escape => {
                drop(state);
                self.crash_agent(name, false);
            }
        }
    }

    /// A person types this at an agent's prompt, and does not send it.
    pub fn draft(&self, name: &str, text: &str) {
        if let Some(session) = self.state().sessions.get_mut(name) {
            session.draft = text.to_owned();
        }
    }

    /// Sets an agent's question.
    pub fn ask_in(&self, name: &str, asks: Asks) {
        let now = self.time();
        if let Some(session) = self.state().sessions.get_mut(name) {
            session.asks = Some((now, asks));
        }
    }

    /// Sets the lines above the prompt of a session.
    pub fn show(&self, name: &str, lines: &[&str]) {
        if let Some(session) = self.state().sessions.get_mut(name) {
            session.shows = lines.iter().map(|line| (*line).to_owned()).collect();
        }
    }

    /// A session ends with everything in it.
    pub fn end_session(&self, name: &str, why: &str) {
        let now = self.time();
        let mut state = self.state();
        state.ends(now, name);
        if let Some(session) = state.sessions.remove(name) {
            if why.starts_with("gt ") {
                state.was_taken(now, name);
            }
            state.note(now, true, || format!("session {name} is gone: {why}"));
            drop(state);
            self.hint_sessions();
            self.report_ends(name, &session);
        }
    }

    /// The supervisor loses sight of its server, and all agents live on: its socket file is deleted, or the settings
    /// name another.
    pub fn lose_server(&self, deleted: bool) {
        let now = self.time();
        let mut state = self.state();
        let server = super::processes::server(state.generation);
        let sessions = std::mem::take(&mut state.sessions);
        state.hidden.extend(sessions.into_iter().map(|(name, session)| (name, (session, Some(server)))));
        state.generation += 1;
        state.socket_deleted = deleted;
        state.note(now, true, || format!("the server is out of sight (its socket deleted: {deleted})"));
    }

    /// The server is in sight again, with everything that lives in it.
    pub fn find_server(&self) {
        let now = self.time();
        let mut state = self.state();
        state.socket_deleted = false;
        let hidden = std::mem::take(&mut state.hidden);
        state.sessions.extend(hidden.into_iter().map(|(name, (session, _))| (name, session)));
        state.note(now, true, || "the server is in sight again".to_owned());
        drop(state);
        self.hint_sessions();
    }

    /// The session of an agent ends, and the agent does not; until it is [gone](Self::hidden_ends).
    pub fn outlive(&self, name: &str) {
        let session = self.state().sessions.get(name).cloned();
        self.end_session(name, "its pane was closed");
        self.state().hidden.extend(session.map(|session| (name.to_owned(), (session, None))));
    }

    /// An agent that is out of sight ends.
    pub fn hidden_ends(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        state.hidden.remove(name);
        state.note(now, true, || format!("what was hidden of {name} ends"));
    }

    /// The tmux server dies, and every session with it.
    pub fn kill_server(&self) {
        let now = self.time();
        let mut state = self.state();
        let sessions: Vec<Session> =
            state.sessions.iter().map(|(name, session)| shown(name, session)).collect();
        for name in state.sessions.keys().cloned().collect::<Vec<_>>() {
            state.ends(now, &name);
        }
        state.sessions.clear();
        // Later reports about the old server's sessions match nothing.
        state.generation += 1;
        state.note(now, true, || "the tmux server dies".to_owned());
        let lost = state.weather.hints;
        let told = !state.chance(lost);
        drop(state);
        self.hint_sessions();
        if told {
            self.report(Duration::ZERO, Fact::Listed(sessions.into()));
            self.report(millis(2), Fact::ServerExited);
        }
    }

    /// Reports a fact after a delay, if the same server still runs then.
    pub fn report(&self, after: Duration, fact: Fact) {
        if after.is_zero() {
            let _ = self.0.facts.send(fact);
            return;
        }
        let generation = self.state().generation;
        self.after(after, move |world| {
            if world.state().generation == generation {
                let _ = world.0.facts.send(fact);
            }
        });
    }

    /// Reports the ends in a session that is gone and was listed before: of its process, as the kernel does, and
    /// sometimes of its window, as tmux does; each may be lost.
    fn report_ends(&self, name: &str, session: &FakeSession) {
        let mut state = self.state();
        let lost = state.weather.hints;
        let (process, window) = (!state.chance(lost), state.rng.bool() && !state.chance(lost));
        let exit = state.rng.bool().then_some(1);
        let exit = if state.machine.killed.remove(name) { Some(137) } else { exit };
        let later = state.some(&(1..60));
        drop(state);
        if process || window {
            self.report(Duration::ZERO, Fact::Listed([shown(name, session)].into()));
        }
        if process {
            self.report(millis(2), Fact::Exited { pid: session.pid, exit });
        }
        if window {
            self.report(later, Fact::WindowClosed(format!("@{}", session.id)));
        }
    }

    /// Hints that sessions may have changed.
    pub fn hint(&self) {
        self.hint_sessions();
    }

    /// Hints that sessions changed, a little later, or loses the hint.
    pub(super) fn hint_sessions(&self) {
        let mut state = self.state();
        let lost = state.weather.hints;
        if state.chance(lost) {
            return;
        }
        let delay = if state.weather.slow > 0.0 { state.some(&(1..40)) } else { millis(5) };
        drop(state);
        self.after(delay, |world| world.0.sessions_changed.send_modify(|count| *count += 1));
    }
}
