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
    let scripts = || {
        let of_it = process::of_server(&socket).into_iter();
        of_it.filter(|pid| process::command_line(*pid).iter().any(|word| word.contains("trap ''"))).count()
    };
    until("both to ignore what ends others", async || (scripts() >= 2).then_some(())).await;
    drop(server);
    until("nothing to be left", async || (process::of_server(&socket) == BTreeSet::new()).then_some(()))
        .await;
}
