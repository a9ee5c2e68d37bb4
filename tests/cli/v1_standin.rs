//! The stand-in `gt` and `bd` of 1.x behave as the recordings of the real ones say (`tests/fixtures/v1`).

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        limits::LimitedCommand,
        process::{self, command_line, environment},
        town::Town,
    },
};

/// The rigs of the recordings.
const RIGS: [(&str, &str); 2] = [("alpha", "al"), ("beta", "be")];

/// A town whose `gt` takes no time of its own.
fn town() -> Town {
    let town = Town::v1(&RIGS);
    town.put("demo/gt-start-ms", "0");
    town
}

fn gt(town: &Town, line: &str) -> String {
    let answer = town.standin_in(".", line);
    assert_eq!(answer.code, Some(0), "{line}: {answer:?}");
    answer.stdout
}

fn refused(town: &Town, line: &str) -> String {
    let answer = town.standin_in(".", line);
    assert_eq!(answer.code, Some(1), "{line}: {answer:?}");
    answer.stderr
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name);
    fs::read_to_string(path).unwrap()
}

/// Beads of the town's database and of alpha's.
fn beads(town: &Town, hq: &[Value], alpha: &[Value]) {
    town.put("demo/beads.json", json!({"hq": hq, "alpha": alpha}).to_string());
}

fn work(id: &str, after: Option<&str>) -> Value {
    let before = after.map(|before| json!({"issue_id": id, "depends_on_id": before, "type": "blocks"}));
    json!({"id": id, "title": id, "status": "open", "priority": 2, "issue_type": "task",
        "dependencies": before.into_iter().collect::<Vec<_>>()})
}

fn convoy(id: &str, tracked: &[&str]) -> Value {
    let tracked: Vec<Value> =
        tracked.iter().map(|it| json!({"issue_id": id, "depends_on_id": it, "type": "tracks"})).collect();
    json!({"id": id, "title": "Two steps", "status": "open", "issue_type": "convoy", "dependencies": tracked,
        "created_at": "2026-11-28T16:30:24Z"})
}

/// A recorded start: its arguments without the program, and the variables that `gt` gave, for a town at `root`.
fn recorded(session: &str, root: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let text = fixture(&format!("agent_start_by_gt.{session}.txt")).replace("/home/user/gt", root);
    let (mut arguments, mut variables) = (Vec::new(), BTreeMap::new());
    for line in text.lines().skip(1) {
        if let Some(variable) = line.strip_prefix("env ") {
            let (name, value) = variable.split_once('=').unwrap();
            variables.insert(name.to_owned(), value.to_owned());
        } else if line.starts_with("argv[") {
            arguments.push(line.split_once('=').unwrap().1.to_owned());
        } else {
            let last: &mut String = arguments.last_mut().unwrap();
            *last = format!("{last}\n{line}");
        }
    }
    (arguments.split_off(1), given(variables))
}

/// Those that `gt` gives, without the ones that differ each time, and one that most have from the tmux server.
fn given(all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = ["GT_", "BD_", "BEADS_", "CLAUDE", "GIT_AUTHOR", "GIT_CEILING", "NODE_OPTIONS", "POLECAT_"];
    let differs = ["GT_RUN", "GT_BRANCH", "GTS_TEST_TOWN", "GT_TOWN_ROOT"];
    all.into_iter()
        .filter(|(name, _)| ours.iter().any(|begin| name.starts_with(begin)) && !differs.contains(&&**name))
        .collect()
}

/// The first instruction without its time; only its beginning, as the stand-in need not know all of the mayor's.
fn without_time(instruction: &str) -> String {
    let (begin, rest) = instruction.split_once(" • ").unwrap();
    let (_, rest) = rest.split_once(" • ").unwrap();
    format!("{begin} • {}", rest.chars().take(40).collect::<String>())
}

#[test]
fn every_agent_starts_as_recorded() {
    let _among = among_others();
    let town = town();
    town.worktree("alpha/polecats/furiosa/alpha");
    let root = town.root().display().to_string();
    for (line, session, said) in [
        ("gt deacon start", "hq-deacon", "✓ Deacon session started. Attach with: gt deacon attach\n"),
        ("gt mayor start", "hq-mayor", "✓ Mayor session started. Attach with: gt mayor attach\n"),
        ("gt boot spawn", "hq-boot", "Boot spawned in session: hq-boot\n"),
        ("gt witness start alpha", "al-witness", "✓ Witness started for alpha\n"),
        ("gt refinery start alpha", "al-refinery", "✓ Refinery started for alpha\n"),
        (
            "gt session restart alpha/furiosa --force",
            "al-furiosa",
            "✓ Session restarted. Attach with: gt session at alpha/furiosa\n",
        ),
    ] {
        assert!(gt(&town, line).ends_with(said), "{line}");
        let pid = town.pane(session).unwrap();
        let (mut arguments, variables) = recorded(session, &root);
        let mut found = command_line(pid).split_off(1);
        for words in [&mut arguments, &mut found] {
            let last = words.last_mut().unwrap();
            *last = without_time(last);
        }
        assert_eq!((found, given(environment(pid))), (arguments, variables), "{line}");
        let target = format!("={session}:");
        let pane = town.server.must(&["display-message", "-p", "-t", &target, "#{pane_id}"]);
        let known = town.server.must(&["show-environment", "-t", &format!("={session}"), "GT_PANE_ID"]);
        assert_eq!(known, format!("GT_PANE_ID={pane}"), "{line}");
    }
    assert_eq!(town.json(".runtime/heartbeats/al-furiosa.json")["state"], "working");
    town.wait("both pollers", || {
        ["al-witness", "al-refinery"]
            .iter()
            .all(|it| town.path(format!(".runtime/nudge_poller/{it}.pid")).exists())
    });
    let status: Value = serde_json::from_str(&gt(&town, "gt status --json")).unwrap();
    assert_eq!(status["tmux"]["socket_path"], town.server.socket().display().to_string());
    assert_eq!(status["tmux"]["session_count"], 6);
}

#[test]
fn who_runs_stays_and_whose_agent_is_not_seen_is_replaced() {
    let _among = among_others();
    let town = town();
    gt(&town, "gt witness start alpha");
    let before = town.incarnation("al-witness");
    assert!(gt(&town, "gt witness start alpha").contains("⚠ Witness is already running"));
    gt(&town, "gt deacon start");
    assert!(refused(&town, "gt deacon start").contains("Deacon session already running"));
    assert_eq!(town.incarnation("al-witness"), before);
    // A session with a shell only, and an agent of another name for which the session's environment has no name.
    town.tmux(&["new-session", "-d", "-s", "be-witness", "exec sleep 60"]);
    let zombie = town.incarnation("be-witness").unwrap();
    gt(&town, "gt witness start beta");
    town.wait_replaced("be-witness", &zombie);
}

#[test]
fn a_session_of_the_same_name_on_the_default_server_ends() {
    let _among = among_others();
    let town = town();
    let default = town.server.socket().with_file_name("default").display().to_string();
    let tmux = |arguments: &[&str]| {
        let mut tmux = std::process::Command::new("tmux");
        tmux.args(["-S", &default, "-f", "/dev/null"]).args(arguments).env_remove("TMUX").limited_output()
    };
    gt(&town, "gt witness start beta");
    assert!(tmux(&["new-session", "-d", "-s", "al-witness", "exec sleep 60"]).status.success());
    assert!(tmux(&["new-session", "-d", "-s", "other", "exec sleep 60"]).status.success());
    gt(&town, "gt witness start alpha");
    let left = tmux(&["list-sessions", "-F", "#{session_name}"]);
    tmux(&["kill-server"]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "other\n");
    assert_eq!(town.sessions(), ["al-witness", "be-witness"]);
    // Without a directory of its own it does nothing.
    let mut command = town.standin_command(".", "gt refinery start alpha");
    for directory in ["", "/tmp", "/no/such/directory"] {
        let output = command.env("TMUX_TMPDIR", directory).limited_output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("set TMUX_TMPDIR"), "{directory}: {said}");
    }
}

#[test]
fn a_dead_deacon_is_back_in_its_pane_after_three_seconds() {
    let _among = among_others();
    let town = town();
    gt(&town, "gt deacon start");
    // tmux 3.3a sometimes closes a pane without having its process's status, and then runs no hook: the next one may have more luck.
    let target = "=hq-deacon:";
    let is_back = (0..20).any(|_| {
        let (id, pid) = town.incarnation("hq-deacon").unwrap();
        process::signal(pid, Signal::KILL);
        let shows = |format: &str| town.server.must(&["list-panes", "-t", target, "-F", format]);
        town.wait("its end", || shows("#{pane_dead}") == "1");
        if shows("#{pane_dead_signal}#{pane_dead_status}").is_empty() {
            town.server.must(&["respawn-pane", "-k", "-t", target]);
            return false;
        }
        let again = town.wait_replaced("hq-deacon", &(id.clone(), pid));
        assert_eq!(town.incarnation("hq-deacon"), Some((id, again)));
        true
    });
    assert!(is_back, "tmux never ran the hook");
    let known = town.server.must(&["show-options", "-w", "-t", "=hq-deacon:", "remain-on-exit"]);
    assert_eq!(known, "remain-on-exit on");
}

#[test]
fn a_start_can_fail_hang_and_lie() {
    let _among = among_others();
    let town = town();
    town.put("demo/next-starts", "fail 1");
    assert!(refused(&town, "gt refinery start alpha").contains("creating session"));
    town.put("demo/next-starts", "lie 1 al-witness");
    gt(&town, "gt refinery start alpha");
    assert!(gt(&town, "gt witness start alpha").contains("✓ Witness started"));
    assert_eq!(town.sessions(), ["al-refinery"]);
    gt(&town, "gt witness start alpha");
    assert_eq!(town.sessions(), ["al-refinery", "al-witness"]);
    town.put("demo/next-starts", "hang 2");
    let mut hanging = town.standin_command(".", "gt mayor start");
    let child = process::Guarded::of(hanging.spawn().unwrap().id());
    town.wait("the order is taken", || town.text("demo/next-starts").trim() == "hang 1");
    assert!(child.lives() && !town.sessions().contains(&"hq-mayor".to_owned()));
}

#[test]
fn an_old_heartbeat_ends_a_polecat_that_is_started_and_a_young_one_keeps_it() {
    let _among = among_others();
    let town = town();
    town.worktree("alpha/polecats/furiosa/alpha");
    gt(&town, "gt session start alpha/furiosa");
    let before = town.incarnation("al-furiosa").unwrap();
    assert!(refused(&town, "gt session start alpha/furiosa").contains("session already running: al-furiosa"));
    let at = jiff::Timestamp::now() - Duration::from_secs(181);
    town.put(".runtime/heartbeats/al-furiosa.json", json!({"timestamp": at, "state": "working"}).to_string());
    gt(&town, "gt session start alpha/furiosa");
    let after = town.incarnation("al-furiosa").unwrap();
    assert_ne!(after, before);
    // Any command in its session makes it young.
    town.put(".runtime/heartbeats/al-furiosa.json", json!({"timestamp": at, "state": "working"}).to_string());
    let mut inside = town.standin_command(".", "gt hook");
    inside.env("GT_SESSION", "al-furiosa").env("GT_ROLE", "alpha/polecats/furiosa");
    assert!(inside.limited_output().status.success());
    assert!(refused(&town, "gt session start alpha/furiosa").contains("already running"));
    gt(&town, "gt session stop alpha/furiosa");
    assert_eq!(town.pane("al-furiosa"), None);
}

#[test]
fn a_convoy_goes_on_by_stranded_and_sling() {
    let _among = among_others();
    let town = town();
    beads(&town, &[convoy("hq-cv-1", &["al-1", "al-2"])], &[work("al-1", None), work("al-2", Some("al-1"))]);
    let ready = || {
        let all: Value = serde_json::from_str(&gt(&town, "gt convoy stranded --json")).unwrap();
        assert_eq!(all[0]["tracked_count"], 2, "{all}");
        assert_eq!(all[0]["ready_count"], all[0]["ready_issues"].as_array().unwrap().len());
        all[0]["ready_issues"].clone()
    };
    assert_eq!(ready(), json!(["al-1"]));
    gt(&town, "gt sling al-1 alpha --no-boot");
    assert_eq!(ready(), json!([]));
    assert!(
        refused(&town, "gt sling al-1 alpha --no-boot").contains("already hooked to alpha/polecats/furiosa")
    );
    // As recorded: the agent bead in the town, the work in the rig.
    let agent = town.standin_in(".", "bd show al-alpha-polecat-furiosa --json").json();
    let shown: Value = serde_json::from_str(&fixture("show_polecat_hooked_town.stdout")).unwrap();
    let words = |text: &Value| text.as_str().unwrap().replace("al-nlw", "al-1");
    assert_eq!(words(&agent[0]["description"]), words(&shown[0]["description"]));
    assert_eq!(
        (&agent[0]["issue_type"], &agent[0]["labels"]),
        (&shown[0]["issue_type"], &shown[0]["labels"])
    );
    let hooked = town.standin_in("alpha", "bd list --status=hooked --assignee=alpha/polecats/furiosa --json");
    assert_eq!(hooked.json()[0]["id"], "al-1");
    // Its polecat dies: the work goes to another one, and both agent beads name it.
    town.server.must(&["kill-session", "-t", "=al-furiosa"]);
    assert_eq!(ready(), json!(["al-1"]));
    gt(&town, "gt sling al-1 alpha --no-boot");
    assert_eq!(town.sessions(), ["al-nux"]);
    let agents = town.standin_in(".", "bd list --label=gt:agent --json --flat --limit 0").json();
    let hooks =
        agents.as_array().unwrap().iter().filter(|it| words(&it["description"]).contains("hook_bead: al-1"));
    assert_eq!(hooks.count(), 2);
    // The first step is done: the second is ready, and the convoy closes after it.
    assert!(gt(&town, "gt convoy check hq-cv-1").contains("has 2 open issue(s) remaining"));
    assert_eq!(town.standin_in("alpha", "bd close al-1").code, Some(0));
    assert_eq!(ready(), json!(["al-2"]));
    assert_eq!(town.standin_in("alpha", "bd close al-2").code, Some(0));
    assert!(gt(&town, "gt convoy check").contains("✓ Auto-closed convoy"));
    assert_eq!(gt(&town, "gt convoy stranded --json"), "[]\n");
    assert_eq!(gt(&town, "gt convoy check"), "No convoys ready to close.\n");
    let events = town.text(".events.jsonl");
    let kinds = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), ["spawn", "sling", "spawn", "sling"]);
}

#[test]
fn bd_answers_from_the_database_of_its_directory() {
    let _among = among_others();
    let town = town();
    let rig = json!({"id": "al-rig-alpha", "title": "alpha", "issue_type": "rig", "status": "open"});
    let agent = json!({"id": "al-alpha-witness", "title": "x", "issue_type": "task", "status": "open",
        "labels": ["gt:agent"]});
    beads(&town, std::slice::from_ref(&agent), &[rig.clone(), work("al-1", None)]);
    fs::create_dir_all(town.path("alpha/refinery/rig/src")).unwrap();
    let none = "{\n  \"error\": \"no issues found matching the provided IDs\"\n}\n";
    for (directory, line, code, out) in [
        (".", "bd show al-alpha-witness --json", 0, format!("{:#}\n", json!([agent]))),
        ("mayor", "bd show al-rig-alpha al-alpha-witness --json", 0, format!("{:#}\n", json!([agent]))),
        (".", "bd show al-rig-alpha --json", 1, none.to_owned()),
        ("alpha", "bd show al-rig-alpha --json", 0, format!("{:#}\n", json!([rig]))),
        ("alpha/refinery/rig/src", "bd show al-rig-alpha --json", 0, format!("{:#}\n", json!([rig]))),
        ("alpha", "bd show al-alpha-witness --json", 1, none.to_owned()),
        ("beta", "bd list --json", 0, "[]\n".to_owned()),
        (".", "bd list --type=agent --limit 0 --json", 0, fixture("list_type_agent_town.stdout")),
        (".", "bd list --rig=alpha --json", 1, format!("{:#}\n", json!({"error": "unknown flag: --rig"}))),
        (".", "bd show hq-nope --json", 1, fixture("show_missing.stdout")),
        (".", "gt mail inbox --identity deacon/ --json", 0, fixture("mail_inbox_empty.stdout")),
        (".", "gt convoy check", 0, fixture("convoy_check_none.stdout")),
        (".", "gt version --short", 0, "1.0.1\n".to_owned()),
    ] {
        let answer = town.standin_in(directory, line);
        assert_eq!((answer.code, answer.stdout.trim()), (Some(code), out.trim()), "{directory}: {line}");
    }
    assert_eq!(town.standin_in(".", "bd version --json").json()["version"], "1.0.3");
    gt(&town, "gt mail send deacon/ -s 'LIFECYCLE: cycle please' -m '{\"action\":\"cycle\"}'");
    let inbox = town.standin_in(".", "gt mail inbox --identity deacon/ --json").json();
    let recorded: Value = serde_json::from_str(&fixture("mail_inbox_deacon_lifecycle.stdout")).unwrap();
    let keys = |messages: &Value| messages[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&inbox), keys(&recorded));
    assert_eq!(gt(&town, "gt mail inbox --identity mayor/ --json"), "[]\n");
    gt(&town, &format!("gt mail delete {}", inbox[0]["id"].as_str().unwrap()));
    assert_eq!(gt(&town, "gt mail inbox --identity deacon/ --json"), "[]\n");
}

#[test]
fn without_dolt_nothing_is_known_of_beads() {
    let _among = among_others();
    let town = town();
    beads(&town, &[json!({"id": "hq-mayor", "title": "x", "status": "open", "issue_type": "task"})], &[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    town.put(".dolt-data/config.yaml", format!("listener:\n  port: {port}\n"));
    let down = town.standin_in(".", "bd show hq-mayor --json");
    assert_eq!(down.code, Some(1));
    assert!(down.stdout.contains("failed to open database: Dolt server unreachable"), "{down:?}");
    assert!(refused(&town, "gt mail inbox --identity deacon/ --json").contains("listing messages: "));
    assert!(refused(&town, "gt convoy stranded --json").contains("Dolt server unreachable"));
    gt(&town, "gt witness start alpha");
    assert!(gt(&town, "gt dolt start").contains("✓ Dolt server started"));
    assert_eq!(town.standin_in(".", "bd show hq-mayor --json").code, Some(0));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut greeting = [0; 5];
    std::io::Read::read_exact(&mut stream, &mut greeting).unwrap();
    assert_eq!((greeting[3], greeting[4]), (0, 10), "the first packet, of protocol 10");
    gt(&town, "gt dolt stop");
    town.wait("its end", || town.standin_in(".", "bd show hq-mayor --json").code == Some(1));
}
