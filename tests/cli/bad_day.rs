//! The operator's bad day: whatever goes wrong, `status` names it in its first five lines of 80 columns, and `doctor` exits with 1.

use std::fs;

use gastown_supervisor::width;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    among_others,
    full_disk::{full, make_room, start_with_room},
    support::{background::answer, recording::kill_agent, supervisor::Supervisor, town::Town},
};

/// Its rigs: with a witness and a refinery each, twelve agents.
const RIGS: [&str; 6] = ["a1", "a2", "a3", "a4", "a5", "a6"];
const COLUMNS: usize = 80;

struct Day {
    town: Town,
    supervisor: Supervisor,
}

impl Day {
    fn begin() -> Day {
        let town = Town::new(&RIGS);
        town.patrols(&["witness", "refinery"]);
        town.settings(json!({
            "heartbeat": {"interval": "500ms"},
            "commands": {"timeout": "1s"},
            "restart": {"crash_loop_count": 2, "initial_backoff": "10ms"},
        }));
        let supervisor = start_with_room(&town, "unlimited");
        for rig in RIGS {
            town.wait_started(&[&format!("{rig}/witness"), &format!("{rig}/refinery")]);
        }
        Day { town, supervisor }
    }

    /// The first lines of `status`, as a terminal of 80 columns has them.
    fn first_lines(&self) -> String {
        let fitted = |line: &str| width::wrapped(line, 0, line.len() - line.trim_start().len() + 2, COLUMNS);
        let page = self.town.ask(&["status"]).stdout;
        let lines: Vec<String> = page.lines().map(fitted).collect();
        lines.join("\n").lines().take(5).map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// What `doctor` finds wrong, and its exit code.
    fn doctor(&self) -> (String, Option<i32>) {
        let mut command = self.town.command_of(&["doctor", "--json"]);
        command.env("TMUX_TMPDIR", self.town.root().parent().unwrap());
        let answer = answer(command);
        let wrong = answer.json()["findings"].as_array().unwrap().clone().into_iter();
        let wrong =
            wrong.filter(|it| it["severity"] == "wrong").map(|it| it["what"].as_str().unwrap().to_owned());
        (wrong.collect::<Vec<_>>().join("\n"), answer.code)
    }

    /// Takes a program away; the result brings it back.
    fn take_away(&self, name: &str) -> impl FnOnce() + use<> {
        let (program, away) = (self.town.bin().join(name), self.town.bin().join(format!("{name}.away")));
        fs::rename(&program, &away).unwrap();
        move || fs::rename(&away, &program).unwrap()
    }

    /// Waits until both say it.
    fn shows(&self, what: &str, in_status: &str, in_doctor: &str) {
        self.town.wait(what, || self.first_lines().contains(in_status));
        let (wrong, code) = self.doctor();
        assert_eq!(code, Some(1), "{what}: {wrong}");
        assert!(wrong.contains(in_doctor), "{what}: {wrong}");
    }

    /// It is over, and neither says it any more.
    fn is_over(&self, what: &str, in_status: &str) {
        self.town.wait(&format!("the end of {what}"), || !self.first_lines().contains(in_status));
    }
}

#[test]
fn each_is_named_first_and_is_wrong() {
    let _among = among_others();
    let mut day = Day::begin();
    assert_eq!(day.doctor(), (String::new(), Some(0)), "{}", day.first_lines());

    day.town.put("ESTOP", "");
    day.shows("an emergency stop", "EMERGENCY STOP", "ESTOP: emergency stop of the town");
    day.town.remove("ESTOP");
    day.is_over("an emergency stop", "EMERGENCY STOP");

    day.town.wisp("a1", Some("parked"));
    day.shows("a parked rig", "a1 is parked", "nothing is started in rig a1");
    day.town.wisp("a1", None);
    day.is_over("a parked rig", "a1 is parked");

    let settings = day.town.text("settings/supervisor.json");
    day.town.put("settings/supervisor.json", "{");
    day.shows("broken settings", "settings/supervisor.json:1:", "settings/supervisor.json:1:");
    day.town.put("settings/supervisor.json", settings);
    day.is_over("broken settings", "settings/supervisor.json:1:");

    day.supervisor.signal(Signal::STOP);
    day.shows("a stopped supervisor", "does not answer: it is stopped (SIGSTOP)", "it does not answer");
    day.supervisor.signal(Signal::CONT);
    day.is_over("a stopped supervisor", "does not answer");

    let claude = day.take_away("claude");
    kill_agent(&day.town, "gt-a2-witness");
    day.shows(
        "a missing program",
        "a2/witness cannot be started: ",
        "cannot be started: claude, which is not on PATH",
    );
    claude();
    assert_eq!(day.town.ask(&["clear-backoff", "a2/witness"]).code, Some(0));
    day.is_over("a missing program", "a2/witness cannot be started");

    for lives in 1..=3 {
        day.town.wait("a life of it", || day.town.started("a3/witness") == lives);
        kill_agent(&day.town, "gt-a3-witness");
    }
    day.shows("a crash loop", "1 crash loop", "a3/witness");
    assert_eq!(day.town.ask(&["clear-backoff", "a3/witness"]).code, Some(0));
    day.is_over("a crash loop", "crash loop");

    let bd = day.take_away("bd");
    day.town.program("bd", "exec sleep 60");
    day.shows("a hung bd", "bd does not answer: `bd ", "bd does not answer: `bd ");
    bd();
    day.is_over("a hung bd", "bd does not answer");

    full(&day.supervisor);
    day.shows("a full disk", "File too large", "File too large");
    make_room(&day.supervisor);
    day.is_over("a full disk", "File too large");

    day.town.server.kill_hard();
    day.shows("twelve deaths", ": 12 sessions died together (tmux server died)", "12 sessions died together");
    day.supervisor.stop(Signal::TERM);
}
