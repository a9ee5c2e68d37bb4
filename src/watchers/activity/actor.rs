//! The actor that follows the transcripts of all agents.
//!
//! Scans say which agents live. Each is located once, by its process; from then on its transcript is read when its file changes,
//! at most once in [`SETTLE`], and searched for again at heartbeats and when another file appears beside it. What was heard is in
//! the agent's record, so a successor continues from there. It must not judge what a transcript means.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::broadcast::{Receiver, error::RecvError, error::TryRecvError};

use super::{
    follow::{self, Followed, Heard},
    hung::{self, Quiet, Seen, Signs},
};
use crate::{
    agent::{
        accounts,
        activity::{Activity, Reading, Said, Source, noting},
        record::screens::Living,
        screens,
    },
    clock::Now,
    deps::Deps,
    sessions::scan::Scan,
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Work},
    },
    town::{identity::Identity, usage_limit::UsageLimits},
    transcripts::{Candidate, Silence},
};

/// Changes within this time cause one reading.
const SETTLE: Duration = Duration::from_secs(1);
/// The key of the problem that some transcripts are not watched.
const PROBLEM: &str = "activity/watch";

/// Why nothing is read where two agents may write the same files.
const SHARED: &str = "another agent works in the same directory";

/// What the activity watch receives.
#[derive(Debug)]
pub enum ActivityMsg {
    /// From its supervisor.
    Broadcast(Broadcast),
    /// From the port, after the debounce: these files changed; `None` when some changes were missed.
    Changed(Option<BTreeSet<PathBuf>>),
    /// From its task: where the transcript of this process of an agent is; or why that is not known.
    Located(Identity, u32, Result<Box<Followed>, String>),
    /// From its task: the files that these processes of agents write.
    Searched(Vec<(Identity, u32, Result<Candidate, Silence>)>),
    /// From its task: what the transcript of this process says; `None` when the task panicked.
    Read(Identity, u32, Option<Box<Heard>>),
    /// From its task: what the processes of this agent did at that time; `None` when that could not be seen.
    Looked(Identity, u32, Option<(Now, Seen)>),
}

/// The actor that knows what agents are doing.
#[derive(Debug)]
pub struct ActivityWatch;

/// The activity watch as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    let contact = Contact::taking(|broadcast| {
        let is_wanted = matches!(broadcast, Broadcast::Heartbeat(_) | Broadcast::Scanned(_));
        is_wanted.then_some(ActivityMsg::Broadcast(broadcast))
    });
    ChildSpec::new("activity", || ActivityWatch, move || deps.clone(), contact)
}

/// The state of the [`ActivityWatch`].
pub struct ActivityState {
    deps: Arc<Deps>,
    work: Work<ActivityMsg>,
    agents: BTreeMap<Identity, Known>,
    /// The directories that are watched.
    watched: BTreeSet<PathBuf>,
}

/// What is known of one living agent.
struct Known {
    living: Living,
    /// When its process began.
    began: Timestamp,
    followed: Option<Followed>,
    /// The file, as it was when it was last searched for.
    file: Option<Candidate>,
    /// What it then said, or has said since.
    said: Option<Result<Option<Said>, String>>,
    /// By these patterns.
    limits: UsageLimits,
    /// Whether a task is reading; then whether it is to read once more.
    reading: bool,
    again: bool,
    quiet: Option<Quiet>,
}

impl Actor for ActivityWatch {
    type Msg = ActivityMsg;
    type State = ActivityState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<ActivityMsg>,
        deps: Arc<Deps>,
    ) -> Result<ActivityState, ActorProcessingErr> {
        let post: ReplyTo<ActivityMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post.clone());
        let changes = deps.transcripts.changes();
        work.run(async move { listen(changes, post).await });
        Ok(ActivityState { deps, work, agents: BTreeMap::new(), watched: BTreeSet::new() })
    }

    async fn handle(
        &self,
        _: ActorRef<ActivityMsg>,
        message: ActivityMsg,
        state: &mut ActivityState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ActivityMsg::Broadcast(Broadcast::Scanned(scan)) => state.scanned(&scan),
            ActivityMsg::Broadcast(Broadcast::Heartbeat(beat)) => {
                state.scanned(&beat.scan);
                state.search_again();
                state.look_at_quiet_ones();
            }
            ActivityMsg::Broadcast(_) => {}
            ActivityMsg::Changed(files) => state.changed(files.as_ref()),
            ActivityMsg::Located(identity, pid, followed) => state.located(&identity, pid, followed),
            ActivityMsg::Searched(found) => state.searched(found),
            ActivityMsg::Read(identity, pid, heard) => state.was_read(&identity, pid, heard),
            ActivityMsg::Looked(identity, pid, seen) => state.looked(&identity, pid, seen),
        }
        Ok(())
    }
}

/// Passes on which files changed, together.
async fn listen(mut changes: Receiver<PathBuf>, post: ReplyTo<ActivityMsg>) {
    loop {
        let (mut files, mut missed) = (BTreeSet::new(), false);
        match changes.recv().await {
            Ok(path) => drop(files.replace(path)),
            Err(RecvError::Lagged(_)) => missed = true,
            Err(RecvError::Closed) => return,
        }
        tokio::time::sleep(SETTLE).await;
        loop {
            match changes.try_recv() {
                Ok(path) => drop(files.replace(path)),
                Err(TryRecvError::Lagged(_)) => missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        post(ActivityMsg::Changed((!missed).then_some(files)));
    }
}

impl ActivityState {
    /// Follows the agents that a scan shows, and forgets those that are gone.
    fn scanned(&mut self, scan: &Scan) {
        let Some(living) = self.deps.records.living_in(scan) else { return };
        noting::forget_gone(&self.deps, scan);
        let there: BTreeSet<Identity> = living.iter().map(|it| it.agent.identity.clone()).collect();
        let before = self.agents.len();
        self.agents.retain(|identity, _| there.contains(identity));
        if self.agents.len() != before {
            self.watch();
        }
        for living in living {
            let identity = living.agent.identity.clone();
            match self.agents.get_mut(&identity) {
                Some(known) if is_same(&known.living, &living) => known.living = living,
                _ => {
                    let age = SignedDuration::try_from(living.process.age).unwrap_or_default();
                    let began = scan.begun.wall.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH);
                    self.begin(identity, living, began);
                }
            }
        }
    }

    fn begin(&mut self, identity: Identity, living: Living, began: Timestamp) {
        let known = Known {
            living,
            began,
            followed: None,
            file: None,
            said: None,
            limits: UsageLimits::default(),
            reading: false,
            again: false,
            quiet: None,
        };
        self.agents.insert(identity.clone(), known);
        self.locate(&identity);
    }

    /// Finds out where the transcript of an agent is.
    fn locate(&mut self, identity: &Identity) {
        let Some(known) = self.agents.get(identity) else { return };
        let (deps, living, began) = (self.deps.clone(), known.living.clone(), known.began);
        let (agent, pid) = (identity.clone(), living.process.pid);
        let lost = ActivityMsg::Located(agent.clone(), pid, Err("a task panicked".to_owned()));
        self.work.spawn(
            async move {
                let followed = follow::locate(&deps, &living, began).await.map(Box::new);
                ActivityMsg::Located(agent, pid, followed)
            },
            lost,
        );
    }

    fn located(&mut self, identity: &Identity, pid: u32, followed: Result<Box<Followed>, String>) {
        let Some(known) = self.known(identity, pid) else { return };
        match followed {
            Ok(followed) => {
                known.followed = Some(*followed);
                self.watch();
                self.read(identity);
            }
            Err(why) => self.heard(identity, Err(why)),
        }
    }

    /// The agent, while it is still this process.
    fn known(&mut self, identity: &Identity, pid: u32) -> Option<&mut Known> {
        self.agents.get_mut(identity).filter(|known| known.living.process.pid == pid)
    }

    /// Whether another agent works in the same directory with the same program: whose transcript is which is not known.
    fn shares(&self, identity: &Identity) -> bool {
        let location = |known: &Known| {
            let followed = known.followed.as_ref()?;
            Some((followed.location.directories.last()?.clone(), followed.directory.clone()))
        };
        let Some(own) = self.agents.get(identity).and_then(location) else { return false };
        self.agents.iter().any(|(other, known)| other != identity && location(known).as_ref() == Some(&own))
    }

    /// Reads the transcript of an agent, unless that is being done.
    fn read(&mut self, identity: &Identity) {
        if self.shares(identity) {
            return self.heard(identity, Err(SHARED.to_owned()));
        }
        let Some(known) = self.agents.get_mut(identity) else { return };
        let Some(followed) = known.followed.clone() else { return };
        if known.reading {
            known.again = true;
            return;
        }
        known.reading = true;
        known.limits = self.deps.settings().usage_limit.patterns.clone();
        let (deps, file, pid) = (self.deps.clone(), known.file.clone(), known.living.process.pid);
        let limits = known.limits.clone();
        let (agent, lost) = (identity.clone(), ActivityMsg::Read(identity.clone(), pid, None));
        self.work.spawn(
            async move {
                let heard = follow::read(&deps, &followed, file, &limits).await;
                ActivityMsg::Read(agent, pid, Some(Box::new(heard)))
            },
            lost,
        );
    }

    fn was_read(&mut self, identity: &Identity, pid: u32, heard: Option<Box<Heard>>) {
        let Some(known) = self.known(identity, pid) else { return };
        known.reading = false;
        let again = std::mem::take(&mut known.again);
        if let Some(heard) = heard {
            // A search that was asked for meanwhile is still to be made.
            let path = |file: &Option<Candidate>| file.as_ref().map(|file| file.path.clone());
            let is_new = path(&known.file) != path(&heard.file);
            known.file = if again { None } else { heard.file };
            known.said = Some(heard.said.clone());
            if is_new {
                self.watch();
            }
            self.heard(identity, heard.said);
        }
        if again {
            self.read(identity);
        }
    }

    /// Notes what the transcript of an agent says.
    fn heard(&mut self, identity: &Identity, said: Result<Option<Said>, String>) {
        let Some(Known { living, .. }) = self.agents.get(identity) else { return };
        let (said, doubt) = match said {
            Ok(said) => (said, None),
            Err(why) => (None, Some(why)),
        };
        if let Some(Said { activity, since, .. }) = &said {
            let reading = Reading { activity: activity.clone(), source: Source::Transcript, since: *since };
            let (deps, agent) = (self.deps.clone(), living.agent.clone());
            // Its account, and so others, may be concerned.
            self.work.run(async move { accounts::saw(&deps, &agent, &reading, None).await });
        }
        let session = living.pane.session_id();
        noting::hear(&self.deps, &living.agent, session, |evidence| {
            (evidence.transcript, evidence.doubt) = (said, doubt);
        });
        // It may have been answered: what is written next comes after that.
        if self.deps.records.screen(identity, Some(session)).is_some_and(|screen| screen.question.is_some()) {
            let (deps, living) = (self.deps.clone(), living.clone());
            self.work.run(async move { drop(screens::read(&deps, &living.agent, &living.pane).await) });
        }
    }

    /// Reads the transcripts whose files changed. Another file beside one may be its successor.
    fn changed(&mut self, files: Option<&BTreeSet<PathBuf>>) {
        let Some(files) = files else { return self.search_again() };
        let followed: BTreeSet<&PathBuf> =
            self.agents.values().filter_map(|it| Some(&it.file.as_ref()?.path)).collect();
        let strangers: Vec<&PathBuf> = files.iter().filter(|file| !followed.contains(file)).collect();
        let (mut due, mut appeared) = (Vec::new(), false);
        for (identity, known) in &mut self.agents {
            let Some(followed) = &known.followed else { continue };
            let location = &followed.location;
            let is_own = known.file.as_ref().is_some_and(|file| files.contains(&file.path));
            let is_beside = strangers.iter().any(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let is_session = name.is_some_and(location.names);
                is_session && path.parent().is_some_and(|at| location.directories.iter().any(|it| it == at))
            });
            // The directory itself, or one on the way to it.
            let is_above =
                strangers.iter().any(|path| location.directories.iter().any(|it| it.starts_with(path)));
            appeared |= is_above;
            if is_beside || is_above {
                known.file = None;
            }
            if is_own || is_beside || is_above {
                due.push(identity.clone());
            }
        }
        if appeared {
            self.watched.clear();
            self.watch();
        }
        due.iter().for_each(|identity| self.read(identity));
    }

    /// Searches for all transcripts again, in one access: what a file watch misses is found at a heartbeat.
    fn search_again(&mut self) {
        let now = self.deps.now().wall;
        let (mut wanted, mut unknown) = (Vec::new(), Vec::new());
        for (identity, known) in &mut self.agents {
            known.followed = known.followed.take().and_then(|followed| followed.at(now));
            match &known.followed {
                Some(it) => wanted.push(((identity.clone(), known.living.process.pid), it.location.clone())),
                // It could not be located: its process may be another program by now.
                None => unknown.push(identity.clone()),
            }
        }
        unknown.iter().for_each(|identity| self.locate(identity));
        let (whose, locations): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let deps = self.deps.clone();
        let search = async move {
            let found = deps.transcripts.find_each(locations).await;
            let found = whose.into_iter().zip(found).map(|((identity, pid), found)| (identity, pid, found));
            ActivityMsg::Searched(found.collect())
        };
        self.work.spawn(search, ActivityMsg::Searched(Vec::new()));
        // A directory may be another one by now.
        self.watched.clear();
        self.watch();
    }

    /// Reads the transcripts that are other files than before, or were written since they were read.
    fn searched(&mut self, found: Vec<(Identity, u32, Result<Candidate, Silence>)>) {
        let limits = self.deps.settings().usage_limit.patterns.clone();
        for (identity, pid, found) in found {
            if self.known(&identity, pid).is_some() && self.shares(&identity) {
                self.heard(&identity, Err(SHARED.to_owned()));
                continue;
            }
            let Some(known) = self.known(&identity, pid) else { continue };
            let is_read = found.as_ref().ok() == known.file.as_ref() && known.limits == limits;
            let said = known.said.clone().filter(|_| is_read && found.is_ok() && !known.reading);
            match (said, found) {
                (Some(said), _) => self.heard(&identity, said),
                (None, Ok(file)) => {
                    known.file = Some(file);
                    self.read(&identity);
                }
                (None, Err(why)) => {
                    known.file = None;
                    self.heard(&identity, Heard::nothing(&why).said);
                }
            }
        }
        self.watch();
    }

    /// Watches the directories of all transcripts.
    fn watch(&mut self) {
        let locations =
            self.agents.values().filter_map(|known| Some((known, &known.followed.as_ref()?.location)));
        let wanted: BTreeSet<PathBuf> = locations
            .flat_map(|(known, location)| {
                // Of directories by day, those in which a file may appear now, and the one that is written.
                let own = known.file.as_ref().and_then(|file| file.path.parent()).map(PathBuf::from);
                location.directories.iter().take(3).cloned().chain(own)
            })
            .collect();
        if wanted == self.watched {
            return;
        }
        self.watched.clone_from(&wanted);
        let deps = self.deps.clone();
        self.work.run(async move {
            match deps.transcripts.watch(wanted.into_iter().collect()).await {
                Some(why) => deps.problems.report(
                    PROBLEM,
                    format!("{why}; what agents are doing is seen at heartbeats and on screens only"),
                ),
                None => deps.problems.clear(PROBLEM),
            }
        });
    }

    /// Looks at the processes of agents that should work and are quiet.
    fn look_at_quiet_ones(&mut self) {
        let hung_after = self.deps.settings().activity.hung_after;
        let mut due = Vec::new();
        for (identity, known) in &mut self.agents {
            match signs(&self.deps, &known.living).filter(|signs| signs.are_doubtful(hung_after)) {
                Some(_) => due.push((identity.clone(), known.living.clone())),
                None => {
                    known.quiet = None;
                    let session = known.living.pane.session_id();
                    noting::hear(&self.deps, &known.living.agent, session, |it| it.processes = None);
                }
            }
        }
        for (identity, living) in due {
            let (deps, pid) = (self.deps.clone(), living.process.pid);
            let lost = ActivityMsg::Looked(identity.clone(), pid, None);
            self.work.spawn(
                async move {
                    let seen = follow::look(&deps, &living).await;
                    ActivityMsg::Looked(identity, pid, seen.map(|seen| (deps.now(), seen)))
                },
                lost,
            );
        }
    }

    fn looked(&mut self, identity: &Identity, pid: u32, seen: Option<(Now, Seen)>) {
        let hung_after = self.deps.settings().activity.hung_after;
        let deps = self.deps.clone();
        let (Some(known), Some((now, seen))) = (self.known(identity, pid), seen) else { return };
        let quiet = Quiet::after(known.quiet, seen, now);
        let is_new = known.quiet.is_none();
        known.quiet = Some(quiet);
        let Some(signs) = signs(&deps, &known.living) else { return };
        let why = hung::why(signs, seen, quiet, now, hung_after);
        noting::hear(&deps, &known.living.agent, known.living.pane.session_id(), |evidence| {
            match why {
                Some(why) => {
                    let said = Said::at(Activity::Hung(why), now.wall);
                    evidence.processes = Some(said.continuing(evidence.processes.as_ref()));
                }
                // The successor of a crashed actor has not watched for long enough to know.
                None if is_new => {}
                None => evidence.processes = None,
            }
        });
    }
}

fn is_same(before: &Living, now: &Living) -> bool {
    let of =
        |living: &Living| (living.process.pid, living.pane.session_id().to_owned(), living.agent.clone());
    of(before) == of(now)
}

/// The signs of an agent, beside its processes.
fn signs(deps: &Deps, living: &Living) -> Option<Signs> {
    let (identity, session) = (&living.agent.identity, living.pane.session_id());
    let evidence = deps.records.evidence(identity, session)?;
    let now = deps.now();
    let screen = deps.records.screen(identity, Some(session));
    let unchanged = screen.map(|screen| now.since(screen.unchanged_since));
    Some(Signs::of(&evidence, unchanged, now.wall))
}
