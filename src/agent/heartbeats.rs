//! Heartbeats of Gas Town 1.x: reads the file in which a polecat or crew member shows that it lives, and writes it at a
//! start, as `gt` does.
//!
//! From the start on, the agent's own `gt` keeps the file: nothing here may touch it while an agent runs. What is left of
//! an agent that ended need not be removed: `gt` reads it only for a session that exists, and every start writes it anew.

use super::spec::AgentSpec;
use crate::{
    ports::Ports,
    terminal,
    town::{
        dialect::heartbeat_file::{self, Heartbeat},
        reading::Reading,
    },
};

/// As `gt` creates it.
const MODE: u32 = 0o644;

/// Writes the heartbeat of an agent that we, not `gt`, have just started: to be called as soon as its session was created.
/// Does nothing for agents without such a file. An old file would have `gt` kill the new session as stale. A file that
/// cannot be written is logged, as the agent's first `gt` command writes it, too.
pub async fn write_fresh(ports: &Ports, spec: &AgentSpec) {
    if !ports.dialect().facts().with_heartbeat_file.contains(&spec.identity.role()) {
        return;
    }
    let path = ports.paths.heartbeat(&spec.session);
    let written = match Heartbeat::started(ports.now().wall).to_bytes() {
        Ok(content) => ports.files.replace(&path, &content, MODE).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = written {
        let file = terminal::path(ports.paths.shown(&path));
        tracing::warn!(agent = %spec.identity, "{file} could not be written: {error}; gt may call the session stale");
    }
}

/// The last heartbeat of the agent in this session.
pub async fn read(ports: &Ports, session: &str) -> Reading<Heartbeat> {
    let path = ports.paths.heartbeat(session);
    Reading::of(ports.paths.shown(&path), ports.files.read(&path).await, heartbeat_file::parse)
}
