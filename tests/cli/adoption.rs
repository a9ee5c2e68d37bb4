//! The next supervisor adopts what runs: nothing is restarted, however the last one ended.

use rustix::process::Signal;

use serde_json::json;

use crate::{
    among_others,
    support::{recording::kill_agent, town::Town},
};

const SESSIONS: [&str; 5] =
    ["gt-alpha-refinery", "gt-alpha-witness", "gt-beta-refinery", "gt-beta-witness", "hq-deacon"];
const AGENTS: [&str; 5] = ["deacon", "alpha/witness", "alpha/refinery", "beta/witness", "beta/refinery"];

#[test]
fn after_a_stop_and_after_a_kill_everything_runs_on() {
    std::thread::scope(|scope| {
        for with in [Signal::TERM, Signal::KILL] {
            scope.spawn(move || {
                let _among = among_others();
                let town = Town::new(&["alpha", "beta"]);
                let mut first = town.start();
                town.wait_started(&AGENTS);
                let incarnations = || SESSIONS.map(|name| town.incarnation(name).expect(name));
                let before = (incarnations(), AGENTS.map(|agent| town.first_words(agent)));
                let own =
                    town.server.must(&["display-message", "-p", "-t", "=_supervisor:", "#{session_id}"]);
                first.stop(with);
                assert_eq!(incarnations(), before.0, "{with:?}");
                assert_eq!(bound(&town), with == Signal::KILL, "{with:?}");
                let left_behind = town.server.names().contains(&"_supervisor".to_owned());
                assert_eq!(left_behind, with == Signal::KILL, "{with:?}");
                if with == Signal::KILL {
                    assert_eq!(town.text("daemon/daemon.pid"), first.pid().to_string(), "nobody tidied");
                }

                // As one leaves it that is killed during a start.
                let kept = ["-p", "-t", "=gt-alpha-witness:", "remain-on-exit"];
                town.server.must(&[&["set-option"], &kept[..], &["on"]].concat());
                let is_kept = || town.server.must(&[&["show-options", "-v"], &kept[..]].concat()) == "on";
                assert!(is_kept());

                let mut second = town.start_and_beat();
                for agent in AGENTS {
                    town.wait_logged(&format!(" {agent}: already running, adopted"));
                }
                town.wait("its panes are not kept any more", || !is_kept());
                town.wait("its keys", || bound(&town));
                if with == Signal::KILL {
                    let now =
                        town.server.must(&["display-message", "-p", "-t", "=_supervisor:", "#{session_id}"]);
                    assert_eq!(now, own, "its session is used again");
                }
                assert_eq!(town.text("daemon/daemon.pid"), second.pid().to_string());
                // It supervises them: one that dies is restarted, the others stay.
                town.server.must(&["kill-session", "-t", "=gt-beta-witness:"]);
                town.wait_replaced("gt-beta-witness", &before.0[3]);
                town.wait("its start", || town.started("beta/witness") == 2);
                let now = incarnations();
                for at in [0, 1, 2, 4] {
                    assert_eq!(now[at], before.0[at], "{with:?}: {}", SESSIONS[at]);
                }
                for (agent, (earlier, later)) in
                    AGENTS.iter().zip(before.1.iter().zip(AGENTS.map(|agent| town.received(agent))))
                {
                    assert!(
                        *agent == "beta/witness" || *earlier == later,
                        "{agent} was told something: {later}"
                    );
                }
                second.stop(Signal::TERM);
                assert_eq!(town.server.names(), SESSIONS, "{with:?}");
            });
        }
    });
}

/// Whether the keys act in this town's sessions.
fn bound(town: &Town) -> bool {
    town.server.must(&["list-keys", "-T", "prefix"]).contains("session_name")
}

#[test]
fn a_backoff_survives_the_supervisor() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    for started in [2, 2] {
        let before = town.incarnation("gt-alpha-witness").unwrap();
        crate::support::process::signal(before.1, Signal::KILL);
        town.wait("its end", || town.incarnation("gt-alpha-witness").as_ref() != Some(&before));
        town.wait("what follows", || {
            town.started("alpha/witness") == started && town.incarnation("gt-alpha-witness").is_some()
                || town.logged("restart 2 waits until") == 1
        });
    }
    town.wait_logged("restart 2 waits until");
    first.stop(Signal::TERM);
    let mut second = town.start_and_beat();
    town.wait("the wait to be kept to", || town.logged("alpha/witness: restart 2 waits until") == 2);
    assert_eq!(town.incarnation("gt-alpha-witness"), None);
    second.stop(Signal::TERM);
}

/// An agent may come up in a young shell; one that is not in the agent's pane is a person's.
#[test]
fn an_agent_that_ended_meanwhile_is_back_although_its_user_just_opened_a_shell() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    // A pane is young for as long as the test may last.
    town.settings(json!({"start": {"timeout": "10m"}}));
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    let lives = "daemon/supervisor/lives.json";
    town.wait("its pane is noted", || {
        town.path(lives).exists() && town.json(lives)["agents"]["alpha/witness"]["pane"].is_string()
    });
    first.stop(Signal::TERM);
    town.tmux(&["split-window", "-t", "=gt-alpha-witness:", "exec sh"]);
    let before = kill_agent(&town, "gt-alpha-witness");
    let _second = town.start();
    town.wait_replaced("gt-alpha-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 2);
}
