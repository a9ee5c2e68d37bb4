//! Dolt: where a 1.x town's database server listens, and the variables that lead `gt`, `bd` and agents to it. Pure.
//!
//! Facts from gt 1.0.1 (`internal/config/env.go`, `internal/daemon/daemon.go`): the port is the one in `.dolt-data/config.yaml`, else
//! `GT_DOLT_PORT`, else the one in `env` of `mayor/daemon.json`, else 3307. Without these variables `bd` may start a server of its own.

use std::{collections::BTreeMap, path::Path};

/// The port of a server that nothing is known of.
const USUAL_PORT: u16 = 3307;
/// The host of a server that nothing is known of.
const USUAL_HOST: &str = "127.0.0.1";
/// The variables of a process, or of `mayor/daemon.json`, that name the server.
pub const VARIABLES: [&str; 2] = ["GT_DOLT_PORT", "GT_DOLT_HOST"];

/// Where a town's Dolt server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the town's own configuration names the port. Else it is a guess, and a server that does not answer there need not
    /// be one that is down.
    pub is_configured: bool,
}

impl Server {
    /// The server, from the content of `.dolt-data/config.yaml` if there is one, our own variables, and those of
    /// `mayor/daemon.json`.
    pub fn find(
        config: Option<&[u8]>,
        inherited: &BTreeMap<String, String>,
        shared: &BTreeMap<String, String>,
    ) -> Self {
        let [port, host] = VARIABLES.map(|name| {
            let of = |variables: &BTreeMap<String, String>| {
                variables.get(name).filter(|value| !value.is_empty()).cloned()
            };
            of(inherited).or_else(|| of(shared))
        });
        let configured = config.and_then(port_in_config);
        Server {
            host: host.unwrap_or_else(|| USUAL_HOST.to_owned()),
            port: configured.or_else(|| port?.parse().ok()).unwrap_or(USUAL_PORT),
            is_configured: configured.is_some(),
        }
    }

    /// Whether it runs on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "127.0.0.1" | "localhost" | "::1")
    }

    /// The variables for a program that works in the town with this root.
    pub fn variables(&self, root: &Path) -> BTreeMap<String, String> {
        let port = self.port.to_string();
        BTreeMap::from([
            ("GT_TOWN_ROOT".to_owned(), root.to_string_lossy().into_owned()),
            ("GT_DOLT_PORT".to_owned(), port.clone()),
            ("BEADS_DOLT_PORT".to_owned(), port),
            ("BEADS_DOLT_SERVER_HOST".to_owned(), self.host.clone()),
        ])
    }
}

/// `listener.port` of `.dolt-data/config.yaml`, which `gt dolt start` writes.
fn port_in_config(yaml: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(yaml);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_other_section = |line: &str| !line.is_empty() && !line.starts_with(char::is_whitespace);
    let mut in_listener = lines.skip_while(|line| line.trim_end() != "listener:").skip(1);
    let mut section = in_listener.by_ref().take_while(|line| !is_other_section(line));
    let value = section.find_map(|line| line.trim().strip_prefix("port:"))?;
    let value = value.split('#').next()?.trim().trim_matches(['"', '\'']);
    value.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_the_configuration() {
        let recorded = include_str!("../../../tests/fixtures/v1/files/dolt-data.config.yaml");
        for (name, yaml, expected) in [
            ("as recorded", recorded, Some(3307)),
            ("another", "listener:\n  host: 0.0.0.0\n  port: 13307 # ours\n", Some(13307)),
            ("in quotes", "listener:\n    port: \"4000\"\n", Some(4000)),
            ("of another section", "listener:\n  host: x\nremotesapi:\n  port: 8000\n", None),
            ("before it", "metrics:\n  port: 9091\nlistener:\n  port: 1\n", Some(1)),
            ("commented out", "listener:\n  # port: 1\n", None),
            ("no number", "listener:\n  port: ${PORT}\n", None),
            ("zero", "listener:\n  port: 0\n", None),
            ("too large", "listener:\n  port: 65536\n", None),
            ("half-written", "listener:\n  po", None),
            ("empty", "", None),
        ] {
            assert_eq!(port_in_config(yaml.as_bytes()), expected, "{name}");
        }
        assert_eq!(port_in_config(b"\xff\xfelistener:\n"), None);
    }

    #[test]
    fn what_says_where_it_listens() {
        let variable = |port: &str| BTreeMap::from([("GT_DOLT_PORT".to_owned(), port.to_owned())]);
        let (none, config) = (BTreeMap::new, Some(&b"listener:\n  port: 1\n"[..]));
        for (name, config, inherited, shared, expected) in [
            ("all", config, variable("2"), variable("3"), (1, true)),
            ("no configuration", None, variable("2"), variable("3"), (2, false)),
            ("one without a port", Some(&b"x"[..]), variable("2"), variable("3"), (2, false)),
            ("only daemon.json", None, none(), variable("3"), (3, false)),
            ("an empty variable", None, variable(""), variable("3"), (3, false)),
            ("no number", None, variable("x"), none(), (3307, false)),
            ("nothing", None, none(), none(), (3307, false)),
        ] {
            let server = Server::find(config, &inherited, &shared);
            assert_eq!((server.port, server.is_configured), expected, "{name}");
            assert!(server.is_local(), "{name}");
        }
        let elsewhere = BTreeMap::from([("GT_DOLT_HOST".to_owned(), "db.example".to_owned())]);
        let server = Server::find(config, &elsewhere, &none());
        assert!(!server.is_local());
        let variables = server.variables(Path::new("/town"));
        let shown: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown.join(" "),
            "BEADS_DOLT_PORT=1 BEADS_DOLT_SERVER_HOST=db.example GT_DOLT_PORT=1 GT_TOWN_ROOT=/town"
        );
    }
}
