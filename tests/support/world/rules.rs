//! What the supervisor must never do, checked inside the call that would do it.
//!
//! Each rule allows for an unavoidable window: the world may change between a reading and the act that follows. The
//! window is no longer than the longest single calls in between, which are counted at each rule; in good weather
//! calls take no time and the window is zero.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use gastown_supervisor::sessions::{Key, PaneTarget};

use super::{
    Condition, DEACON, MAYOR, State, World, is_boot, mins, path, secs, wall_at,
    weather::{FILE_CAP, SESSION_CAP},
};

/// A relevant action of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It created this session.
    Created(String),
    /// It ended the processes of this session.
    Ended(String),
}

/// Something that forbids to touch an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// `ESTOP`.
    Estop,
    /// `daemon/shutdown.lock` is held.
    Lock,
    /// `ESTOP.<rig>`.
    EstopRig(String),
    /// The rig is parked, or its wisp file cannot be read.
    Rig(String),
    /// The rig is docked by the label of its bead, in a 1.x town.
    Label(String),
    /// The deacon is paused, or its pause file cannot be read.
    Pause,
}

/// The memory of the rules.
#[derive(Debug, Default)]
pub struct Watch {
    closed: BTreeMap<Gate, Duration>,
    creating: BTreeMap<String, u32>,
    /// The last answer for a session of this name: when, and whether an agent lived in it.
    found: BTreeMap<String, (Duration, bool)>,
    /// Sessions stopped by hand, and until when they must be left alone.
    held: BTreeMap<String, Duration>,
    /// Polecats without work: since when, and why.
    unwanted: BTreeMap<String, (Duration, String)>,
    /// When the last command in a rig's directories ended.
    busy: BTreeMap<String, Duration>,
    /// When each polecat was last seen to have lived for a while.
    well: BTreeMap<String, Duration>,
    /// When each session was ended by one of Gas Town's commands: what follows is not a restart.
    taken: BTreeMap<String, Vec<Duration>>,
    /// When the supervisor last could not see what happens.
    distracted: Option<Duration>,
    /// The polecats that a witness was mailed about: when last, and with which work.
    mailed: BTreeMap<String, (Duration, String)>,
}

/// The rig a witness's or refinery's session belongs to.
pub fn rig_of(session: &str) -> Option<&str> {
    let name = without_gt(session);
    name.strip_suffix("-witness").or_else(|| name.strip_suffix("-refinery"))
}

/// Without what begins the names of January.
fn without_gt(session: &str) -> &str {
    session.strip_prefix("gt-").unwrap_or(session)
}

impl State {
    /// The rig a session belongs to, including a polecat's.
    pub fn rig_of(&self, session: &str) -> Option<String> {
        let polecat = || self.polecats.get(session).map(|polecat| polecat.rig.clone());
        let by_name = || {
            let rigs = self.routed_rigs().into_iter().filter(|_| self.is_v1());
            rigs.filter(|rig| session.starts_with(&format!("{rig}-"))).max_by_key(String::len)
        };
        rig_of(session).map(str::to_owned).or_else(polecat).or_else(by_name)
    }

    /// The gates of a session's agent, in the order in which the supervisor reads them.
    fn gates(&self, session: &str) -> Vec<Gate> {
        if !self.gas_town.dialect.is_gas_town() {
            return Vec::new();
        }
        let of_crew = || without_gt(session).split_once("-crew-").map(|(rig, _)| rig.to_owned());
        match self.rig_of(session).or_else(of_crew) {
            None if session == MAYOR => vec![Gate::Estop, Gate::Lock],
            None => vec![Gate::Estop, Gate::Lock, Gate::Pause],
            Some(rig) => vec![Gate::Estop, Gate::Lock, Gate::EstopRig(rig.clone()), Gate::Rig(rig)],
        }
    }

    /// Notes something the supervisor must never do.
    pub fn violated(&mut self, now: Duration, what: String) {
        self.note(now, true, || format!("VIOLATION: {what}"));
        let tail = self.tail(60);
        self.violations.push(format!("{what}\n{tail}"));
    }

    /// Checks which gates are closed now, and remembers since when.
    pub fn look_at_gates(&mut self, now: Duration) {
        let mut all = vec![Gate::Estop, Gate::Lock, Gate::Pause];
        let wisps = path(".beads-wisp/config");
        let rigs: Vec<String> = self
            .files
            .keys()
            .filter(|file| file.parent() == Some(&wisps))
            .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        for rig in rigs {
            all.extend([Gate::EstopRig(rig.clone()), Gate::Label(rig.clone()), Gate::Rig(rig)]);
        }
        for gate in all {
            if !self.is_closed(&gate) {
                if self.watch.closed.remove(&gate).is_some() {
                    // An agent that becomes operational again is not held any more.
                    let mut held = std::mem::take(&mut self.watch.held);
                    held.retain(|session, _| !self.gates(session).contains(&gate));
                    self.watch.held = held;
                }
            } else if !self.watch.closed.contains_key(&gate) {
                self.watch.closed.insert(gate.clone(), now);
                self.note(now, true, || format!("gate closed: {gate:?}"));
            }
        }
    }

    /// Since when a gate is closed.
    pub fn closed_since(&self, gate: &Gate) -> Option<Duration> {
        self.watch.closed.get(gate).copied()
    }

    fn is_closed(&self, gate: &Gate) -> bool {
        let json = |file: &str| {
            let bytes = self.files.get(&path(file))?;
            Some(serde_json::from_slice::<serde_json::Value>(bytes))
        };
        match gate {
            Gate::Estop => self.files.contains_key(&path("ESTOP")),
            Gate::EstopRig(rig) => self.files.contains_key(&path(format!("ESTOP.{rig}"))),
            Gate::Lock => self.lock_held,
            Gate::Label(rig) => self.is_v1() && self.is_docked(rig),
            Gate::Pause => match json(".runtime/deacon/paused.json") {
                None => false,
                Some(Err(_)) => true,
                Some(Ok(file)) => file["paused"] == true,
            },
            Gate::Rig(rig) => match json(&format!(".beads-wisp/config/{rig}.json")) {
                None => false,
                Some(Err(_)) => true,
                Some(Ok(file)) => matches!(file["values"]["status"].as_str(), Some("parked" | "docked")),
            },
        }
    }

    /// The longest unavoidable delay: zero while no call was ever slow.
    fn window(&self, files: u32, sessions: u32) -> Duration {
        if self.weather.was_bad { FILE_CAP * files + SESSION_CAP * sessions } else { Duration::ZERO }
    }

    /// No act while a gate is closed for longer than its reading can be old. The gates are read one after the other,
    /// so that the first one's answer is as old as all readings together, the last one's as old as its own; `slack`
    /// is the time between the last reading and the act.
    fn check_gates(&mut self, now: Duration, act: &str, session: &str, slack: Duration) {
        let gates = self.gates(session);
        let count = gates.len() as u32;
        for (at, gate) in gates.into_iter().enumerate() {
            let window = self.window(count - at as u32, 0) + slack;
            if let Some(since) = self.watch.closed.get(&gate)
                && *since + window < now
            {
                let long = now - *since;
                self.violated(now, format!("{act} {session} while {gate:?} is closed for {long:?}"));
            }
        }
    }

    /// A query for one session was answered.
    pub fn answered_find(&mut self, now: Duration, name: &str) {
        let lives = self.lives(name);
        self.watch.found.insert(name.to_owned(), (now, lives));
    }

    /// A session is about to be created.
    pub fn may_create(&mut self, now: Duration, name: &str) {
        self.may_begin(now, name, Duration::ZERO);
    }

    /// A session is about to be created, or `gt` is about to be run for it; `slack` is the time between the answer about the
    /// permission and that.
    pub fn may_begin(&mut self, now: Duration, name: &str, slack: Duration) {
        if self.is_v1() && name.starts_with("gt-") {
            self.violated(now, format!("{name} is a name of January: a second set of agents"));
        }
        if self.watch.creating.get(name).is_some_and(|count| *count > 0) {
            self.violated(now, format!("{name} is being created already"));
        }
        // An owner knows what it created. Only a creation that its predecessor requested can happen without its
        // knowledge.
        if self.sessions.get(name).is_some_and(|it| it.live() && it.by.is_known()) {
            self.violated(now, format!("{name} is created once more, and lives"));
        }
        // The supervisor cannot know of a session that went out of sight in this instant.
        let out_of_sight = |(it, _): &(super::FakeSession, Option<u32>)| it.live() && it.by.is_known();
        if self.hidden.get(name).is_some_and(out_of_sight) {
            self.violated(now, format!("create {name}, whose agent runs out of sight"));
        }
        self.check_gates(now, "create", name, slack);
        self.check_label(now, name);
        if self.wished(name) {
            // A stop by hand after the request does not delay it.
            self.unhold(name);
        } else {
            self.check_wanted(now, name, slack);
        }
        // It was read that an agent lives there: only while a command ran in between (which brings the worktree up to
        // date and may take minutes) can another program have been faster.
        if let (Some((told, true)), true) = (self.watch.found.get(name).copied(), self.lives(name)) {
            let busy = self.busy_until(name).unwrap_or_default();
            if told + self.window(4, 1) < now && busy < told {
                self.violated(now, format!("create {name}, whose agent was seen alive {:?} ago", now - told));
            }
        }
        if let Some(until) = self.watch.held.get(name).copied()
            && now < until
        {
            self.violated(
                now,
                format!("create {name}, which was stopped by hand, {:?} too early", until - now),
            );
        }
    }

    /// No act in a rig whose label said for a while that it is docked. It is read at each heartbeat; where a reading may have
    /// failed, nothing is checked.
    fn check_label(&mut self, now: Duration, name: &str) {
        let Some(since) = self.rig_of(name).and_then(|rig| self.closed_since(&Gate::Label(rig))) else {
            return;
        };
        let disturbed = [self.gas_town_1.dolt_changed, self.watch.distracted].into_iter().flatten();
        let was_readable = !self.weather.was_bad && disturbed.max().is_none_or(|at| at < since);
        if was_readable && since + mins(4) < now {
            self.violated(now, format!("create {name}, whose rig is docked for {:?}", now - since));
        }
    }

    fn busy_until(&self, session: &str) -> Option<Duration> {
        self.watch.busy.get(&self.rig_of(session)?).copied()
    }

    /// Checks which polecats have no work, and remembers since when.
    pub fn look_at_beads(&mut self, now: Duration) {
        if self.is_v1() {
            self.look_at_gates(now);
        }
        let sessions: Vec<String> = self.polecats.keys().cloned().collect();
        for session in sessions {
            match self.unwanted(&session) {
                None => drop(self.watch.unwanted.remove(&session)),
                Some(why) if !self.watch.unwanted.contains_key(&session) => {
                    self.note(now, true, || format!("{session} is not wanted: {why}"));
                    self.watch.unwanted.insert(session, (now, why));
                }
                Some(_) => {}
            }
        }
    }

    /// No polecat is created whose beads said for a while that it is not wanted. Between the answer of `bd` and the act
    /// are the readings of the gates, and possibly a command that brings the worktree up to date and may take minutes.
    fn check_wanted(&mut self, now: Duration, session: &str, slack: Duration) {
        let slack = slack + secs(1) + self.window(8, 3);
        if let Some((since, why)) = self.watch.unwanted.get(session).cloned()
            && since + slack < now
            && self.busy_until(session).is_none_or(|busy| busy < since)
        {
            self.violated(now, format!("create {session}, {:?} after its beads said: {why}", now - since));
        }
    }

    /// A command of Gas Town ends this session.
    pub fn was_taken(&mut self, now: Duration, session: &str) {
        self.watch.taken.entry(session.to_owned()).or_default().push(now);
    }

    /// A session ends, or the agent in it: notes whether it had been well.
    pub fn ends(&mut self, now: Duration, session: &str) {
        // Its start is known to the second only.
        if self.sessions.get(session).is_some_and(|it| it.live() && it.born + secs(4) <= now) {
            self.watch.well.insert(session.to_owned(), now);
        }
    }

    /// A polecat's hook changes: what follows is another incident.
    pub fn hook_changes(&mut self, session: &str) {
        self.watch.mailed.remove(session);
    }

    /// A witness is mailed about a polecat that is not back: once for each incident, which ends when the polecat is
    /// well again or has other work.
    pub fn was_mailed(&mut self, now: Duration, subject: &str) {
        let Some(name) = subject.strip_prefix("CRASHED_POLECAT: ").and_then(|rest| rest.split(' ').next())
        else {
            return;
        };
        let of_it = |(_, polecat): &(&String, &super::Polecat)| polecat.address() == name;
        let Some((session, polecat)) = self.polecats.iter().find(of_it) else { return };
        let hook = self.hook_of(&polecat.rig, &polecat.name).unwrap_or_default();
        let session = session.clone();
        self.ends(now, &session);
        if let Some((last, with)) = self.watch.mailed.insert(session.clone(), (now, hook.clone()))
            && with == hook
            && self.watch.well.get(&session).is_none_or(|well| *well < last)
            && self.jumped_at.is_none_or(|jumped| jumped < last)
        {
            self.violated(now, format!("a second mail about {name}, {:?} after the first", now - last));
        }
    }

    /// Something happened that may hide from the supervisor what people do now.
    pub fn distracted(&mut self, now: Duration) {
        self.watch.distracted = self.watch.distracted.max(Some(now));
    }

    /// Whether the supervisor sees what people do now: ports answer, and no part of it crashed recently.
    pub fn is_seen_by_all(&self, now: Duration) -> bool {
        let calm = self.weather.fail == 0.0 && self.weather.slow == 0.0 && self.weather.hints == 0.0;
        let recent = self.watch.distracted.is_some_and(|at| at + secs(3) > now);
        calm && !recent && self.clock_panics_in.is_none() && self.failing.is_empty()
    }

    /// More starts than this within a quarter of an hour are a storm: five restarts, a first start, and two that
    /// followed from a gate or hold. An operator who parks and unparks all the time is none.
    pub fn check_storm(&mut self, now: Duration, name: &str) {
        let recent = self.deeds.iter().rev().take_while(|(at, _)| *at + mins(15) > now);
        let count = recent.filter(|(_, deed)| *deed == Deed::Created(name.to_owned())).count();
        let taken = self
            .watch
            .taken
            .get(name)
            .map_or(0, |taken| taken.iter().filter(|at| **at + mins(15) > now).count());
        if count > 8.max(taken + 6) {
            self.violated(now, format!("{name} was created {count} times within 15 minutes"));
        }
    }

    /// The processes of a session are about to be ended. A live agent may be ended only when it is a deacon without
    /// progress or a boot that is too old.
    pub fn may_end(&mut self, now: Duration, name: &str) {
        self.may_touch(now, "end", name);
        // Between the check of the permission and the act: the deacon's heartbeat, the session, its hooks.
        let slack = self.window(1, 2);
        self.check_gates(now, "end", name, slack);
        if self.lives(name)
            && let Some(why) = self.must_live(now, name)
            && !self.was_asked_to_end(name)
        {
            self.violated(now, format!("end {name}, which lives: {why}"));
        }
    }

    /// A session is about to be killed by its name; the caller read it one call ago at best.
    pub fn may_kill_session(&mut self, now: Duration, asked: Duration, name: &str) {
        self.may_touch(now, "kill", name);
        let Some(session) = self.sessions.get(name) else { return };
        let just_made = session.born + self.window(0, 1) >= asked;
        if session.live()
            && !just_made
            && let Some(why) = self.must_live(now, name)
            && !self.was_asked_to_end(name)
        {
            self.violated(now, format!("kill {name}, in which an agent lives: {why}"));
        }
    }

    /// Whether this is a polecat without work that said 15 min ago that it is idle, and nothing since.
    fn is_idle_polecat(&self, name: &str, wall: Timestamp) -> bool {
        let file = path(format!(".runtime/heartbeats/{name}.json"));
        let said = self.files.get(&file).map(Vec::as_slice).unwrap_or_default();
        let said: serde_json::Value = serde_json::from_slice(said).unwrap_or_default();
        let at = said["timestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let is_old = at.is_some_and(|at| wall.duration_since(at) >= SignedDuration::from_mins(15));
        is_old
            && ["idle", "exiting"].iter().any(|word| said["state"] == *word)
            && self.unwanted(name).is_some()
    }

    fn must_live(&self, now: Duration, name: &str) -> Option<String> {
        let session = self.sessions.get(name)?;
        let wall = wall_at(now, self.wall_offset);
        let age = |then: Timestamp| Duration::try_from(wall.duration_since(then)).unwrap_or_default();
        match name {
            _ if is_boot(name) && age(session.created) >= mins(10) => None,
            _ if is_boot(name) => Some(format!("boot is {:?} old", age(session.created))),
            DEACON => self.deacon_must_live(now, wall, session.born),
            _ if self.is_idle_polecat(name, wall) => None,
            _ if self.network.unwell.contains(name) => None,
            _ => Some("nothing allows it".to_owned()),
        }
    }

    fn deacon_must_live(&self, now: Duration, wall: Timestamp, born: Duration) -> Option<String> {
        let grace = mins(5);
        if now < born + grace {
            return Some(format!("it is {:?} old", now - born));
        }
        let Some(beat_at) = self.beat_at else {
            return Some("it never wrote a heartbeat".to_owned());
        };
        let bytes = self.files.get(&path("deacon/heartbeat.json"))?;
        let file: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let beat: Timestamp = file["timestamp"].as_str()?.parse().ok()?;
        let stuck_after = self.gas_town.dialect.facts().deacon_stale[1];
        let by_wall = wall.duration_since(beat) > SignedDuration::try_from(stuck_after).ok()?;
        let awake = self.jumped_at.is_none_or(|jump| jump + grace <= now);
        // It may have come back to life after the last reading of its file.
        let just_moved = beat_at + self.window(1, 2) >= now;
        let stuck = now - beat_at > stuck_after || (by_wall && awake);
        (!stuck && !just_moved).then(|| format!("its heartbeat is {:?} old", now - beat_at))
    }

    /// Text is about to be typed.
    pub fn may_type(&mut self, now: Duration, pane: &PaneTarget, text: &str) {
        let name = pane.session();
        let slack = self.window(1, 1);
        self.check_gates(now, "type to", name, slack);
        self.check_pane(now, pane, &format!("{text:?} is typed"));
        let slack = self.window(0, 1);
        let asks = |session: &super::FakeSession| session.asks_now(now).map(|(since, _)| *since);
        if let Some(since) = self.sessions.get(name).and_then(asks)
            && since + slack < now
        {
            self.violated(
                now,
                format!("{text:?} is typed at a question in {name}, asked {:?} ago", now - since),
            );
        }
        if let Some(draft) = self.sessions.get(name).map(|it| it.draft.clone()).filter(|it| !it.is_empty()) {
            self.violated(now, format!("{text:?} is typed in {name}, whose prompt holds {draft:?}"));
        }
        let wakes = |text: &str| text.contains("[GAS TOWN]");
        let woken = |it: &super::FakeSession| it.typed.iter().any(|(_, text)| wakes(text));
        if wakes(text) && self.sessions.get(name).is_some_and(woken) {
            self.violated(now, format!("{name} is woken a second time"));
        }
    }

    /// A key is about to be pressed.
    pub fn may_press(&mut self, now: Duration, pane: &PaneTarget, key: Key) {
        self.check_pane(now, pane, &format!("{key:?} is pressed"));
        let (name, slack) = (pane.session(), self.window(0, 1));
        let Some(session) = self.sessions.get(name) else { return };
        let wrong = match session.asks_now(now) {
            Some((since, _)) if *since + slack >= now => false,
            Some((_, asks)) => {
                !asks.may_answer
                    || asks.on_their_way > 0
                    || key == Key::Escape
                    || key == Key::Enter && asks.cursor != asks.right
            }
            None => key == Key::Escape && !session.shows.iter().any(|line| line.contains("-- INSERT --")),
        };
        if wrong {
            let screen = session.screen(now).join(" / ");
            self.violated(now, format!("{key:?} is pressed in {name}, which shows: {screen}"));
        }
    }

    /// Nothing is typed into a person's pane, nor into the shell that an agent left behind.
    fn check_pane(&mut self, now: Duration, pane: &PaneTarget, what: &str) {
        let name = pane.session().to_owned();
        self.may_touch(now, what, &name);
        let Some(session) = self.sessions.get(&name) else { return };
        if session.persons_shell == Some(pane.pid()) {
            self.violated(now, format!("{what} in a person's shell beside the agent in {name}"));
        } else if session.condition == Condition::Zombie && session.shell_since + self.window(0, 2) < now {
            self.violated(now, format!("{what} in the shell that is left of the agent in {name}"));
        }
    }

    /// A session is about to be touched: never one of another town. A caller that read it one call ago cannot know of
    /// one that came since.
    pub fn may_touch(&mut self, now: Duration, act: &str, name: &str) {
        let since = now.saturating_sub(self.window(0, 2));
        let foreign =
            |it: &&super::FakeSession| it.environment.get("GT_ROOT").is_some_and(|root| root != super::TOWN);
        if let Some(session) = self.sessions.get(name).filter(foreign)
            && session.born < since
        {
            self.violated(now, format!("{act} {name}, which is another town's"));
        }
    }

    /// A command ran in this rig.
    pub fn was_busy(&mut self, rig: &str, until: Duration) {
        self.watch.busy.insert(rig.to_owned(), until);
    }

    /// Somebody stopped this agent by hand; the supervisor must leave it alone for a while.
    pub fn hold(&mut self, session: &str, until: Duration) {
        self.watch.held.insert(session.to_owned(), until);
    }

    /// It need not be left alone any more.
    pub fn unhold(&mut self, session: &str) {
        self.watch.held.remove(session);
    }

    /// Only these rigs' agents are still held.
    pub fn unhold_but(&mut self, rigs: &[&str]) {
        let mut held = std::mem::take(&mut self.watch.held);
        held.retain(|session, _| self.rig_of(session).is_none_or(|rig| rigs.contains(&rig.as_str())));
        self.watch.held = held;
    }

    /// The supervisor has lost all its memory of holds.
    pub fn unhold_all(&mut self) {
        self.watch.held.clear();
    }

    /// When the supervisor created this session.
    pub fn created(&self, session: &str) -> Vec<Duration> {
        self.did(&Deed::Created(session.to_owned()))
    }

    /// When the supervisor ended the processes of this session.
    pub fn ended(&self, session: &str) -> Vec<Duration> {
        self.did(&Deed::Ended(session.to_owned()))
    }

    fn did(&self, what: &Deed) -> Vec<Duration> {
        self.deeds.iter().filter(|(_, deed)| deed == what).map(|(at, _)| *at).collect()
    }

    /// The session, which must exist.
    pub fn session(&self, name: &str) -> &super::FakeSession {
        self.sessions.get(name).unwrap_or_else(|| panic!("{name} is not there"))
    }

    /// Live agents that the supervisor created, by session.
    pub fn made_by_supervisor(&self) -> Vec<String> {
        let ours = self.sessions.iter().filter(|(_, it)| it.by.is_known() && it.live());
        ours.map(|(name, _)| name.clone()).collect()
    }
}

/// A creation in progress, until it is dropped.
pub struct InFlight(World, String);

impl InFlight {
    /// Begins a creation.
    pub fn begin(world: &World, name: &str) -> Self {
        *world.state().watch.creating.entry(name.to_owned()).or_default() += 1;
        InFlight(world.clone(), name.to_owned())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(count) = self.0.state().watch.creating.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// After this time a hold of the supervisor is over in any case; a little less than its setting, for inexact times.
pub const HOLD: Duration = secs(9 * 60 + 30);
