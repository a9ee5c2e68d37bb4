//! Memory: whether there is enough for one more agent, by the rule that starts follow; and whether a limit can be given.

use super::finding::{Area, Finding};
use crate::{
    agent::start_memory,
    bytes,
    deps::Deps,
    ports::memory::{self, Left, Memory},
    terminal,
    town::settings::StartMemory,
};

/// Reads the figures, and judges them as a start would.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    let memory = memory::read(&*deps.files).await;
    let mut findings = judge(&memory, &deps.settings().start.memory, &settings_file(deps));
    findings.extend(limit(deps).await);
    findings
}

/// Whether `systemd-run` is there, where agents are to get a limit. It is not run: that would make a scope.
async fn limit(deps: &Deps) -> Option<Finding> {
    if !deps.settings().start.memory.max.is_set() {
        return None;
    }
    Some(match deps.commands.locate("systemd-run").await {
        Some(_) => Area::Memory
            .ok("agents that the supervisor starts itself get the limit start.memory.max (systemd-run)"),
        None => Area::Memory
            .wrong(
                "start.memory.max is set and systemd-run is not on PATH: agents get no limit",
                format!(
                    "it needs systemd's manager of the user; without it, take the key out of {}",
                    settings_file(deps)
                ),
            )
            .same_as(["start.memory.max"]),
    })
}

/// The file with the settings, for people.
fn settings_file(deps: &Deps) -> String {
    terminal::path(deps.paths.shown(&deps.paths.settings_file()))
}

fn judge(memory: &Memory, settings: &StartMemory, file: &str) -> Vec<Finding> {
    let shortage = start_memory::shortage(memory, settings);
    let mut findings = vec![match (memory.left, shortage) {
        (_, Some(shortage)) => Area::Memory
            .wrong(
                format!("no agent is started now: {shortage}"),
                format!("end what takes it, or set start.memory lower in {file}"),
            )
            .same_as(["memory"]),
        (Some(left), None) => {
            Area::Memory.ok(format!("{}{}", figures(&left), pressure(memory).unwrap_or_default()))
        }
        (None, None) => Area::Memory
            .note(
                format!(
                    "it is unknown how much is left, so no start waits for memory: {}",
                    memory.unread.join("; ")
                ),
                "",
            )
            .same_as(["memory/unread"]),
    }];
    if !settings.enabled {
        findings.push(Area::Memory.note("starts do not wait for memory: start.memory.enabled is false", ""));
    } else if memory.left.is_some() && !memory.unread.is_empty() {
        let what = format!("some figures are unknown and hold up no start: {}", memory.unread.join("; "));
        findings.push(Area::Memory.note(what, ""));
    }
    findings
}

fn figures(left: &Left) -> String {
    let of = if left.is_of_group { " of its cgroup's limit" } else { "" };
    format!("{} of {}{of} available", bytes::format(left.available), bytes::format(left.total))
}

fn pressure(memory: &Memory) -> Option<String> {
    let percent = f64::from(memory.pressure?) / 100.0;
    Some(format!(", processes wait for memory {percent}% of the time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok, Wrong};

    #[test]
    fn lines() {
        let left = |available| Some(Left { total: 64 << 30, available, is_of_group: false });
        let full = Some(Left { total: 4 << 30, available: 1 << 20, is_of_group: true });
        let (on, off) = (StartMemory::default(), StartMemory { enabled: false, ..StartMemory::default() });
        let unread = || vec!["/proc/pressure/memory: not found".to_owned()];
        type Case<'a> = (&'a str, Memory, &'a StartMemory, &'a [(Severity, &'a str)]);
        #[rustfmt::skip]
        let cases: [Case<'_>; 6] = [
            ("healthy", Memory { left: left(32 << 30), pressure: Some(12), ..Memory::default() }, &on,
                &[(Ok, "32 GiB of 64 GiB available, processes wait for memory 0.12% of the time")]),
            ("full", Memory { left: full, ..Memory::default() }, &on,
                &[(Wrong, "no agent is started now: 1 MiB of 4 GiB of its cgroup's limit available, 122.9 MiB wanted")]),
            ("full, switched off", Memory { left: full, ..Memory::default() }, &off,
                &[(Ok, "1 MiB of 4 GiB of its cgroup's limit available"), (Note, "starts do not wait for memory")]),
            ("without pressure", Memory { left: left(32 << 30), unread: unread(), ..Memory::default() }, &on,
                &[(Ok, "32 GiB of 64 GiB available"), (Note, "some figures are unknown")]),
            ("nothing", Memory { unread: unread(), ..Memory::default() }, &on,
                &[(Note, "it is unknown how much is left, so no start waits for memory: /proc/pressure/memory: not found")]),
            ("nothing, switched off", Memory { unread: unread(), ..Memory::default() }, &off,
                &[(Note, "it is unknown"), (Note, "starts do not wait")]),
        ];
        for (name, memory, settings, expected) in cases {
            let findings = judge(&memory, settings, "settings/supervisor.json");
            assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{name}: {}", finding.what);
                assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
            }
        }
    }
}
