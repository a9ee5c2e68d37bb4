//! Coming up: the part of a start after the session was made, until the agent was told what to do.
//!
//! Its process must appear; then it is waited until it takes input, or long enough, and then it is told. It is given up when
//! the session ends, when it may not be touched any more, or when somebody asked for something else.

use std::{path::PathBuf, time::Duration};

use super::{SOMETHING_ELSE, Start, Step};
use crate::{
    agent::{
        confirmation::{Permission, SessionKey, Sighting},
        identity::Role,
        lifecycle::{Attempt, StartEnd},
        nudge, observe, permission,
        program::{AgentProgram, Ready},
        readiness,
        texts::{self, Occasion},
    },
    sessions::{Key, PaneTarget, SessionsError},
};

/// Between two looks at a screen.
const SCREEN_POLL: Duration = Duration::from_millis(250);
/// Between Down and Enter in the permissions dialog.
const DIALOG_STEP: Duration = Duration::from_millis(200);
/// Between two looks when it is not known whether the agent may be typed to.
const UNKNOWN_RETRY: Duration = Duration::from_secs(1);

impl Start<'_> {
    /// Step 5: an agent's process must appear in time.
    pub(super) async fn agent_appears(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        let limit = self.deps.settings().start.timeout;
        let mut pause = Duration::from_millis(25);
        let mut unsure = None;
        let appears = async {
            loop {
                match observe::look_at_session(self.deps, self.spec).await {
                    Sighting::Alive(seen) if seen == *key => return Ok(()),
                    Sighting::Alive(seen) => return Err(StartEnd::Found(seen)),
                    Sighting::Absent => return Err(StartEnd::Ended(key.clone())),
                    Sighting::Dead(_) if self.exit_code(key).await.is_some() => {
                        return Err(StartEnd::Ended(key.clone()));
                    }
                    Sighting::Starting(_) | Sighting::Dead(_) => unsure = None,
                    Sighting::Unknown(why) => unsure = Some(why),
                }
                self.wait(key, pause).await?;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        };
        if let Ok(end) = tokio::time::timeout(limit, appears).await {
            return end;
        }
        // What may be the agent is left running: only where nothing but a shell is, it is known not to have come.
        Err(match unsure {
            Some(why) => StartEnd::Left { session: key.clone(), why },
            None => StartEnd::NeverAppeared(format!(
                "no {} process in session {} within {}",
                program.process_names.join("/"),
                self.spec.session,
                crate::go_duration::format(limit)
            )),
        })
    }

    /// Claude asks once whether it may go without permissions.
    pub(super) async fn answer_dialog(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        if !program.process_names.iter().any(|name| name == "claude") {
            return Ok(());
        }
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
                    let (Some(pane), _) = self.pane(key).await? else { return Ok(()) };
                    if let Err(error) = self.deps.sessions.press(&pane, keystroke).await {
                        self.passed_over(&error.to_string());
                    }
                    tokio::time::sleep(DIALOG_STEP).await;
                }
                Ok(())
            }
        }
    }

    /// Step 6: until it takes input, or long enough; then it is told all the same.
    pub(super) async fn ready(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
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
    pub(super) async fn open(
        &self,
        key: &SessionKey,
        program: &AgentProgram,
        directory: PathBuf,
    ) -> Step<()> {
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
        if let Err(error) = nudge::nudge(self.deps, self.spec, key, text).await {
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
        let (_, known) = self.pane(key).await?;
        self.makes_way(key)?;
        match permission::ask(self.deps, self.spec).await {
            // What runs is left running.
            Permission::Denied(why) => Err(StartEnd::Left { session: key.clone(), why }),
            Permission::Allowed => Ok(known),
            Permission::Unknown(_) => Ok(false),
        }
    }

    /// The pane in which the agent lives, if it was found in one, and whether its session is known to be still there; that it
    /// is not ends the start.
    async fn pane(&self, key: &SessionKey) -> Step<(Option<PaneTarget>, bool)> {
        let (sighting, pane) = observe::locate(self.deps, self.spec).await;
        match sighting {
            Sighting::Absent => Err(StartEnd::Ended(key.clone())),
            Sighting::Alive(seen) | Sighting::Starting(seen) | Sighting::Dead(seen) if seen != *key => {
                Err(StartEnd::Found(seen))
            }
            Sighting::Dead(seen) => Err(StartEnd::Ended(seen)),
            Sighting::Alive(_) | Sighting::Starting(_) => Ok((pane, true)),
            Sighting::Unknown(_) => Ok((None, false)),
        }
    }

    async fn screen(&self, key: &SessionKey) -> Step<Vec<String>> {
        let (Some(pane), _) = self.pane(key).await? else { return Ok(Vec::new()) };
        match self.deps.sessions.capture(&pane, 30).await {
            Ok(lines) => {
                self.deps.screens.note(&pane, lines.clone(), self.deps.now());
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
        self.makes_way(key)
    }

    /// Ends a start that nobody asked for when somebody asked for something else; what runs is left running.
    fn makes_way(&self, key: &SessionKey) -> Step<()> {
        if self.must_make_way() {
            return Err(StartEnd::Left { session: key.clone(), why: SOMETHING_ELSE.to_owned() });
        }
        Ok(())
    }
}
