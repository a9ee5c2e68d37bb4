//! The sessions of a tmux server, watched alone: no town, no agents, nothing is started or ended.
//!
//! Needs tmux 3.2 or later. `cargo run --example watch_sessions` watches your own server, `… -- <name>` the one of
//! `tmux -L <name>`. Start and kill sessions in another terminal to see events; Ctrl-C ends it.

use gastown_supervisor::tmux::{Event, Socket, Watcher};

// One thread, which lives as long as the program: the kernel ends the tmux client with the thread that started it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let socket = std::env::args().nth(1).map_or(Socket::Default, Socket::Name);
    let mut watcher = Watcher::new(socket);
    loop {
        tokio::select! {
            event = watcher.next() => println!("{}", words(&event)),
            interrupt = tokio::signal::ctrl_c() => {
                // Removes the idle session `_supervisor`, which attaches it to the server.
                watcher.close().await;
                return interrupt;
            }
        }
    }
}

fn words(event: &Event) -> String {
    match event {
        Event::Appeared { session, created, pids, .. } => {
            format!("{session}: lives since {created}, processes {pids:?}")
        }
        Event::Died { session, with_server: true, .. } => format!("{session}: ended with the tmux server"),
        Event::Died { session, exit: Some(code), .. } => format!("{session}: ended, exit status {code}"),
        Event::Died { session, exit: None, .. } => format!("{session}: ended"),
        Event::Unavailable(why) => format!("sessions cannot be listed: {why}"),
        // More kinds of events may be added.
        other => format!("{other:?}"),
    }
}
