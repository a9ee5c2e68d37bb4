//! What tests leave behind: no process of their tmux server outlives them.

use std::collections::BTreeSet;

use gastown_supervisor::sessions::Sessions;

use crate::support::{Server, command, process, until};

const STUBBORN: &str = "trap '' HUP TERM; setsid sh -c \"trap '' HUP TERM; while :; do sleep 1; done\" & \
                        while :; do sleep 1; done";

#[tokio::test]
async fn agents_that_ignore_the_end_of_their_server_end_with_their_test() {
    let server = Server::new();
    server.tmux(false).create(&command("one", STUBBORN)).await.unwrap();
    let socket = server.socket().display().to_string();
    // The server has the words of both in its command line, and so has a copy of the first that has yet to become the second.
    let scripts = || {
        let of_it = process::of_server(&socket).into_iter().map(process::command_line);
        let shells = of_it.filter(|words| words.first().is_some_and(|word| word.ends_with("sh")));
        shells.filter_map(|words| words.into_iter().find(|word| word.contains("trap ''"))).collect()
    };
    until("both to ignore what ends others", async || {
        let scripts: BTreeSet<String> = scripts();
        (scripts.len() == 2).then_some(())
    })
    .await;
    drop(server);
    until("nothing to be left", async || (process::of_server(&socket) == BTreeSet::new()).then_some(()))
        .await;
}
