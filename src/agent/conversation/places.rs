//! Places: in which files agents' programs keep their conversations, and what a file says of itself. Pure.
//!
//! Facts from Claude Code 1.0 to 2.1 (`~/.claude/projects/<directory>/<id>.jsonl`) and Codex 0.40 to 0.100
//! (`codex-rs/core/src/rollout`). The only module that spells these paths. It must not read the disk.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use crate::{agent::program::Provider, town::conversation_files::Edges};

/// The longest life of a program for which all days are searched; of a longer one the last ones.
const DAYS: i64 = 60;

/// Where a program keeps its files, as far as variables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Homes {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`.
    pub claude: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub codex: Option<PathBuf>,
}

impl Homes {
    /// As these variables say; only absolute paths count.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Homes { home: path("HOME"), claude: path("CLAUDE_CONFIG_DIR"), codex: path("CODEX_HOME") }
    }

    fn claude(&self) -> Option<PathBuf> {
        self.claude.clone().or_else(|| Some(self.home.as_ref()?.join(".claude")))
    }

    fn codex(&self) -> Option<PathBuf> {
        self.codex.clone().or_else(|| Some(self.home.as_ref()?.join(".codex")))
    }

    /// Where the transcript of a conversation will be whose id was chosen; `None` when only its program knows.
    pub fn transcript(&self, provider: Provider, directory: &Path, id: &str) -> Option<PathBuf> {
        let project = provider.is_claude().then(|| self.project(directory))??;
        Some(project.join(format!("{id}.jsonl")))
    }

    fn project(&self, directory: &Path) -> Option<PathBuf> {
        Some(self.claude()?.join("projects").join(slug(directory)))
    }

    /// The directories in which transcripts are that a program wrote between these times in `directory`. It may have the
    /// days of another time zone.
    pub fn directories(
        &self,
        provider: Provider,
        directory: &Path,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<PathBuf> {
        match provider {
            Provider::Codex => {
                let Some(sessions) = self.codex().map(|home| home.join("sessions")) else {
                    return Vec::new();
                };
                days(from, to)
                    .into_iter()
                    .map(|day| sessions.join(day.strftime("%Y/%m/%d").to_string()))
                    .collect()
            }
            provider if provider.is_claude() => self.project(directory).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// The name of a directory's project: each character that is no ASCII letter or digit is `-`.
pub fn slug(directory: &Path) -> String {
    directory.to_string_lossy().chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}

fn days(from: Timestamp, to: Timestamp) -> Vec<Date> {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let last = day(to).saturating_add(SignedDuration::from_hours(24));
    let first = day(from).saturating_sub(SignedDuration::from_hours(24));
    let first = first.max(last.saturating_sub(SignedDuration::from_hours(24 * DAYS)));
    std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(|day| *day <= last).collect()
}

/// The conversation's id in the name of its transcript: `<id>.jsonl`, or `rollout-<time>-<id>.jsonl` of Codex. Other files,
/// such as those of subagents, have none.
pub fn id_of(provider: Provider, path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    let id = match provider {
        Provider::Codex => {
            name.strip_prefix("rollout-").and_then(|rest| rest.get(rest.len().checked_sub(36)?..))?
        }
        _ => name,
    };
    is_id(id).then(|| id.to_owned())
}

/// Whether it is a UUID: an id is a word of a command line and a part of a path.
pub fn is_id(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}

/// What a transcript says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Says {
    /// The directory its program was started in, by the first record that names one.
    pub directory: Option<PathBuf>,
    /// The time of its first record that has one.
    pub first: Option<Timestamp>,
}

impl Says {
    /// By the records in the ends of a transcript.
    pub fn of(edges: &Edges) -> Self {
        let records = |bytes: &[u8]| -> Vec<Value> {
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
        };
        let (head, tail) = (records(&edges.head), records(&edges.tail));
        let directory = head.iter().chain(&tail).find_map(directory_in);
        let first = head.iter().find_map(|record| record.get("timestamp")?.as_str()?.parse().ok());
        Says { directory, first }
    }
}

/// `cwd` of a record of Claude Code; `payload.cwd` of Codex's session and turn records.
fn directory_in(record: &Value) -> Option<PathBuf> {
    let text = record.get("cwd").or_else(|| record.get("payload")?.get("cwd"))?.as_str()?;
    Some(PathBuf::from(text)).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0c4e1d2a-7b5f-4c3d-9e8f-a1b2c3d4e5f6";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slugs() {
        for (directory, name) in [
            ("/home/me/gt/mayor", "-home-me-gt-mayor"),
            ("/home/me/my.town/rig_1/crew/joe", "-home-me-my-town-rig-1-crew-joe"),
            ("/a b/é", "-a-b--"),
            ("/", "-"),
        ] {
            assert_eq!(slug(Path::new(directory)), name, "{directory}");
        }
    }

    #[test]
    fn where_transcripts_are() {
        let homes = |claude: &str, codex: &str| {
            let (claude, codex) = (claude.to_owned(), codex.to_owned());
            Homes::of(move |name| match name {
                "HOME" => Some("/home/me".to_owned()),
                "CLAUDE_CONFIG_DIR" => Some(claude.clone()),
                "CODEX_HOME" => Some(codex.clone()),
                _ => None,
            })
        };
        let directory = Path::new("/gt/mayor");
        let times = (at("2026-02-28T23:00:00Z"), at("2026-03-01T01:00:00Z"));
        for (case, homes, provider, transcript, directories) in [
            (
                "claude",
                homes("", ""),
                Provider::Claude,
                Some(format!("/home/me/.claude/projects/-gt-mayor/{ID}.jsonl")),
                "/home/me/.claude/projects/-gt-mayor",
            ),
            (
                "claude elsewhere",
                homes("/c", ""),
                Provider::GroqCompound,
                Some(format!("/c/projects/-gt-mayor/{ID}.jsonl")),
                "/c/projects/-gt-mayor",
            ),
            (
                "codex, one day more at each end",
                homes("", ""),
                Provider::Codex,
                None,
                "/home/me/.codex/sessions/2026/02/27 /home/me/.codex/sessions/2026/02/28 \
                 /home/me/.codex/sessions/2026/03/01 /home/me/.codex/sessions/2026/03/02",
            ),
            ("another", homes("", ""), Provider::Amp, None, ""),
        ] {
            let got = homes.transcript(provider, directory, ID);
            assert_eq!(got, transcript.map(PathBuf::from), "{case}");
            let got = homes.directories(provider, directory, times);
            let got: Vec<_> = got.iter().map(|it| it.to_string_lossy().into_owned()).collect();
            assert_eq!(got.join(" "), directories, "{case}");
        }
        let nowhere = Homes::of(|name| (name == "CODEX_HOME").then(|| "relative".to_owned()));
        assert_eq!(nowhere, Homes::default());
        assert_eq!(nowhere.transcript(Provider::Claude, directory, ID), None);
        let long =
            homes("", "/x").directories(Provider::Codex, directory, (at("1970-01-01T00:00:00Z"), times.1));
        assert_eq!(long.len(), DAYS as usize + 1);
    }

    #[test]
    fn ids_of_files() {
        let rollout = format!("/s/rollout-2026-02-28T10-00-00-{ID}.jsonl");
        let plain = format!("/p/{ID}.jsonl");
        for (provider, path, id) in [
            (Provider::Claude, plain.as_str(), Some(ID)),
            (Provider::Claude, "/p/agent-0c4e1d2a.jsonl", None),
            (Provider::Claude, rollout.as_str(), None),
            (Provider::Claude, "/p/.jsonl", None),
            (Provider::Codex, rollout.as_str(), Some(ID)),
            (Provider::Codex, plain.as_str(), None),
            (Provider::Codex, "/s/rollout-é.jsonl", None),
            (Provider::Claude, "/p/--------------------------------------.jsonl", None),
        ] {
            assert_eq!(id_of(provider, Path::new(path)).as_deref(), id, "{path}");
        }
        assert!(!is_id("0c4e1d2a-7b5f-4c3d-9e8f-a1b2c3d4e5fg") && !is_id(""));
    }

    #[test]
    fn what_a_transcript_says() {
        let claude = concat!(
            r#"{"type":"summary","summary":"x","leafUuid":"y"}"#,
            "\n",
            r#"{"type":"user","cwd":"/gt/mayor","sessionId":"s","timestamp":"2026-02-28T10:00:00.123Z"}"#,
            "\n",
            r#"{"type":"assistant","cwd":"/gt/mayor/sub","timestamp":"2026-02-28T10:00:09Z"}"#,
            "\n",
            r#"{"type":"us"#
        );
        let codex = r#"{"timestamp":"2026-02-28T10:00:00Z","type":"session_meta","payload":{"id":"i","cwd":"/gt/a"}}"#;
        for (case, head, tail, directory, first) in [
            ("claude", claude, claude, Some("/gt/mayor"), Some("2026-02-28T10:00:00.123Z")),
            ("codex", codex, "half\n{}", Some("/gt/a"), Some("2026-02-28T10:00:00Z")),
            ("nothing", "", "", None, None),
            ("not its own format", "[1]\n\"x\"\n{\"cwd\":7}", "", None, None),
            ("a relative path", r#"{"cwd":"sub"}"#, "", None, None),
        ] {
            let edges = Edges { head: head.into(), tail: tail.into() };
            let got = Says::of(&edges);
            assert_eq!(got.directory, directory.map(PathBuf::from), "{case}");
            assert_eq!(got.first, first.map(at), "{case}");
        }
    }
}
