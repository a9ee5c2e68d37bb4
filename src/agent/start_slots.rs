//! Start slots: how many starts may do something at once, and which start is next.
//!
//! Agents that the town depends on go first: a deacon does not wait behind fifty polecats; in a town of one file they go in its
//! order. A start holds a slot only
//! while it does that; a slot may then rest for a while before it is given to the next, which paces what is done with it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::Clock,
    ports::Ports,
    town::identity::{Identity, Role},
};

/// The slots; a part of what [starts](super::starts) share.
#[derive(Debug, Clone, Default)]
pub struct StartSlots(Arc<Mutex<Inner>>, Arc<Notify>);

#[derive(Debug, Default)]
struct Inner {
    /// How many there are, as of the last `acquire`.
    limit: usize,
    /// Those that are held or rest.
    taken: usize,
    /// When each slot that rests is free again (monotonic).
    resting: Vec<Duration>,
    waiting: BTreeMap<Place, oneshot::Sender<Slot>>,
    arrived: u64,
}

/// How early an agent is started: those of a lower rank wait for nobody of a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(usize);

impl From<Role> for Rank {
    fn from(role: Role) -> Self {
        Rank(role.facts().priority.into())
    }
}

impl Rank {
    /// That of this agent: its place in the town's file, where there is one, else its role's.
    pub fn of(ports: &Ports, identity: &Identity) -> Self {
        ports.standings.borrow().place(identity).map_or_else(|| identity.role().into(), Rank)
    }
}

/// A place in the queue: by rank, then requested starts, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Rank, bool, u64);

impl Place {
    /// The place of the start of an agent of this rank that arrived as the n-th. `asked`: whether somebody asked for it.
    pub fn new(rank: impl Into<Rank>, asked: bool, arrived: u64) -> Self {
        Place(rank.into(), !asked, arrived)
    }

    /// The same for an agent of this rank.
    pub fn at(self, rank: Rank) -> Self {
        Place(rank, self.1, self.2)
    }
}

/// Permission for one start, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Option<StartSlots>,
    rests_until: Option<Duration>,
}

impl Slot {
    /// Lets the slot rest until this time (monotonic) once it is dropped.
    pub fn rest_until(&mut self, time: Duration) {
        self.rests_until = Some(time);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.slots.take() else { return };
        {
            let mut inner = slots.0.lock();
            match self.rests_until {
                Some(time) => inner.resting.push(time),
                None => inner.taken -= 1,
            }
        }
        // Who waits must know when it has rested.
        slots.1.notify_waiters();
        slots.hand_out();
    }
}

impl StartSlots {
    /// Waits for one of `limit` slots; dropping the returned value frees it. A lower limit than before takes no slot away.
    /// `asked`: whether somebody asked for this start.
    pub async fn acquire(&self, limit: usize, rank: impl Into<Rank>, asked: bool, clock: &dyn Clock) -> Slot {
        let (sender, mut slot) = oneshot::channel();
        {
            let mut inner = self.0.lock();
            inner.limit = limit.max(1);
            inner.arrived += 1;
            let place = Place::new(rank, asked, inner.arrived);
            inner.waiting.insert(place, sender);
        }
        loop {
            let changed = self.1.notified();
            // Whoever waits wakes those that rest: nobody else needs them.
            let rest = self.wake(clock.now().mono);
            self.hand_out();
            let rested = async {
                match rest {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender is dropped only after sending.
                slot = &mut slot => return slot.unwrap_or(Slot { slots: None, rests_until: None }),
                () = rested => {}
                () = changed => {}
            }
        }
    }

    /// Frees the slots that have rested; returns how long the next one still rests.
    fn wake(&self, now: Duration) -> Option<Duration> {
        let mut inner = self.0.lock();
        let before = inner.resting.len();
        inner.resting.retain(|until| *until > now);
        inner.taken -= before - inner.resting.len();
        inner.resting.iter().min().map(|until| until.saturating_sub(now))
    }

    /// Gives the free slots to the next in the queue; skips those that do not wait any more.
    fn hand_out(&self) {
        loop {
            let sender = {
                let mut inner = self.0.lock();
                if inner.taken >= inner.limit {
                    return;
                }
                let Some((_, sender)) = inner.waiting.pop_first() else { return };
                inner.taken += 1;
                sender
            };
            if let Err(mut slot) = sender.send(Slot { slots: Some(self.clone()), rests_until: None }) {
                slot.slots = None;
                self.0.lock().taken -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::BoxFuture};

    use super::*;
    use crate::clock::SystemClock;

    fn ask(slots: &StartSlots, limit: usize, role: Role, asked: bool) -> BoxFuture<'static, Slot> {
        let slots = slots.clone();
        async move { slots.acquire(limit, role, asked, &SystemClock::new()).await }.boxed()
    }

    #[tokio::test]
    async fn who_is_next() {
        use Role::*;
        let slots = StartSlots::default();
        let first = slots.acquire(1, Polecat, false, &SystemClock::new()).await;
        let arrivals = [
            (Polecat, false),
            (Crew, false),
            (Refinery, false),
            (Polecat, true),
            (Witness, false),
            (Deacon, false),
            (Witness, false),
            (Mayor, true),
        ];
        let mut waiting: Vec<_> =
            arrivals.into_iter().map(|(role, asked)| Some(ask(&slots, 1, role, asked))).collect();
        let arrived = |waiting: &mut Vec<Option<BoxFuture<'static, Slot>>>| {
            let mut got = None;
            for (n, future) in waiting.iter_mut().enumerate() {
                if let Some(slot) = future.as_mut().and_then(|future| future.now_or_never()) {
                    assert!(got.is_none(), "two at once");
                    *future = None;
                    got = Some((n, slot));
                }
            }
            got
        };
        assert!(arrived(&mut waiting).is_none(), "one slot");
        let (mut order, mut held) = (Vec::new(), first);
        for _ in 0..arrivals.len() {
            drop(held);
            let (n, slot) = arrived(&mut waiting).expect("the next one's turn");
            order.push(n);
            held = slot;
        }
        assert_eq!(order, [7, 5, 4, 6, 2, 3, 0, 1]);
    }

    #[tokio::test]
    async fn in_a_town_of_one_file_the_order_is_its() {
        let (slots, clock) = (StartSlots::default(), SystemClock::new());
        let mut held = slots.acquire(1, Rank(0), false, &clock).await;
        let arrivals = [(Rank(2), true), (Rank(1), false), (Rank(0), false), (Rank(1), true)];
        let mut waiting: Vec<_> = arrivals
            .into_iter()
            .map(|(rank, asked)| {
                let slots = slots.clone();
                Box::pin(async move { slots.acquire(1, rank, asked, &SystemClock::new()).await })
            })
            .collect();
        for place in &mut waiting {
            assert!(place.now_or_never().is_none(), "one slot");
        }
        for next in [2, 3, 1, 0] {
            drop(held);
            held = (&mut waiting[next]).now_or_never().unwrap_or_else(|| panic!("the turn of {next}"));
        }
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_takes_nothing() {
        let slots = StartSlots::default();
        let held = slots.acquire(1, Role::Deacon, false, &SystemClock::new()).await;
        let mut gone = ask(&slots, 1, Role::Deacon, false);
        let mut got = ask(&slots, 1, Role::Witness, false);
        let mut last = ask(&slots, 1, Role::Polecat, false);
        for waiting in [&mut gone, &mut got, &mut last] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(gone);
        drop(held);
        drop(got); // it was given one, and never polled again
        assert!(last.now_or_never().is_some());
        assert!(ask(&slots, 1, Role::Polecat, false).now_or_never().is_some(), "and gave it back");
        assert_eq!(slots.0.lock().taken, 0);
    }

    #[tokio::test]
    async fn a_limit_that_changes() {
        let slots = StartSlots::default();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.extend(ask(&slots, 3, Role::Polecat, false).now_or_never());
        }
        assert_eq!(held.len(), 3);
        let mut waits = ask(&slots, 1, Role::Polecat, false);
        assert!((&mut waits).now_or_never().is_none());
        held.pop();
        held.pop();
        assert!((&mut waits).now_or_never().is_none(), "one is still held");
        let more = ask(&slots, 3, Role::Polecat, false).now_or_never();
        assert!(waits.now_or_never().is_some() && more.is_some(), "a higher limit helps whoever waits");
        assert!(
            ask(&slots, 0, Role::Polecat, false).now_or_never().is_none(),
            "one is held, and one is the least"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_rests_paces_those_who_wait() {
        let (slots, clock) = (StartSlots::default(), SystemClock::new());
        let mut done = Vec::new();
        let all = (0..10).map(|_| async {
            let mut slot = slots.acquire(4, Role::Mayor, false, &clock).await;
            // Each holds it for a while before it does what is paced.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = clock.now().mono;
            slot.rest_until(now + Duration::from_secs(10));
            now.as_secs()
        });
        for second in futures::future::join_all(all).await {
            done.push(second);
        }
        done.sort_unstable();
        assert_eq!(done, [1, 1, 1, 1, 12, 12, 12, 12, 23, 23]);
        let in_any_ten_seconds = |from: u64| done.iter().filter(|at| (from..from + 10).contains(at)).count();
        assert!((0..30).all(|from| in_any_ten_seconds(from) <= 4));
        // One that was not used does not rest.
        tokio::time::sleep(Duration::from_secs(10)).await;
        for _ in 0..9 {
            drop(slots.acquire(1, Role::Mayor, false, &clock).now_or_never().expect("a free one"));
        }
    }
}
