//! The mail watcher: the actor that reads the deacon's inbox for requests to the supervisor.
//!
//! It claims requests and passes them on, and passes pending spawns to their rigs; one reading runs at a time. A
//! heartbeat never waits for `gt`. It must not carry anything out.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::claim::{self, Left};
use crate::{
    clock::Now,
    deps::Deps,
    ledger::{
        inbox::{self, Message, Removal},
        installed,
    },
    ports::bead_store::Stamp,
    supervision::{
        child::{ChildSpec, Contact},
        messages::{Broadcast, Report, ReportTo},
        work::{ReplyTo, Work},
    },
    town::{identity::RigName, reading},
    watchers::spawns,
};

/// What the reader of the deacon's mail receives.
#[derive(Debug)]
pub enum MailMsg {
    /// From the root.
    Broadcast(Broadcast),
    /// From its own reading: the inbox and what was left in it, or why it is unknown; `None` when the task panicked.
    Read(Option<Result<(Reading, Left), String>>),
    /// A request for its status.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests ask"))]
    Status(RpcReplyPort<MailSnapshot>),
}

/// Its figures for status reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct MailSnapshot {
    /// When the inbox was last read.
    pub last_read: Option<Timestamp>,
    /// The number of messages in it.
    pub messages: usize,
    /// Messages to the supervisor that are left there because they cannot be handled, and why; the first 100 of them.
    pub left: Left,
}

/// An inbox, as of one reading.
#[derive(Debug, Clone)]
pub struct Reading {
    messages: Arc<Vec<Message>>,
    begun: Now,
    /// The stamp of the ledger's files before the reading, when a change of them can be noticed: while they have this
    /// stamp, the inbox is unchanged.
    stamp: Option<Stamp>,
}

/// The actor that reads the deacon's mail.
#[derive(Debug)]
pub struct DeaconMail;

/// The reader of the deacon's mail as a child.
pub fn child(deps: &Arc<Deps>, answers: &ReportTo) -> ChildSpec {
    let (deps, answers) = (deps.clone(), answers.clone());
    let contact = Contact::taking(|broadcast| Some(MailMsg::Broadcast(broadcast)));
    let child = ChildSpec::new("mail", || DeaconMail, move || (deps.clone(), answers.clone()), contact);
    ChildSpec { answers_heartbeats: true, ..child }
}

/// The state of the [`DeaconMail`] actor.
pub struct MailState {
    deps: Arc<Deps>,
    /// The rigs of the town, once known: before that, no sender can be called unknown.
    rigs: Option<Arc<BTreeSet<RigName>>>,
    /// `Some` while the inbox is being read; true when it should be read again after that.
    reading: Option<bool>,
    last: Option<Reading>,
    /// The messages left there at the last reading.
    left: Left,
    snapshot: MailSnapshot,
    work: Work<MailMsg>,
    answers: ReportTo,
}

impl Actor for DeaconMail {
    type Msg = MailMsg;
    type State = MailState;
    type Arguments = (Arc<Deps>, ReportTo);

    async fn pre_start(
        &self,
        myself: ActorRef<MailMsg>,
        (deps, answers): Self::Arguments,
    ) -> Result<MailState, ActorProcessingErr> {
        let post: ReplyTo<MailMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let (work, snapshot) = (Work::new(post), MailSnapshot::default());
        let (rigs, left) = (None, Left::new());
        Ok(MailState { deps, rigs, reading: None, last: None, left, snapshot, work, answers })
    }

    async fn handle(
        &self,
        _: ActorRef<MailMsg>,
        message: MailMsg,
        state: &mut MailState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MailMsg::Broadcast(Broadcast::Heartbeat(beat)) => {
                state.read(Why::Heartbeat);
                (state.answers)(Report::probed(beat.number, "mail"));
            }
            MailMsg::Broadcast(Broadcast::ReadMail) => state.read(Why::Asked),
            MailMsg::Broadcast(Broadcast::Rigs(rigs)) => state.rigs = Some(rigs),
            MailMsg::Broadcast(_) => {}
            MailMsg::Read(read) => state.was_read(read),
            MailMsg::Status(reply) => drop(reply.send(state.snapshot.clone())),
        }
        Ok(())
    }
}

/// Why the inbox is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is time again: an unchanged inbox need not be read.
    Heartbeat,
    /// A change was reported.
    Asked,
}

impl MailState {
    fn read(&mut self, why: Why) {
        let Some(rigs) = self.rigs.clone() else { return };
        // Once it answers again, the root asks for a reading.
        if self.deps.dolt.is_down() {
            return;
        }
        if self.reading.is_some() {
            self.reading = Some(true);
            return;
        }
        self.reading = Some(false);
        let (deps, answers) = (self.deps.clone(), self.answers.clone());
        let last = self.last.clone().filter(|_| why == Why::Heartbeat);
        self.work.spawn(
            async move {
                let reading = match read(&deps, last).await {
                    Ok(reading) => reading,
                    Err(why) => return MailMsg::Read(Some(Err(why))),
                };
                let messages = &reading.messages;
                answers(Report::MailRead(messages.clone()));
                let claimed = |identity| answers(Report::Asked(identity));
                let mut left = claim::claim(&deps, (messages, reading.begun), &rigs, &claimed).await;
                left.extend(clear_homeless(&deps, messages, &rigs).await);
                MailMsg::Read(Some(Ok((reading, left))))
            },
            MailMsg::Read(None),
        );
    }

    fn was_read(&mut self, read: Option<Result<(Reading, Left), String>>) {
        let problems = &self.deps.problems;
        let ended = read.as_ref().map(|read| read.as_ref().map(drop).map_err(Clone::clone));
        let is_fault = ended.is_some_and(|ended| self.deps.note_inbox(ended));
        match read {
            Some(Ok((reading, left))) => {
                problems.clear("mail/inbox");
                let last_read = Some(self.deps.now().wall);
                report_left(&self.deps, &self.left, &left);
                let shown = left.iter().take(LISTED).map(|(id, why)| (id.clone(), why.clone())).collect();
                let messages = reading.messages.len();
                self.snapshot = MailSnapshot { last_read, messages, left: shown };
                self.left = left;
                self.last = Some(reading);
            }
            Some(Err(why)) if is_fault || installed::is_reported(&why) => problems.clear("mail/inbox"),
            Some(Err(why)) => {
                problems.report("mail/inbox", format!("the deacon's inbox cannot be read: {why}"));
            }
            None => {}
        }
        if self.reading.take() == Some(true) {
            self.read(Why::Asked);
        }
    }
}

/// The inbox: the last one when the ledger's files have not changed, because `gt` runs `bd` several times to read it.
async fn read(deps: &Deps, last: Option<Reading>) -> Result<Reading, String> {
    let begun = deps.now();
    // Later versions of `bd` store their beads elsewhere.
    let stamp = match deps.bd_has_daemon() {
        true => deps.beads.stamp(deps.paths.root()).await,
        false => None,
    };
    match last {
        Some(last) if stamp.is_some() && last.stamp == stamp => Ok(last),
        _ => Ok(Reading { messages: Arc::new(inbox::read(deps).await?), begun, stamp }),
    }
}

/// Handles pending spawns in a rig that does not exist.
async fn clear_homeless(deps: &Deps, messages: &[Message], rigs: &BTreeSet<RigName>) -> Left {
    let (mut left, mut archived) = (Left::new(), 0);
    let prune_after = deps.settings().spawns.prune_after;
    for spawn in spawns::rules::homeless(messages, rigs, deps.now().wall, prune_after) {
        let why = format!("it names a polecat in rig {}, which does not exist", reading::shorten(&spawn.rig));
        if !spawn.archive {
            left.insert(spawn.id, why);
            continue;
        }
        // The others are archived with the next readings: the inbox is not read meanwhile.
        if archived == claim::REMOVED {
            continue;
        }
        archived += 1;
        if let Removal::Failed(error) = inbox::archive(deps, &spawn.id).await {
            left.insert(spawn.id, format!("{why}, and cannot be archived: {error}"));
        }
    }
    left
}

/// Logs each message once; the problem is one line, however many there are.
fn report_left(deps: &Deps, before: &Left, left: &Left) {
    for (id, why) in left.iter().filter(|(id, why)| before.get(*id) != Some(why)).take(TOLD) {
        tracing::warn!("mail {id} is left in the deacon's inbox: {why}");
    }
    let key = "mail/left";
    if left.is_empty() {
        deps.problems.clear(key);
        return;
    }
    let ids: BTreeSet<&str> = left.keys().map(String::as_str).take(SHOWN).collect();
    let more = left.len().saturating_sub(ids.len());
    let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    deps.problems
        .report(key, format!("mail in the deacon's inbox cannot be processed (see the log): {ids}{and}"));
}

/// The number of messages left in the inbox that are logged at once,
const TOLD: usize = 20;
/// named in the problem,
const SHOWN: usize = 5;
/// and listed in the status.
const LISTED: usize = 100;
