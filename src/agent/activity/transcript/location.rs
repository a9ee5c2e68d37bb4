//! The location of a session: where a program keeps the transcript of a process that works in a certain directory. Pure.
//!
//! Facts of Claude Code 1.0 to 2.1, Codex 0.46 to 0.155 and Gemini CLI 0.4 to 0.26.

use std::path::Path;

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use sha2::{Digest, Sha256};

use super::codex;
use crate::{
    agent::{account::Account, program::Provider},
    transcripts::{Belongs, Location},
};

/// Codex keeps sessions by day; of a process that runs for longer than this many, not all are searched.
const DAYS: usize = 40;

/// Where the transcript of a process is that works in this directory since `began`; `None` when it is not known how this program
/// keeps it.
pub fn of(
    provider: Provider,
    account: &Account,
    directory: &Path,
    (began, now): (Timestamp, Timestamp),
) -> Option<Location> {
    let root = &account.directory;
    let (directories, names, belongs): (_, fn(&str) -> bool, _) = match provider {
        Provider::Claude => {
            (vec![root.join("projects").join(slug(directory)?)], is_claudes as fn(&str) -> bool, Belongs::All)
        }
        Provider::Codex => {
            let days = days(began, now)?;
            let days = days.iter().map(|day| root.join("sessions").join(day)).collect();
            (days, is_codexs as fn(&str) -> bool, Belongs::ByHead(directory.to_owned(), codex::head))
        }
        Provider::Gemini => {
            let name = hex(&Sha256::digest(directory.to_str()?.as_bytes()));
            (vec![root.join("tmp").join(name).join("chats")], is_geminis as fn(&str) -> bool, Belongs::All)
        }
        _ => return None,
    };
    Some(Location { directories, names, belongs, since: began })
}

/// Claude's name for a directory: what is no letter or digit becomes a dash.
fn slug(directory: &Path) -> Option<String> {
    let path = directory.to_str()?;
    Some(
        path.encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte),
                _ => '-',
            })
            .collect(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The days from one time to another, one before and one after, as there are time zones, from the last; `None` when they are too
/// many.
fn days(began: Timestamp, now: Timestamp) -> Option<Vec<String>> {
    let day = SignedDuration::from_hours(24);
    let date = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let (first, last) = (date(began.checked_sub(day).ok()?), date(now.checked_add(day).ok()?));
    let mut days: Vec<String> = first
        .series(1.day())
        .take_while(|day| *day <= last)
        .take(DAYS + 1)
        .map(|day| day.strftime("%Y/%m/%d").to_string())
        .collect();
    days.reverse();
    (days.len() <= DAYS).then_some(days)
}

/// A session is named by its UUID; subagents have files of other names.
fn is_claudes(name: &str) -> bool {
    let Some(id) = name.strip_suffix(".jsonl") else { return false };
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_codexs(name: &str) -> bool {
    name.starts_with("rollout-") && name.ends_with(".jsonl")
}

fn is_geminis(name: &str) -> bool {
    name.starts_with("session-") && name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn location(provider: Provider, directory: &str, now: &str) -> Option<Location> {
        let account = Account { program: provider.name().to_owned(), directory: "/h/conf".into(), key: None };
        of(provider, &account, Path::new(directory), (at("2026-02-01T23:00:00Z"), at(now)))
    }

    #[test]
    fn where_each_program_keeps_its_sessions() {
        let soon = "2026-02-02T08:00:00Z";
        let claude = location(Provider::Claude, "/home/x/gt/my_rig/.mayor ä", soon).unwrap();
        assert_eq!(claude.directories, [Path::new("/h/conf/projects/-home-x-gt-my-rig--mayor--")]);
        let codex = location(Provider::Codex, "/w", soon).unwrap();
        let days = ["2026/02/03", "2026/02/02", "2026/02/01", "2026/01/31"];
        assert_eq!(codex.directories, days.map(|day| Path::new("/h/conf/sessions").join(day)));
        assert!(location(Provider::Codex, "/w", "2026-04-02T08:00:00Z").is_none(), "too long ago");
        let gemini = location(Provider::Gemini, "/w", soon).unwrap();
        let name = "6efb6f4c90f5b33fdf7a77da8e7a4de70ee2a7ad96ba3aa2f8e4b0cd5f5e8a4d".len();
        let kept = gemini.directories[0].to_str().unwrap().len();
        assert_eq!(kept, "/h/conf/tmp/".len() + name + "/chats".len());
        assert!(location(Provider::Amp, "/w", soon).is_none());
    }

    #[test]
    fn the_names_of_sessions() {
        for (name, claude, codex, gemini) in [
            ("0a1b2c3d-0000-4000-8000-0123456789ab.jsonl", true, false, false),
            ("agent-0a1b2c3d.jsonl", false, false, false),
            ("0a1b2c3d-0000-4000-8000-0123456789ab.jsonl.bak", false, false, false),
            ("rollout-2026-02-02T08-00-00-0a1b2c3d.jsonl", false, true, false),
            ("session-2026-02-02T08-00-0a1b2c3d.json", false, false, true),
            ("logs.json", false, false, false),
        ] {
            assert_eq!(
                (is_claudes(name), is_codexs(name), is_geminis(name)),
                (claude, codex, gemini),
                "{name}"
            );
        }
    }
}
