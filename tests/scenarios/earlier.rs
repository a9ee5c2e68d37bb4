//! The previous supervisor was of an earlier version: its files are read, and their state is respected. Recorded with
//! its binary, see `tests/fixtures/state/README.md`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use gastown_supervisor::signals::Signal;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::*;

const VERSIONS: [&str; 2] = ["bc888d0", "4ed679e"];
const RIGS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const RESTARTS: &str = "daemon/restart_state.json";
const CLAIMS: &str = "daemon/supervisor/claims.json";

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state").join(version)
}

fn recorded(version: &str, file: &str) -> Value {
    let text = fs::read_to_string(fixtures(version).join(file)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The names of the files of ours that this version left, below `daemon/supervisor`.
fn own_files(version: &str) -> Vec<String> {
    let listed = fs::read_dir(fixtures(version).join("daemon/supervisor")).unwrap();
    listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The last line of its log of events: nux slings something.
fn last_event(version: &str) -> String {
    let events = fs::read_to_string(fixtures(version).join(".events.jsonl")).unwrap();
    events.lines().last().unwrap().to_owned()
}

/// The first of these versions did not keep who was seen alive and who waits.
fn keeps_lives_and_waits(version: &str) -> bool {
    version != VERSIONS[0]
}

impl World {
    /// The town as it was a second after the recording. The deacon, delta's agents and the polecat nux still run;
    /// no other agent does, and so the polecat dag ended in that second.
    fn left_by(&self, version: &str) {
        let at: Timestamp =
            fs::read_to_string(fixtures(version).join("recorded_at")).unwrap().parse().unwrap();
        let wall = wall_at(self.time(), SignedDuration::from_secs(-1));
        self.state().wall_offset = at.duration_since(wall);
        self.set_rigs(&RIGS);
        let own = own_files(version).into_iter().map(|name| format!("daemon/supervisor/{name}"));
        for file in
            own.chain([RESTARTS, "daemon/state.json", ".events.jsonl", ".feed.jsonl"].map(str::to_owned))
        {
            self.write(&file, &fs::read_to_string(fixtures(version).join(&file)).unwrap());
        }
        let last = last_event(version).replace("sling", "TYPE");
        let between = ["handoff", "done", "sling"].map(|kind| last.replace("TYPE", kind) + "\n").concat();
        self.write(".events.jsonl", &(self.text(".events.jsonl").unwrap() + &between));
        self.recognize_journals(version);
        self.add_polecat("gamma", "nux", &work_of("gamma", "nux"));
        self.add_polecat("gamma", "dag", &work_of("gamma", "dag"));
        let lives = recorded(version, "daemon/supervisor/lives.json")["agents"].clone();
        let polecat = polecat("gamma", "nux");
        for (session, identity) in [
            (DEACON, "deacon"),
            ("gt-delta-witness", "delta/witness"),
            ("gt-delta-refinery", "delta/refinery"),
            (&polecat, "gamma/polecats/nux"),
        ] {
            self.start_agent(session);
            self.is_the_one(session, &lives[identity]);
        }
        let early = (at - SignedDuration::from_mins(1)).to_string();
        for bead in self.state().beads.values_mut() {
            bead["updated_at"] = early.clone().into();
        }
    }

    /// This session runs since before, and is the recorded one if there is a record of it.
    fn is_the_one(&self, session: &str, recorded: &Value) {
        let early = self.wall() - SignedDuration::from_secs(30);
        let mut state = self.state();
        let session = state.sessions.get_mut(session).unwrap();
        session.created = early;
        if let (Some(id), Some(created)) = (recorded["id"].as_str(), recorded["created"].as_str()) {
            session.id = id.trim_start_matches('$').parse().unwrap();
            session.created = created.parse().unwrap();
        }
    }

    /// The recorded journals are the ones that lie here: they have the device and inode that this world gives them.
    fn recognize_journals(&self, version: &str) {
        let mut feed = recorded(version, "daemon/supervisor/feed.json");
        let journals = [(".events.jsonl", 51, &mut feed["position"]["file"])];
        for (journal, inode, id) in journals {
            self.state().file_ids.insert(path(journal), inode);
            *id = json!({"device": 1, "inode": inode, "made": null});
        }
        self.state().file_ids.insert(path(".feed.jsonl"), 52);
        let extent = &mut feed["feed"][0]["file"];
        assert!(extent.is_object(), "{feed:#}");
        *extent = json!({"device": 1, "inode": 52, "made": null});
        self.write("daemon/supervisor/feed.json", &feed.to_string());
    }

    /// This agent asked for this, in this message, which is in the inbox or gone already.
    fn asked(&self, session: &str, from: &str, message: &str, is_there: bool) {
        let id = self.ask(session, from, "cycle");
        let inbox = &mut self.state().mailbox.messages;
        let at = inbox.iter().position(|it| it["id"] == id.as_str()).unwrap();
        match is_there {
            true => inbox[at]["id"] = message.into(),
            false => drop(inbox.remove(at)),
        }
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.text(file).unwrap_or_default()).unwrap_or(Value::Null)
    }
}

/// A supervisor of today on what this version left, two minutes later.
async fn taken_over(world: &World, version: &str) -> Supervisor {
    world.left_by(version);
    world.write("settings/supervisor.json", r#"{"polecats": {"gupp_after": "5s"}}"#);
    world.asked("gt-alpha-witness", "alpha/witness", "hq-begun", false);
    world.asked("gt-alpha-witness", "alpha/witness", "hq-due", false);
    world.asked("gt-delta-witness", "delta/witness", "hq-noted", true);
    world.mail_with("delta/refinery", "LIFECYCLE: please", "restart", |message| {
        message["id"] = "hq-done".into()
    });
    let supervisor = world.supervisor().await;
    world.pass(mins(2)).await;
    let files: Vec<PathBuf> = world.state().files.keys().cloned().collect();
    let aside = files.iter().find(|file| file.to_string_lossy().ends_with(".corrupt"));
    assert_eq!(aside, None, "{version}");
    assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{version}");
    supervisor
}

#[test]
fn the_session_that_a_request_was_to_end_is_ended() {
    for version in VERSIONS {
        simulate(905, |world| async move {
            world.start_agent("gt-alpha-witness");
            let claims = recorded(version, "daemon/supervisor/claims.json");
            world
                .is_the_one("gt-alpha-witness", &claims["requests"]["hq-begun"]["stage"]["begun"]["session"]);
            let _supervisor = taken_over(&world, version).await;
            assert_eq!(
                starts(&world, "alpha")[0],
                2,
                "{version}: because of what was begun, and of what was due"
            );
        });
    }
}

/// How often the supervisor started each agent of a rig.
fn starts(world: &World, rig: &str) -> [usize; 2] {
    [witness(rig), refinery(rig)].map(|session| world.state().created(&session).len())
}

#[test]
fn holds_backoffs_crash_loops_and_waits_are_kept_to() {
    for version in VERSIONS {
        simulate(900, |world| async move {
            let supervisor = taken_over(&world, version).await;
            let before = recorded(version, RESTARTS)["agents"].clone();
            let time = |agent: &str, key: &str| -> Timestamp {
                before[agent][key].as_str().unwrap().parse().unwrap()
            };
            assert_eq!(supervisor.agent("alpha/refinery").await.state, "held", "{version}");

            let backoff = supervisor.agent("beta/witness").await;
            let until = time("beta/witness", "backoff_until");
            assert_eq!((&*backoff.state, backoff.backoff_until), ("waiting", Some(until)), "{version}");
            assert_eq!(json!(backoff.restarts), before["beta/witness"]["restart_count"], "{version}");

            let crash_loop = supervisor.agent("beta/refinery").await;
            assert_eq!(crash_loop.state, "crash_loop", "{version}: {crash_loop:#?}");
            assert_eq!((starts(&world, "beta"), starts(&world, "alpha")[1]), ([0, 0], 0), "{version}");

            // Nobody of ours.
            let now = world.json(RESTARTS)["agents"]["somebody-else"].clone();
            assert_eq!((&now, &now["restart_count"]), (&before["somebody-else"], &json!(7)), "{version}");

            if keeps_lives_and_waits(version) {
                let waits = recorded(version, "daemon/supervisor/waits.json");
                let until = waits["agents"]["gamma/witness"]["until"].as_str().unwrap().parse().unwrap();
                let wait = supervisor.agent("gamma/witness").await;
                assert_eq!((&*wait.state, wait.backoff_until), ("waiting", Some(until)), "{version}");
                assert!(wait.reason.as_deref().unwrap().contains("usage limit"), "{version}: {wait:#?}");
                assert_eq!(starts(&world, "gamma")[0], 0, "{version}");
            }

            let left = Duration::try_from(until.duration_since(world.wall())).unwrap();
            world.pass(left - secs(1)).await;
            assert_eq!(starts(&world, "beta"), [0, 0], "{version}: not yet");
            world.pass(secs(5)).await;
            assert_eq!(starts(&world, "beta"), [1, 0], "{version}: in time");
            // Another's restart has the file written again.
            world.crash_agent(&refinery("delta"), false);
            world.pass(secs(30)).await;
            let now = world.json(RESTARTS)["agents"].clone();
            assert_eq!(now["delta/refinery"]["restart_count"], 1, "{version}: {now:#}");
            assert_eq!(now["beta/witness"]["restart_count"], 2, "{version}: it counts: {now:#}");
            assert_eq!(now["beta/refinery"], before["beta/refinery"], "{version}");
            world.pass(mins(31)).await;
            assert_eq!(starts(&world, "beta"), [1, 1], "{version}: tried again after the crash loop");
            assert_eq!(starts(&world, "alpha")[1], 0, "{version}: held");
        });
    }
}

#[test]
fn an_end_in_between_is_reported_and_what_runs_is_adopted() {
    for version in VERSIONS {
        simulate(901, |world| async move {
            let supervisor = taken_over(&world, version).await;
            let expected = usize::from(keeps_lives_and_waits(version));
            let dag = polecat("gamma", "dag");
            assert_eq!(world.state().crashes_of(&dag).len(), expected, "{version}");
            let before = fs::read_to_string(fixtures(version).join(".events.jsonl")).unwrap();
            let deaths = world.events("session_death");
            let new = &deaths[before.matches("session_death").count()..];
            assert_eq!(new.len(), expected, "{version}: {new:#?}");
            assert!(
                new.iter().all(|death| death["payload"]["session"] == dag.as_str()),
                "{version}: {new:#?}"
            );
            assert_eq!(world.state().created(&dag).len(), 1, "{version}");
            for session in [DEACON.to_owned(), refinery("delta"), polecat("gamma", "nux")] {
                assert_eq!(world.state().created(&session).len(), 0, "{version}: {session}");
                assert_eq!(world.state().session(&session).typed, [], "{version}: {session}");
            }
            assert_eq!(supervisor.agent("deacon").await.state, "alive");
        });
    }
}

#[test]
fn requests_go_on_from_where_they_were() {
    for version in VERSIONS {
        simulate(902, |world| async move {
            let supervisor = taken_over(&world, version).await;
            supervisor.signals.tell(Signal::HeartbeatNow);
            world.pass(mins(2)).await;
            assert_eq!(starts(&world, "alpha"), [2, 0], "{version}: what was begun, then what was due");
            assert_eq!(starts(&world, "delta"), [1, 0], "{version}: what was noted; not again what was done");
            for message in ["hq-noted", "hq-done"] {
                assert_eq!(world.state().mailbox.left(message, Left::Deleted), 1, "{version}: {message}");
            }
            supervisor.signals.tell(Signal::HeartbeatNow);
            world.pass(mins(1)).await;
            assert_eq!(world.json(CLAIMS), json!({"requests": {}}), "{version}");
            for rig in ["alpha", "delta"] {
                let typed = world.state().session(&witness(rig)).typed.clone();
                assert!(
                    typed.iter().any(|(_, text)| text.contains("lifecycle-restart")),
                    "{version}: {typed:?}"
                );
            }
        });
    }
}

#[test]
fn histories_incidents_and_the_feed_go_on() {
    for version in VERSIONS {
        simulate(903, |world| async move {
            let supervisor = taken_over(&world, version).await;
            let histories = recorded(version, "daemon/supervisor/history.json");
            let histories = histories["agents"].as_object().expect("histories of agents");
            assert!(histories.len() >= 10, "{version}: {histories:#?}");
            for (agent, history) in histories {
                let before = history["entries"].as_array().unwrap();
                let now = json!(supervisor.history(agent).entries);
                let now = now.as_array().unwrap();
                assert!(now.starts_with(before), "{version}: {agent}: {now:#?}");
                let story = supervisor.story(agent);
                assert!(story.len() >= before.len(), "{version}: {story:#?}");
            }

            let feed = || world.text(".feed.jsonl").unwrap();
            let before = fs::read_to_string(fixtures(version).join(".feed.jsonl")).unwrap();
            assert!(feed().starts_with(&before) && before.contains("after handed off"), "{version}");
            let event = r#"{"ts":"2027-02-02T08:00:00Z","source":"gt","type":"handoff","actor":"now","visibility":"feed"}"#;
            let events = world.text(".events.jsonl").unwrap();
            world.write(".events.jsonl", &format!("{events}{event}\n"));
            world.pass(mins(1)).await;
            let summaries = [
                ("before handed off", 0, "was there before the first start"),
                ("after handed off", 1, "was read by the earlier one"),
                ("nux handed off", 1, "came while none ran"),
                ("now handed off", 1, "came now"),
                ("nux dispatching work to 3 ", 1, "two were read by the earlier one"),
            ];
            for (summary, times, why) in summaries {
                assert_eq!(feed().matches(summary).count(), times, "{version}: {summary}: {why}: {}", feed());
            }
            let done = feed().matches(r#""type":"done""#).count();
            assert_eq!(done, 1, "{version}: the second came soon after the first: {}", feed());
            let written = supervisor.snapshot().await.feed["written"].clone();
            assert_eq!(written, feed().lines().count(), "{version}");

            world.pass(mins(7)).await;
            let mails = world.state().mails.clone();
            let about = |name: &str| mails.iter().filter(|(_, _, subject)| subject.contains(name)).count();
            assert_eq!(about("nux"), 0, "{version}: its work stood still then as now: {mails:?}");
        });
    }
}

#[test]
fn role_beads_as_last_read_count_while_bd_does_not_answer() {
    for version in VERSIONS {
        simulate(904, |world| async move {
            world.left_by(version);
            world.hang("bd");
            let _supervisor = world.supervisor().await;
            world.until("a start", mins(1), |state| state.lives(&witness("alpha"))).await;
            let session = world.state().session(&witness("alpha")).clone();
            assert_eq!(session.environment.get("FOO").map(String::as_str), Some("alpha"), "{version}");
        });
    }
}
