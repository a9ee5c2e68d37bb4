//! Work: the running tasks of one actor.
//!
//! A handler never awaits anything slow; it puts the slow part here and goes on. Each task ends in one message to its
//! actor, also when it panics. Dropping the set — the actor stopped, crashed or was killed — aborts every task, so no
//! work outlives the one who wanted it. Nothing may be spawned elsewhere: a detached task starts agents twice.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::task::{AbortHandle, JoinSet};

/// Where the messages of finished tasks go.
pub type Post<M> = Arc<dyn Fn(M) + Send + Sync>;

/// The tasks of one actor, each ending in a message `M`.
pub struct Work<M> {
    tasks: JoinSet<()>,
    post: Post<M>,
}

impl<M> fmt::Debug for Work<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Work<M> {
    /// No tasks yet; finished ones will report to `post`.
    pub fn new(post: Post<M>) -> Self {
        Work { tasks: JoinSet::new(), post }
    }

    /// Runs a task; its result, or `if_it_panics`, is posted when it ends.
    pub fn spawn(&mut self, task: impl Future<Output = M> + Send + 'static, if_it_panics: M) {
        self.reap();
        let post = self.post.clone();
        self.tasks.spawn(async move {
            let message = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(message) => message,
                Err(_) => {
                    tracing::error!("a task panicked; what it was about is looked at again");
                    if_it_panics
                }
            };
            post(message);
        });
    }

    /// Runs a task whose end nobody waits for; by what is returned it can be ended before.
    pub fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.reap();
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a task panicked");
            }
        })
    }

    /// Posts `message` after `delay`.
    pub fn after(&mut self, delay: Duration, message: M) {
        self.reap();
        let post = self.post.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            post(message);
        });
    }

    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }
}
