//! Start: the only way to start an agent, from the first probe to the first instruction.
//!
//! A step that fails after the session was created is logged and skipped. Whether to start at all is checked again
//! right before it happens. A start is given up when its session ends or its permission is withdrawn; what runs is
//! left running. It must not decide what a failed start means: the [`lifecycle`](super::lifecycle) does.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio::sync::Notify;

use self::{
    by_gt::ByGt,
    conversation::{About, Talk},
    newer::FirstWords,
};
use super::{
    adoption, appearance,
    command_line::{self, Conversing},
    confirmation::{Assignment, Permission, Presence, SessionKey},
    conversation::Fresh,
    denial::Unwanted,
    dependencies, elsewhere, environment,
    health::Health,
    hooks, idleness, kill,
    lifecycle::{Attempt, Because, Replacement, StartEnd, StartOrder},
    meanwhile::Meanwhile,
    observe, permission, pollers, presync,
    program::AgentProgram,
    programs, screens,
    spec::AgentSpec,
    start_slots::Slot,
    workplace,
};
use crate::{
    agent::polecat::work,
    clock::Now,
    deps::Deps,
    sessions::{NewSession, Session, SessionsError},
    terminal,
    town::{
        agent_state, deacon_file,
        dialect::{Dialect, roles},
        identity::Wanted,
        reading::Reading,
    },
};

mod at_work;
mod by_gt;
mod cannot_run;
mod coming_up;
mod conversation;
mod newer;
mod own;
mod room;
mod scope;
pub mod without_gt;

/// A polecat's work is read from `bd` again when it is older than this by the time its session is created.
const WORK_IS_FRESH: Duration = Duration::from_secs(2);

/// One start in progress.
struct Start<'a> {
    deps: &'a Deps,
    spec: &'a AgentSpec,
    order: &'a StartOrder,
    /// Notified when something may have happened to the session.
    pulse: &'a Notify,
    seen_alive: Option<Timestamp>,
}

/// What its session and its command line are made of, beside its program and its conversation.
struct Site {
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    /// The settings through which it calls `gt`.
    settings: Option<PathBuf>,
    /// The command of its role that replaces its program's.
    instead: Option<String>,
    /// Why it is started without `gt` in a town where `gt` starts agents.
    without_gt: Option<String>,
    began: Now,
}

/// A step that ends the start.
type Step<T> = Result<T, StartEnd>;

/// Starts an agent that was last seen alive at `seen_alive`. Takes from a few milliseconds to some minutes; may be
/// dropped at any point.
pub async fn start(
    deps: &Deps,
    spec: &AgentSpec,
    order: &StartOrder,
    pulse: &Notify,
    seen_alive: Option<Timestamp>,
) -> StartEnd {
    let start = Start { deps, spec, order, pulse, seen_alive };
    let end = start.run().await.unwrap_or_else(|end| end);
    match end {
        StartEnd::Up { .. } | StartEnd::Left { .. } | StartEnd::Unclear(_) => {}
        _ => without_gt::is_over(deps, &spec.identity),
    }
    end
}

impl Start<'_> {
    async fn run(&self) -> Step<StartEnd> {
        let ordered = self.deps.now();
        let meanwhile = Meanwhile::begin(self.deps, self.spec).await;
        let mut slot = self.slot().await?;
        let began = self.deps.now();
        self.permitted().await?;
        self.waits_for_nobody()?;
        let without_gt = match self.is_by_gt() {
            true => match self.by_gt(ordered, began, &meanwhile).await? {
                ByGt::Over(end) => return Ok(end),
                ByGt::Without(why) => Some(why),
            },
            false => None,
        };
        let (program, instead) = self.program().await?;
        self.clear_the_way().await?;
        let directory = workplace::find(self.deps, self.spec).await?;
        // A polecat is only started because it crashed, whether or not that was seen.
        let wanted = self.spec.identity.facts().wanted;
        let fresh = matches!(self.order.attempt, Attempt::Fresh | Attempt::HoldOver);
        let again = !fresh || wanted == Wanted::WithWork;
        if again && presync::is_wanted(self.deps, self.spec) {
            // A remote may take minutes, and other starts must not wait for it.
            drop(slot);
            presync::presync(self.deps, self.spec, &directory).await;
            slot = self.slot().await?;
        }
        let settings = self.hook_settings(&program).await;
        let given = self.given(&directory).await;
        let environment = self.environment(&program, given);
        let about = self.about(&program, &environment, &directory).await;
        let mut talk = Talk::default();
        if self.keeps_conversation() {
            // Others need not wait for its turn to resume, or for the disk.
            drop(slot);
            talk = self.talk(&about, instead.is_some()).await?;
            slot = self.slot().await?;
        }
        self.still_wanted(ordered).await?;
        if let Some(how) = meanwhile.stopped(self.deps, self.spec).await {
            return Err(StartEnd::StoppedByHand(how));
        }
        self.permitted().await?;
        if self.order.replace.is_none() {
            self.waits_for_nobody()?;
        }
        let mut site = Site { directory, environment, settings, instead, without_gt, began };
        if let Some(end) = self.bring_up(&about, &mut talk, &site, slot).await? {
            return Ok(end);
        }
        // Its program did not know the conversation: no crash. It gets a new one, once.
        let mut talk = self.fresh(&about, Fresh::NotFound);
        let slot = self.slot().await?;
        self.permitted().await?;
        site.began = self.deps.now();
        let end = self.bring_up(&about, &mut talk, &site, slot).await?;
        end.ok_or_else(|| StartEnd::Unclear("its program began no conversation".to_owned()))
    }

    /// Creates the session, and waits until the agent is up; `None` when its program does not know the conversation that it was
    /// to continue.
    async fn bring_up(
        &self,
        about: &About<'_>,
        talk: &mut Talk,
        site: &Site,
        slot: Slot,
    ) -> Step<Option<StartEnd>> {
        let program = about.program;
        self.note(talk).await;
        let first = self.first_words(program, site, talk);
        let session = self.create(program, site, talk, first.as_ref()).await?;
        self.was_resumed(talk);
        let key = kill::key(&session);
        match &site.without_gt {
            Some(why) => without_gt::began(self.deps, self.spec, program, why),
            None => without_gt::is_over(self.deps, &self.spec.identity),
        }
        self.write_state_file().await;
        self.show_to_gt(&session).await;
        let oneshot = self.spec.identity.facts().wanted == Wanted::Oneshot && !talk.is_resumed();
        if oneshot && first.as_ref().is_none_or(|first| first.typed.is_none()) {
            return Ok(Some(self.up(key, site.began, talk)));
        }
        let rest = async {
            self.dress().await;
            self.agent_appears(&key, program).await?;
            drop(slot);
            self.ready(&key, program, site).await?;
            self.open(&key, program, site, first.as_ref(), talk).await?;
            pollers::begin(self.deps, self.spec).await;
            Ok(self.up(key.clone(), site.began, talk))
        };
        self.unless_it_cannot_run(&key, program, talk, rest).await
    }

    fn has_gt(&self) -> bool {
        self.deps.dialect().facts().has_gt
    }

    fn is_asked(&self) -> bool {
        self.order.attempt == Attempt::Asked
    }

    fn up(&self, session: SessionKey, began: Now, talk: &Talk) -> StartEnd {
        StartEnd::Up { session, took: self.deps.now().since(began), conversation: talk.begun.clone() }
    }

    async fn permitted(&self) -> Step<()> {
        if let Some(request) = self.makes_way_for() {
            return Err(StartEnd::Unwanted(request));
        }
        match permission::ask(self.deps, self.spec).await {
            Permission::Allowed => Ok(()),
            Permission::Denied(why) => Err(StartEnd::Refused(why)),
            Permission::Unknown(why) => Err(StartEnd::Unclear(why)),
        }
    }

    /// Checks that the agents work that this one is to be started after. One that is to be replaced is left running without them.
    fn waits_for_nobody(&self) -> Step<()> {
        match (dependencies::waits_for(self.deps, &self.spec.identity), &self.order.replace) {
            (None, _) => Ok(()),
            (Some(denial), None) => Err(StartEnd::Refused(denial)),
            (Some(denial), Some(Replacement { session, .. })) => {
                let why = denial.to_string();
                Err(StartEnd::Left { session: session.clone(), why, busy: false })
            }
        }
    }

    /// The request that waits, if this start is not one itself: requests go first.
    fn makes_way_for(&self) -> Option<Unwanted> {
        let (request, _) = self.deps.records.next_request(&self.spec.identity)?;
        (!self.is_asked()).then(|| Unwanted::Superseded(request.action, request.reference()))
    }

    /// Reads its work again: it was read right before the start was ordered, and waiting for a slot or a remote may
    /// have taken minutes since.
    async fn still_wanted(&self, ordered: Now) -> Step<()> {
        let fresh = self.deps.now().since(ordered) < WORK_IS_FRESH;
        if self.spec.identity.facts().wanted != Wanted::WithWork || self.is_asked() || fresh {
            return Ok(());
        }
        match work::read(self.deps, self.spec, &self.spec.prefix, self.seen_alive).await {
            Assignment::None(why) => Err(StartEnd::Unwanted(why)),
            Assignment::Unknown(why) => Err(StartEnd::Unclear(why)),
            Assignment::Permanent | Assignment::NotAsked | Assignment::Hooked { .. } => Ok(()),
        }
    }

    /// Step 1: checks for an existing agent. Ends a zombie, and the one agent that is to be replaced.
    async fn clear_the_way(&self) -> Step<()> {
        let key = match observe::probe_session(self.deps, self.spec).await {
            Presence::Absent => return self.runs_nowhere_else().await,
            Presence::Unknown(why) => return Err(StartEnd::Unclear(why)),
            Presence::Alive(key) => {
                self.still_to_be_replaced(&key, true).await?;
                self.begins_anew().await;
                key
            }
            Presence::Starting(key) => {
                self.still_to_be_replaced(&key, false).await?;
                self.begins_anew().await;
                key
            }
            Presence::Dead(key) => {
                let session = self.deps.sessions.find(&self.spec.session).await.ok().flatten();
                if session.is_none_or(|session| session.has_lost_sight()) {
                    self.runs_nowhere_else().await?;
                }
                self.permitted().await?; // once more, as the probe may have taken a while
                tracing::info!(agent = %self.spec.identity, "ending the leftover session {}", self.spec.session);
                key
            }
        };
        match kill::kill(self.deps, self.spec, &key).await {
            Ok(_) => {
                if self.is_asked() {
                    tokio::time::sleep(self.deps.settings().lifecycle.pause).await;
                }
                Ok(())
            }
            Err(why) => Err(StartEnd::Unclear(format!("{} could not be ended: {why}", self.spec.session))),
        }
    }

    /// An agent that asks for a restart by mail (`gt handoff`) wants its conversation to end. An operator's command does not say so:
    /// the conversation goes on as after a crash.
    async fn begins_anew(&self) {
        let by_command = |it: &Replacement| matches!(it.because, Because::ByCommand { .. });
        if self.is_asked() && !self.order.replace.as_ref().is_some_and(by_command) {
            self.ends_conversation().await;
        }
    }

    /// Checks that it does not run where no pane shows it.
    async fn runs_nowhere_else(&self) -> Step<()> {
        let found = elsewhere::why_not(self.deps, self.spec, elsewhere::JUST_SEARCHED).await;
        found.map_or(Ok(()), |why| Err(StartEnd::Unclear(why)))
    }

    /// The reason to end a live agent must hold until right before its end.
    async fn still_to_be_replaced(&self, key: &SessionKey, alive: bool) -> Step<()> {
        match &self.order.replace {
            Some(Replacement { session, because, why }) if session == key => {
                // The agent is left running when its end is not allowed, or the heartbeat moved or cannot be read.
                let left = |why| StartEnd::Left { session: key.clone(), why, busy: false };
                // An agent that could not be started again is not ended.
                if let Err(StartEnd::Impossible(why) | StartEnd::Unclear(why)) =
                    workplace::find(self.deps, self.spec).await
                {
                    return Err(left(why));
                }
                match self.permitted().await {
                    Ok(()) => self.still_holds(because, key).await?,
                    Err(StartEnd::Refused(why)) => return Err(left(why.to_string())),
                    Err(StartEnd::Unwanted(why)) => return Err(left(why.to_string())),
                    Err(StartEnd::Unclear(why)) => return Err(left(why)),
                    Err(end) => return Err(end),
                }
                tracing::warn!(agent = %self.spec.identity, "ending it: {why}");
                Ok(())
            }
            _ if alive => Err(StartEnd::Found(key.clone())),
            _ => Err(StartEnd::Taken),
        }
    }

    /// Whether the reason to end it still holds; else it is left running.
    async fn still_holds(&self, because: &Because, key: &SessionKey) -> Step<()> {
        let left = |why, busy| Err(StartEnd::Left { session: key.clone(), why, busy });
        let heartbeat = match because {
            Because::HeartbeatAt(heartbeat) => heartbeat,
            Because::Unhealthy => {
                let health = self.deps.records.health(&self.spec.identity, &key.id);
                let health = health.map(|course| course.health());
                return match health {
                    Some(Health::Unhealthy) => Ok(()),
                    _ => left("its checks do not say any more that it is unhealthy".to_owned(), false),
                };
            }
            Because::Asked | Because::ByCommand { when_idle: false } => return Ok(()),
            Because::ByCommand { when_idle: true } => {
                let busy = idleness::busy(self.deps, self.spec, key).await;
                return busy.map_or(Ok(()), |denial| left(denial.to_string(), true));
            }
        };
        let path = self.deps.paths.deacon_heartbeat();
        let content = self.deps.files.read(&path).await;
        let reading = Reading::of(self.deps.paths.shown(&path), content, deacon_file::parse_heartbeat);
        match reading {
            Reading::Good(file) if file.timestamp == *heartbeat => Ok(()),
            _ => left("its heartbeat moved, or cannot be read".to_owned(), false),
        }
    }

    /// Its program, and the shell command that its role gives in place of it.
    async fn program(&self) -> Step<(AgentProgram, Option<String>)> {
        let resolution = programs::find(self.deps, self.spec).await;
        if resolution.on_path {
            return Ok((resolution.program, resolution.start_command));
        }
        Err(StartEnd::NoProgram(match self.deps.dialect().is_gas_town() {
            true => format!(
                "its program {:?} is not on PATH; install it or name another agent in settings/config.json",
                resolution.program.command
            ),
            false => programs::standing::missing(&resolution.program),
        }))
    }

    /// Provides the settings through which it calls `gt`, and returns where they are; `None` when it has none.
    async fn hook_settings(&self, program: &AgentProgram) -> Option<PathBuf> {
        let (dialect, identity) = (self.deps.dialect(), &self.spec.identity);
        let path = match (program.hooks, hooks::settings_path(dialect, identity, self.deps.paths.root())) {
            (super::program::Hooks::Claude, Some(path)) => path,
            _ => return None,
        };
        if self.deps.files.exists(&path).await.unwrap_or(true) {
            return Some(path);
        }
        let content = match dialect {
            Dialect::Own => return None,
            Dialect::January => hooks::settings_json(),
            Dialect::V1 => {
                let gt = self.deps.settings().commands.gt.clone();
                let found = self.deps.commands.locate(&gt).await;
                let gt = found.map_or(gt, |path| path.to_string_lossy().into_owned());
                hooks::settings_json_v1(&gt, roles::of(dialect, identity.role()).is_interactive)
            }
        };
        match self.deps.files.replace(&path, content.as_bytes(), hooks::MODE).await {
            Ok(()) => Some(path),
            Err(error) => {
                self.passed_over(&format!("{}: {error}", terminal::path(self.deps.paths.shown(&path))));
                None
            }
        }
    }

    /// Step 3: creates the session.
    async fn create(
        &self,
        program: &AgentProgram,
        site: &Site,
        talk: &Talk,
        first: Option<&FirstWords>,
    ) -> Step<Session> {
        let identity = &self.spec.identity;
        let environment = site.environment.clone();
        let unset = environment::to_unset(&environment);
        let instead = site.instead.as_deref();
        let conversing = Conversing { words: &talk.words, is_resumed: talk.is_resumed() };
        let command = match first {
            None => command_line::command_line(identity.role(), program, &unset, conversing, instead),
            Some(first) => {
                let named = roles::of(self.deps.dialect(), identity.role()).names_settings;
                let settings = site.settings.as_deref().filter(|_| named);
                command_line::v1(program, &unset, settings, conversing, first.argument.as_deref(), instead)
            }
        };
        let command = self.in_a_scope(command).await;
        // Boot ends by itself, and its exit status is not needed.
        let keep_exit = identity.facts().wanted != Wanted::Oneshot || talk.is_resumed();
        let directory = site.directory.clone();
        let new = NewSession { name: self.spec.session.clone(), directory, environment, command, keep_exit };
        self.create_it(&new, program).await
    }

    /// The variables of its session.
    fn environment(
        &self,
        program: &AgentProgram,
        given: Option<environment::V1<'_>>,
    ) -> BTreeMap<String, String> {
        let (identity, town) = (&self.spec.identity, self.deps.paths.root());
        let own = self.deps.starts.role_beads.of(identity, town);
        let mut environment = match given {
            _ if !self.has_gt() => environment::own(identity, &self.deps.paths.mark(), program),
            None => environment::environment(identity, town, program, own.env),
            Some(given) => environment::v1(identity, town, program, own.env, given),
        };
        for (variable, value) in own.added {
            environment.entry(variable).or_insert(value);
        }
        if let Some(path) = self.deps.commands.search_path() {
            // The `PATH` on which its program was found, and not the tmux server's.
            environment.entry("PATH".to_owned()).or_insert(path);
        }
        environment
    }

    async fn create_it(&self, new: &NewSession, program: &AgentProgram) -> Step<Session> {
        match self.deps.sessions.create(new).await {
            Ok(session) => {
                screens::begun(self.deps, self.spec);
                let why = self.order.why();
                tracing::info!(agent = %self.spec.identity, "starting {} in session {}: {why}", program.name, new.name);
                Ok(session)
            }
            Err(SessionsError::Duplicate(_)) => {
                // Another process was faster: not a failure.
                match observe::probe_session(self.deps, self.spec).await {
                    Presence::Alive(key) => Err(StartEnd::Found(key)),
                    Presence::Starting(_) => Err(StartEnd::Taken),
                    _ => Err(StartEnd::Unclear(
                        "another process created its session at the same moment".into(),
                    )),
                }
            }
            Err(SessionsError::NoSuchSession(_)) => Err(StartEnd::Impossible(format!(
                "its program {} exited before its session was set up",
                program.command
            ))),
            Err(error) => Err(StartEnd::Impossible(error.to_string())),
        }
    }

    async fn write_state_file(&self) {
        let has_one =
            self.deps.dialect().facts().has_state_files && self.spec.identity.facts().has_state_file;
        let (true, Some(rig)) = (has_one, self.spec.identity.rig()) else {
            return;
        };
        let path = self.deps.paths.agent_state(rig, self.spec.identity.role());
        let before = match self.deps.files.read(&path).await {
            Ok(before) => Some(before),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            // It is unknown what the session holds: it must not be lost.
            Err(error) => {
                return self
                    .passed_over(&format!("{}: {error}", terminal::path(self.deps.paths.shown(&path))));
            }
        };
        let content = agent_state::started(before.as_deref(), rig, self.deps.now().wall);
        if let Err(error) = self.deps.files.replace(&path, &content, 0o644).await {
            self.passed_over(&format!("{}: {error}", terminal::path(self.deps.paths.shown(&path))));
        }
    }

    /// Step 4: sets the session's appearance for people who attach to it; without `gt`, it is theirs.
    async fn dress(&self) {
        if !self.has_gt() {
            return;
        }
        let options = appearance::options(&self.spec.identity, &self.spec.session);
        if let Err(error) = self.deps.sessions.set_options(&self.spec.session, &options).await {
            self.passed_over(&error.to_string());
        }
        if let Err(error) = adoption::bind_keys(self.deps).await {
            self.passed_over(&error.to_string());
        }
    }

    fn passed_over(&self, what: &str) {
        tracing::warn!(agent = %self.spec.identity, "during its start: {what}");
    }
}
