//! Coming up: the part of a start from the new session to the first instruction.
//!
//! The process must appear. Then the start waits until the agent takes input, or for the time limit, and types the first
//! instruction. It is given up when the session ends, when the agent may not be touched any more, or when another request came.

use std::time::Duration;

use super::{Site, Start, Step, conversation::Talk, newer::FirstWords};
use crate::{
    agent::{
        answering::{self, Progress},
        command_line,
        confirmation::{Permission, Presence, SessionKey},
        lifecycle::{Attempt, StartEnd},
        nudge::{self, NotDelivered, Why},
        observe, permission,
        program::{AgentProgram, Ready, command},
        questions, readiness, screens,
        texts::{self, Occasion},
    },
    sessions::{PaneTarget, SessionsError},
    town::identity::Wanted,
};

/// The interval at which a screen is read.
const SCREEN_POLL: Duration = Duration::from_millis(250);
/// The interval at which a screen with a question is read.
const QUESTION_POLL: Duration = Duration::from_secs(1);
/// The interval at which the effect of a key is checked.
const KEY_POLL: Duration = Duration::from_millis(100);
/// The interval of checks while it is not known whether the agent may be typed to.
const UNKNOWN_RETRY: Duration = Duration::from_secs(1);

impl Start<'_> {
    /// Step 5: an agent's process must appear in time.
    pub(super) async fn agent_appears(&self, key: &SessionKey, program: &AgentProgram) -> Step<()> {
        let limit = self.deps.settings().start.timeout;
        let mut pause = Duration::from_millis(25);
        let mut unsure = None;
        let appears = async {
            loop {
                match observe::probe_session(self.deps, self.spec).await {
                    Presence::Alive(seen) if seen == *key => return Ok(()),
                    Presence::Alive(seen) => return Err(StartEnd::Found(seen)),
                    Presence::Absent => return Err(StartEnd::Ended(key.clone())),
                    Presence::Dead(_) if self.has_ended(key).await => {
                        return Err(StartEnd::Ended(key.clone()));
                    }
                    Presence::Starting(_) | Presence::Dead(_) => unsure = None,
                    Presence::Unknown(why) => unsure = Some(why),
                }
                self.wait(key, pause).await?;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        };
        if let Ok(end) = tokio::time::timeout(limit, appears).await {
            return end;
        }
        // By now its pane is old enough to distinguish an agent from a shell that has just started.
        match observe::probe_session(self.deps, self.spec).await {
            Presence::Alive(seen) if seen == *key => return Ok(()),
            Presence::Alive(seen) => return Err(StartEnd::Found(seen)),
            Presence::Absent => return Err(StartEnd::Ended(key.clone())),
            Presence::Unknown(why) => unsure = Some(why),
            Presence::Starting(_) | Presence::Dead(_) => unsure = None,
        }
        // What may be the agent is left running: it is known not to have come only when there is nothing but a shell.
        Err(match unsure {
            Some(why) => StartEnd::Left { session: key.clone(), why, busy: false },
            None => StartEnd::NeverAppeared(format!(
                "no {} process in session {} within {}",
                program.process_names.join("/"),
                self.spec.session,
                crate::go_duration::short(limit)
            )),
        })
    }

    /// Steps 5 and 6: waits until the agent takes input and shows no question for `start.settle`, or until the time
    /// limit; then it gets its instruction all the same. While a question shows, only the answer that the settings
    /// allow is typed.
    pub(super) async fn ready(&self, key: &SessionKey, program: &AgentProgram, site: &Site) -> Step<()> {
        let skips_permissions = command_line::skips_permissions(program, site.instead.as_deref());
        let settings = self.deps.settings();
        let began = self.deps.now();
        let mut asked_for = Duration::ZERO;
        let mut ready_since = None;
        loop {
            let screen = self.screen(key).await?;
            let now = self.deps.now();
            let waited = now.since(began).saturating_sub(asked_for);
            if questions::shown(&screen).is_some() {
                ready_since = None;
                self.answer(key, skips_permissions).await?;
                self.wait(key, QUESTION_POLL).await?;
                self.still_there(key).await?;
                let patience = settings.start.timeout;
                asked_for += self.deps.now().since(now);
                let others = || self.deps.records.open_requests(&self.spec.identity) > 1;
                if self.order.attempt == Attempt::Asked && asked_for >= patience && others() {
                    // A request may be waiting.
                    let why = "it waits at a question".to_owned();
                    return Err(StartEnd::Left { session: key.clone(), why, busy: false });
                }
                continue;
            }
            let ready = match &program.ready {
                Ready::Delay(delay) => waited >= *delay,
                Ready::Prompt(prompts) => readiness::shows_prompt(&screen, prompts),
            };
            let ready_for = match ready {
                true => now.since(*ready_since.get_or_insert(now)),
                false => {
                    ready_since = None;
                    Duration::ZERO
                }
            };
            if ready && ready_for >= settings.start.settle || waited >= settings.start.timeout {
                return self.still_there(key).await.map(drop);
            }
            self.wait(key, SCREEN_POLL).await?;
        }
    }

    /// Answers the question on its screen, if the settings allow it.
    async fn answer(&self, key: &SessionKey, skips_permissions: bool) -> Step<()> {
        let answered = self.deps.settings().answered(skips_permissions);
        let _turn = self.deps.starts.turn_to_type(&self.spec.session).await;
        loop {
            if !self.still_there(key).await? {
                return Ok(());
            }
            let Some((pane, screen)) = self.pane_and_screen(key).await? else { return Ok(()) };
            match answering::step(self.deps, self.spec, key, (&pane, &screen), &answered).await {
                Ok(Progress::Waits) => self.wait(key, KEY_POLL).await?,
                Ok(Progress::Over | Progress::Left) => return Ok(()),
                Err(error) => {
                    self.passed_over(&error.to_string());
                    return Ok(());
                }
            }
        }
    }

    /// Step 7: types the first instruction: which program woke it, and what to do first; or what is left to type of `first`. One
    /// that continues its conversation is only told that it does: it would begin its work anew.
    pub(super) async fn open(
        &self,
        key: &SessionKey,
        program: &AgentProgram,
        site: &Site,
        first: Option<&FirstWords>,
        talk: &Talk,
    ) -> Step<()> {
        if first.is_none() && talk.is_resumed() {
            return self.say_first(key, program, site, &self.resumed()).await;
        }
        if let Some(first) = first {
            return match &first.typed {
                Some(_) if self.is_left_to_a_shell(site) => {
                    self.passed_over(
                        "its prompt is not typed: its command ends in a shell, which might execute it",
                    );
                    Ok(())
                }
                Some(text) => self.say_first(key, program, site, text).await,
                None => Ok(()),
            };
        }
        let path = crate::town::paths::TownPaths::session_id(&site.directory);
        let session_id =
            self.deps.files.read(&path).await.ok().and_then(|content| texts::session_id(&content));
        let occasion = match (self.order.attempt, self.spec.identity.facts().wanted) {
            (Attempt::Asked, _) => Occasion::Lifecycle,
            (_, Wanted::WithWork) => Occasion::Crash,
            _ => Occasion::Patrol,
        };
        let at = self.deps.now().wall.to_zoned(self.deps.clock.zone());
        let identity = &self.spec.identity;
        let Some(opening) = texts::opening(identity, occasion, &at, program.hooks, session_id.as_deref())
        else {
            return Ok(());
        };
        self.say_first(key, program, site, &opening).await
    }

    /// Whether its program, of which nothing is known, may be followed by a shell at any moment.
    fn is_left_to_a_shell(&self, site: &Site) -> bool {
        let is_plain = self.deps.standing(&self.spec.identity).is_some_and(|it| it.preset.is_none());
        is_plain && site.instead.as_deref().is_some_and(command::ends_in_a_shell)
    }

    async fn say_first(&self, key: &SessionKey, program: &AgentProgram, site: &Site, text: &str) -> Step<()> {
        self.say(key, program, site, text).await?;
        // It may have ended meanwhile.
        self.pane(key).await.map(drop)
    }

    async fn say(&self, key: &SessionKey, program: &AgentProgram, site: &Site, text: &str) -> Step<()> {
        let limit = self.deps.settings().start.timeout;
        let began = self.deps.now();
        loop {
            if !self.may_speak(key).await? {
                self.passed_over("first instruction not sent: cannot tell whether it is allowed");
                return Ok(());
            }
            match nudge::nudge(self.deps, self.spec, key, text).await {
                Ok(()) => return Ok(()),
                Err(NotDelivered { why: Why::Gone(_) | Why::NoAgent(_), .. }) => {
                    // Another incarnation may exist by now.
                    self.pane(key).await?;
                    return Err(StartEnd::Ended(key.clone()));
                }
                // A question came up in the last instant: the instruction is typed once it is answered.
                Err(NotDelivered { why: Why::Question(_), begun: false }) => {
                    self.ready(key, program, site).await?;
                }
                Err(NotDelivered {
                    why: Why::Unknown(_) | Why::Locked(..) | Why::Draft | Why::Shell(_),
                    begun: false,
                }) if self.deps.now().since(began) < limit => {
                    self.wait(key, UNKNOWN_RETRY).await?;
                }
                Err(error) => {
                    self.pane(key).await?;
                    self.passed_over(&format!("nudge was not delivered: {error}"));
                    return Ok(());
                }
            }
        }
    }

    /// Whether the agent may be nudged. Unknown permits nothing; it is usually known again a second later.
    async fn may_speak(&self, key: &SessionKey) -> Step<bool> {
        let known = async {
            while !self.still_there(key).await? {
                self.wait(key, UNKNOWN_RETRY).await?;
            }
            Ok(true)
        };
        tokio::time::timeout(self.deps.settings().start.timeout, known).await.unwrap_or(Ok(false))
    }

    /// Whether it is known that the session still exists and may be touched; that it does not ends the start.
    async fn still_there(&self, key: &SessionKey) -> Step<bool> {
        let (_, known) = self.pane(key).await?;
        self.makes_way(key)?;
        match permission::ask_but_for_the_account(self.deps, self.spec).await {
            // The agent is left running.
            Permission::Denied(why) => {
                Err(StartEnd::Left { session: key.clone(), why: why.to_string(), busy: false })
            }
            Permission::Allowed => Ok(known),
            Permission::Unknown(_) => Ok(false),
        }
    }

    /// The pane in which the agent lives, if it was found in one, and whether its session is known to exist; that it
    /// does not ends the start.
    async fn pane(&self, key: &SessionKey) -> Step<(Option<PaneTarget>, bool)> {
        let (presence, pane) = observe::locate(self.deps, self.spec).await;
        match presence {
            Presence::Absent => Err(StartEnd::Ended(key.clone())),
            Presence::Alive(seen) | Presence::Starting(seen) | Presence::Dead(seen) if seen != *key => {
                Err(StartEnd::Found(seen))
            }
            Presence::Dead(seen) => Err(StartEnd::Ended(seen)),
            Presence::Alive(_) | Presence::Starting(_) => Ok((pane, true)),
            Presence::Unknown(_) => Ok((None, false)),
        }
    }

    /// Its screen; empty when it cannot be read.
    async fn screen(&self, key: &SessionKey) -> Step<Vec<String>> {
        Ok(self.pane_and_screen(key).await?.map(|(_, screen)| screen).unwrap_or_default())
    }

    async fn pane_and_screen(&self, key: &SessionKey) -> Step<Option<(PaneTarget, Vec<String>)>> {
        let (Some(pane), _) = self.pane(key).await? else { return Ok(None) };
        match screens::read(self.deps, self.spec, &pane).await {
            Ok(lines) => Ok(Some((pane, lines))),
            Err(SessionsError::NoSuchSession(_)) => Err(StartEnd::Ended(key.clone())),
            Err(_) => Ok(None),
        }
    }

    /// Waits for `time`, or until something may have happened.
    async fn wait(&self, key: &SessionKey, time: Duration) -> Step<()> {
        tokio::select! {
            biased;
            () = self.pulse.notified() => {}
            () = tokio::time::sleep(time) => {}
        }
        self.makes_way(key)
    }

    /// Ends a start that is no request when a request waits; what runs is left running.
    fn makes_way(&self, key: &SessionKey) -> Step<()> {
        match self.makes_way_for() {
            Some(request) => {
                Err(StartEnd::Left { session: key.clone(), why: request.to_string(), busy: false })
            }
            None => Ok(()),
        }
    }
}
