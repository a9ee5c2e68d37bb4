//! The curator as an actor: with the real file watch and the real clock.

use std::{sync::Arc, time::Duration};

use gastown_supervisor::{
    supervision::child::ask,
    town::{
        events::Event,
        journal::disk::DiskJournals,
        paths::TownPaths,
        watch::{FsWatcher, SystemFsWatcher},
    },
    watchers::feed::actor::{Curator, FeedMsg, FeedSnapshot},
};
use ractor::{Actor, ActorRef};

use crate::{Town, run};

const DEADLINE: Duration = Duration::from_secs(20);

struct Awake {
    town: Town,
    actor: ActorRef<FeedMsg>,
}

impl Awake {
    async fn new(town: Town) -> Awake {
        let fs_watcher = Arc::new(SystemFsWatcher::of(&TownPaths::new(town.dir.path())));
        assert_eq!(fs_watcher.retarget(vec![town.dir.path().to_owned()]).await, None);
        let actor = Actor::spawn(
            None,
            Curator,
            (town.deps.clone(), fs_watcher as Arc<dyn FsWatcher>, town.known.clone()),
        )
        .await
        .unwrap()
        .0;
        let awake = Awake { town, actor };
        awake.until("it took over", |town, _| town.progress().begun).await;
        awake
    }

    async fn probe(&self) -> FeedSnapshot {
        ask(&self.actor, FeedMsg::Status, DEADLINE).await.unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Town, &FeedSnapshot) -> bool) -> FeedSnapshot {
        let looking = async {
            loop {
                let snapshot = self.probe().await;
                if holds(&self.town, &snapshot) {
                    return snapshot;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("{what} did not happen"))
    }
}

#[test]
fn a_line_of_the_log_appears_in_the_feed_without_anybody_asking() {
    run(async {
        let mut awake = Awake::new(Town::new().await).await;
        awake.town.appends(3);
        let snapshot = awake.until("three lines", |town, it| town.told().len() == 3 && it.written == 3).await;
        assert!(snapshot.enabled && snapshot.problem.is_none() && snapshot.skipped == 0, "{snapshot:?}");
        crate::append(&awake.town.log(), b"nonsense\n");
        let snapshot =
            awake.until("it is counted", |_, it| it.skipped == 1 && it.last_skipped.is_some()).await;
        assert!(snapshot.last_skipped.unwrap().contains("nonsense"));
        awake
            .until("how far it came is on disk", |town, _| {
                on_disk(town) == Some(town.progress().position.offset)
            })
            .await;
    });
}

#[test]
fn it_continues_where_it_stopped_also_after_a_crash_of_the_actor() {
    run(async {
        let mut awake = Awake::new(Town::new().await).await;
        awake.town.appends(2);
        awake.until("two lines", |town, _| town.told().len() == 2).await;
        awake.actor.kill();
        awake.town.appends(2);
        let mut awake = Awake::new(awake.town).await;
        awake.until("two more", |town, _| town.told().len() == 4).await;
        awake.actor.stop(None);
        awake.town.is_killed();
        awake.town.appends(1);
        let awake = Awake::new(awake.town).await;
        awake.until("one more", |town, _| town.told().len() == 5).await;
        assert_eq!(awake.town.told(), ["x0", "x1", "x2", "x3", "x4"]);
    });
}

#[test]
fn events_of_our_own_wait_for_a_disk_that_takes_them() {
    run(async {
        let town = Town::new().await;
        let log = town.log();
        let awake = Awake::new(town).await;
        std::fs::create_dir(&log).unwrap();
        let deps = &awake.town.deps;
        for agent in ["r/witness", "r/refinery"] {
            let payload = serde_json::json!({"agent": agent, "took": "4.1s"});
            let event = Event::ours(deps.now().wall, "agent_restarted", payload);
            gastown_supervisor::ports::outbox::append(deps, &event).await;
        }
        let snapshot = awake.until("they wait", |_, it| it.waiting == 2).await;
        assert!(deps.problems.open()["events/write"].contains(".events.jsonl"), "{snapshot:?}");
        std::fs::remove_dir(&log).unwrap();
        awake.until("they are in the feed", |town, _| town.told().len() == 2).await;
        let feed = awake.town.feed();
        let first = feed.lines().next().unwrap();
        assert!(first.contains(r#""summary":"r/witness restarted in 4.1s""#), "in order: {feed}");
        assert!(!deps.problems.open().contains_key("events/write"));
    });
}

#[test]
fn switched_off_it_does_nothing_and_continues_when_switched_on() {
    run(async {
        let mut town = Town::new().await;
        let mut settings = gastown_supervisor::town::settings::Settings::default();
        settings.feed.enabled = false;
        let (put, settings) = tokio::sync::watch::channel(Arc::new(settings));
        let mut deps = (*town.deps).clone();
        deps.ledger.ports.settings = settings;
        deps.ledger.ports.journals = Arc::new(DiskJournals::default());
        town.deps = Arc::new(deps);
        town.begins().await;
        let mut awake = Awake::new(town).await;
        awake.town.appends(2);
        awake.actor.cast(FeedMsg::Changed).unwrap();
        assert!(!awake.probe().await.enabled);
        put.send_replace(Arc::default());
        awake.actor.cast(FeedMsg::TownChanged).unwrap();
        awake.until("what came meanwhile", |town, _| town.told().len() == 2).await;
    });
}

/// How far it was when that was last put on disk.
fn on_disk(town: &Town) -> Option<u64> {
    let text = std::fs::read_to_string(town.deps.paths.supervisor_dir().join("feed.json")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?["position"]["offset"].as_u64()
}
