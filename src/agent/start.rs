//! Start: the one way an agent is started, from the first look to the first words typed to it.
//!
//! A step that fails after the session was created is logged and passed over; whether to start at all is asked again
//! right before it happens. A start is given up when its session ends or its permission is withdrawn; what runs is left
//! running. It must not decide what a failed start means — that is the [`lifecycle`](super::lifecycle)'s part.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    appearance, command_line,
    confirmation::{Assignment, Permission, SessionKey, Sighting},
    environment, hooks,
    identity::Role,
    kill,
    lifecycle::{Attempt, Because, Replacement, StartEnd, StartOrder},
    meanwhile::Meanwhile,
    nudge, observe, permission, presync,
    program::{AgentProgram, Ready},
    programs, readiness,
    spec::AgentSpec,
    texts::{self, Occasion},
    workplace,
};
use crate::{
    deps::Deps,
    polecat::work,
    sessions::{Key, NewSession, Session, SessionsError},
    town::{agent_state, deacon_file, reading::Reading},
};

/// Between two looks at a screen.
const SCREEN_POLL: Duration = Duration::from_millis(250);
/// Between Down and Enter in the permissions dialog.
const DIALOG_STEP: Duration = Duration::from_millis(200);

/// Between two looks when it is not known whether the agent may be typed to.
const UNKNOWN_RETRY: Duration = Duration::from_secs(1);

/// What `bd` said about a polecat's work is asked again when it is older than this by the time its session is made.
const WORK_IS_FRESH: Duration = Duration::from_secs(2);

/// One start under way.
struct Start<'a> {
    deps: &'a Deps,
    spec: &'a AgentSpec,
    order: &'a StartOrder,
    /// Moves when something may have happened to the session.
    pulse: &'a Notify,
    seen_alive: Option<Timestamp>,
}

/// A step that ends the start.
type Step<T> = Result<T, StartEnd>;

/// Starts an agent, last seen alive then. Takes from a few milliseconds to some minutes; may be dropped at any point.
pub async fn start(
    deps: &Deps,
    spec: &AgentSpec,
    order: &StartOrder,
    pulse: &Notify,
    seen_alive: Option<Timestamp>,
) -> StartEnd {
    let start = Start { deps, spec, order, pulse, seen_alive };
    start.run().await.unwrap_or_else(|end| end)
}

impl Start<'_> {
    async fn run(&self) -> Step<StartEnd> {
        let ordered = self.deps.now();
        let meanwhile = Meanwhile::begin(self.deps, self.spec).await;
        let slot = self.deps.start_slots.acquire(self.deps.settings().start.max_concurrent).await;
        let began = self.deps.now();
        self.permitted().await?;
        let program = self.program().await?;
        self.clear_the_way().await?;
        let directory = workplace::find(self.deps, &self.spec.identity).await?;
        // A polecat is only ever started because it crashed, whether that was seen or not.
        let role = self.spec.identity.role();
        let again = self.order.attempt != Attempt::Fresh || role == Role::Polecat;
        if again && presync::is_wanted(self.deps, self.spec) {
            presync::presync(self.deps, self.spec, &directory).await;
        }
        self.hook_settings(&program).await;
        self.still_wanted(ordered).await?;
        if let Some(how) = meanwhile.stopped(self.deps, self.spec).await {
            return Err(StartEnd::StoppedByHand(how));
        }
        self.permitted().await?;
        let session = self.create(&program, directory.clone()).await?;
        let key = kill::key(&session);
        self.write_state_file().await;
        if self.spec.identity.role() == Role::Boot {
            return Ok(self.up(key, began));
        }
        self.dress().await;
        self.agent_appears(&key, &program).await?;
        drop(slot);
        self.answer_dialog(&key, &program).await?;
        self.ready(&key, &program).await?;
        self.open(&key, &program, directory).await?;
        Ok(self.up(key, began))
    }

    fn up(&self, session: SessionKey, began: crate::clock::Now) -> StartEnd {
        StartEnd::Up { session, took: self.deps.now().since(began) }
    }

    async fn permitted(&self) -> Step<()> {
        if self.must_make_way() {
            return Err(StartEnd::Refused("somebody asked for something else".to_owned()));
        }
        match permission::ask(self.deps, self.spec).await {
            Permission::Allowed => Ok(()),
            Permission::Denied(why) => Err(StartEnd::Refused(why)),
            Permission::Unknown(why) => Err(StartEnd::Unclear(why)),
        }
    }

    /// A start that nobody asked for makes way for what somebody asked for.
    fn must_make_way(&self) -> bool {
        self.order.attempt != Attempt::Asked && self.deps.requests.next(&self.spec.identity).is_some()
    }

    /// Its work was read right before it was ordered; waiting for a place or a remote may have taken minutes since.
    async fn still_wanted(&self, ordered: crate::clock::Now) -> Step<()> {
        let asked = self.order.attempt == Attempt::Asked;
        let fresh = self.deps.now().since(ordered) < WORK_IS_FRESH;
        if self.spec.identity.role() != Role::Polecat || asked || fresh {
            return Ok(());
        }
        match work::read(self.deps, self.spec, &self.spec.prefix, self.seen_alive).await {
            Assignment::None(why) => Err(StartEnd::Refused(why)),
            Assignment::Unknown(why) => Err(StartEnd::Unclear(why)),
            Assignment::Standing | Assignment::NotAsked | Assignment::Hooked { .. } => Ok(()),
        }
    }

    /// Step 1: somebody there already? A zombie is ended, and so is exactly the agent that is to be replaced.
    async fn clear_the_way(&self) -> Step<()> {
        let key = match observe::look_at_session(self.deps, self.spec).await {
            Sighting::Absent => return Ok(()),
            Sighting::Unknown(why) => return Err(StartEnd::Unclear(why)),
            Sighting::Alive(key) | Sighting::Starting(key) => {
                self.still_to_be_replaced(&key).await?;
                key
            }
            Sighting::Dead(key) => {
                self.permitted().await?; // once more, as the look may have taken a while
                tracing::info!("{}: ending what is left in {}", self.spec.identity, self.spec.session);
                key
            }
        };
        match kill::kill(self.deps, &self.spec.session, &key).await {
            Ok(_) => {
                if self.order.attempt == Attempt::Asked {
                    tokio::time::sleep(self.deps.settings().lifecycle.pause).await;
                }
                Ok(())
            }
            Err(why) => Err(StartEnd::Unclear(format!("{} could not be ended: {why}", self.spec.session))),
        }
    }

    /// The reason for ending a live agent must hold to the last moment.
    async fn still_to_be_replaced(&self, key: &SessionKey) -> Step<()> {
        match &self.order.replace {
            Some(Replacement { session, because, why }) if session == key => {
                // What runs is left running when that is not allowed, or the heartbeat moved or cannot be read.
                if self.permitted().await.is_err() || !self.still_holds(because).await {
                    return Err(StartEnd::Found(key.clone()));
                }
                tracing::warn!("{}: ending it: {why}", self.spec.identity);
                Ok(())
            }
            _ => Err(StartEnd::Found(key.clone())),
        }
    }

    async fn still_holds(&self, because: &Because) -> bool {
        let Because::HeartbeatAt(heartbeat) = because else {
            return true;
        };
        let path = self.deps.paths.deacon_heartbeat();
        let content = self.deps.files.read(&path).await;
        let reading = Reading::of(self.deps.paths.shown(&path), content, deacon_file::parse_heartbeat);
        matches!(reading, Reading::Good(file) if file.timestamp == *heartbeat)
    }

    async fn program(&self) -> Step<AgentProgram> {
        let resolution = programs::find(self.deps, self.spec).await;
        if resolution.on_path {
            Ok(resolution.program)
        } else {
            Err(StartEnd::Impossible(format!(
                "its program {:?} is not on PATH; install it or name another agent in settings/config.json",
                resolution.program.command
            )))
        }
    }

    async fn hook_settings(&self, program: &AgentProgram) {
        let path = match (program.hooks, hooks::settings_path(&self.spec.identity, self.deps.paths.root())) {
            (super::program::Hooks::Claude, Some(path)) => path,
            _ => return,
        };
        if self.deps.files.exists(&path).await.unwrap_or(true) {
            return;
        }
        if let Err(error) =
            self.deps.files.replace(&path, hooks::settings_json().as_bytes(), hooks::MODE).await
        {
            self.passed_over(&format!("{}: {error}", self.deps.paths.shown(&path).display()));
        }
    }

    /// Step 3.
    async fn create(&self, program: &AgentProgram, directory: PathBuf) -> Step<Session> {
        let identity = &self.spec.identity;
        let own = self.deps.role_beads.of(identity, self.deps.paths.root());
        let environment = environment::environment(identity, self.deps.paths.root(), program, own.env);
        let unset = environment::to_unset(&environment);
        let command =
            command_line::command_line(identity.role(), program, &unset, own.start_command.as_deref());
        let new = NewSession { name: self.spec.session.clone(), directory, environment, command };
        match self.deps.sessions.create(&new).await {
            Ok(session) => {
                let why = match (&self.order.replace, self.order.attempt) {
                    (Some(replacement), _) => replacement.why.clone(),
                    (None, Attempt::Fresh) => "it was not running".to_owned(),
                    (None, Attempt::Restart(n)) => format!("it died; restart {n}"),
                    (None, Attempt::Trial) => "trial after a crash loop".to_owned(),
                    (None, Attempt::Asked) => "somebody asked for it".to_owned(),
                };
                tracing::info!("{identity}: starting {} in session {}: {why}", program.name, new.name);
                Ok(session)
            }
            Err(SessionsError::Duplicate(_)) => {
                // Somebody else was faster: not a failure.
                match observe::look_at_session(self.deps, self.spec).await {
                    Sighting::Alive(key) | Sighting::Starting(key) => Err(StartEnd::Found(key)),
                    _ => Err(StartEnd::Unclear("somebody else made its session at the same moment".into())),
                }
            }
            Err(error) => Err(StartEnd::Impossible(error.to_string())),
        }
    }

    async fn write_state_file(&self) {
        let (true, Some(rig)) = (self.spec.has_state_file(), self.spec.identity.rig()) else {
            return;
        };
        let path = self.deps.paths.agent_state(rig, self.spec.identity.role());
        let before = self.deps.files.read(&path).await.ok();
        let content = agent_state::started(before.as_deref(), rig, self.deps.now().wall);
        if let Err(error) = self.deps.files.replace(&path, &content, 0o644).await {
            self.passed_over(&format!("{}: {error}", self.deps.paths.shown(&path).display()));
        }
    }

    /// Step 4: how it looks to the people who attach to it.
    async fn dress(&self) {
        let options = appearance::options(&self.spec.identity, &self.spec.session);
        if let Err(error) = self.deps.sessions.set_options(&self.spec.session, &options).await {
            self.passed_over(&error.to_string());
        }
        let server = self.deps.sessions.server_generation();
        if let Some(prefixes) = self.deps.bindings.missing_on(server) {
            let bindings = appearance::key_bindings(self.deps.settings().tmux.naming, &prefixes);
            match self.deps.sessions.bind_keys(&bindings).await {
                Ok(()) => self.deps.bindings.bound_on(server),
                Err(error) => self.passed_over(&error.to_string()),
            }
        }
    }

    /// Step 5: an agent's process must appear in time.
    async fn agent_appears(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        let limit = self.deps.settings().start.timeout;
        let mut pause = Duration::from_millis(25);
        let appears = async {
            loop {
                match observe::look_at_session(self.deps, self.spec).await {
                    Sighting::Alive(seen) if seen == *key => return Ok(()),
                    Sighting::Alive(seen) => return Err(StartEnd::Found(seen)),
                    Sighting::Absent => return Err(StartEnd::Ended(key.clone())),
                    Sighting::Starting(_) | Sighting::Dead(_) | Sighting::Unknown(_) => {}
                }
                self.wait(key, pause).await?;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        };
        tokio::time::timeout(limit, appears).await.unwrap_or_else(|_| {
            Err(StartEnd::NeverAppeared(format!(
                "no {} process in session {} within {}",
                program.process_names.join("/"),
                self.spec.session,
                crate::go_duration::format(limit)
            )))
        })
    }

    /// Claude asks once whether it may go without permissions.
    async fn answer_dialog(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        if !program.process_names.iter().any(|name| name == "claude") {
            return Ok(());
        }
        let session = &self.spec.session;
        let shown = async {
            loop {
                if readiness::shows_permissions_dialog(&self.screen(key).await?) {
                    return Ok(());
                }
                self.wait(key, SCREEN_POLL).await?;
            }
        };
        match tokio::time::timeout(self.deps.settings().start.dialog_wait, shown).await {
            Err(_) => Ok(()), // it did not ask
            Ok(Err(end)) => Err(end),
            Ok(Ok(())) => {
                for keystroke in [Key::Down, Key::Enter] {
                    if let Err(error) = self.deps.sessions.press(session, keystroke).await {
                        self.passed_over(&error.to_string());
                    }
                    tokio::time::sleep(DIALOG_STEP).await;
                }
                Ok(())
            }
        }
    }

    /// Step 6: until it takes input, or long enough; then it is told all the same.
    async fn ready(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        let limit = self.deps.settings().start.timeout;
        let ready = async {
            match &program.ready {
                Ready::Delay(delay) => self.stay(key, *delay).await,
                Ready::Prompt(prompts) => loop {
                    if readiness::shows_prompt(&self.screen(key).await?, prompts) {
                        return Ok(());
                    }
                    self.wait(key, SCREEN_POLL).await?;
                },
            }
        };
        tokio::time::timeout(limit, ready).await.unwrap_or(Ok(()))
    }

    /// Step 7: tells it who wakes it, and what to do first.
    async fn open(&self, key: &SessionKey, program: &AgentProgram, directory: PathBuf) -> Step<()> {
        let path = crate::town::paths::TownPaths::session_id(&directory);
        let session_id =
            self.deps.files.read(&path).await.ok().and_then(|content| texts::session_id(&content));
        let occasion = match (self.order.attempt, self.spec.identity.role()) {
            (Attempt::Asked, _) => Occasion::Lifecycle,
            (_, Role::Polecat) => Occasion::Crash,
            _ => Occasion::Patrol,
        };
        let at = self.deps.now().wall.to_zoned(self.deps.clock.zone());
        let identity = &self.spec.identity;
        let Some(opening) = texts::opening(identity, occasion, &at, program.hooks, session_id.as_deref())
        else {
            return Ok(());
        };
        if let Some(line) = opening.instead_of_hooks {
            self.say(key, line).await?;
        }
        self.say(key, &opening.start_up).await?;
        self.stay(key, self.deps.settings().start.settle).await?;
        self.say(key, &opening.propulsion).await
    }

    async fn say(&self, key: &SessionKey, text: &str) -> Step<()> {
        if !self.may_speak(key).await? {
            self.passed_over("not told what to do, as it is not known whether it may be");
            return Ok(());
        }
        if let Err(error) = nudge::nudge(self.deps, &self.spec.session, text).await {
            self.passed_over(&format!("nudge was not delivered: {error}"));
        }
        Ok(())
    }

    /// Unknown permits nothing, also not a nudge; mostly it is known again a moment later.
    async fn may_speak(&self, key: &SessionKey) -> Step<bool> {
        let known = async {
            while !self.still_there(key).await? {
                self.wait(key, UNKNOWN_RETRY).await?;
            }
            Ok(true)
        };
        tokio::time::timeout(self.deps.settings().start.timeout, known).await.unwrap_or(Ok(false))
    }

    /// Waits, giving up when the session ends or the permission is withdrawn.
    async fn stay(&self, key: &SessionKey, time: Duration) -> Step<()> {
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                () = &mut over => return self.still_there(key).await.map(drop),
                () = self.pulse.notified() => drop(self.still_there(key).await?),
            }
        }
    }

    /// Whether it is known that the session is still there and may still be touched; that it is not ends the start.
    async fn still_there(&self, key: &SessionKey) -> Step<bool> {
        let seen = match observe::look_at_session(self.deps, self.spec).await {
            Sighting::Absent => return Err(StartEnd::Ended(key.clone())),
            Sighting::Alive(seen) | Sighting::Starting(seen) | Sighting::Dead(seen) if seen != *key => {
                return Err(StartEnd::Found(seen));
            }
            Sighting::Dead(seen) => return Err(StartEnd::Ended(seen)),
            Sighting::Alive(_) | Sighting::Starting(_) => true,
            Sighting::Unknown(_) => false,
        };
        if self.must_make_way() {
            return Err(StartEnd::Found(key.clone()));
        }
        match permission::ask(self.deps, self.spec).await {
            // What runs is left running.
            Permission::Denied(_) => Err(StartEnd::Found(key.clone())),
            Permission::Allowed => Ok(seen),
            Permission::Unknown(_) => Ok(false),
        }
    }

    async fn screen(&self, key: &SessionKey) -> Step<Vec<String>> {
        match self.deps.sessions.capture(&self.spec.session, 30).await {
            Ok(lines) => {
                self.deps.screens.note(&self.spec.session, &key.id, lines.clone(), self.deps.now());
                Ok(lines)
            }
            Err(SessionsError::NoSuchSession(_)) => Err(StartEnd::Ended(key.clone())),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// A pause that ends early when something may have happened.
    async fn wait(&self, key: &SessionKey, time: Duration) -> Step<()> {
        tokio::select! {
            biased;
            () = self.pulse.notified() => {}
            () = tokio::time::sleep(time) => {}
        }
        if self.must_make_way() { Err(StartEnd::Found(key.clone())) } else { Ok(()) }
    }

    fn passed_over(&self, what: &str) {
        tracing::warn!("{}: during its start: {what}", self.spec.identity);
    }
}
