//! Work: the running tasks of one actor.
//!
//! A handler never awaits anything slow: it spawns the slow part here and returns. Each task ends in one message to
//! its actor, also when it panics. Dropping the set (the actor stopped, crashed or was killed) aborts every task, so
//! no work outlives its actor. Nothing may be spawned elsewhere: a detached task could start an agent twice.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::task::{AbortHandle, JoinSet};

use crate::panics;

/// Delivers the messages of finished tasks.
pub type ReplyTo<M> = Arc<dyn Fn(M) + Send + Sync>;

/// The tasks of one actor, each ending in a message `M`.
pub struct Work<M> {
    tasks: JoinSet<()>,
    post: ReplyTo<M>,
}

impl<M> fmt::Debug for Work<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Work<M> {
    /// No tasks yet; the results of tasks go to `post`.
    pub fn new(post: ReplyTo<M>) -> Self {
        Work { tasks: JoinSet::new(), post }
    }

    /// Runs a task; posts its result, or `if_it_panics`, when it ends.
    pub fn spawn(&mut self, task: impl Future<Output = M> + Send + 'static, if_it_panics: M) {
        self.reap();
        let post = self.post.clone();
        self.tasks.spawn(panics::on_behalf(panics::current(), async move {
            let message = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(message) => message,
                Err(_) => {
                    tracing::error!("a task panicked; its subject is probed again");
                    if_it_panics
                }
            };
            post(message);
        }));
    }

    /// Runs a task whose end is not awaited; the returned handle aborts it.
    pub fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.reap();
        self.tasks.spawn(panics::on_behalf(panics::current(), async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a task panicked");
            }
        }))
    }

    /// Posts `message` after `delay`; the returned handle prevents that.
    pub fn after(&mut self, delay: Duration, message: M) -> AbortHandle {
        self.reap();
        let post = self.post.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            post(message);
        })
    }

    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }
}

/// A timer that an actor sets repeatedly: setting it cancels the previous time, so that timers do not pile up.
#[derive(Debug, Default)]
pub struct Timer {
    generation: u64,
    set: Option<AbortHandle>,
}

impl Timer {
    /// Posts a message after `delay`, and cancels the previous one. The message carries this timer's number.
    pub fn set<M: Send + 'static>(
        &mut self,
        work: &mut Work<M>,
        delay: Duration,
        message: impl FnOnce(u64) -> M,
    ) {
        self.cancel();
        self.set = Some(work.after(delay, message(self.generation)));
    }

    /// Cancels the timer.
    pub fn cancel(&mut self) {
        self.generation += 1;
        if let Some(set) = self.set.take() {
            set.abort();
        }
    }

    /// The number of its latest message.
    pub fn number(&self) -> u64 {
        self.generation
    }

    /// Whether this is the number of its latest message: a cancelled one may have been on its way.
    pub fn is_latest(&self, number: u64) -> bool {
        number == self.generation
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_set_again_cancels_what_it_was_set_for() {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let to = posted.clone();
        let mut work: Work<u64> = Work::new(Arc::new(move |number| to.lock().unwrap().push(number)));
        let mut timer = Timer::default();
        for _ in 0..36_000 {
            timer.set(&mut work, Duration::from_secs(60), |number| number);
            tokio::task::yield_now().await;
        }
        assert!(work.tasks.len() <= 3, "{} tasks", work.tasks.len());
        tokio::time::sleep(Duration::from_secs(61)).await;
        let posted = posted.lock().unwrap().clone();
        assert_eq!(posted.len(), 1);
        assert!(timer.is_latest(posted[0]));
        timer.cancel();
        assert!(!timer.is_latest(posted[0]));
    }
}
