//! The clocks, the hints and the control socket of the world.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use gastown_supervisor::{
    clock::{Clock, Now},
    panics,
    town::{
        paths::TownPaths,
        socket::{Bound, ControlListener, Opened},
        watch::FsWatcher,
    },
};
use jiff::tz::TimeZone;
use tokio::{net::TcpListener, sync::watch};

use super::{World, wall_at};

/// The text of a panic injected into the supervisor; [`simulate`](super::simulate) keeps it from the terminal.
pub const INJECTED: &str = "injected fault: the clock panics";

impl Clock for World {
    fn now(&self) -> Now {
        let mono = self.time();
        let mut state = self.state();
        // What the test itself asks has no actor to crash.
        if let Some(left) = state.clock_panics_in.filter(|_| panics::current().is_some()) {
            state.clock_panics_in = left.checked_sub(1);
            if left == 0 {
                state.note(mono, true, || INJECTED.to_owned());
                state.distracted(mono);
                drop(state);
                panic!("{INJECTED}");
            }
        }
        if let Some((actor, left)) = &mut state.clock_panics_for
            && panics::current().is_some_and(|current| *current == **actor)
        {
            *left -= 1;
            if *left == 0 {
                state.clock_panics_for = None;
            }
            state.note(mono, true, || INJECTED.to_owned());
            state.distracted(mono);
            drop(state);
            panic!("{INJECTED}");
        }
        Now { mono, wall: wall_at(mono, state.wall_offset) }
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

#[async_trait]
impl FsWatcher for World {
    fn changes(&self) -> watch::Receiver<u64> {
        self.0.files_changed.subscribe()
    }

    fn ledger(&self) -> watch::Receiver<u64> {
        self.0.ledger_changed.subscribe()
    }

    fn databases(&self) -> watch::Receiver<u64> {
        self.0.databases_changed.subscribe()
    }

    fn events(&self) -> watch::Receiver<u64> {
        self.0.events_changed.subscribe()
    }

    async fn retarget(&self, _: Vec<PathBuf>) -> Option<String> {
        None
    }

    fn are_complete(&self) -> bool {
        true
    }
}

/// No client connects to a simulated town.
#[async_trait]
impl ControlListener for World {
    async fn open(&self, _: &TownPaths, _: Option<Arc<Bound>>) -> io::Result<Option<Opened>> {
        Ok(None)
    }

    async fn listen(&self, _: SocketAddr) -> io::Result<TcpListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn token(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
