//! Single-flight: concurrent callers share the next result.
//!
//! The computation of a result always begins after the request, never before: a merely recent result would miss the
//! change that the caller has just learned of. It must not decide what is computed.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The result of one repeated computation; the last one is stored.
#[derive(Debug)]
pub struct Shared<T> {
    begun: AtomicU64,
    /// Held by the caller that computes, with the number of the result.
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Shared { begun: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<T: Clone> Shared<T> {
    /// A result whose computation began after this call: made now, or by a concurrent caller.
    pub async fn begun_after_now<F: Future<Output = T>>(&self, make: impl FnOnce() -> F) -> T {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(number, _)| *number > before) {
            return answer.clone();
        }
        // If this call is dropped half-way, the next in turn finds no result and computes its own.
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = make().await;
        *last = Some((number, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_one_that_began_after_they_asked() {
        let shared = Shared::default();
        let (open, gate) = oneshot::channel::<()>();
        let first = shared.begun_after_now(|| async {
            let _ = gate.await;
            1
        });
        let others = async {
            // The first has begun when these ask, so it may have missed what they know.
            let waiting = (0..5).map(|_| shared.begun_after_now(|| async { 2 }));
            let (told, _) = tokio::join!(biased; join_all(waiting), async { open.send(()) });
            told
        };
        assert_eq!(tokio::join!(biased; first, others), (1, vec![2; 5]));
        assert_eq!(shared.begun.load(Ordering::SeqCst), 2, "five have shared one");
        assert_eq!(shared.begun_after_now(|| async { 3 }).await, 3, "nobody is told what is over");
    }

    #[tokio::test]
    async fn one_that_is_cut_short_is_made_by_the_next() {
        let shared = Shared::default();
        {
            let never = shared.begun_after_now(std::future::pending::<i32>);
            tokio::pin!(never);
            assert!(futures::poll!(never.as_mut()).is_pending());
            let next = shared.begun_after_now(|| async { 2 });
            tokio::pin!(next);
            assert!(futures::poll!(next.as_mut()).is_pending());
        }
        assert_eq!(shared.begun_after_now(|| async { 3 }).await, 3);
    }
}
