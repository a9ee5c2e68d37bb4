//! Starts: what the starts of all agents share, so that they do not interfere with each other.
//!
//! It holds the queue of starts ([`start_slots`](super::start_slots)), the turns to type into each session, so that two
//! texts never interleave, what was pressed at questions, which tmux server has this town's key bindings, so that each server gets them once, the starts that
//! wait for memory ([`start_memory`](super::start_memory)), whether agents can be given a limit of it, and the pace of resumed
//! conversations; and how many checks of agents' health are made at once.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::{
    confirmation::SessionKey,
    elsewhere::search::Elsewhere,
    pollers::Pollers,
    programs::InDoubt,
    questions::stepper::Answering,
    role_bead::kept::RoleBeads,
    start_memory::{self, MemoryGate, Shortage},
    start_slots::{Rank, Slot, StartSlots},
};
use crate::{
    clock::Clock,
    ports::{
        Ports,
        memory::{self, Memory},
        problems::Problems,
    },
    town::identity::Identity,
    turns::Turns,
};

/// Starts that ask at the same moment share a reading of the memory.
const JUST_READ: Duration = Duration::from_secs(1);

/// The most conversations that are resumed within [`RESUMES_PER`] in the town: programs that began to resume many at once have
/// destroyed transcripts.
const RESUMES: usize = 4;
/// The time of [`RESUMES`].
pub const RESUMES_PER: Duration = Duration::from_secs(10);

/// The most checks of agents' health that are made at once in the town.
const CHECKS: usize = 4;

/// What starts share; it survives the crash of any actor, and clones share it.
#[derive(Debug, Clone)]
pub struct Starts {
    /// What role beads last said about starting agents.
    pub role_beads: RoleBeads,
    /// The last search for agents out of sight: an agent that runs elsewhere is not started.
    pub(super) elsewhere: Elsewhere,
    /// The settings files and agents whose program must be determined again.
    pub(super) in_doubt: InDoubt,
    /// Which starts wait for memory.
    pub memory: MemoryGate,
    /// The last reading of the memory, and when it was made (monotonic).
    reading: Arc<tokio::sync::Mutex<Option<(Duration, Memory)>>>,
    /// Whether `systemd-run` works, as last tried; one start tries it at a time.
    pub(super) scopes: Arc<tokio::sync::Mutex<Option<Checked>>>,
    /// The nudge pollers that were started.
    pub(super) pollers: Pollers,
    slots: StartSlots,
    resumes: StartSlots,
    typing: Turns<String>,
    /// What was pressed at questions, by session, in this incarnation of it.
    answering: Arc<Mutex<BTreeMap<String, (SessionKey, Answering)>>>,
    comparing: Turns<Identity>,
    checks: Arc<Semaphore>,
    bindings: Arc<Mutex<Bindings>>,
}

/// When something was checked (monotonic), and what was found out; an error says why it does not work.
pub type Checked = (Duration, Result<(), String>);

#[derive(Debug, Default)]
struct Bindings {
    prefixes: Vec<String>,
    bound_on: Option<u64>,
}

impl Starts {
    /// The state before the first start; files are in `directory`.
    pub fn new(directory: PathBuf, problems: Problems) -> Self {
        Starts {
            role_beads: RoleBeads::new(directory),
            elsewhere: Elsewhere::default(),
            in_doubt: InDoubt::default(),
            memory: MemoryGate::new(problems),
            reading: Arc::default(),
            scopes: Arc::default(),
            pollers: Pollers::default(),
            slots: StartSlots::default(),
            resumes: StartSlots::default(),
            typing: Turns::default(),
            answering: Arc::default(),
            comparing: Turns::default(),
            checks: Arc::new(Semaphore::new(CHECKS)),
            bindings: Arc::default(),
        }
    }

    /// Waits for one of `limit` start slots (`start.max_concurrent`), see [`StartSlots::acquire`].
    pub async fn slot(&self, limit: usize, rank: impl Into<Rank>, asked: bool, clock: &dyn Clock) -> Slot {
        self.slots.acquire(limit, rank, asked, clock).await
    }

    /// Waits for the turn to resume a conversation. Whoever resumes one lets its slot rest for [`RESUMES_PER`] from then on: so
    /// in any such time no more than [`RESUMES`] are resumed in the town.
    pub async fn turn_to_resume(&self, rank: impl Into<Rank>, asked: bool, clock: &dyn Clock) -> Slot {
        self.resumes.acquire(RESUMES, rank, asked, clock).await
    }

    /// Waits for the turn to compare or put back this agent's transcripts.
    pub async fn turn_to_compare(&self, identity: &Identity) -> OwnedMutexGuard<()> {
        self.comparing.take(identity.clone()).await
    }

    /// Waits for one of the [`CHECKS`] turns to check an agent's health, first come first served.
    pub async fn turn_to_check(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.checks.clone().acquire_owned().await.ok()
    }

    /// What one more agent would wait for, that Gas Town starts by itself on an order of ours. Starts that wait go first.
    pub async fn lacks_memory(&self, ports: &Ports) -> Option<Shortage> {
        let settings = &ports.settings().start.memory;
        if !settings.enabled {
            return None;
        }
        match self.memory.longest_wait() {
            Some((why, _)) => Some(why),
            None => start_memory::shortage(&self.read_memory(ports).await, settings),
        }
    }

    /// What is left of the memory now, or was a moment ago.
    pub async fn read_memory(&self, ports: &Ports) -> Memory {
        let mut last = self.reading.lock().await;
        if let Some((at, memory)) = &*last
            && ports.now().mono.saturating_sub(*at) < JUST_READ
        {
            return memory.clone();
        }
        let memory = memory::read(&*ports.files).await;
        self.memory.note_reading(&memory);
        *last = Some((ports.now().mono, memory.clone()));
        memory
    }

    /// Waits for the turn to type into this session, first come first served.
    pub async fn turn_to_type(&self, session: &str) -> OwnedMutexGuard<()> {
        self.typing.take(session.to_owned()).await
    }

    /// Changes what is known of the keys that were pressed at questions in this incarnation of a session. Only its holder of the turn
    /// to type does that.
    pub(super) fn answering<A>(
        &self,
        session: &str,
        incarnation: &SessionKey,
        change: impl FnOnce(&mut Answering) -> A,
    ) -> A {
        let mut all = self.answering.lock();
        let (its, answering) =
            all.entry(session.to_owned()).or_insert_with(|| (incarnation.clone(), Answering::default()));
        if its != incarnation {
            (*its, *answering) = (incarnation.clone(), Answering::default());
        }
        change(answering)
    }

    /// The program in this session took a text at its prompt, and so all keys before it: a question that shows is a new one.
    pub(super) fn took_a_text(&self, session: &str) {
        self.answering.lock().remove(session);
    }

    /// Sets the rigs' bead prefixes, which begin session names in one naming scheme. New ones are bound at the next
    /// start.
    pub fn set_prefixes(&self, prefixes: Vec<String>) {
        let mut bindings = self.bindings.lock();
        if bindings.prefixes != prefixes {
            *bindings = Bindings { prefixes, bound_on: None };
        }
    }

    /// The prefixes to bind keys for on this incarnation of the server; `None` when it has its bindings.
    pub fn unbound_on(&self, server: u64) -> Option<Vec<String>> {
        let bindings = self.bindings.lock();
        (bindings.bound_on != Some(server)).then(|| bindings.prefixes.clone())
    }

    /// Notes that this incarnation of the server has the bindings.
    pub fn bound_on(&self, server: u64) {
        self.bindings.lock().bound_on = Some(server);
    }
}
