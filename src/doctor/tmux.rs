//! tmux: whether the server the supervisor uses answers, and whether agents of this town run on another one.
//!
//! Every question is one `tmux -N -S <socket> list-sessions`, which connects to a living server only, attaches to nothing and
//! makes nothing: a supervisor's own way, a session to be attached to, would leave a trace. Sockets are named by path, because
//! tmux makes the directory of those it knows by name (3.3a).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    disk,
    finding::{Area, Finding},
};
use crate::{
    agent::spec::AgentSpec,
    commands::{Command, CommandError},
    deps::Deps,
    service::adapters,
    sessions::tmux::{Ability, Meaning, Socket, ability, meaning},
    town::settings::Naming,
};

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// How long `tmux -V` and any other server may take.
const SHORT: Duration = Duration::from_secs(1);
/// So many other sockets are asked.
const MOST: usize = 32;

/// One session a line. No name holds a `:`, and `//` stands in no path that a system made. `GT_ROOT` is that of the session's
/// environment.
const FORMAT: &str = "#{session_name}:#{GT_ROOT} // #{session_path}";

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// `GT_ROOT` in its environment; empty when unset.
    pub root: String,
    /// The directory it was started in.
    pub path: String,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is none.
    NoServer,
    /// Its sessions.
    Sessions(Vec<Seen>),
    /// Nothing in time.
    TimedOut,
    /// Something else, in its words.
    Failed(String),
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The socket the supervisor uses.
    pub socket: PathBuf,
    /// What that server said.
    pub answer: Answer,
    /// What came of a control client; `None` when there is no server to try it on, or tmux is too old for one.
    pub control: Option<Result<(), String>>,
    /// The others.
    pub others: Vec<(PathBuf, Answer)>,
    /// How many more there are that were not asked.
    pub unasked: usize,
    /// Why the others are not known.
    pub unlisted: Option<String>,
    /// `GT_TMUX_SOCKET`, where the settings name another server than it does.
    pub beaten: Option<String>,
}

/// What is known of the town.
#[derive(Debug, Clone)]
pub struct Town {
    /// Its root.
    pub root: PathBuf,
    /// The naming scheme in force.
    pub naming: Naming,
    /// The names its agents' sessions have by that scheme.
    pub sessions: BTreeSet<String>,
    /// The names they would have by the other.
    pub other_sessions: BTreeSet<String>,
}

impl Town {
    /// Of a town with these agents.
    pub fn new(deps: &Deps, agents: &[AgentSpec]) -> Self {
        let naming = deps.settings().tmux.naming;
        let other = match naming {
            Naming::Rig => Naming::Prefix,
            Naming::Prefix => Naming::Rig,
        };
        let names = |naming| agents.iter().map(|it| it.identity.session(naming, &it.prefix)).collect();
        Town {
            root: deps.paths.root().to_owned(),
            naming,
            sessions: names(naming),
            other_sessions: names(other),
        }
    }
}

/// Looks; an error says why tmux cannot be run at all. `variable` is `GT_TMUX_SOCKET`, `tmpdir` is `TMUX_TMPDIR`.
pub async fn look(
    deps: &Deps,
    variable: Option<String>,
    tmpdir: Option<PathBuf>,
) -> Result<Observed, String> {
    let ability = version(deps).await?;
    let directory = disk::tmux_directory(tmpdir).await;
    let place = |socket: &Socket| match socket {
        Socket::Default => directory.join("default"),
        Socket::Name(name) => directory.join(name),
        Socket::Path(path) => path.clone(),
    };
    let socket = place(&adapters::socket(&deps.settings()));
    let beaten = variable.filter(|name| !name.is_empty() && directory.join(name) != socket);
    let (others, unlisted) = match disk::sockets(&directory).await {
        Ok(others) => (others, None),
        Err(error) => (Vec::new(), Some(format!("{}: {error}", directory.display()))),
    };
    let own = disk::canonical(&socket).await;
    let others: Vec<PathBuf> = others.into_iter().filter(|other| *other != own).collect();
    let unasked = others.len().saturating_sub(MOST);
    let asked = others.into_iter().take(MOST).map(|other| async {
        let answer = list(deps, ability, &other, SHORT).await;
        (other, answer)
    });
    let (answer, control, others) = tokio::join!(
        list(deps, ability, &socket, LIMIT),
        control(deps, ability, &socket),
        futures::future::join_all(asked)
    );
    let control = control.filter(|_| matches!(answer, Answer::Sessions(_)));
    Ok(Observed { socket, answer, control, others, unasked, unlisted, beaten })
}

async fn version(deps: &Deps) -> Result<Ability, String> {
    let printed = run(deps, vec!["-V".to_owned()], SHORT).await.map_err(|error| error.to_string())?;
    Ok(ability(&String::from_utf8_lossy(&printed)))
}

async fn run(deps: &Deps, arguments: Vec<String>, limit: Duration) -> Result<Vec<u8>, CommandError> {
    let command = Command {
        program: deps.settings().commands.tmux.clone(),
        arguments,
        directory: PathBuf::from("/"),
        environment: [].into(),
        input: None,
        limit,
    };
    deps.commands.run(command).await.map(|printed| printed.stdout)
}

/// A command line that connects only. Older than 3.2 knows no `-N`, and starts no server for a list either.
fn line(ability: Ability, socket: &Path, more: &[&str]) -> Vec<String> {
    let only_living = if ability == Ability::Control { &["-u", "-N", "-S"][..] } else { &["-u", "-S"] };
    let words = only_living.iter().map(|word| (*word).to_owned());
    words.chain([socket.display().to_string()]).chain(more.iter().map(|word| (*word).to_owned())).collect()
}

async fn list(deps: &Deps, ability: Ability, socket: &Path, limit: Duration) -> Answer {
    let listed = run(deps, line(ability, socket, &["list-sessions", "-F", FORMAT]), limit).await;
    match listed {
        Ok(printed) => Answer::Sessions(sessions(&String::from_utf8_lossy(&printed))),
        Err(CommandError::TimedOut { .. }) => Answer::TimedOut,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::NoServer => Answer::NoServer,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::Empty => {
            Answer::Sessions(Vec::new())
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn sessions(printed: &str) -> Vec<Seen> {
    let seen = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let (root, path) = rest.split_once(" // ")?;
        Some(Seen { name: name.to_owned(), root: root.to_owned(), path: path.to_owned() })
    };
    printed.lines().filter_map(seen).collect()
}

/// Tries a control client that attaches to nothing: it says its list in blocks and leaves.
async fn control(deps: &Deps, ability: Ability, socket: &Path) -> Option<Result<(), String>> {
    if ability != Ability::Control {
        return None;
    }
    let printed = run(deps, line(ability, socket, &["-C", "list-sessions"]), LIMIT).await;
    Some(match printed {
        Ok(printed) if printed.starts_with(b"%begin ") => Ok(()),
        Ok(_) => Err("it does not speak the control protocol".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// Judges the server the supervisor uses.
pub fn judge(observed: &Observed, town: &Town) -> Vec<Finding> {
    let shown = observed.socket.display();
    let mut findings = Vec::new();
    match &observed.answer {
        Answer::NoServer => findings.push(
            Finding::note(Area::Tmux, format!("no tmux server runs on {shown}"))
                .hint("the supervisor starts it with the first agent; control mode is tried then"),
        ),
        Answer::Sessions(sessions) => {
            let agents = sessions.iter().filter(|it| town.sessions.contains(&it.name)).count();
            let what = format!(
                "the server on {shown} answers: {}, {}",
                counted(sessions.len(), "session"),
                counted(agents, "agent")
            );
            findings.push(Finding::ok(Area::Tmux, what));
            findings.extend(other_scheme(sessions, town));
        }
        Answer::TimedOut => findings.push(
            Finding::wrong(Area::Tmux, format!("the tmux server on {shown} did not answer within 2s"))
                .hint("what it does can be seen with `ps`; killing it ends every agent in it"),
        ),
        Answer::Failed(why) => findings.push(
            Finding::wrong(Area::Tmux, format!("the tmux server on {shown} cannot be asked: {why}"))
                .hint("check the socket's owner, and tmux.socket_path or tmux.socket_name in settings/supervisor.json"),
        ),
    }
    match &observed.control {
        None => {}
        Some(Ok(())) => findings.push(Finding::ok(Area::Tmux, "control mode works")),
        Some(Err(why)) => findings.push(
            Finding::note(Area::Tmux, format!("control mode does not work: {why}"))
                .hint("the supervisor falls back to one `tmux list-panes` a look, and notices deaths later"),
        ),
    }
    findings
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Agents that are named by the scheme that is not in force: nobody would find them, and start others.
fn other_scheme(sessions: &[Seen], town: &Town) -> Option<Finding> {
    let named = |it: &&Seen| {
        town.other_sessions.contains(&it.name)
            && !town.sessions.contains(&it.name)
            && origin(it, &town.root) == Origin::This
    };
    let names = sessions.iter().filter(named).map(|it| it.name.as_str()).collect::<Vec<_>>();
    let (in_force, other) = match town.naming {
        Naming::Rig => ("rig", "prefix"),
        Naming::Prefix => ("prefix", "rig"),
    };
    (!names.is_empty()).then(|| {
        let what = format!(
            "sessions are named by scheme {other:?}, and tmux.naming is {in_force:?}: {}",
            names.join(", ")
        );
        Finding::wrong(Area::Tmux, what)
            .hint(format!("set tmux.naming to {other:?} in settings/supervisor.json, or end those sessions"))
    })
}

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This town's.
    This,
    /// Another town's.
    Other,
    /// It does not show.
    Unknown,
}

/// Agents have their town in their environment, and work in it.
fn origin(session: &Seen, root: &Path) -> Origin {
    if Path::new(&session.root) == root || Path::new(&session.path).starts_with(root) {
        Origin::This
    } else if session.root.is_empty() {
        Origin::Unknown
    } else {
        Origin::Other
    }
}

/// Judges the other servers: agents of this town there are agents the supervisor does not see.
pub fn judge_others(observed: &Observed, town: &Town) -> Vec<Finding> {
    let here = match &observed.answer {
        Answer::Sessions(sessions) => sessions.iter().any(|it| town.sessions.contains(&it.name)),
        _ => false,
    };
    let mut findings = Vec::new();
    let own = observed.socket.display();
    for (socket, answer) in &observed.others {
        match answer {
            Answer::Sessions(sessions) => {
                findings.extend(split(&own.to_string(), here, socket, sessions, town))
            }
            Answer::NoServer => {}
            Answer::TimedOut => {
                let what = format!(
                    "the tmux server on {} did not answer within 1s: what runs there is not known",
                    socket.display()
                );
                findings.push(Finding::note(Area::Sockets, what));
            }
            Answer::Failed(why) => {
                let what = format!("the tmux server on {} cannot be asked: {why}", socket.display());
                findings.push(Finding::note(Area::Sockets, what));
            }
        }
    }
    if observed.unasked > 0 {
        let what = format!("{} more tmux sockets were not asked", observed.unasked);
        findings.push(Finding::note(Area::Sockets, what).hint("remove those on which no server runs"));
    }
    if let Some(why) = &observed.unlisted {
        findings.push(Finding::note(Area::Sockets, format!("other tmux servers are not known: {why}")));
    }
    if findings.is_empty() {
        let what =
            format!("no agent of this town on another tmux server ({} looked at)", observed.others.len());
        findings.push(Finding::ok(Area::Sockets, what));
    }
    if let Some(name) = &observed.beaten {
        let what = format!(
            "GT_TMUX_SOCKET names {name:?}, and the settings name {own}: `gt` and the supervisor may differ"
        );
        findings.push(
            Finding::note(Area::Sockets, what)
                .hint("settings/supervisor.json beats it; name the same server in both"),
        );
    }
    findings
}

fn split(own: &str, here: bool, socket: &Path, sessions: &[Seen], town: &Town) -> Vec<Finding> {
    let named = |it: &&Seen| town.sessions.contains(&it.name) || town.other_sessions.contains(&it.name);
    let of = |wanted| {
        let whose = |it: &&Seen| origin(it, &town.root) == wanted;
        sessions.iter().filter(named).filter(whose).map(|it| it.name.as_str()).collect::<Vec<_>>()
    };
    let (ours, unknown) = (of(Origin::This), of(Origin::Unknown));
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    let (shown, mut findings) = (socket.display(), Vec::new());
    if !ours.is_empty() {
        let what =
            format!("agents of this town run on {shown}, and the supervisor uses {own}: {}", ours.join(", "));
        let hint = match here {
            true => format!(
                "there are two sets of agents: end one, with `tmux -L {name} kill-session -t '={}:'` and so on",
                ours[0]
            ),
            false => format!(
                "set tmux.socket_name to {name:?} in settings/supervisor.json and start the supervisor again"
            ),
        };
        findings.push(Finding::wrong(Area::Sockets, what).hint(hint));
    }
    if !unknown.is_empty() {
        let what = format!(
            "sessions named like this town's agents run on {shown}, whose is not known: {}",
            unknown.join(", ")
        );
        findings.push(
            Finding::note(Area::Sockets, what)
                .hint(format!("if they are, set tmux.socket_name to {name:?} in settings/supervisor.json")),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    fn town() -> Town {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Town {
            root: "/t".into(),
            naming: Naming::Rig,
            sessions: names(&["hq-deacon", "gt-a-witness"]),
            other_sessions: names(&["hq-deacon", "gt-witness"]),
        }
    }

    fn seen(name: &str, root: &str, path: &str) -> Seen {
        Seen { name: name.into(), root: root.into(), path: path.into() }
    }

    fn observed(answer: Answer) -> Observed {
        Observed {
            socket: "/s/own".into(),
            answer,
            control: None,
            others: vec![],
            unasked: 0,
            unlisted: None,
            beaten: None,
        }
    }

    fn check(name: &str, findings: &[Finding], expected: &[(Severity, &str)]) {
        assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
        for (finding, (severity, begin)) in findings.iter().zip(expected) {
            assert_eq!(finding.severity, *severity, "{name}");
            assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
        }
    }

    #[test]
    fn the_server() {
        let two = || Answer::Sessions(vec![seen("hq-deacon", "/t", "/t/deacon"), seen("mine", "", "/home")]);
        let other = Answer::Sessions(vec![seen("gt-witness", "/t", "/t/a"), seen("gt-witness", "/u", "/u")]);
        #[rustfmt::skip]
        let cases: [(&str, Observed, &[(Severity, &str)]); 7] = [
            ("none", observed(Answer::NoServer), &[(Note, "no tmux server runs on /s/own")]),
            ("well", Observed { control: Some(Ok(())), ..observed(two()) },
                &[(Well, "the server on /s/own answers: 2 sessions, 1 agent"), (Well, "control mode works")]),
            ("no control mode", Observed { control: Some(Err("x".into())), ..observed(two()) },
                &[(Well, "the server"), (Note, "control mode does not work: x")]),
            ("empty", observed(Answer::Sessions(vec![])), &[(Well, "the server on /s/own answers: 0 sessions, 0 agents")]),
            ("hangs", observed(Answer::TimedOut), &[(Wrong, "the tmux server on /s/own did not answer within 2s")]),
            ("denied", observed(Answer::Failed("denied".into())), &[(Wrong, "the tmux server on /s/own cannot be asked: denied")]),
            ("the other scheme", observed(other),
                &[(Well, "the server"), (Wrong, "sessions are named by scheme \"prefix\", and tmux.naming is \"rig\": gt-witness")]),
        ];
        for (name, observed, expected) in cases {
            check(name, &judge(&observed, &town()), expected);
        }
    }

    #[test]
    fn other_servers() {
        let with = |answer, seen: &[Seen]| Observed {
            others: vec![("/s/x".into(), Answer::Sessions(seen.to_vec()))],
            ..observed(answer)
        };
        let deacon = |root, path| seen("hq-deacon", root, path);
        let here = || Answer::Sessions(vec![deacon("/t", "/t")]);
        #[rustfmt::skip]
        let cases: [(&str, Observed, &[(Severity, &str)], &str); 10] = [
            ("none", observed(Answer::NoServer), &[(Well, "no agent of this town on another tmux server (0 looked at)")], ""),
            ("others' things", with(Answer::NoServer, &[seen("mine", "/t", "/t")]), &[(Well, "no agent of this town on another tmux server (1")], ""),
            ("all agents there", with(Answer::NoServer, &[deacon("/t", "/"), seen("gt-witness", "", "/t/a")]),
                &[(Wrong, "agents of this town run on /s/x, and the supervisor uses /s/own: hq-deacon, gt-witness")], "set tmux.socket_name to \"x\""),
            ("two sets", with(here(), &[deacon("/t", "/")]), &[(Wrong, "agents of this town run on /s/x")], "there are two sets of agents"),
            ("another town's", with(here(), &[deacon("/u", "/u/deacon")]), &[(Well, "no agent")], ""),
            ("whose is not known", with(here(), &[deacon("", "/home")]), &[(Note, "sessions named like this town's agents run on /s/x")], "if they are"),
            ("a town whose name begins alike", with(here(), &[deacon("/town", "/town/deacon")]), &[(Well, "no agent")], ""),
            ("hangs", Observed { others: vec![("/s/x".into(), Answer::TimedOut)], ..observed(here()) }, &[(Note, "the tmux server on /s/x did not answer")], ""),
            ("a stale socket", Observed { others: vec![("/s/x".into(), Answer::NoServer)], ..observed(here()) }, &[(Well, "no agent")], ""),
            ("not all asked", Observed { unasked: 3, beaten: Some("y".into()), ..observed(here()) },
                &[(Note, "3 more tmux sockets were not asked"), (Note, "GT_TMUX_SOCKET names \"y\"")], "remove those"),
        ];
        for (name, observed, expected, hint) in cases {
            let findings = judge_others(&observed, &town());
            check(name, &findings, expected);
            assert!(findings[0].hint.clone().unwrap_or_default().starts_with(hint), "{name}: {findings:?}");
        }
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(
            sessions("a b:/t // /t/x\nc: // /home/a // b\njunk\n"),
            [seen("a b", "/t", "/t/x"), seen("c", "", "/home/a // b")]
        );
        assert_eq!(line(Ability::Subprocess, Path::new("/s"), &["x"]), ["-u", "-S", "/s", "x"]);
        assert_eq!(line(Ability::Control, Path::new("/s"), &["x"]), ["-u", "-N", "-S", "/s", "x"]);
    }
}
