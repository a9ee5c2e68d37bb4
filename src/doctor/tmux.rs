//! tmux: whether the supervisor's server is configured correctly, and whether agents of this town run on another one. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::finding::{Area, Finding, Severity};
use crate::{
    agent::{foreign, spec::AgentSpec},
    deps::Deps,
    terminal,
    town::{
        dialect,
        identity::{Identity, Role},
        settings::Naming,
    },
};

/// A session of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name on the server.
    pub name: String,
    /// The agent in its environment (`BD_ACTOR`), where that is its own.
    pub agent: Option<String>,
    /// The towns in its environment: `GT_ROOT`, then `GT_TOWN_ROOT`, those that are set.
    pub towns: Vec<PathBuf>,
    /// The directory it was started in.
    pub path: PathBuf,
    /// The other town it belongs to, if its environment names one that exists.
    pub other_town: Option<PathBuf>,
}

/// The answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is none.
    NoServer,
    /// It has these sessions.
    Sessions(Vec<Seen>),
    /// It did not answer in time.
    TimedOut,
    /// It reported an error, in its words.
    Failed(String),
}

/// What is known of servers other than the supervisor's.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// The answers of the servers that were queried.
    pub answers: Vec<(PathBuf, Answer)>,
    /// The number of servers that were not queried.
    pub unasked: usize,
    /// Why the sockets could not be listed.
    pub unlisted: Option<String>,
    /// `GT_TMUX_SOCKET`, when the settings name another server and win.
    pub beaten: Option<String>,
}

/// The facts about the town that the rules need.
#[derive(Debug, Clone)]
pub struct Town {
    /// Its root.
    pub root: PathBuf,
    /// Whether `gt` has a tmux server for this town alone.
    pub has_own_server: bool,
    /// The naming scheme in force.
    pub naming: Naming,
    /// The names of its agents' sessions in that scheme.
    pub sessions: BTreeSet<String>,
    /// The names they would have in the other scheme.
    pub other_sessions: BTreeSet<String>,
    /// The session of each agent, in the scheme in force.
    pub agents: BTreeMap<String, String>,
    /// The agents that a running supervisor supervises; `None` when none says.
    pub supervised: Option<BTreeSet<String>>,
}

impl Town {
    /// The facts about a town with these agents.
    pub fn new(deps: &Deps, agents: &[AgentSpec]) -> Self {
        let naming = deps.settings().tmux.naming;
        let other = match naming {
            Naming::Rig => Naming::Prefix,
            Naming::Prefix => Naming::Rig,
        };
        let names = |naming| agents.iter().map(|it| it.identity.session(naming, &it.prefix)).collect();
        Town {
            root: deps.paths.root().to_owned(),
            has_own_server: deps.dialect().facts().has_own_server,
            naming,
            sessions: names(naming),
            other_sessions: names(other),
            agents: agents.iter().map(|it| (it.identity.to_string(), it.session.clone())).collect(),
            supervised: None,
        }
    }
}

impl Town {
    /// The same, so that sessions are known by their names alone. A renamed one is that agent's matter: before its start, it is
    /// searched for.
    pub fn by_names(self) -> Self {
        Town { agents: BTreeMap::new(), ..self }
    }
}

/// Findings about the server that the supervisor uses.
pub fn of_own(shown: &str, answer: &Answer, town: &Town) -> Vec<Finding> {
    let sessions = match sessions_of(
        shown,
        answer,
        "tmux.socket_path or tmux.socket_name in settings/supervisor.json",
    ) {
        Ok(sessions) => sessions,
        Err(finding) => return vec![*finding],
    };
    let agents = counted(sessions.iter().filter(|it| is_ours(it, town)).count(), "agent");
    let sum = counted(sessions.len(), "session");
    let well = Area::Tmux.ok(format!("the server on {shown} answers: {sum}, {agents}"));
    let named = sessions.iter().filter(|it| town.sessions.contains(&it.name));
    [well]
        .into_iter()
        .chain(other_scheme(sessions, town))
        .chain(renamed(sessions, town))
        .chain(named.filter_map(|it| of_another_town(it, town)))
        .chain(unlisted(sessions, town))
        .chain(unsupervised(sessions, town))
        .collect()
}

/// The finding about the server of a town of one file, whose agents have these sessions.
pub fn of_one_file(shown: &str, answer: &Answer, agents: &[&str]) -> Finding {
    match sessions_of(shown, answer, "socket in the file") {
        Ok(sessions) => {
            let ours = sessions.iter().filter(|it| agents.contains(&it.name.as_str())).count();
            let (sum, ours) = (counted(sessions.len(), "session"), counted(ours, "agent"));
            Area::Tmux.ok(format!("the server on {shown} answers: {sum}, {ours}"))
        }
        Err(finding) => *finding,
    }
}

/// The sessions of the server that the supervisor uses; else the finding that it has none. `keys` are those that name the server.
fn sessions_of<'a>(shown: &str, answer: &'a Answer, keys: &str) -> Result<&'a [Seen], Box<Finding>> {
    let wrong = |what: String, hint: &str| Err(Box::new(Area::Tmux.wrong(what, hint).same_as(["sessions"])));
    match answer {
        Answer::Sessions(sessions) => Ok(sessions),
        Answer::NoServer => Err(Box::new(Area::Tmux.note(
            format!("no tmux server runs on {shown}"),
            "the supervisor starts it with the first agent",
        ))),
        Answer::TimedOut => wrong(
            format!("the tmux server on {shown} did not answer within 2s"),
            "see what it does with `ps`; killing it ends every agent in it",
        ),
        Answer::Failed(why) => wrong(
            format!("the tmux server on {shown} cannot be queried: {why}"),
            &format!("check the socket's owner, and {keys}"),
        ),
    }
}

/// Findings about its options `exit-unattached` and `destroy-unattached`, each on or not.
pub fn of_options(shown: &str, [exit, destroy]: [bool; 2]) -> Vec<Finding> {
    let exit = exit.then(|| {
        let what = format!(
            "tmux's option exit-unattached is on: the server on {shown} ends, with every agent, when the last client leaves"
        );
        Area::Tmux.wrong(what, "remove it from tmux.conf; a running supervisor turns it off")
    });
    let destroy = destroy.then(|| {
        let what = "tmux's option destroy-unattached is on: what the supervisor starts is exempt, agents that `gt` starts end \
                    when any client leaves";
        Area::Tmux.note(what, "remove it from tmux.conf")
    });
    exit.into_iter().chain(destroy).collect()
}

/// The finding that a running supervisor uses another server than programs in this shell do.
pub fn of_this_shell(used: &Path, here: &Path) -> Finding {
    let what = format!(
        "the running supervisor uses the tmux server on {}, this shell {}",
        terminal::path(used),
        terminal::path(here)
    );
    let variables = match (used.parent() == here.parent(), used.file_name() == here.file_name()) {
        (false, true) => "TMUX_TMPDIR",
        (true, _) => "GT_TMUX_SOCKET",
        (false, false) => "TMUX_TMPDIR and GT_TMUX_SOCKET",
    };
    let hint = format!(
        "set {variables} here as it is for the supervisor, or `gt` and tmux will not find the agents"
    );
    Area::Tmux.note(what, hint)
}

/// The finding that `gt` names another server than the supervisor uses.
pub fn of_gt(used: &Path, name: &str) -> Option<Finding> {
    let is_same = used.file_name().is_some_and(|used| used == name);
    (!is_same).then(|| {
        let what = format!(
            "`gt status` names the tmux server {name:?}, the supervisor uses {}",
            terminal::path(used)
        );
        Area::Tmux.wrong(what, "set the same GT_TMUX_SOCKET for both, or for neither")
    })
}

/// The finding that a supervisor's control client is connected.
pub fn connected() -> Finding {
    Area::Tmux.ok("control mode works: a supervisor is connected")
}

/// Whether it is one of this town's agents, in the scheme in force.
fn is_ours(session: &Seen, town: &Town) -> bool {
    town.sessions.contains(&session.name) && session.other_town.is_none()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The finding that another town uses an agent's session name: the supervisor leaves that agent alone.
fn of_another_town(session: &Seen, town: &Town) -> Option<Finding> {
    let other = session.other_town.as_deref()?;
    let what = format!("{}: {}: that agent is left alone", session.name, foreign::taken_by(other));
    let finding = Area::Tmux.wrong(
        what,
        "give one of the towns a tmux server of its own: tmux.socket_name in settings/supervisor.json",
    );
    let agents = town.agents.iter().filter(|(_, name)| **name == session.name);
    Some(finding.same_as(agents.map(|(agent, _)| format!("{agent}/foreign"))))
}

/// The notes about sessions of this town whose agents the town does not list: nobody restarts those. Crew may be a person's own, and
/// dogs are the deacon's.
fn unlisted(sessions: &[Seen], town: &Town) -> Vec<Finding> {
    let of_this = sessions.iter().filter(|it| origin(it, &town.root) == Origin::This);
    let unknown = of_this.filter_map(|session| {
        let agent = session.agent.as_deref()?.parse::<Identity>().ok()?;
        let is_kept = agent.role().is_kept();
        let is_listed = town.agents.contains_key(&agent.to_string()) || town.sessions.contains(&session.name);
        (is_kept && !town.agents.is_empty() && !is_listed).then_some((session, agent))
    });
    let told = unknown.map(|(session, agent)| {
        let what = format!(
            "session {} is {agent}, which this town does not list: nobody supervises it",
            session.name
        );
        let hint = "if it is left over, end it; else see mayor/rigs.json and the directory of its rig";
        Area::Tmux.note(what, hint)
    });
    told.collect()
}

/// The note about agents that run and that the running supervisor does not know.
fn unsupervised(sessions: &[Seen], town: &Town) -> Option<Finding> {
    let supervised = town.supervised.as_ref()?;
    let unknown = town.agents.iter().filter(|(agent, session)| {
        let runs = || sessions.iter().any(|it| it.name == **session && is_ours(it, town));
        let role = agent.parse::<Identity>().map(|agent| agent.role());
        let is_kept = role.is_ok_and(Role::is_kept);
        is_kept && !supervised.contains(*agent) && runs()
    });
    let names: Vec<&str> = unknown.map(|(agent, _)| agent.as_str()).collect();
    (!names.is_empty()).then(|| {
        let what =
            format!("these run, and the running supervisor does not supervise them: {}", names.join(", "));
        Area::Tmux.note(what, "it notices new agents within a heartbeat; run `gastown-supervisor poke`")
    })
}

/// The agent of this town that a session is, by its environment, if its name is none of an agent; with the name it should have.
fn under_another_name<'a>(session: &'a Seen, town: &'a Town) -> Option<(&'a str, &'a str)> {
    let is_name = town.sessions.contains(&session.name) || town.other_sessions.contains(&session.name);
    let agent =
        session.agent.as_deref().filter(|_| !is_name && origin(session, &town.root) == Origin::This)?;
    Some((agent, town.agents.get(agent)?))
}

/// The findings about agents whose sessions were renamed: the supervisor does not find them by their names.
fn renamed(sessions: &[Seen], town: &Town) -> Vec<Finding> {
    let found = sessions.iter().filter_map(|it| Some((it, under_another_name(it, town)?)));
    let told = found.map(|(Seen { name, .. }, (agent, right))| {
        let what = format!("session {name} is {agent} under another name: the supervisor looks for {right}");
        let hint = match sessions.iter().any(|it| it.name == right) {
            true => "there are two of it: end one of them".to_owned(),
            false => format!("rename it: `tmux rename-session -t '={name}:' {right}` on that server"),
        };
        Area::Tmux.wrong(what, hint).same_as([format!("{agent}/elsewhere")])
    });
    told.collect()
}

/// The finding about agents named in the scheme that is not in force: the supervisor would not find them, and would
/// start others.
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
            "sessions are named by scheme {other:?}, but tmux.naming is {in_force:?}: {}",
            names.join(", ")
        );
        let hint = match town.has_own_server {
            true => "end those sessions: an older `gt` or supervisor started them".to_owned(),
            false => {
                format!("set tmux.naming to {other:?} in settings/supervisor.json, or end those sessions")
            }
        };
        Area::Tmux.wrong(what, hint)
    })
}

/// The town a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This town's.
    This,
    /// Another town's.
    Other,
    /// It is not known.
    Unknown,
}

/// The town of a session: agents have it in their environment, and work in it.
fn origin(session: &Seen, root: &Path) -> Origin {
    if session.other_town.is_some() {
        Origin::Other
    } else if session.towns.iter().any(|town| town == root) || session.path.starts_with(root) {
        Origin::This
    } else if session.towns.is_empty() {
        Origin::Unknown
    } else {
        Origin::Other
    }
}

/// What is known of agents of this town that the supervisor would not find: those are wrong, and what is not known are notes.
pub fn twins(own: &str, answer: &Answer, others: &Others, town: &Town) -> Vec<Finding> {
    let scheme = match answer {
        Answer::Sessions(sessions) => other_scheme(sessions, town),
        Answer::NoServer | Answer::TimedOut | Answer::Failed(_) => None,
    };
    let elsewhere = of_others(own, answer, others, town);
    scheme.into_iter().chain(elsewhere).filter(|finding| finding.severity != Severity::Ok).collect()
}

/// Findings about other servers: the supervisor does not see agents of this town there. `own` is the server it uses,
/// and `answer` is that server's.
pub fn of_others(own: &str, answer: &Answer, others: &Others, town: &Town) -> Vec<Finding> {
    let here = matches!(answer, Answer::Sessions(sessions) if sessions.iter().any(|it| is_ours(it, town)));
    let note = |what: String, hint: &str| Area::Sockets.note(what, hint);
    let mut findings: Vec<Finding> =
        others.answers.iter().flat_map(|other| of_other(own, here, other, town)).collect();
    if others.unasked > 0 {
        let what = format!("{} more tmux sockets were not asked", others.unasked);
        findings.push(note(what, "remove those on which no server runs"));
    }
    findings.extend(
        others.unlisted.iter().map(|why| note(format!("other tmux servers are not known: {why}"), "")),
    );
    if findings.is_empty() {
        let looked_at = others.answers.len();
        let what = format!("no agent of this town on another tmux server ({looked_at} checked)");
        findings.push(Area::Sockets.ok(what));
    }
    findings.extend(others.beaten.iter().map(|name| {
        let what = format!(
            "GT_TMUX_SOCKET names {name:?}, but the settings name {own}: `gt` and the supervisor may use different servers"
        );
        note(what, "settings/supervisor.json takes precedence; name the same server in both")
    }));
    findings
}

fn of_other(own: &str, here: bool, (socket, answer): &(PathBuf, Answer), town: &Town) -> Vec<Finding> {
    let server = format!("the tmux server on {}", terminal::path(socket));
    let note = |what: String| vec![Area::Sockets.note(what, "")];
    match answer {
        Answer::Sessions(sessions) => split(own, here, socket, sessions, town),
        Answer::NoServer => Vec::new(),
        Answer::TimedOut => note(format!("{server} did not answer within 1s: what runs there is not known")),
        Answer::Failed(why) => note(format!("{server} cannot be queried: {why}")),
    }
}

fn split(own: &str, here: bool, socket: &Path, sessions: &[Seen], town: &Town) -> Vec<Finding> {
    let named = |it: &&Seen| {
        let is_name = town.sessions.contains(&it.name) || town.other_sessions.contains(&it.name);
        is_name || under_another_name(it, town).is_some()
    };
    let of = |wanted| {
        let whose = |it: &&Seen| origin(it, &town.root) == wanted;
        sessions.iter().filter(named).filter(whose).map(|it| it.name.as_str()).collect::<Vec<_>>()
    };
    let (ours, unknown) = (of(Origin::This), of(Origin::Unknown));
    let name = socket.file_name().unwrap_or_default().to_string_lossy();
    let (shown, mut findings) = (terminal::path(socket), Vec::new());
    if !ours.is_empty() {
        let what =
            format!("agents of this town run on {shown}, but the supervisor uses {own}: {}", ours.join(", "));
        let hint = match here {
            _ if town.has_own_server && !dialect::socket::has_hash(&town.root, &name) => format!(
                "end them, with `tmux -L {name} kill-session -t '={}:'` and so on: `gt` 1.x runs this town's agents on {own}{}",
                ours[0],
                // That name stands for the town's own server, too.
                if name == "default" {
                    String::new()
                } else {
                    format!(" (if it runs with GT_TMUX_SOCKET={name}, set that for the supervisor, too)")
                }
            ),
            true => format!(
                "there are two sets of agents: end one, with `tmux -L {name} kill-session -t '={}:'` and so on",
                ours[0]
            ),
            false => format!(
                "set tmux.socket_name to {name:?} in settings/supervisor.json and start the supervisor again"
            ),
        };
        findings.push(Area::Sockets.wrong(what, hint));
    }
    if !unknown.is_empty() {
        let what = format!(
            "sessions named like this town's agents run on {shown}; their town is not known: {}",
            unknown.join(", ")
        );
        findings.push(Area::Sockets.note(
            what,
            format!(
                "if they belong to this town, set tmux.socket_name to {name:?} in settings/supervisor.json"
            ),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{Note, Ok as Well, Wrong};

    fn town() -> Town {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Town {
            root: "/t".into(),
            has_own_server: false,
            naming: Naming::Rig,
            sessions: names(&["hq-deacon", "gt-a-witness"]),
            other_sessions: names(&["hq-deacon", "gt-witness"]),
            agents: [("deacon", "hq-deacon"), ("a/witness", "gt-a-witness")]
                .map(|(agent, session)| (agent.to_owned(), session.to_owned()))
                .into(),
            supervised: None,
        }
    }

    fn seen(name: &str, root: &str, path: &str) -> Seen {
        let towns = Some(root).filter(|root| !root.is_empty()).map(PathBuf::from).into_iter().collect();
        Seen { name: name.into(), agent: None, towns, path: path.into(), other_town: None }
    }

    /// A session with this agent in its environment.
    fn of(agent: &str, name: &str, root: &str) -> Seen {
        Seen { agent: Some(agent.into()), ..seen(name, root, "/home") }
    }

    /// A session whose environment names another existing town.
    fn theirs(name: &str, path: &str) -> Seen {
        Seen { other_town: Some("/u".into()), ..seen(name, "/u", path) }
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
        let cases: [(&str, Answer, &[(Severity, &str)]); 14] = [
            ("renamed", Answer::Sessions(vec![of("a/witness", "night", "/t")]),
                &[(Well, "the server"), (Wrong, "session night is a/witness under another name: the supervisor looks for gt-a-witness")]),
            ("its own name", Answer::Sessions(vec![of("deacon", "hq-deacon", "/t")]), &[(Well, "the server")]),
            ("another town's, renamed", Answer::Sessions(vec![of("deacon", "night", "/u")]), &[(Well, "the server")]),
            ("one that is not listed", Answer::Sessions(vec![of("a/polecats/gone", "night", "/t")]),
                &[(Well, "the server"), (Note, "session night is a/polecats/gone, which this town does not list: nobody supervises it")]),
            ("crew, which a person may have started", Answer::Sessions(vec![of("a/crew/max", "mine", "/t"), of("b/crew/eve", "gt-b-crew-eve", "/t")]), &[(Well, "the server")]),
            ("another town's, not listed", Answer::Sessions(vec![of("a/polecats/gone", "night", "/u")]), &[(Well, "the server")]),
            ("another town's, by the other scheme, though it was started in this one", Answer::Sessions(vec![theirs("gt-witness", "/t/a")]),
                &[(Well, "the server on /s/own answers: 1 session, 0 agents")]),
            ("another town's", Answer::Sessions(vec![theirs("hq-deacon", "/u")]),
                &[(Well, "the server on /s/own answers: 1 session, 0 agents"), (Wrong, "hq-deacon: name taken by town /u")]),
            ("none", Answer::NoServer, &[(Note, "no tmux server runs on /s/own")]),
            ("well", two(), &[(Well, "the server on /s/own answers: 2 sessions, 1 agent")]),
            ("empty", Answer::Sessions(vec![]), &[(Well, "the server on /s/own answers: 0 sessions, 0 agents")]),
            ("hangs", Answer::TimedOut, &[(Wrong, "the tmux server on /s/own did not answer within 2s")]),
            ("denied", Answer::Failed("denied".into()), &[(Wrong, "the tmux server on /s/own cannot be queried: denied")]),
            ("the other scheme", other,
                &[(Well, "the server"), (Wrong, "sessions are named by scheme \"prefix\", but tmux.naming is \"rig\": gt-witness")]),
        ];
        for (name, answer, expected) in cases {
            check(name, &of_own("/s/own", &answer, &town()), expected);
        }
        for (others, hint) in [
            (vec![], "rename it: `tmux rename-session -t '=night:' hq-deacon`"),
            (vec![seen("hq-deacon", "/t", "/t")], "there are two of it"),
        ] {
            let sessions = [vec![of("deacon", "night", "/t")], others].concat();
            let told = renamed(&sessions, &town());
            assert!(told[0].hint.as_deref().unwrap().starts_with(hint), "{told:?}");
        }
        let known = |agents: &[&str]| Town {
            supervised: Some(agents.iter().map(|&agent| agent.to_owned()).collect()),
            ..town()
        };
        let both =
            Answer::Sessions(vec![of("deacon", "hq-deacon", "/t"), of("a/witness", "gt-a-witness", "/t")]);
        check(
            "all are supervised",
            &of_own("/s", &both, &known(&["deacon", "a/witness"])),
            &[(Well, "the server")],
        );
        let told = [
            (Well, "the server"),
            (Note, "these run, and the running supervisor does not supervise them: a/witness"),
        ];
        check("one is not", &of_own("/s", &both, &known(&["deacon"])), &told);
        check("no options", &of_options("/s/own", [false, false]), &[]);
        let told = [
            (Wrong, "tmux's option exit-unattached is on"),
            (Note, "tmux's option destroy-unattached is on"),
        ];
        check("options", &of_options("/s/own", [true, true]), &told);
    }

    #[test]
    fn what_this_shell_uses() {
        for (here, variable) in [
            ("/tmp/tmux-0/own", "set TMUX_TMPDIR here"),
            ("/s/other", "set GT_TMUX_SOCKET here"),
            ("/tmp/tmux-0/other", "set TMUX_TMPDIR and GT_TMUX_SOCKET here"),
        ] {
            let finding = of_this_shell(Path::new("/s/own"), Path::new(here));
            assert!(finding.what.ends_with(&format!("uses the tmux server on /s/own, this shell {here}")));
            assert!(finding.hint.clone().unwrap().starts_with(variable), "{finding:?}");
        }
        assert_eq!(of_gt(Path::new("/s/own"), "own"), None);
        let finding = of_gt(Path::new("/s/own"), "other").unwrap();
        assert_eq!(finding.what, "`gt status` names the tmux server \"other\", the supervisor uses /s/own");
    }

    #[test]
    fn other_servers() {
        let with = |answer, others: &[(&str, Answer)]| {
            let answers = others.iter().map(|(path, said)| (PathBuf::from(path), said.clone())).collect();
            (answer, Others { answers, ..Others::default() })
        };
        let sessions = |answer, seen: &[Seen]| with(answer, &[("/s/x", Answer::Sessions(seen.to_vec()))]);
        let deacon = |root, path| seen("hq-deacon", root, path);
        let here = || Answer::Sessions(vec![deacon("/t", "/t")]);
        #[rustfmt::skip]
        let cases: [(&str, (Answer, Others), &[(Severity, &str)], &str); 13] = [
            ("under another name", sessions(here(), &[of("a/witness", "night", "/t")]), &[(Wrong, "agents of this town run on /s/x, but the supervisor uses /s/own: night")], "there are two"),
            ("none", with(Answer::NoServer, &[]), &[(Well, "no agent of this town on another tmux server (0 checked)")], ""),
            ("others' things", sessions(Answer::NoServer, &[seen("mine", "/t", "/t")]), &[(Well, "no agent of this town on another tmux server (1")], ""),
            ("all agents there", sessions(Answer::NoServer, &[deacon("/t", "/"), seen("gt-witness", "", "/t/a")]),
                &[(Wrong, "agents of this town run on /s/x, but the supervisor uses /s/own: hq-deacon, gt-witness")], "set tmux.socket_name to \"x\""),
            ("two sets", sessions(here(), &[deacon("/t", "/")]), &[(Wrong, "agents of this town run on /s/x")], "there are two sets of agents"),
            ("another town's", sessions(here(), &[deacon("/u", "/u/deacon")]), &[(Well, "no agent")], ""),
            ("another town's, though it was started in this one", sessions(here(), &[theirs("hq-deacon", "/t")]), &[(Well, "no agent")], ""),
            ("another town's here make no second set", sessions(Answer::Sessions(vec![theirs("hq-deacon", "/u")]), &[deacon("/t", "/")]),
                &[(Wrong, "agents of this town run on /s/x")], "set tmux.socket_name to \"x\""),
            ("whose is not known", sessions(here(), &[deacon("", "/home")]), &[(Note, "sessions named like this town's agents run on /s/x")], "if they belong to this town"),
            ("a town whose name begins alike", sessions(here(), &[deacon("/town", "/town/deacon")]), &[(Well, "no agent")], ""),
            ("hangs", with(here(), &[("/s/x", Answer::TimedOut)]), &[(Note, "the tmux server on /s/x did not answer")], ""),
            ("a stale socket", with(here(), &[("/s/x", Answer::NoServer)]), &[(Well, "no agent")], ""),
            ("not all asked", (here(), Others { unasked: 3, beaten: Some("y".into()), ..Others::default() }),
                &[(Note, "3 more tmux sockets were not asked"), (Note, "GT_TMUX_SOCKET names \"y\"")], "remove those"),
        ];
        for (name, (answer, others), expected, hint) in cases {
            let findings = of_others("/s/own", &answer, &others, &town());
            check(name, &findings, expected);
            assert!(findings[0].hint.clone().unwrap_or_default().starts_with(hint), "{name}: {findings:?}");
        }
    }

    #[test]
    fn twins_of_a_town_with_its_own_server() {
        let hash = dialect::socket::socket_name(Path::new("/t"), None);
        let link = format!("link-{}", hash.rsplit('-').next().unwrap());
        let own = format!("/s/{hash}");
        let with = |other: &str, answer| Others {
            answers: vec![(PathBuf::from(other), answer)],
            ..Others::default()
        };
        let there = |root: &str| Answer::Sessions(vec![seen("hq-deacon", root, "/home")]);
        let none = || Answer::Sessions(vec![]);
        #[rustfmt::skip]
        let cases: [(&str, Answer, Others, &[(Severity, &str)], &str); 10] = [
            ("none", none(), with("/s/default", none()), &[], ""),
            ("no server", Answer::NoServer, with("/s/default", Answer::NoServer), &[], ""),
            ("a second set on the default server", there("/t"), with("/s/default", there("/t")),
                &[(Wrong, "agents of this town run on /s/default, but the supervisor uses /s/t-")], "end them, with `tmux -L default kill-session"),
            ("all on the old server", none(), with("/s/t", there("/t")),
                &[(Wrong, "agents of this town run on /s/t, but")], "end them, with `tmux -L t kill-session"),
            ("all on its server by a link", none(), with(&format!("/s/{link}"), there("/t")),
                &[(Wrong, "agents of this town run on /s/link-")], "set tmux.socket_name to \"link-"),
            ("the other scheme", Answer::Sessions(vec![seen("gt-witness", "/t", "/t")]), with("/s/default", none()),
                &[(Wrong, "sessions are named by scheme \"prefix\"")], "end those sessions: an older"),
            ("another town's", none(), with("/s/default", there("/u")), &[], ""),
            ("renamed", Answer::Sessions(vec![of("deacon", "night", "/t")]),
                with("/s/default", Answer::Sessions(vec![of("deacon", "night", "/t")])), &[], ""),
            ("silent", none(), with("/s/default", Answer::TimedOut), &[(Note, "the tmux server on /s/default did not answer")], ""),
            ("whose is not known", none(), with("/s/default", there("")), &[(Note, "sessions named like this town's agents run on")], "if they"),
        ];
        for (name, answer, others, expected, hint) in cases {
            let findings = twins(&own, &answer, &others, &Town { has_own_server: true, ..town() }.by_names());
            check(name, &findings, expected);
            let said = findings.first().and_then(|finding| finding.hint.clone()).unwrap_or_default();
            assert!(said.starts_with(hint), "{name}: {findings:?}");
        }
    }
}
