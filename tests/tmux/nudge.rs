//! Nudges over the real adapters: whole, exact, and one after the other.

use std::{collections::BTreeMap, sync::Arc};

use gastown_supervisor::{
    agent::nudge,
    clock::SystemClock,
    commands::runner::Runner,
    control::socket::SocketDoor,
    convoy::sqlite::SqliteConvoys,
    deps::{Deps, Dice, Ports},
    operator::beginnings::SystemBeginnings,
    processes::table::SystemProcesses,
    sessions::{NewSession, SessionsError},
    town::{files::Disk, journal::disk::DiskJournals, paths::TownPaths, settings::Settings},
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
        journals: Arc::new(DiskJournals::default()),
        clock: Arc::new(SystemClock::new()),
        beginnings: Arc::new(SystemBeginnings::new()),
        convoys: Arc::new(SqliteConvoys::new(town.root().join(".beads/beads.db"))),
        door: Arc::new(SocketDoor),
    };
    Deps::new(ports, Dice::fresh(), TownPaths::new(town.root()), in_force)
}

async fn agent(town: &Town, deps: &Deps, session: &str, actor: &str) {
    let environment = [("GT_ROOT", town.root().to_str().unwrap()), ("BD_ACTOR", actor)];
    let new = NewSession {
        name: session.into(),
        directory: town.root().into(),
        environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
        command: format!("exec {}", town.bin().join("claude").display()),
    };
    deps.sessions.create(&new).await.unwrap();
    until("the prompt", async || {
        let screen = deps.sessions.capture(session, 10).await.unwrap();
        screen.iter().any(|line| line == ">").then_some(())
    })
    .await;
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
    agent(&town, &deps, "gt-r-witness", "r/witness").await;
    agent(&town, &deps, "gt-r-refinery", "r/refinery").await;
    let texts: Vec<String> = ["one", "two", "three"].map(long).to_vec();
    let to_witness = texts.iter().map(|text| nudge::nudge(&deps, "gt-r-witness", text));
    let (told, other) = futures::join!(
        futures::future::join_all(to_witness),
        nudge::nudge(&deps, "gt-r-refinery", &texts[0]),
    );
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
    agent(&town, &deps, "gt-r-witness", "r/witness").await;
    town.server.must(&["copy-mode", "-t", "=gt-r-witness:"]);
    nudge::nudge(&deps, "gt-r-witness", "hello;").await.unwrap();
    until("the nudge", async || (town.received("r/witness") == "hello;\n").then_some(())).await;
}

#[tokio::test]
async fn a_session_that_is_not_there_is_an_error() {
    let town = Town::new(&[]);
    let deps = deps(&town);
    agent(&town, &deps, "gt-r-witness", "r/witness").await;
    let told = nudge::nudge(&deps, "gt-r-wit", "not for the one whose name begins so").await;
    assert!(matches!(told, Err(SessionsError::NoSuchSession(_))), "{told:?}");
    assert_eq!(town.received("r/witness"), "");
}
