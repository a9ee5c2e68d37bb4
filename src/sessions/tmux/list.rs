//! Lists: the format in which tmux lists panes, and the parser for it. Pure.
//!
//! Fields are separated by `:`, which no session name can contain. The name comes last, so that no character in it
//! can shift a field. The three paths before it are separated by ` // `, which no path made by a system contains. A
//! newline in them becomes another control character, because it would end the line, and the session would be
//! missing. Each line also names the server that answered, so that no list can be mistaken for another server's.

use std::path::PathBuf;

use jiff::Timestamp;

use super::target::OWN_SESSION;
use crate::sessions::{Pane, Session};

/// The pane option that holds the id of the process a supervisor started in that pane.
pub const MARK: &str = "@gastown_supervisor";

/// The `-F` format of `list-panes` and `new-session -P`: one line per pane.
pub const FORMAT: &str = "#{pid}:#{start_time}:#{session_id}:#{session_created}:#{window_id}:#{pane_id}:#{pane_pid}:#{pane_dead}:#{pane_dead_status}:#{@gastown_supervisor}:#{s/\n/\u{1e}/:GT_ROOT} // #{s/\n/\u{1e}/:GT_TOWN_ROOT} // #{s/\n/\u{1e}/:SUPERVISOR_TOWN}:#{session_name}";

/// One incarnation of a tmux server: its process id and when it started (seconds of the epoch).
pub type Server = (u32, i64);

/// The result of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The server that answered; `None` when there was no line.
    pub server: Option<Server>,
    /// The process of our own session, where it was listed.
    pub own: Option<u32>,
    /// The sessions, ordered by name, without our own.
    pub sessions: Vec<Session>,
}

/// Parses lines of [`FORMAT`]. Other lines (a warning, a truncated line) are skipped.
pub fn parse(text: &str) -> Listed {
    let mut listed = Listed::default();
    for (server, session) in text.lines().filter_map(line) {
        listed.server = Some(server);
        if session.name == OWN_SESSION {
            listed.own = session.panes.first().filter(|pane| !pane.dead).map(|pane| pane.pid);
            continue;
        }
        match listed.sessions.iter_mut().rfind(|known| known.id == session.id) {
            Some(known) => known.panes.extend(session.panes),
            None => listed.sessions.push(session),
        }
    }
    listed.sessions.sort_by(|one, other| one.name.cmp(&other.name));
    listed
}

fn line(line: &str) -> Option<(Server, Session)> {
    let mut fields = line.splitn(11, ':');
    let mut field = || fields.next();
    let server = (field()?.parse().ok()?, field()?.parse().ok()?);
    let id = field()?.to_owned();
    let created = Timestamp::from_second(field()?.parse().ok()?).ok()?;
    let window = field()?.to_owned();
    let pane = field()?.to_owned();
    let (pid, ended) = (field()?, field()?);
    // Since tmux 3.8 a pane whose terminal is closed has no process in the list, whether the process has ended or, as
    // that version waits for it, has yet to end: nothing can be typed or read there. The pane and its session still
    // exist.
    let dead = ended == "1" || pid.is_empty() && ended == "0";
    let pid: u32 = if pid.is_empty() && dead { 0 } else { pid.parse().ok()? };
    let exit_status = field()?.parse().ok().filter(|_| dead);
    let started_by_us = field()?.parse() == Ok(pid);
    let (towns, name) = field()?.rsplit_once(':').filter(|(_, name)| !name.is_empty())?;
    let towns = towns.split(" // ").filter(|town| !town.is_empty()).map(listed_path).collect();
    let name = name.to_owned();
    if !id.starts_with('$') || !window.starts_with('@') || !pane.starts_with('%') {
        return None;
    }
    let panes = vec![Pane { id: pane, window, pid, dead, exit_status, started_by_us }];
    Some((server, Session { name, id, created, towns, panes }))
}

/// A path from a format that shows another character for each newline.
pub fn listed_path(shown: &str) -> PathBuf {
    PathBuf::from(shown.replace('\u{1e}', "\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_panes_sorts_names_and_leaves_our_own_out() {
        let listed = parse(
            "7:1700000000:$0:1700000000:@0:%0:70:0::: // :_supervisor\n\
             7:1700000000:$2:1700000002:@3:%3:73:0::73:/t // /t:gt-b\n\
             7:1700000000:$1:1700000001:@1:%1:71:0::70:/a:b //c // :gt-a b\n\
             7:1700000000:$1:1700000001:@1:%2:72:1:3::/a:b //c // :gt-a b\n",
        );
        assert_eq!(listed.server, Some((7, 1_700_000_000)));
        assert_eq!(listed.own, Some(70));
        let told: Vec<_> =
            listed.sessions.iter().map(|session| (session.name.as_str(), session.panes.len())).collect();
        assert_eq!(told, [("gt-a b", 2), ("gt-b", 1)]);
        let second = &listed.sessions[0].panes[1];
        assert_eq!(
            (second.id.as_str(), second.window.as_str(), second.pid, second.dead, second.exit_status),
            ("%2", "@1", 72, true, Some(3))
        );
        let towns: Vec<_> = listed.sessions.iter().map(|it| it.towns.clone()).collect();
        assert_eq!(towns, [vec![PathBuf::from("/a:b //c")], vec!["/t".into(), "/t".into()]]);
        let marked = listed.sessions.iter().flat_map(|it| &it.panes).filter(|pane| pane.started_by_us);
        assert_eq!(marked.map(|pane| pane.pid).collect::<Vec<_>>(), [73], "a mark is of one process");
        assert_eq!(listed.sessions[0].created.as_second(), 1_700_000_001);
    }

    #[test]
    fn a_pane_without_a_process_is_there_and_dead() {
        let listed = parse(
            "7:1:$1:1:@1:%1::1:3:: // :gt-a\n7:1:$2:1:@2:%2::::: // :gt-b\n7:1:$3:1:@3:%3::0::: // :gt-c\n",
        );
        let panes: Vec<_> = listed.sessions.iter().flat_map(|it| &it.panes).collect();
        let told: Vec<_> =
            panes.iter().map(|pane| (&*pane.id, pane.process(), pane.dead, pane.exit_status)).collect();
        assert_eq!(
            told,
            [("%1", None, true, Some(3)), ("%3", None, true, None)],
            "of what tells neither process nor end, nothing is known"
        );
    }

    #[test]
    fn junk_is_passed_over() {
        let junk = [
            "",
            "no",
            "7:1:$1:x:@1:%1:7:0::: // :n",
            "7:1:1:1:@1:%1:7:0::: // :n",
            "7:1:$1:1:@1:1:7:0::: // :n",
            "7:1:$1:1:1:%1:7:0::: // :n",
            "7:1:$1:1:@1:%1:-7:0::: // :n",
        ];
        for line in junk.iter().chain(&[
            "7:1:$1:1:@1:%1:7:0:::n",
            "7:1:$1:1:@1:%1:7:0::: // :",
            "7:1:$1:9223372036854775807:@1:%1:7:0::: // :n",
        ]) {
            assert_eq!(parse(line), Listed::default(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            parse(&text);
        }
    }
}
