//! The convoy watcher: when convoys are checked, and what it reads meanwhile.

use std::sync::Arc;

use gastown_supervisor::{
    deps::Deps,
    supervision::child::ask,
    town::{routes, settings::Settings, watch::FsWatcher},
    watchers::convoy::{
        actor::{ConvoyMsg, ConvoyWatch},
        status::ConvoySnapshot,
    },
};
use ractor::{Actor, ActorRef};
use tokio::sync::watch;

use crate::world::*;

/// The watcher alone, and what it needs.
struct Alone {
    world: World,
    deps: Arc<Deps>,
    settings: watch::Sender<Arc<Settings>>,
    actor: ActorRef<ConvoyMsg>,
}

impl Alone {
    /// It runs in a town with an open convoy.
    async fn new(world: &World) -> Alone {
        world.convoy("hq-cv-1", &["gt-1", "gt-2"]);
        Alone::begun(world).await
    }

    async fn begun(world: &World) -> Alone {
        let (deps, settings) = world.deps().await;
        let fs_watcher = Arc::new(world.clone()) as Arc<dyn FsWatcher>;
        let (actor, _) = Actor::spawn(None, ConvoyWatch, (deps.clone(), fs_watcher)).await.unwrap();
        Alone { world: world.clone(), deps, settings, actor }
    }

    async fn probe(&self) -> ConvoySnapshot {
        ask(&self.actor, ConvoyMsg::Status, millis(1)).await.unwrap()
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(|settings| change(Arc::make_mut(settings)));
        self.actor.cast(ConvoyMsg::TownChanged).unwrap();
    }

    fn checks(&self) -> usize {
        self.world.state().convoys.checks.len()
    }

    /// Log lines so far with this in them.
    fn logged(&self, text: &str) -> usize {
        self.world.logged(text).len()
    }
}

#[test]
fn a_burst_of_closes_is_one_check() {
    simulate(800, |world| async move {
        let alone = Alone::new(&world).await;
        for id in ["gt-9", "gt-1", "gt-8", "gt-2", "gt-7"] {
            world.close(id);
            world.pass(millis(100)).await;
        }
        world.pass(secs(3)).await;
        assert_eq!(alone.checks(), 1);
        assert!(world.state().convoys.open.is_empty());
        assert_eq!(alone.logged("convoys checked: ✓ Auto-closed 1 convoy(s): 🚚 hq-cv-1: A convoy"), 1);
        let snapshot = alone.probe().await;
        assert_eq!(snapshot.closes_seen, 2, "of those it tracks");
        assert!(snapshot.last_check.unwrap().outcome.contains("hq-cv-1"));
        world.pass(mins(30)).await;
        assert_eq!(alone.checks(), 1, "no convoy is open any more");
        assert_eq!(alone.probe().await.open_convoys, Some(false));
    });
}

#[test]
fn closes_that_no_convoy_waits_for_check_nothing() {
    simulate(801, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(30)).await;
        let before = alone.checks();
        for number in 0..20 {
            world.close(&format!("gt-9{number}"));
            world.pass(secs(3)).await;
        }
        assert_eq!(alone.checks(), before);
    });
}

#[test]
fn without_an_open_convoy_nothing_is_ever_checked() {
    simulate(802, |world| async move {
        let alone = Alone::begun(&world).await;
        for _ in 0..100 {
            world.close("gt-1");
            world.pass(mins(1)).await;
        }
        assert_eq!(alone.checks(), 0);
        assert_eq!(alone.probe().await.open_convoys, Some(false));
        assert!(alone.deps.problems.open().is_empty());
    });
}

#[test]
fn a_convoy_that_is_not_complete_waits_for_its_time() {
    simulate(803, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(25)).await;
        assert_eq!((alone.checks(), alone.probe().await.open_convoys), (1, Some(true)));
        world.close("gt-1");
        world.pass(mins(4)).await;
        assert_eq!((alone.checks(), alone.probe().await.closes_seen), (1, 1));
        world.pass(mins(1)).await;
        assert_eq!(alone.checks(), 2);
    });
}

#[test]
fn databases_that_did_not_change_are_not_read_again() {
    simulate(804, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(30)).await;
        let asked = || world.state().convoys.asked;
        let before = asked();
        world.pass(mins(4)).await;
        assert_eq!(asked(), before);
        world.close("gt-1");
        world.pass(secs(5)).await;
        assert_eq!(asked(), before + 1);
        drop(alone);
    });
}

#[test]
fn a_route_that_changes_leads_to_another_reading() {
    simulate(830, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(30)).await;
        let before = world.state().convoys.asked;
        for (route, expected) in [("zz-", 0), ("gt-", 1)] {
            let route = format!(r#"{{"prefix":"{route}","path":"other"}}"#);
            alone.deps.follow(&routes::parse(route.as_bytes()));
            world.pass(secs(65)).await;
            assert_eq!(world.state().convoys.asked - before, expected, "{route}");
        }
    });
}

#[test]
fn a_close_that_nothing_hints_at_is_seen_a_little_later() {
    simulate(827, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(30)).await;
        let before = alone.checks();
        world.state().weather.hints = 1.0;
        world.close("gt-1");
        world.close("gt-2");
        world.pass(secs(10)).await;
        assert_eq!(alone.checks(), before);
        world.pass(secs(25)).await;
        assert_eq!(alone.checks(), before + 1);
    });
}

/// Gas Town may see it otherwise than the database.
#[test]
fn a_complete_convoy_that_stays_open_is_checked_once_and_then_by_time() {
    simulate(805, |world| async move {
        world.state().prints.insert("convoy", "No convoys ready to close.\n".to_owned());
        let alone = Alone::new(&world).await;
        world.pass(secs(25)).await;
        world.close("gt-1");
        world.close("gt-2");
        world.pass(mins(4)).await;
        assert_eq!(alone.checks(), 2, "one by time, one for the close");
        world.pass(mins(2)).await;
        assert_eq!(alone.checks(), 3);
    });
}

#[test]
fn beads_whose_database_cannot_be_read_are_left_to_time() {
    simulate(806, |world| async move {
        let alone = Alone::new(&world).await;
        world.state().bead_files = BeadFiles::Opaque;
        world.pass(secs(60)).await;
        world.close("gt-1");
        world.close("gt-2");
        world.pass(mins(4)).await;
        assert_eq!(alone.checks(), 1);
        world.pass(mins(1)).await;
        assert_eq!(alone.checks(), 2);
        assert!(world.state().convoys.open.is_empty() && alone.deps.problems.open().is_empty());
    });
}

#[test]
fn a_close_during_a_check_is_one_more() {
    simulate(804, |world| async move {
        world.convoy("hq-cv-2", &["gt-3"]);
        let alone = Alone::new(&world).await;
        world.hang("convoy");
        world.close("gt-3");
        world.until("the check", secs(3), |state| state.convoys.checks.len() == 1).await;
        for id in ["gt-1", "gt-2"] {
            world.close(id);
            world.pass(secs(5)).await;
        }
        assert_eq!(alone.checks(), 1, "it hangs");
        assert!(alone.probe().await.last_check.is_none());
        world.release("convoy");
        world.pass(secs(40)).await;
        assert_eq!(alone.checks(), 2);
        assert!(world.state().convoys.open.is_empty());
        assert_eq!(alone.logged("Warning: convoys were not checked: `gt convoy check` did not end"), 1);
        assert!(alone.deps.problems.open().is_empty(), "it is well again");
    });
}

#[test]
fn a_bd_known_to_be_newer_has_no_database() {
    simulate(810, |world| async move {
        world.state().bd_version = "bd version 0.50.1 (Homebrew)\n";
        let (deps, _settings) = world.deps().await;
        gastown_supervisor::ledger::version::probe(&deps).await;
        // It left a database behind in which a convoy is open for ever.
        world.convoy("hq-cv-1", &["gt-1"]);
        let fs_watcher = Arc::new(world.clone()) as Arc<dyn FsWatcher>;
        let (actor, _) = Actor::spawn(None, ConvoyWatch, (deps.clone(), fs_watcher)).await.unwrap();
        world.pass(mins(12)).await;
        let state = world.state();
        assert_eq!(state.convoys.asked, 0);
        assert_eq!(state.convoys.checks.len(), 3, "bd list knows");
        drop(state);
        actor.kill();
    });
}

#[test]
fn an_idle_town_reports_the_same_each_time() {
    simulate(814, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(mins(1)).await;
        let before = alone.probe().await;
        for _ in 0..10 {
            // The two clocks are never read at quite the same time.
            world.state().wall_offset += jiff::SignedDuration::from_nanos(1);
            world.pass(secs(1)).await;
            assert_eq!(alone.probe().await, before);
        }
    });
}

#[test]
fn without_the_database_bd_is_asked() {
    for (seed, database) in [
        (811, Database::Missing),
        (812, Database::Unreadable("it is locked")),
        (813, Database::Unreadable("its schema is another one")),
    ] {
        simulate(seed, |world| async move {
            world.state().convoys.database = database;
            let alone = Alone::new(&world).await;
            world.pass(secs(30)).await;
            assert_eq!(alone.checks(), 1, "{database:?}");
            world.pass(mins(5)).await;
            assert_eq!(alone.checks(), 2, "{database:?}: time does it");
            world.state().convoys.open.clear();
            world.pass(mins(30)).await;
            assert_eq!(alone.checks(), 2, "{database:?}: none is open");
            assert!(alone.deps.problems.open().is_empty());
        });
    }
}

#[test]
fn a_database_that_is_locked_for_a_moment_is_read_again_soon() {
    simulate(828, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(30)).await;
        let before = alone.checks();
        world.state().convoys.database = Database::Unreadable("it is locked");
        world.close("gt-1");
        world.close("gt-2");
        world.pass(secs(3)).await;
        assert_eq!(alone.checks(), before);
        // Nothing hints at the end of the lock.
        world.state().convoys.database = Database::Readable;
        world.pass(secs(3)).await;
        assert_eq!(alone.checks(), before + 1);
    });
}

#[test]
fn what_is_unknown_checks_nothing_and_is_reported_once() {
    simulate(814, |world| async move {
        world.state().convoys.database = Database::Unreadable("it is locked");
        world.fail("bd list", true);
        let alone = Alone::new(&world).await;
        for _ in 0..10 {
            world.close("gt-1");
            world.pass(mins(3)).await;
        }
        assert_eq!(alone.checks(), 0);
        let text = "convoys are not checked: cannot tell whether one is open";
        assert_eq!(alone.logged(text), 1);
        assert_eq!(alone.probe().await.open_convoys, None);
        let told = alone.deps.problems.open().remove("convoy/open").unwrap();
        assert!(told.contains("it is locked") && told.contains("bd list"), "{told}");
        world.fail("bd list", false);
        world.pass(mins(4)).await;
        assert_eq!(alone.checks(), 1);
        assert!(alone.deps.problems.open().is_empty());
    });
}

#[test]
fn what_bd_prints_of_convoys() {
    for (seed, printed, checks, known) in [
        (815, "[]", 0, true),
        (816, "null\n", 0, true),
        (817, r#"{"schema_version":1,"data":[]}"#, 0, true),
        (818, r#"{"schema_version":1,"data":[{"id":"hq-cv-1"}]}"#, 1, true),
        (819, "warning: old\n[{\"id\":\"hq-cv-1\"}]", 1, true),
        (820, r#"{"error":"database is locked"}"#, 0, false),
        (821, "", 0, false),
        (822, "No issues found", 0, false),
    ] {
        simulate(seed, |world| async move {
            world.state().convoys.database = Database::Missing;
            world.state().prints.insert("bd list", printed.to_owned());
            let alone = Alone::begun(&world).await;
            world.pass(mins(1)).await;
            assert_eq!(alone.checks(), checks, "{printed}");
            assert_eq!(alone.deps.problems.open().is_empty(), known, "{printed}");
        });
    }
}

#[test]
fn programs_that_are_not_installed_are_reported_where_they_are_run() {
    simulate(823, |world| async move {
        world.state().programs.clear();
        world.state().convoys.database = Database::Missing;
        let alone = Alone::begun(&world).await;
        world.pass(mins(20)).await;
        assert_eq!(alone.deps.problems.open().into_keys().collect::<Vec<_>>(), ["command/bd"]);
        world.state().convoys.database = Database::Readable;
        world.convoy("hq-cv-1", &["gt-1"]);
        world.pass(mins(20)).await;
        assert_eq!(alone.deps.problems.open().into_keys().collect::<Vec<_>>(), ["command/bd", "command/gt"]);
        assert_eq!(alone.logged("not installed"), 2);
    });
}

#[test]
fn it_can_be_switched_off_and_on() {
    simulate(824, |world| async move {
        let alone = Alone::new(&world).await;
        alone.set(|settings| settings.convoy.enabled = false);
        world.close("gt-1");
        world.close("gt-2");
        world.pass(mins(30)).await;
        assert_eq!(alone.checks(), 0);
        let snapshot = alone.probe().await;
        assert!(snapshot.open_convoys.is_none() && snapshot.next_timed.is_none());
        alone.set(|settings| settings.convoy.enabled = true);
        world.pass(secs(30)).await;
        assert_eq!(alone.checks(), 1);
    });
}

#[test]
fn it_may_be_off_from_the_start() {
    simulate(825, |world| async move {
        world.write("settings/supervisor.json", r#"{"convoy": {"enabled": false}}"#);
        world.convoy("hq-cv-1", &["gt-1"]);
        let alone = Alone::begun(&world).await;
        world.pass(mins(30)).await;
        assert_eq!(alone.checks(), 0);
    });
}

#[test]
fn the_settings_are_followed() {
    simulate(826, |world| async move {
        let alone = Alone::new(&world).await;
        world.pass(secs(25)).await;
        assert_eq!(alone.checks(), 1);
        alone.set(|settings| settings.convoy.check_every = secs(10));
        world.pass(secs(31)).await;
        assert_eq!(alone.checks(), 4);
    });
}

#[test]
fn what_was_wrong_is_not_wrong_for_ever() {
    for (seed, switched_off) in [(828, false), (829, true)] {
        simulate(seed, |world| async move {
            world.fail("convoy", true);
            let alone = Alone::new(&world).await;
            world.pass(mins(11)).await;
            assert_eq!((alone.checks(), alone.logged("Warning: convoys were not checked")), (3, 1));
            assert!(alone.deps.problems.any("convoy/check"));
            if switched_off {
                alone.set(|settings| settings.convoy.enabled = false);
            } else {
                // Somebody closes it by hand.
                world.state().convoys.open.clear();
            }
            world.pass(mins(6)).await;
            assert!(alone.deps.problems.open().is_empty(), "{switched_off}");
        });
    }
}
