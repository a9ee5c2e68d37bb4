//! Dolt: whether the bead server of a 1.x town answers. It only reads the server's greeting.

use super::finding::{Area, Finding};
use crate::{deps::Deps, ports::dolt::NoAnswer};

/// Asks the server for a sign of life, where one is on this machine.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    let server = deps.dolt.server().filter(|server| deps.dialect().facts().has_dolt && server.is_local());
    let Some(server) = server else { return Vec::new() };
    let at = format!("{}:{}", server.host, server.port);
    let why = match deps.dolt.port.greet(server.port).await {
        Ok(()) => return vec![Area::Tools.ok(format!("Dolt answers on {at}"))],
        Err(NoAnswer::Refused) => "nobody listens there".to_owned(),
        Err(NoAnswer::Silent(why)) => why,
    };
    let what = format!("Dolt does not answer on {at}: {why}; beads, mail, hooks and slings fail");
    let finding = match server.is_configured {
        true => Area::Tools.wrong(what, "`gt dolt status` shows more, `gt dolt start` starts it"),
        // The port is only the usual one.
        false => Area::Tools.note(what, "no .dolt-data/config.yaml names its port"),
    };
    vec![finding.same_as(["dolt"])]
}
