//! Files of ours that cannot be written: reported once, retried, and never replaced by an empty file.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use gastown_supervisor::{
    deps::Deps,
    ports::{
        outbox,
        writes::{Content, Write},
    },
    town::{
        dialect::Dialect,
        events::{AGENT_RESTARTED, Event},
    },
    tree::housekeeping,
};
use serde::{Serialize, Serializer, ser::Error};

use crate::world::{World, path, secs, simulate};

/// A text, or something that cannot be made JSON.
#[derive(Debug)]
enum Value {
    Text(&'static str),
    Impossible,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Impossible => Err(S::Error::custom("it is impossible")),
        }
    }
}

const KEPT: &str = "daemon/supervisor/value.json";

/// A value, and whether it is not on disk.
struct Kept(Mutex<Value>, AtomicBool);

impl Kept {
    fn set(&self, value: Value) {
        *self.0.lock().unwrap() = value;
    }

    fn is_unsaved(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    async fn save(self: &Arc<Self>, deps: &Deps) -> Result<(), String> {
        let write = Write { path: path(KEPT), mode: 0o600, key: KEPT.into(), content: self.clone() };
        deps.writes.replace(deps, write).await
    }
}

impl Content for Kept {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        self.1.store(false, Ordering::Relaxed);
        serde_json::to_vec(&*self.0.lock().unwrap())
    }

    fn failed(&self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

async fn kept(world: &World) -> (Arc<Deps>, Arc<Kept>, tokio::task::JoinHandle<()>) {
    let (deps, _settings) = world.deps().await;
    let retrying = deps.clone();
    let retries = tokio::spawn(async move { housekeeping::keep_writing(&retrying).await });
    (deps, Arc::new(Kept(Mutex::new(Value::Text("")), AtomicBool::new(false))), retries)
}

#[test]
fn what_cannot_be_made_json_leaves_the_good_file_as_it_is() {
    simulate(401, |world| async move {
        let (deps, kept, retries) = kept(&world).await;
        kept.set(Value::Text("good"));
        kept.save(&deps).await.unwrap();
        assert_eq!(world.text(KEPT).as_deref(), Some("\"good\""));
        kept.set(Value::Impossible);
        let error = kept.save(&deps).await.unwrap_err();
        assert!(error.contains(KEPT) && error.contains("it is impossible"), "{error}");
        world.pass(secs(300)).await;
        assert_eq!(world.text(KEPT).as_deref(), Some("\"good\""), "neither at once nor by a retry");
        assert!(kept.is_unsaved());
        assert_eq!(deps.problems.open().len(), 1);
        assert_eq!(world.logged("it is impossible").len(), 1, "reported once");
        kept.set(Value::Text("better"));
        world.pass(secs(61)).await;
        assert_eq!(world.text(KEPT).as_deref(), Some("\"better\""), "a retry writes what there is then");
        assert!(!kept.is_unsaved() && deps.problems.open().is_empty());
        retries.abort();
    });
}

/// How often it was asked for.
struct Counted(Mutex<u32>, AtomicBool);

impl Content for Counted {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        *self.0.lock().unwrap() += 1;
        Ok(b"{}".to_vec())
    }

    fn failed(&self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_full_disk_is_tried_less_and_less_often_and_reported_once() {
    simulate(402, |world| async move {
        let (deps, _, retries) = kept(&world).await;
        world.fail("replace", true);
        let content = Arc::new(Counted(Mutex::new(0), AtomicBool::new(false)));
        let write = Write { path: path("x.json"), mode: 0o644, key: "x".into(), content: content.clone() };
        assert!(deps.writes.replace(&deps, write).await.is_err());
        assert!(content.1.load(Ordering::Relaxed));
        world.pass(secs(3600)).await;
        let tries = *content.0.lock().unwrap();
        assert!((60..75).contains(&tries), "{tries}");
        assert_eq!(world.logged("x.json cannot be written").len(), 1);
        world.fail("replace", false);
        world.pass(secs(61)).await;
        assert_eq!(world.text("x.json").as_deref(), Some("{}"));
        assert!(deps.problems.open().is_empty());
        let tries = *content.0.lock().unwrap();
        world.pass(secs(3600)).await;
        assert_eq!(*content.0.lock().unwrap(), tries, "done is done");
        retries.abort();
    });
}

#[test]
fn a_retry_never_overtakes_what_was_written_since() {
    simulate(403, |world| async move {
        let (deps, _, retries) = kept(&world).await;
        let write = |text: &str| Write {
            path: path("x.json"),
            mode: 0o644,
            key: "x".into(),
            content: Arc::new(text.as_bytes().to_vec()),
        };
        world.fail("replace", true);
        assert!(deps.writes.replace(&deps, write("old")).await.is_err());
        world.fail("replace", false);
        deps.writes.replace(&deps, write("new")).await.unwrap();
        world.pass(secs(600)).await;
        assert_eq!(world.text("x.json").as_deref(), Some("new"));
        retries.abort();
    });
}

#[test]
fn a_write_that_is_given_up_counts_as_failed() {
    simulate(404, |world| async move {
        let (deps, kept, retries) = kept(&world).await;
        kept.set(Value::Text("new"));
        world.hang("replace");
        let mut saving = Box::pin(kept.save(&deps));
        assert!(futures::poll!(&mut saving).is_pending());
        assert!(!kept.is_unsaved(), "it is being written");
        drop(saving);
        assert!(kept.is_unsaved());
        retries.abort();
    });
}

#[test]
fn routine_events_wake_nobody() {
    for (dialect, kinds) in [
        (Dialect::January, vec!["session_death", AGENT_RESTARTED, "crash_loop"]),
        (Dialect::V1, vec!["session_death", "crash_loop"]),
    ] {
        simulate(163, |world| async move {
            world.is_of(dialect);
            let (deps, _settings) = world.deps().await;
            for kind in ["session_death", AGENT_RESTARTED, "crash_loop"] {
                let event = Event::ours(deps.now().wall, kind, serde_json::json!({"agent": "deacon"}));
                outbox::append(&deps, &event).await;
            }
            let text = world.text(".events.jsonl").unwrap();
            let written: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let written: Vec<&str> = written.iter().map(|event| event["type"].as_str().unwrap()).collect();
            assert_eq!(written, kinds, "{dialect}");
            assert_eq!(deps.writes.events.written(), kinds.len() as u64, "{dialect}");
        });
    }
}
