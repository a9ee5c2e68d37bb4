//! Commands for one agent from outside: `restart`, `stop`, `start`, `attach`, `logs`, `events` and `wait`, with a supervisor and
//! without one.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        PATIENCE, Server,
        background::{Answer, answer, ended},
        limits::{self, LimitedCommand},
        process,
        supervisor::binary,
        town::Town,
    },
};

const WITNESS: &str = "gt-alpha-witness";

/// A town whose witness runs.
fn witness_town() -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town
}

fn agent(town: &Town, identity: &str) -> Value {
    let status = town.ask(&["status", "--json"]).json();
    let agents = status["agents"].as_array().unwrap();
    agents.iter().find(|agent| agent["identity"] == identity).cloned().unwrap_or_default()
}

/// The kernel's word for who runs this test.
fn us() -> String {
    format!("(uid {})", rustix::process::getuid().as_raw())
}

fn starts(answer: &Answer, code: i32, text: &str) {
    let said = if code == 0 { &answer.stdout } else { &answer.stderr };
    assert!(answer.code == Some(code) && said.starts_with(text), "{code}, {text:?}: {answer:?}");
}

/// A command that prints until it is ended.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn begin(town: &Town, words: &[&str]) -> Following {
        let mut command = town.command_of(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, (to, lines)) = (BufReader::new(child.stdout.take().unwrap()), channel());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Following { child, lines }
    }

    /// What it printed until this text, after which it is ended by Ctrl-C.
    fn until(mut self, text: &str) -> Answer {
        let mut shown = String::new();
        while !shown.contains(text) {
            let line = self.lines.recv_timeout(PATIENCE);
            shown += &line.unwrap_or_else(|_| panic!("{text:?} was not printed in time: {shown}"));
            shown.push('\n');
        }
        process::signal(self.child.id(), Signal::INT);
        let code = limits::end_of(&mut self.child, "events -f").code();
        Answer { code, stdout: shown, stderr: String::new() }
    }
}

#[test]
fn one_agent_is_restarted_stopped_and_started_and_explain_says_who_asked() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    starts(&town.ask(&["restart", "witness", "--now"]), 0, "alpha/witness: restarted in ");
    assert!(town.incarnation(WITNESS).is_some_and(|now| now != before), "it runs anew when that is said");
    let stopped = town.ask(&["stop", "alpha/witness", "--for", "2h", "--now"]);
    starts(&stopped, 0, "alpha/witness: stopped, held until ");
    assert!(!town.sessions().contains(&WITNESS.to_owned()), "its session is gone when that is said");
    let held = agent(&town, "alpha/witness");
    assert_eq!((&held["state"], &held["reason_code"]), (&json!("held"), &json!("stopped_by_operator")));
    let why = town.ask(&["status"]).stdout;
    assert!(why.contains("stopped by ") && why.contains(" until "), "{why}");
    starts(
        &town.ask(&["stop", "witness"]),
        0,
        "alpha/witness: was not running, held until somebody starts it",
    );

    supervisor.stop(Signal::TERM);
    let mut supervisor = town.start_and_beat();
    assert_eq!(agent(&town, "alpha/witness")["state"], "held", "the next supervisor holds it, too");
    starts(&town.ask(&["start", "witness"]), 0, "alpha/witness: started in ");
    assert!(town.sessions().contains(&WITNESS.to_owned()));
    town.ask(&["start", "witness"]).fine("alpha/witness: already running\n");
    let told = town.ask(&["explain", "witness"]).stdout;
    for what in ["`restart --now`", "`stop --now --for 2h`", "`stop`", "`start`"] {
        let line = told.lines().find(|line| line.contains(&format!("requested ({what} by ")));
        assert!(line.is_some_and(|line| line.contains(&us())), "{what}: {told}");
    }
    assert_eq!(town.text("daemon/supervisor/holds.json").matches("stopped").count(), 0, "nothing is held");
    assert_eq!(town.logged("requested: `stop --now --for 2h` by "), 1);
    supervisor.stop(Signal::TERM);
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS);
    starts(&town.ask(&["restart", "nobody"]), 1, "Error: unknown agent nobody");
    starts(&town.ask(&["stop", "witnes"]), 1, "Error: unknown agent witnes; did you mean alpha/witness?");
    starts(&town.ask(&["start", "boot"]), 1, "Error: deacon-boot: it is started when the deacon ");
    let off =
        "Error: deacon: the deacon patrol is switched off in mayor/daemon.json; switch the patrol on there";
    starts(&town.ask(&["start", "deacon"]), 1, off);
    town.put("ESTOP", "");
    for word in ["restart", "stop"] {
        let told = town.ask(&[word, "witness", "--now"]);
        starts(&told, 1, "Error: alpha/witness: emergency stop of the town (ESTOP); `gt thaw` ends ");
    }
    assert_eq!(town.incarnation(WITNESS), before);
    town.remove("ESTOP");
    for words in [&["stop", "--for", "2h"][..], &["restart", "--now"], &["stop", "witness", "--for", "soon"]]
    {
        assert_eq!(town.ask(words).code, Some(2), "{words:?}");
    }
    assert_eq!(town.ask(&["stop", "witness", "--for", "0s"]).code, Some(1));
    assert_eq!(town.incarnation(WITNESS), before);
    supervisor.stop(Signal::TERM);
}

#[test]
fn what_is_not_idle_is_waited_for() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let does = |activity: &str| {
        town.wait("what it does on its screen", || {
            town.ask(&["poke"]);
            agent(&town, "alpha/witness")["activity"] == activity
        });
    };
    does("idle");
    let first = town.incarnation(WITNESS);
    starts(&town.ask(&["restart", "witness"]), 0, "alpha/witness: restarted in ");
    let before = town.incarnation(WITNESS);
    assert_ne!(before, first);
    town.tmux(&["send-keys", "-t", WITNESS, "-l", "say esc to interrupt"]);
    town.tmux(&["send-keys", "-t", WITNESS, "Enter"]);
    town.wait("what it said", || town.ask(&["logs", "witness"]).stdout.contains("\nesc to interrupt"));
    // Its screen was read long before that, and is read once more.
    for word in ["restart", "stop"] {
        let told = town.ask(&[word, "witness", "--timeout", "1s"]);
        starts(&told, 1, "waiting up to 1s until it is idle: its screen shows that it is working ");
        let end = "; nothing was done (`--now` does not wait)\n";
        assert!(
            told.stderr.contains("Error: not idle within 1s: ") && told.stderr.ends_with(end),
            "{told:?}"
        );
        assert_eq!(town.incarnation(WITNESS), before);
    }
    starts(&town.ask(&["restart", "witness", "--now"]), 0, "alpha/witness: restarted in ");
    assert_ne!(town.incarnation(WITNESS), before);
    supervisor.stop(Signal::TERM);
}

#[test]
fn without_a_supervisor_nothing_is_done() {
    let _among = among_others();
    let town = witness_town();
    for words in [
        &["restart", "witness"][..],
        &["stop", "witness"],
        &["start", "witness"],
        &["attach", "witness"],
        &["logs", "witness"],
        &["wait", "witness", "--for", "alive"],
    ] {
        let told = town.ask(words);
        starts(&told, 3, "no supervisor runs in ");
        assert_eq!(told.stdout, "", "{words:?}");
    }
    assert!(town.sessions().is_empty() && !town.path("daemon").exists());
    let events = town.ask(&["events"]);
    assert_eq!((events.code, &*events.stdout), (Some(3), ""), "{events:?}");
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    process::signal(before.1, Signal::KILL);
    town.wait_replaced(WITNESS, &before);
    town.wait("its story on disk", || town.text("daemon/supervisor/history.json").contains("restart 1"));
    supervisor.stop(Signal::TERM);
    let events = town.ask(&["events", "witness"]);
    assert_eq!(events.code, Some(3), "{events:?}");
    assert!(events.stdout.contains(" alpha/witness: died: crashed"), "{events:?}");
    let shown = town.ask(&["logs", "witness"]);
    assert_eq!(shown.code, Some(3), "{shown:?}");
    assert!(shown.stderr.contains("this was on its screen when it died"), "{shown:?}");
}

#[test]
fn the_town_is_named_before_and_after_the_command() {
    let _among = among_others();
    let town = Town::new(&[]);
    let root = town.root().to_str().unwrap();
    for words in [
        &["--town", root, "status"][..],
        &["-t", root, "status"],
        &["status", "--town", root],
        &["status", "-t", root],
        &["-t", root, "logs", "-n", "1"],
    ] {
        let mut command = Command::new(binary());
        command.args(words).env_clear().current_dir("/");
        let told = answer(command);
        assert!(told.stdout.contains(root) || told.stderr.contains(root), "{words:?}: {told:?}");
    }
}

#[test]
fn the_pane_of_an_agent_is_shown_and_attached_to() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("its words", || town.ask(&["logs", "witness"]).stdout.contains('>'));
    town.tmux(&["send-keys", "-t", WITNESS, "-l", "say 7 of 9"]);
    town.tmux(&["send-keys", "-t", WITNESS, "Enter"]);
    town.wait("what it said", || town.ask(&["logs", "alpha-witness", "-n", "500"]).stdout.contains("7 of 9"));
    assert_eq!(town.ask(&["logs", "witness", "-n", "1"]).stdout.lines().count(), 1);
    assert_eq!(town.ask(&["logs", "witness", "-f"]).code, Some(2));

    // A terminal of a person: a pane of another server.
    let other = Server::new();
    let mut attaching = vec![binary().to_owned(), "attach".to_owned(), "witness".to_owned(), "-t".to_owned()];
    attaching.push(town.root().to_str().unwrap().to_owned());
    let mut person = Command::new("tmux");
    person.arg("-S").arg(other.socket()).args(["-f", "/dev/null", "new-session", "-d"]).args(&attaching);
    person.env_remove("TMUX").env("PATH", town.search_path());
    assert!(person.limited_output().status.success());
    town.wait("the client", || {
        town.tmux(&["list-clients", "-F", "#{session_name} #{client_control_mode}"])
            .lines()
            .any(|line| line == format!("{WITNESS} 0"))
    });
    starts(&town.ask(&["stop", "witness", "--now"]), 0, "alpha/witness: stopped");
    starts(
        &town.ask(&["attach", "witness"]),
        1,
        "Error: alpha/witness has no session; `gastown-supervisor explain alpha/witness` ",
    );
    supervisor.stop(Signal::TERM);
}

#[test]
fn events_are_one_list_and_are_followed() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let following = Following::begin(&town, &["events", "-f", "witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    process::signal(before.1, Signal::KILL);
    town.wait_replaced(WITNESS, &before);
    let mail = r#"{"ts":"TIME","source":"gt","type":"mail","actor":"alpha/witness","payload":{"to":"mayor/","subject":"all is well"},"visibility":"feed"}"#;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let log = format!("{}{}\n", town.text(".events.jsonl"), mail.replace("TIME", &now));
    town.put(".events.jsonl", log);
    town.wait("it in the list", || town.ask(&["events"]).stdout.contains("all is well"));
    let all = town.ask(&["events"]);
    assert_eq!((all.code, &*all.stderr), (Some(0), ""));
    for told in
        ["alpha/witness: died: crashed", "alpha/witness → mayor/: all is well", "alpha/witness: started in "]
    {
        assert!(all.stdout.contains(told), "{told}: {}", all.stdout);
    }
    assert_eq!(all.stdout.matches("died: crashed").count(), 1, "{}", all.stdout);
    assert_eq!(all.stdout.matches("terminated").count(), 0, "the history has it: {}", all.stdout);
    let lines = town.ask(&["events", "witness", "--json"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["code"] == "crashed" && line["from"] == "history"), "{lines:?}");
    assert!(lines.iter().any(|line| line["code"] == "mail" && line["from"] == "feed"), "{lines:?}");
    assert!(lines.iter().all(|line| line["at"].as_str().unwrap().ends_with('Z')), "{lines:?}");
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()));
    assert_eq!(town.ask(&["events", "--since", "0s"]).stdout.matches("died").count(), 0);
    let of_refinery = town.ask(&["events", "refinery"]);
    assert_eq!((of_refinery.code, &*of_refinery.stderr), (Some(0), ""), "{of_refinery:?}");
    assert!(!of_refinery.stdout.contains("witness"), "{of_refinery:?}");
    // The last thing that it is to see.
    starts(&town.ask(&["stop", "witness", "--now"]), 0, "alpha/witness: stopped");
    let followed = following.until("requested (`stop --now` by ");
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert_eq!(followed.stdout.matches("died: crashed").count(), 1, "{followed:?}");
    assert_eq!(followed.stdout.matches("all is well").count(), 1, "{followed:?}");
    supervisor.stop(Signal::TERM);
}

#[test]
fn a_state_is_waited_for() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.ask(&["wait", "witness", "--for", "alive", "--timeout", "20s"]).fine("alpha/witness is alive\n");
    let late = town.ask(&["wait", "witness", "--for", "crash_loop", "--timeout", "600ms"]);
    assert_eq!((late.code, &*late.stdout), (Some(124), ""), "{late:?}");
    assert!(
        late.stderr.starts_with("alpha/witness is alive")
            && late.stderr.contains("was not crash_loop within 600ms")
    );
    assert_eq!(town.ask(&["wait", "witness", "--for", "happiness"]).code, Some(2));
    starts(&town.ask(&["wait", "nobody", "--for", "alive"]), 1, "Error: unknown agent nobody");
    let mut waiting = town.command_of(&["wait", "witness", "--for", "held", "--timeout", "60s"]);
    waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = waiting.spawn().unwrap();
    starts(&town.ask(&["stop", "witness", "--now"]), 0, "alpha/witness: stopped");
    ended(waiting).fine("alpha/witness is held\n");
    supervisor.stop(Signal::TERM);
}
