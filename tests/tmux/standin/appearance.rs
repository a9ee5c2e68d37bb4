//! tmux takes the options and key bindings as they are written, and the bindings act in the town's sessions only.

use gastown_supervisor::{
    agent::appearance,
    sessions::KeyBinding,
    town::{identity::Identity, settings::Naming},
};

use super::{text, tmux::Tmux};
use crate::support::{limits::wait_for, process::write_program};

fn bind(tmux: &Tmux, binding: &KeyBinding) {
    let otherwise = match binding.key {
        "n" => "next-window",
        "p" => "previous-window",
        _ => "",
    };
    let condition = ["if-shell", "-F", &binding.only_if, &binding.then, otherwise];
    tmux.run(&[&["bind-key", "-T", binding.table, binding.key], &condition[..]].concat());
}

#[test]
fn options_are_accepted_and_expand() {
    let (tmux, outer) = (Tmux::new(&[]), Tmux::new(&[("TERM", "screen")]));
    // A `gt` that answers where the stand-in says nothing.
    let gt = tmux.bin().join("gt");
    std::fs::remove_file(&gt).unwrap();
    write_program(&gt, "#!/bin/sh\necho \"says $*\"\n");
    let identity = Identity::Witness("a-b".parse().unwrap());
    tmux.agent("gt-a-b-witness", "witness", "a-b/witness", "exec claude");
    for (option, value) in appearance::options(&identity, "gt-a-b-witness") {
        tmux.run(&["set-option", "-t", "=gt-a-b-witness:", option, &value]);
        assert_eq!(tmux.run(&["show-options", "-v", "-t", "=gt-a-b-witness:", option]), value, "{option}");
    }
    // What a person sees in the last line.
    client(&tmux, &outer, "gt-a-b-witness");
    wait_for("both statuses", || {
        let screen = outer.screen("gt-a-b-witness");
        let line = screen.last().map(String::as_str).unwrap_or_default();
        line.starts_with("🦉 a-b/witness ") && line.contains("says status-line --session=gt-a-b-witness ")
    });
}

/// A person's client: the inner session as seen from a pane of an outer server, whose keys can be pressed.
fn client(inner: &Tmux, outer: &Tmux, session: &str) {
    // On a busy machine keys arrive together, which tmux takes for pasted text instead of a binding.
    inner.run(&["set-option", "-g", "assume-paste-time", "0"]);
    let socket = inner.town().join("socket");
    let attach = format!("env -u TMUX tmux -S '{}' attach -t '={session}'", socket.display());
    outer.agent(session, "crew", "r/crew/me", &attach);
    let attached = "#{==:#{session_attached},1}#{session_name}";
    wait_for("the client", || {
        inner.run(&["list-sessions", "-F", attached]).lines().any(|line| line == format!("1{session}"))
    });
}

fn press(outer: &Tmux, session: &str, key: &str) {
    for key in ["C-b", key] {
        outer.run(&["send-keys", "-t", &format!("={session}:"), key]);
    }
}

#[test]
fn keys_act_in_the_towns_sessions_only() {
    let (inner, outer) = (Tmux::new(&[]), Tmux::new(&[("TERM", "screen")]));
    inner.agent("gt-a-witness", "witness", "a/witness", "exec claude");
    inner.agent("mine", "crew", "a/crew/me", "exec claude");
    for session in ["gt-a-witness", "mine"] {
        inner.run(&["new-window", "-d", "-t", &format!("={session}:"), "exec claude"]);
    }
    // The bound commands run in the directory of the session's first client; the stand-in `gt` notes them in its
    // town.
    inner.run(&["set-environment", "-g", "GT_ROOT", &inner.town().display().to_string()]);
    for binding in appearance::key_bindings(Naming::Rig, &[]) {
        bind(&inner, &binding);
    }
    let window = |session: &str| {
        inner.run(&["display-message", "-p", "-t", &format!("={session}:"), "#{window_index}"])
    };
    let log = inner.town().join("demo/commands.log");

    client(&inner, &outer, "mine");
    press(&outer, "mine", "a");
    press(&outer, "mine", "n");
    wait_for("tmux's own next window", || window("mine") == "1");
    press(&outer, "mine", "p");
    wait_for("tmux's own previous window", || window("mine") == "0");
    assert!(!log.exists(), "gt was called for a session that is not the town's: {}", text(&log));

    client(&inner, &outer, "gt-a-witness");
    for (key, line) in [
        ("n", "gt cycle next --session gt-a-witness\n"),
        ("p", "gt cycle prev --session gt-a-witness\n"),
        ("a", "gt feed --window\n"),
    ] {
        press(&outer, "gt-a-witness", key);
        wait_for(line, || text(&log).ends_with(line));
    }
    assert_eq!(window("gt-a-witness"), "0");
}

#[test]
fn a_click_on_the_right_status_opens_the_mail() {
    let (inner, outer) = (Tmux::new(&[]), Tmux::new(&[("TERM", "screen")]));
    inner.agent("gt-a-witness", "witness", "a/witness", "exec claude");
    inner.run(&["set-environment", "-g", "GT_ROOT", &inner.town().display().to_string()]);
    for (option, value) in appearance::options(&Identity::Witness("a".parse().unwrap()), "gt-a-witness") {
        inner.run(&["set-option", "-t", "=gt-a-witness:", option, &value]);
    }
    for binding in appearance::key_bindings(Naming::Rig, &[]) {
        bind(&inner, &binding);
    }
    client(&inner, &outer, "gt-a-witness");
    // A press and release of button 1 in the last columns of the client's last line (SGR mouse report).
    let row = inner.run(&["list-clients", "-F", "#{client_height}"]);
    let column = inner.run(&["list-clients", "-F", "#{e|-:#{client_width},2}"]);
    let log = inner.town().join("demo/commands.log");
    outer.run(&["send-keys", "-t", "=gt-a-witness:", "-l", &format!("\x1b[<0;{column};{row}M")]);
    outer.run(&["send-keys", "-t", "=gt-a-witness:", "-l", &format!("\x1b[<0;{column};{row}m")]);
    wait_for("gt mail peek", || text(&log).contains("gt mail peek\n"));
}
