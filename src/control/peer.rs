//! The peer: which user is at the other end of a connection, as the kernel says (`SO_PEERCRED`).
//!
//! What a client says about itself is not used. Only the name that belongs to the user's id is looked up, within a time limit, as
//! the system may ask a server for it. This is an adapter; it must not decide who may do what.

use std::time::Duration;

use tokio::{net::UnixStream, task::spawn_blocking, time::timeout};

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

    /// The name of the user; `None` when the system knows none, or takes too long to answer.
    pub async fn name(self) -> Option<String> {
        let asking = spawn_blocking(move || uzers::get_user_by_uid(self.uid));
        let user = timeout(PATIENCE, asking).await.ok()?.ok()??;
        Some(user.name().to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn we_are_who_asks_ourselves() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(Peer { uid: 0 }.name().await.as_deref(), Some("root"));
        assert_eq!(Peer { uid: u32::MAX - 7 }.name().await, None);
    }
}
