//! The peer: which user is at the other end of a connection, as the kernel says (`SO_PEERCRED`).
//!
//! What a client says about itself is not used. Only the name that belongs to the user's id is looked up, within a time limit, as
//! the system may ask a server for it. This is an adapter; it must not decide who may do what.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{net::UnixStream, sync::Semaphore, task::spawn_blocking, time::timeout};

/// How long to wait for a user's name.
const PATIENCE: Duration = Duration::from_millis(500);

/// The user at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user's id.
    pub uid: u32,
}

impl Peer {
    /// The user that made this connection; `None` when the kernel does not say.
    pub fn of(stream: &UnixStream) -> Option<Peer> {
        stream.peer_cred().ok().map(|credentials| Peer { uid: credentials.uid() })
    }
}

type LookUp = dyn Fn(u32) -> Option<String> + Send + Sync;

/// The names of users, each looked up once. One look-up runs at a time, so one that hangs keeps one thread and no more.
#[derive(Clone)]
pub struct Users {
    known: Arc<Mutex<BTreeMap<u32, String>>>,
    turn: Arc<Semaphore>,
    look_up: Arc<LookUp>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Default for Users {
    fn default() -> Self {
        Users::of(|uid| Some(uzers::get_user_by_uid(uid)?.name().to_string_lossy().into_owned()))
    }
}

impl Users {
    fn of(look_up: impl Fn(u32) -> Option<String> + Send + Sync + 'static) -> Self {
        Users { known: Arc::default(), turn: Arc::new(Semaphore::new(1)), look_up: Arc::new(look_up) }
    }

    /// The name of the user with this id; `None` when the system knows none, or takes too long to answer.
    pub async fn name(&self, uid: u32) -> Option<String> {
        timeout(PATIENCE, self.looked_up(uid)).await.ok()?
    }

    async fn looked_up(&self, uid: u32) -> Option<String> {
        if let Some(name) = self.known.lock().get(&uid) {
            return Some(name.clone());
        }
        let turn = self.turn.clone().acquire_owned().await.ok()?;
        let users = self.clone();
        let asking = spawn_blocking(move || {
            // The turn before may have been about the same user. The lock is free while the system is asked.
            let known = users.known.lock().get(&uid).cloned();
            let name = known.or_else(|| (users.look_up)(uid))?;
            // An answer that comes too late serves the next request.
            users.known.lock().insert(uid, name.clone());
            drop(turn);
            Some(name)
        });
        asking.await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn we_are_who_asks_ourselves() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        let users = Users::default();
        assert_eq!(users.name(0).await.as_deref(), Some("root"));
        assert_eq!(users.name(u32::MAX - 7).await, None);
        assert_eq!(
            users.name(0).await.as_deref(),
            Some("root"),
            "one that is not known takes no turn for ever"
        );
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_keeps_one_thread_and_its_answer_serves_the_next() {
        let (answer, answers) = mpsc::channel::<()>();
        let answers = Mutex::new(answers);
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let users = Users::of(move |uid| {
            counted.fetch_add(1, Ordering::Relaxed);
            answers.lock().recv().ok()?;
            Some(format!("user {uid}"))
        });
        let (first, second) = futures::join!(users.name(7), users.name(8));
        assert_eq!((first, second, users.name(7).await), (None, None, None));
        assert_eq!(asked.load(Ordering::Relaxed), 1, "one at a time");
        answer.send(()).unwrap();
        let named = async { while users.name(7).await.is_none() {} };
        timeout(Duration::from_secs(20), named).await.unwrap();
        assert_eq!((users.name(7).await.as_deref(), asked.load(Ordering::Relaxed)), (Some("user 7"), 1));
    }
}
