//! A server that the user uses too: their options do not end our sessions, and their keys keep their bindings.

use std::path::PathBuf;

use gastown_supervisor::{
    agent::appearance,
    sessions::{
        Sessions,
        tmux::{Tmux, TmuxConfig},
    },
    town::settings::Naming,
};

use crate::support::{self, Server, limits::end_of, process::write_program, session, until};

/// A server whose `tmux.conf` is this.
fn with_conf(conf: &str) -> (Server, TmuxConfig) {
    let server = Server::new();
    let (file, program) = (server.dir().join("conf"), server.dir().join("tmux"));
    std::fs::write(&file, conf).unwrap();
    write_program(&program, &format!("#!/bin/sh\nexec tmux -f {} \"$@\"\n", file.display()));
    let config = TmuxConfig { program, ..server.config(true) };
    (server, config)
}

const HOSTILE: &str = "set -s exit-unattached on\nset -g destroy-unattached on\n";

/// A person attaches and leaves; the kernel ends their client.
async fn a_client_comes_and_goes(server: &Server) {
    let before = server.must(&["list-clients"]).lines().count();
    let socket = server.socket();
    let mut client = std::process::Command::new("tmux")
        .args([&PathBuf::from("-S"), &socket])
        .args(["-C", "attach-session", "-t", "=gt-a:"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let clients = || server.must(&["list-clients"]).lines().count();
    until("they look on", async || (clients() > before).then_some(())).await;
    drop(client.stdin.take());
    end_of(&mut client, "a client");
    until("they leave", async || (clients() == before).then_some(())).await;
}

async fn nobody_attached_ends_nothing(control: bool) {
    let (server, config) = with_conf(HOSTILE);
    let tmux = Tmux::new(TmuxConfig { control, ..config });
    for name in ["gt-a", "gt-b"] {
        tmux.create(&session(name)).await.unwrap();
    }
    assert_eq!(tmux.list().await.unwrap().len(), 2);
    a_client_comes_and_goes(&server).await;
    assert_eq!(tmux.list().await.unwrap().len(), 2, "after a client left");
    tmux.close().await;
    drop(tmux);
    until("our client leaves", async || server.must(&["list-clients"]).is_empty().then_some(())).await;
    a_client_comes_and_goes(&server).await;
    assert_eq!(server.names(), ["gt-a", "gt-b"], "after we left");
}

#[tokio::test]
async fn options_that_end_unattached_sessions_do_not_end_agents() {
    nobody_attached_ends_nothing(true).await;
}

#[tokio::test]
async fn nor_do_they_without_control_mode() {
    nobody_attached_ends_nothing(false).await;
}

#[tokio::test]
async fn an_option_that_is_set_later_does_not_end_agents_either() {
    let server = Server::new();
    let tmux = server.tmux(true);
    tmux.create(&session("gt-a")).await.unwrap();
    let on = || server.must(&["show-options", "-s", "-v", "exit-unattached"]) == "on";
    server.must(&["set-option", "-s", "exit-unattached", "on"]);
    tmux.list().await.unwrap();
    assert!(!on(), "turned off when it is seen");
    server.must(&[
        "set-option",
        "-s",
        "exit-unattached",
        "on",
        ";",
        "set-option",
        "-g",
        "destroy-unattached",
        "on",
    ]);
    tmux.close().await;
    drop(tmux);
    until("our client leaves", async || server.must(&["list-clients"]).is_empty().then_some(())).await;
    assert_eq!((server.names(), on()), (vec!["gt-a".to_owned()], false));
}

const KEYS: &str = "bind -r n next-window \\; display-message \"it's \\$x ; y\"\nunbind p\nbind a run-shell 'echo \"a;b\"'\n";

fn bindings(server: &Server) -> Vec<String> {
    let listed = |table| server.must(&["list-keys", "-T", table]);
    // Columns are as wide as the widest.
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    listed("prefix").lines().chain(listed("root").lines()).map(squeezed).collect()
}

#[tokio::test]
async fn a_users_keys_are_kept_and_given_back() {
    let (server, config) = with_conf(KEYS);
    let keys = appearance::key_bindings(Naming::Rig, &[]);
    let first = Tmux::new(config.clone());
    first.create(&session("gt-a")).await.unwrap();
    let users = bindings(&server);
    first.bind_keys(&keys).await.unwrap();
    let bound = bindings(&server);
    assert_ne!(bound, users);
    let with = |what: &str| bound.iter().any(|line| line.contains("gt cycle next") && line.contains(what));
    assert!(
        with("bind-key -r -T prefix n if-shell -F") && with("next-window ; display-message"),
        "{bound:#?}"
    );
    first.bind_keys(&keys).await.unwrap();
    assert_eq!(bindings(&server), bound, "once more is the same");
    // Killed: the next one does not take ours for the user's.
    support::kill(server.must(&["list-clients", "-F", "#{client_pid}"]).parse().unwrap());
    std::mem::forget(first);
    let second = Tmux::new(config.clone());
    second.bind_keys(&keys).await.unwrap();
    assert_eq!(bindings(&server), bound);
    second.close().await;
    assert_eq!(bindings(&server), users);
}

#[tokio::test]
async fn keys_that_are_bound_anew_or_used_by_another_supervisor_are_left() {
    let (server, config) = with_conf(KEYS);
    let keys = appearance::key_bindings(Naming::Rig, &[]);
    let (one, other) = (Tmux::new(config.clone()), Tmux::new(config));
    one.create(&session("gt-a")).await.unwrap();
    for tmux in [&one, &other] {
        tmux.bind_keys(&keys).await.unwrap();
    }
    let bound = bindings(&server);
    one.close().await;
    drop(one);
    assert_eq!(bindings(&server), bound, "the other one's too");
    until("its client leaves", async || (server.must(&["list-clients"]).lines().count() == 1).then_some(()))
        .await;
    server.must(&["bind-key", "-T", "prefix", "a", "last-window"]);
    other.close().await;
    let now = bindings(&server);
    assert!(now.contains(&"bind-key -T prefix a last-window".to_owned()), "{now:#?}");
    assert!(!now.iter().any(|line| line.contains("gt cycle")), "{now:#?}");
}
