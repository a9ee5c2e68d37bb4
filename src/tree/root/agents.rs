//! The root and the file of a town of one file: puts a new plan in force, and has its agents follow.
//!
//! What is due for an agent follows from what is known of it ([`due`](crate::tree::one_file::due)), whenever something changes; it is
//! asked of the agent's actor as a request, and nothing is started or ended here. An agent whose definition did not change is not touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ractor::ActorProcessingErr;

use super::{Reason, RootMsg, RootState};
use crate::{
    agent::{
        phase::Phase,
        requests::{Action, ByCommand, Request},
    },
    agents_file::{
        difference::{Change, difference},
        plan::Plan,
    },
    deps::Deps,
    ports::problems::ProblemKey,
    sessions::scan::Scan,
    supervision::work::Timer,
    terminal,
    town::identity::Identity,
    tree::{
        one_file::{
            FileReading, InForce, OneFile,
            due::{Due, Known, Over, meanwhile, to_leave},
            kept::{Kept, Taken},
            settling::{Ends, Settling},
        },
        town_reading::changed,
    },
};

/// Changes of the agents within this time are looked at once.
const SETTLE: Duration = Duration::from_millis(100);
/// The most agents that one sentence names.
const NAMED: usize = 5;

/// What the root knows of the file beside the plan in force.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Its content, while that does not count yet.
    settling: Settling,
    /// Reads it again then.
    again: Timer,
    /// What changed of the agents that are to be restarted, in words.
    changed: BTreeMap<Identity, String>,
}

impl RootState {
    /// Looks at the agents again whenever something changes in their records.
    pub(super) fn await_agents(&mut self) {
        let (post, mut changes) = (self.post.clone(), self.plan.deps.records.changed());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::AgentsChanged);
            }
        });
    }

    /// Takes a reading of the file: puts its plan in force, unless it has mistakes or must wait.
    pub(super) async fn file_read(
        &mut self,
        reading: FileReading,
        reason: Reason,
    ) -> Result<(), ActorProcessingErr> {
        let Some(own) = self.plan.one_file.clone() else { return Ok(()) };
        let deps = self.plan.deps.clone();
        let in_force = own.in_force();
        let changes = reading.plan.as_ref().map_or_else(|_| Vec::new(), |it| difference(&in_force.plan, it));
        // The tmux server stays for the life of the process.
        let plan = reading.plan.map(|it| Plan { socket: in_force.plan.socket.clone(), ..it });
        let refused = match plan {
            Ok(plan) if plan == in_force.plan => {
                self.file.settling.is_settled();
                None
            }
            plan => {
                // Somebody asks for another reading, and this one is too old to be the answer.
                let asked_again = self.read_again.is_some_and(|it| it.asked);
                let wait = self.file.settling.seen(&reading.content, reason.asked, deps.now().mono);
                if let Some(wait) = wait {
                    self.file.again.set(&mut self.work, wait, |_| RootMsg::TownMayHaveChanged);
                }
                if asked_again || wait.is_some() {
                    return Ok(());
                }
                match plan {
                    Err(mistakes) => Some(format!("{mistakes}; the last good plan stays in force")),
                    Ok(plan) => match self.must_be_asked_for(&in_force, &plan) {
                        Some(why) if !reason.asked => Some(why),
                        _ => {
                            self.take(&own, plan, &changes);
                            None
                        }
                    },
                }
            }
        };
        self.file.again.cancel();
        self.town.file_is_read(&deps, refused, next_start(&deps, &own.in_force(), &changes));
        self.follow_agents(reason.heartbeat.is_some()).await?;
        self.watch_files();
        Ok(())
    }

    /// Why this plan is put in force only when somebody asks for it: it would end too much.
    fn must_be_asked_for(&self, in_force: &InForce, plan: &Plan) -> Option<String> {
        let records = &self.plan.deps.records;
        let runs = |identity: &Identity| {
            use Phase::{Absent, CrashLoop, Held, Paused, Waiting};
            let phase = records.phase(identity).map(|(phase, _)| phase);
            !phase.is_some_and(|it| [Absent, CrashLoop, Held, Paused, Waiting].contains(&it))
        };
        // That somebody stopped it, or that it has done its work, is not lost by half a file either.
        let counts = |it: &&Identity| runs(it) || records.hold(it).is_some() || records.has_ended(it);
        let after = plan.standings();
        let running: Vec<&Identity> = in_force.standings.agents().filter(counts).collect();
        let gone: Vec<String> =
            running.iter().filter(|it| after.of(it).is_none()).map(|it| it.called()).collect();
        let (before, left) = (in_force.plan.agents.len(), plan.agents.len());
        let of_what = match running.iter().all(|it| runs(it)) {
            true => "running agents",
            false => "agents that run, were stopped or have ended",
        };
        let ends = Ends { ends: gone.len(), run: running.len(), before, left };
        if !ends.must_be_asked_for() {
            return None;
        }
        let named = gone.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = gone.len().saturating_sub(NAMED);
        let named = if more > 0 { format!("{named} and {more} more") } else { named };
        let file = named_file(&self.plan.deps);
        Some(match gone.len() {
            0 => format!(
                "{file} has no agents any more: nothing is changed until `gastown-supervisor reload` asks for it"
            ),
            count => format!(
                "{file} no longer has {count} of {} {of_what} ({named}): they are ended when \
                 `gastown-supervisor reload` asks for it, and nothing is changed until then",
                running.len()
            ),
        })
    }

    /// Puts a plan in force, which changes this.
    fn take(&mut self, own: &OneFile, plan: Plan, changes: &[Change]) {
        let file = named_file(&self.plan.deps);
        for change in changes.iter().filter(|it| !matches!(it, Change::Socket(_))) {
            tracing::info!(reason = "file_changed", "{file}: {change}");
            if let Change::Restart(name, words) = change {
                // A key alone: its value may be long.
                let keys = words.iter().filter_map(|it| it.split(' ').next()).collect::<Vec<_>>();
                let changed = format!("changed: {}", keys.join(", "));
                self.file.changed.insert(Identity::Own(name.clone()), changed);
            }
        }
        let settings = (plan.settings != own.in_force().plan.settings).then(|| plan.settings.clone());
        own.put_in_force(plan);
        self.file.settling.is_settled();
        if let Some(settings) = settings
            && let (Some(settings), _) = changed(settings, &self.plan.deps)
        {
            self.put_in_force(settings);
        }
    }

    /// Has the agents follow the plan in force: those that it has are kept, and are started again when they took something else at
    /// their start; those that it does not have are ended first, and then no longer kept. `again` also tries what failed.
    pub(super) async fn follow_agents(&mut self, again: bool) -> Result<(), ActorProcessingErr> {
        let Some(own) = self.plan.one_file.clone() else { return Ok(()) };
        let (in_force, before) = (own.in_force(), own.standings.borrow().clone());
        let is_in_file = |identity: &Identity| in_force.standings.of(identity).is_some();
        let kept = own.kept.value().clone();
        let leaving = to_leave(&in_force.standings, &before);
        let left: BTreeSet<Identity> =
            leaving.filter(|it| self.known(it).has_left(is_in_file(it))).cloned().collect();
        for identity in &left {
            self.let_go(&own, identity, is_in_file(identity));
        }
        let now = Arc::new(meanwhile(&in_force.standings, &before, &left));
        if now != before {
            own.standings.send_replace(now.clone());
        }
        for identity in now.agents() {
            if !self.children.contains(&identity.actor_name()) {
                self.start(self.agent(identity.clone())).await?;
            }
        }
        let leaving: BTreeSet<&Identity> = to_leave(&in_force.standings, &now).collect();
        for identity in now.agents() {
            let due = match leaving.contains(identity) {
                true => self.known(identity).due_to_leave(again),
                false => self.due(&own, &in_force, identity, again),
            };
            self.carry_out(&own, &in_force, identity, due).await?;
        }
        self.save_kept(own, &kept);
        Ok(())
    }

    /// Saves what is kept of the agents, when it is not as it was before.
    fn save_kept(&mut self, own: OneFile, before: &Kept) {
        if *own.kept.value() != *before {
            let deps = self.plan.deps.clone();
            self.work.run(async move { drop(own.kept.save(&deps).await) });
        }
    }

    /// What is due for an agent that the file has.
    fn due(&self, own: &OneFile, in_force: &InForce, identity: &Identity, again: bool) -> Due {
        let (known, takes) =
            (self.known(identity), in_force.takes.get(identity).cloned().unwrap_or_default());
        let mut kept = own.kept.value();
        if let Some(before) = kept.agents.get_mut(identity) {
            *before = known.kept(before.clone(), &takes, self.plan.deps.now().wall);
        }
        self.take_back(identity, |action, outcome| action == Action::Restart && outcome);
        known.due(kept.agents.get(identity), &takes, again)
    }

    async fn carry_out(
        &mut self,
        own: &OneFile,
        in_force: &InForce,
        identity: &Identity,
        due: Due,
    ) -> Result<(), ActorProcessingErr> {
        let deps = self.plan.deps.clone();
        let failed = ProblemKey::from(format!("{identity}/file")).of(identity);
        deps.problems.clear(&left_behind(identity));
        if let Due::Failed(action, why) = due {
            let (file, name, what) = (named_file(&deps), identity.called(), action.command());
            let text = format!(
                "{file} changed, and the {what} of {name} that this needs was not possible: {why}; it is tried \
                 again at each heartbeat, and `gastown-supervisor {what} {name}` does it now"
            );
            deps.problems.report(failed, text);
            return Ok(());
        }
        deps.problems.clear(&failed);
        let takes = in_force.takes.get(identity).cloned().unwrap_or_default();
        match due {
            Due::Nothing | Due::Failed(..) => {}
            Due::Took => {
                self.file.changed.remove(identity);
                let session = deps.standing(identity).map(|it| it.session.clone()).unwrap_or_default();
                let taken = Taken { session, taken: takes, other_since: None };
                own.kept.value().agents.insert(identity.clone(), taken);
            }
            Due::Ask(action) => {
                let request = self.request(in_force, identity, (action, &takes));
                tracing::info!(agent = %identity, reason = "requested", "requested: {}", request.reference());
                deps.records.put_request(&request);
                self.asked(identity.clone()).await?;
            }
        }
        Ok(())
    }

    /// The request of the file for this agent; a restart is one to take this.
    fn request(&self, in_force: &InForce, identity: &Identity, (action, takes): (Action, &str)) -> Request {
        let deps = &self.plan.deps;
        let command = match action {
            Action::Start => "has it again",
            Action::Stop if in_force.standings.of(identity).is_some() => "gives it another session",
            Action::Stop => "no longer has it",
            Action::Restart => {
                self.file.changed.get(identity).map_or("changed while no supervisor ran", String::as_str)
            }
        };
        let by = ByCommand {
            uid: rustix::process::getuid().as_raw(),
            user: Some(named_file(deps)),
            command: command.to_owned(),
            at: deps.now().wall,
            until: None,
            when_idle: false,
            of_file: true,
        };
        let takes = if action == Action::Restart { takes } else { "" };
        Request { id: Over::id(action, takes, identity), identity: identity.clone(), action, by: Some(by) }
    }

    /// What is known of this agent now.
    fn known(&self, identity: &Identity) -> Known {
        let records = &self.plan.deps.records;
        let phase = records.phase(identity).map(|(phase, _)| phase);
        let mut requests: Vec<_> = records.requests_of_file(identity).into_iter().collect();
        requests.sort_by_key(|(_, claim)| claim.number);
        let file = named_file(&self.plan.deps);
        Known {
            is_busy: records.open_requests(identity) > 0 || phase == Some(Phase::Starting),
            ended: records.has_ended(identity),
            held: records.hold(identity).map(|hold| hold.by.as_ref() == Some(&file)),
            lives_since: records.living(identity).map(|(_, session)| session.created),
            over: requests.iter().filter_map(|(id, claim)| Over::of(id, claim)).collect(),
        }
    }

    /// Forgets the requests of the file for this agent that are over, of this action and outcome.
    fn take_back(&self, identity: &Identity, which: impl Fn(Action, bool) -> bool) {
        let records = &self.plan.deps.records;
        let over = records.requests_of_file(identity).into_iter().filter(|(id, claim)| {
            Over::of(id, claim).is_some_and(|it| which(it.action, it.failed.is_none()))
        });
        let ids: BTreeSet<String> = over.map(|(id, _)| id).collect();
        if !ids.is_empty() {
            records.take_back(&ids);
        }
    }

    /// No longer keeps an agent that has ended. One that the file has gets its new session with a new actor.
    fn let_go(&mut self, own: &OneFile, identity: &Identity, is_in_file: bool) {
        let deps = &self.plan.deps;
        self.children.stop(&identity.actor_name());
        deps.directory.release(identity);
        self.take_back(identity, |_, _| true);
        own.kept.value().agents.remove(identity);
        if !is_in_file {
            tracing::info!(agent = %identity, "{} no longer has it, and it has ended", named_file(deps));
            self.file.changed.remove(identity);
            forget(deps, identity, &format!("{} no longer has it", named_file(deps)));
        }
    }

    /// Looks for agents that are no longer in the file since a time when no supervisor ran: they are left as they are, and reported
    /// until their sessions are gone.
    pub(super) fn look_for_left_behind(&mut self, scan: &Scan) {
        let (Some(own), Ok(sessions)) = (self.plan.one_file.clone(), &scan.sessions) else { return };
        let deps = &self.plan.deps;
        let now = own.standings.borrow().clone();
        let in_force = own.in_force();
        let is_kept =
            |identity: &Identity| now.of(identity).is_some() || in_force.standings.of(identity).is_some();
        let has_another = |session: &str| {
            now.agents().filter_map(|it| now.of(it)).any(|standing| standing.session == session)
        };
        let mut kept = own.kept.value().clone();
        let before = kept.clone();
        kept.agents.retain(|identity, taken| {
            if is_kept(identity) {
                return true;
            }
            let runs = sessions.contains_key(&taken.session) && !has_another(&taken.session);
            if runs {
                let (file, name) = (named_file(deps), identity.called());
                let (session, end) =
                    (terminal::one_line(&taken.session), deps.sessions.place().end(&taken.session));
                let text = format!(
                    "{name} was taken out of {file} while no supervisor ran; its session {session} is left as it \
                     is: end it with `{end}`, or put {name} back"
                );
                deps.problems.report(ProblemKey::from(left_behind(identity)).of(identity), text);
            } else {
                deps.problems.clear(&left_behind(identity));
                forget(deps, identity, &format!("{} no longer has it", named_file(deps)));
            }
            runs
        });
        own.kept.value().clone_from(&kept);
        self.save_kept(own, &before);
    }
}

/// The file's name, for people.
fn named_file(deps: &Deps) -> String {
    let file = deps.paths.settings_file();
    terminal::path(deps.paths.shown(&file)).to_string()
}

/// The key of the problem that an agent runs which the file does not have.
fn left_behind(identity: &Identity) -> String {
    format!("{identity}/left_behind")
}

/// What was known of an agent that is no more; its history stays as long as there is room.
fn forget(deps: &Deps, identity: &Identity, why: &str) {
    deps.problems.forget(&format!("{identity}/"));
    deps.records.clear_restarts(Some(identity));
    deps.records.left_file(identity, (&named_file(deps), why), deps.now().wall);
    let ids = deps.records.requests_of_file(identity).into_keys().collect();
    deps.records.take_back(&ids);
}

/// What of the file takes effect at the next start of the supervisor.
fn next_start(deps: &Deps, in_force: &InForce, changes: &[Change]) -> Option<String> {
    let socket = changes.iter().find_map(|it| match it {
        Change::Socket(words) => Some(format!("socket ({})", terminal::one_line(words))),
        _ => None,
    });
    let tmux = in_force.plan.settings.commands.tmux != deps.settings().commands.tmux;
    let keys: Vec<String> = socket.into_iter().chain(tmux.then(|| "commands.tmux".to_owned())).collect();
    let verb = if keys.len() == 1 { "takes" } else { "take" };
    (!keys.is_empty()).then(|| format!("{} {verb} effect at the next start", keys.join(" and ")))
}
