//! The library's own tmux API: a watcher sees sessions appear and die, and starts no server.

use std::time::Duration;

use gastown_supervisor::{
    sessions::Sessions,
    tmux::{Event, Socket, Watcher},
};
use tokio::time::timeout;

use crate::support::{PATIENCE, Server, kill, session, until};

async fn next(watcher: &mut Watcher) -> Event {
    timeout(PATIENCE, watcher.next()).await.expect("an event")
}

fn appeared(event: Event, name: &str) -> u32 {
    match event {
        Event::Appeared { session, pids, .. } if session == name => pids[0],
        other => panic!("{name} did not appear: {other:?}"),
    }
}

#[tokio::test]
async fn sessions_appear_and_die_each_once() {
    let server = Server::new();
    let mut watcher = Watcher::new(Socket::Path(server.socket()));
    let nothing = timeout(Duration::from_millis(200), watcher.next()).await;
    assert!(nothing.is_err() && !server.runs(), "it waits for a server and starts none: {nothing:?}");

    // Somebody else's.
    let theirs = server.tmux(false);
    theirs.create(&session("one")).await.unwrap();
    theirs.create(&session("two")).await.unwrap();
    let mut pids = Vec::new();
    for name in ["one", "two"] {
        pids.push(appeared(next(&mut watcher).await, name));
    }
    kill(pids[0]);
    let died = next(&mut watcher).await;
    assert!(
        matches!(&died, Event::Died { session, with_server: false, .. } if session == "one"),
        "one was killed: {died:?}"
    );
    server.kill_hard();
    let died = next(&mut watcher).await;
    assert!(
        matches!(&died, Event::Died { session, with_server: true, .. } if session == "two"),
        "its server was killed: {died:?}"
    );
}

#[tokio::test]
async fn it_leaves_nothing_behind() {
    let server = Server::new();
    let theirs = server.tmux(false);
    theirs.create(&session("one")).await.unwrap();
    let mut watcher = Watcher::new(Socket::Path(server.socket()));
    appeared(next(&mut watcher).await, "one");
    // It is attached by then or soon after, and gets reports of ends.
    watcher.close().await;
    until("only theirs are left", async || (server.names() == ["one"]).then_some(())).await;
}
