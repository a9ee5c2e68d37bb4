//! Start slots: how many starts may wait for an agent's first process at once, and which start is next.
//!
//! Agents that the town depends on go first: a deacon does not wait behind fifty polecats. A start holds a slot only
//! while it waits for the agent's process.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::town::identity::Role;

/// The slots; a part of what [starts](super::starts) share.
#[derive(Debug, Clone, Default)]
pub struct StartSlots(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// `start.max_concurrent`, as of the last `acquire`.
    limit: usize,
    taken: usize,
    waiting: BTreeMap<Place, oneshot::Sender<Slot>>,
    arrived: u64,
}

/// A place in the queue: by the role's priority, then requested starts, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u8, bool, u64);

impl Place {
    /// The place of the start of an agent of this role that arrived as the n-th. `asked`: whether somebody asked for it.
    pub fn new(role: Role, asked: bool, arrived: u64) -> Self {
        Place(role.facts().priority, !asked, arrived)
    }
}

/// Permission for one start, until it is dropped.
#[derive(Debug)]
pub struct Slot(Option<StartSlots>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.0.take() {
            slots.0.lock().taken -= 1;
            slots.hand_out();
        }
    }
}

impl StartSlots {
    /// Waits for one of `limit` slots (`start.max_concurrent`); dropping the returned value frees it. A lower limit
    /// than before takes no slot away. `asked`: whether somebody asked for this start.
    pub async fn acquire(&self, limit: usize, role: Role, asked: bool) -> Slot {
        let (sender, slot) = oneshot::channel();
        {
            let mut inner = self.0.lock();
            inner.limit = limit.max(1);
            inner.arrived += 1;
            let place = Place::new(role, asked, inner.arrived);
            inner.waiting.insert(place, sender);
        }
        self.hand_out();
        // The sender is dropped only after sending.
        slot.await.unwrap_or(Slot(None))
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
            if let Err(mut slot) = sender.send(Slot(Some(self.clone()))) {
                slot.0 = None;
                self.0.lock().taken -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::BoxFuture};

    use super::*;

    fn ask(slots: &StartSlots, limit: usize, role: Role, asked: bool) -> BoxFuture<'static, Slot> {
        let slots = slots.clone();
        async move { slots.acquire(limit, role, asked).await }.boxed()
    }

    #[tokio::test]
    async fn who_is_next() {
        use Role::*;
        let slots = StartSlots::default();
        let first = slots.acquire(1, Polecat, false).await;
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
    async fn who_does_not_wait_any_more_takes_nothing() {
        let slots = StartSlots::default();
        let held = slots.acquire(1, Role::Deacon, false).await;
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
}
