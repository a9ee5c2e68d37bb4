//! Nudges through the real adapters: whole, exact, and one after the other.

use std::{collections::BTreeMap, sync::Arc};

use gastown_supervisor::{
    agent::{
        confirmation::SessionKey,
        kill,
        nudge::{self, NotDelivered, Why},
        spec::AgentSpec,
    },
    clock::SystemClock,
    commands::runner::Runner,
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, sqlite::SqliteBeads},
    network::https::Https,
    ports::{Jitter, Ports, dolt::Dolt, problems::Problems, writes::Writes},
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::{NewSession, Session},
    town::{
        files::Disk, identity::Identity, journal::disk::DiskJournals, paths::TownPaths, settings::Settings,
        socket::SocketListener,
    },
};
use tokio::sync::watch;

use crate::support::{town::Town, until};

fn deps(town: &Town) -> Deps {
    let (settings, in_force) = watch::channel(Arc::new(Settings::default()));
    drop(settings);
    let ports = Ports {
        sessions: Arc::new(town.server.tmux(true)),
        processes: Arc::new(SystemProcesses::new()),
        commands: Arc::new(Runner::new(BTreeMap::new())),
        files: Arc::new(Disk),
        network: Arc::new(Https::default()),
        journals: Arc::new(DiskJournals::default()),
        clock: Arc::new(SystemClock::new()),
        transcripts: Arc::new(gastown_supervisor::transcripts::disk::DiskTranscripts::new()),
        exec_watcher: Arc::new(SystemExecWatcher::new()),
        conversation_files: Arc::new(gastown_supervisor::town::conversation_files::disk::DiskConversations),
        convoys: Arc::new(SqliteConvoys::new(town.root().join(".beads/beads.db"))),
        beads: Arc::new(SqliteBeads::default()),
        dolt: Dolt::new(Arc::new(LocalDolt), BTreeMap::new()),
        control_listener: Arc::new(SocketListener),
        jitter: Jitter::fresh(),
        paths: TownPaths::new(town.root()),
        settings: in_force,
        standings: gastown_supervisor::town::standing::Standings::none(),
        gas_town: Default::default(),
        degraded: false,
        problems: Problems::default(),
        metrics: Default::default(),
        writes: Writes::default(),
    };
    Deps::new(ports)
}

fn spec(actor: &str) -> AgentSpec {
    let (session, identity) = match actor {
        "r/witness" => ("gt-r-witness", Identity::Witness("r".parse().unwrap())),
        _ => ("gt-r-refinery", Identity::Refinery("r".parse().unwrap())),
    };
    AgentSpec { identity, session: session.into(), prefix: "gt".into() }
}

fn not_begun(why: Why) -> NotDelivered {
    NotDelivered { why, begun: false }
}

/// What came of a nudge, typed into the session as it is right now.
async fn nudged(deps: &Deps, actor: &str, text: &str) -> Result<(), NotDelivered> {
    let spec = spec(actor);
    let session = deps.sessions.find(&spec.session).await.unwrap().unwrap();
    nudge::nudge(deps, &spec, &kill::key(&session), text).await
}

async fn agent(town: &Town, deps: &Deps, actor: &str) -> Session {
    let session = spec(actor).session;
    let environment = [("GT_ROOT", town.root().to_str().unwrap()), ("BD_ACTOR", actor)];
    let new = NewSession {
        name: session,
        directory: town.root().into(),
        environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
        command: vec![town.bin().join("claude").display().to_string()],
        keep_exit: false,
    };
    let session = deps.sessions.create(&new).await.unwrap();
    let pane = session.target(&session.panes[0]);
    until("the prompt", async || {
        let screen = deps.sessions.capture(&pane, 10).await.unwrap();
        screen.iter().any(|line| line == ">").then_some(())
    })
    .await;
    session
}

/// About 20 KB, several lines, all kinds of quotes, ending in a semicolon.
fn long(mark: &str) -> String {
    let line = format!("{mark}: it's \"quoted\" $HOME `x` $(y) \\ #{{pid}} é 🦉;\n");
    format!("{}{mark} ends;", line.repeat(20 * 1024 / line.len()))
}

#[tokio::test]
async fn nudges_to_one_session_never_interleave() {
    let town = Town::new(&[]);
    let deps = deps(&town);
    agent(&town, &deps, "r/witness").await;
    agent(&town, &deps, "r/refinery").await;
    let texts: Vec<String> = ["one", "two", "three"].map(long).to_vec();
    let to_witness = texts.iter().map(|text| nudged(&deps, "r/witness", text));
    let (told, other) =
        futures::join!(futures::future::join_all(to_witness), nudged(&deps, "r/refinery", &texts[0]),);
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    other.unwrap();
    // First come, first served.
    for (actor, expected) in
        [("r/witness", format!("{}\n", texts.join("\n"))), ("r/refinery", format!("{}\n", texts[0]))]
    {
        let received = until("all of it", async || {
            Some(town.received(actor)).filter(|received| received.len() >= expected.len())
        })
        .await;
        assert!(received == expected, "{actor}: what arrived differs from what was sent");
    }
}

#[tokio::test]
async fn a_user_in_copy_mode_does_not_swallow_it() {
    let town = Town::new(&[]);
    let deps = deps(&town);
    agent(&town, &deps, "r/witness").await;
    town.server.must(&["copy-mode", "-t", "=gt-r-witness:"]);
    nudged(&deps, "r/witness", "hello;").await.unwrap();
    until("the nudge", async || (town.received("r/witness") == "hello;\n").then_some(())).await;
}

#[tokio::test]
async fn what_is_not_the_agents_pane_gets_nothing() {
    let town = Town::new(&[]);
    let deps = deps(&town);
    let session = agent(&town, &deps, "r/witness").await;
    // A person's shells, in front and in focus: one split off before the agent, one in a window of its own.
    let shell = "exec env PS1='person> ' sh";
    town.server.must(&["split-window", "-b", "-t", "=gt-r-witness:", shell]);
    town.server.must(&["new-window", "-t", "=gt-r-witness:", shell]);
    let persons = || {
        let panes = town.server.must(&["list-panes", "-s", "-t", "=gt-r-witness:", "-F", "#{pane_id}"]);
        let others = panes.lines().filter(|pane| *pane != session.panes[0].id);
        others.map(|pane| town.server.must(&["capture-pane", "-p", "-t", pane])).collect::<Vec<_>>()
    };
    let untouched = || persons().iter().all(|screen| screen.trim() == "person>");
    until("the person's shells", async || untouched().then_some(())).await;
    let text = "Run `touch typed` to check.";
    nudged(&deps, "r/witness", text).await.unwrap();
    until("the nudge", async || (town.received("r/witness") == format!("{text}\n")).then_some(())).await;
    assert!(untouched(), "{:?}", persons());
    // The agent ends, and what is left is the person's.
    crate::support::kill(session.panes[0].pid);
    until("the pane is gone", async || {
        let left = deps.sessions.find("gt-r-witness").await.unwrap().unwrap();
        (left.panes.len() == 2).then_some(())
    })
    .await;
    let told = nudged(&deps, "r/witness", text).await;
    assert_eq!(told, Err(not_begun(Why::NoAgent("gt-r-witness".into()))));
    assert!(untouched() && !town.path("typed").exists(), "{:?}", persons());
}

#[tokio::test]
async fn a_session_that_is_not_there_is_an_error() {
    let town = Town::new(&[]);
    let deps = deps(&town);
    let session = agent(&town, &deps, "r/witness").await;
    let begins_so = AgentSpec { session: "gt-r-wit".into(), ..spec("r/witness") };
    let told =
        nudge::nudge(&deps, &begins_so, &kill::key(&session), "not for the one whose name begins so").await;
    assert_eq!(told, Err(not_begun(Why::Gone("gt-r-wit".into()))));
    let another = SessionKey { id: "$99".into(), ..kill::key(&session) };
    let told = nudge::nudge(&deps, &spec("r/witness"), &another, "not for one made since").await;
    assert_eq!(told, Err(not_begun(Why::Gone("gt-r-witness".into()))));
    assert_eq!(town.received("r/witness"), "");
}

#[tokio::test]
async fn what_a_person_has_not_sent_is_left_alone_and_what_the_program_suggests_is_not() {
    let suggestion = "\\033[39m❯ \\033[2mfix the tests\\033[0m";
    for (prompt, is_left_alone) in [("❯ half a draft by a person", true), (suggestion, false)] {
        let town = Town::new(&[]);
        // Lines that are typed go to a file; the name of the process is that of the script.
        let script =
            format!("printf '{prompt}'; while read -r line; do echo \"$line\" >>\"$GT_ROOT/got\"; done");
        town.program("claude", &script);
        let deps = deps(&town);
        let environment = [("GT_ROOT", town.root().to_str().unwrap()), ("BD_ACTOR", "r/witness")];
        let new = NewSession {
            name: "gt-r-witness".into(),
            directory: town.root().into(),
            environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
            command: vec![town.bin().join("claude").display().to_string()],
            keep_exit: false,
        };
        let session = deps.sessions.create(&new).await.unwrap();
        let pane = session.target(&session.panes[0]);
        until("the prompt", async || {
            let screen = deps.sessions.capture(&pane, 10).await.unwrap();
            screen.iter().any(|line| line.starts_with('❯')).then_some(())
        })
        .await;
        let nudged = nudged(&deps, "r/witness", "continue").await;
        if is_left_alone {
            assert_eq!(nudged, Err(not_begun(Why::Draft)));
            assert_eq!(deps.sessions.capture(&pane, 10).await.unwrap(), [prompt]);
        } else {
            nudged.unwrap();
            until("the nudge", async || (town.text("got") == "continue\n").then_some(())).await;
        }
    }
}
