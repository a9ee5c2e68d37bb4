//! Units: services of systemd and launchd that would start the original daemon, as `gt daemon enable-supervisor` makes them.
//!
//! While this supervisor runs, the lock keeps the original out, at the price of a failed start every 5 s; as soon as this one
//! stops, the original takes over. From gt 1.0.1. It must not ask systemd or launchd, or change anything.

use std::path::{Path, PathBuf};

use super::{
    disk,
    finding::{Area, Finding},
};
use crate::{terminal, town::original};

/// Where such services are, below the home directory, how their names end, and the command that switches one off.
const PLACES: [(&str, &str, &str); 2] = [
    (".config/systemd/user", ".service", "systemctl --user disable --now"),
    ("Library/LaunchAgents", ".plist", "launchctl unload -w"),
];

/// The notes about services of this user that start the original daemon.
pub async fn examine() -> Vec<Finding> {
    let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else { return Vec::new() };
    let mut findings = Vec::new();
    for (directory, suffix, switch_off) in PLACES {
        for (path, text) in disk::texts(&home.join(directory), suffix).await {
            findings.extend(judge(&path, &text, switch_off));
        }
    }
    findings
}

fn judge(path: &Path, text: &str, switch_off: &str) -> Option<Finding> {
    let what = format!("{} starts the original daemon whenever this one stops", terminal::path(path));
    let named = match switch_off.starts_with("systemctl") {
        true => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        false => terminal::path(path),
    };
    starts_original(text).then(|| Area::Supervisor.note(what, format!("run `{switch_off} {named}`")))
}

/// Whether the service runs `gt daemon run`: its words are in one line of a unit, and in one element each of a property list.
fn starts_original(text: &str) -> bool {
    let words: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']))
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | '<' | '>')))
        .filter(|word| !word.is_empty() && !matches!(*word, "string" | "/string"))
        .collect();
    words.windows(3).any(|three| original::is_program(Path::new(three[0])) && three[1..] == ["daemon", "run"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        for (name, text, starts) in [
            ("a unit", "[Service]\nExecStart=/usr/local/bin/gt daemon run\nRestart=always\n", true),
            ("quoted", "ExecStart=\"/home/a b/gt\" daemon run", true),
            ("commented out", "[Service]\n# ExecStart=/usr/local/bin/gt daemon run\n", false),
            ("ours", "ExecStart=/usr/local/bin/gastown-supervisor run --town /gt", false),
            ("another command", "ExecStart=/usr/local/bin/gt daemon status", false),
            ("another program", "ExecStart=/usr/bin/agt daemon run", false),
            (
                "launchd",
                "<array>\n<string>/opt/bin/gt</string>\n<string>daemon</string>\n<string>run</string>\n</array>",
                true,
            ),
            ("empty", "", false),
        ] {
            assert_eq!(starts_original(text), starts, "{name}");
        }
        let unit = Path::new("/home/u/.config/systemd/user/gastown-daemon.service");
        let finding = judge(unit, "ExecStart=/bin/gt daemon run", PLACES[0].2).unwrap();
        assert_eq!(finding.hint.unwrap(), "run `systemctl --user disable --now gastown-daemon.service`");
    }
}
