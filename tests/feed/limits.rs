//! Lines of any length and content, disks that refuse writes, and feeds that another program changes.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use gastown_supervisor::{
    town::{files::Disk, journal::disk::DiskJournals, settings::Settings},
    watchers::feed::{curate, event::LONGEST},
};

use crate::{Town, append, event, run};

#[test]
fn what_cannot_be_used_is_left_out_and_counted() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        let long = format!("{}\n", "x".repeat(3 * LONGEST));
        let just = event(&"y".repeat(LONGEST - event("", "feed").len()), "feed") + "\n";
        let deep = format!("{}\n", "[".repeat(100_000));
        for line in
            [long.as_bytes(), just.as_bytes(), b"\xff\xfe\n", deep.as_bytes(), b"{\"type\":7}\n", b"\n"]
        {
            append(&town.log(), line);
        }
        let last = town.appends(1);
        town.catches_up().await;
        let told = town.told();
        assert_eq!((told.len(), told[0].len(), &told[1]), (2, LONGEST - event("", "feed").len(), &last[0]));
        assert_eq!(town.progress().skipped, 4);
    });
}

#[test]
fn a_feed_that_cannot_be_written_waits_and_nothing_is_lost() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        town.appends(2);
        // In the way of the feed, also for root.
        fs::remove_file(town.deps.paths.feed()).unwrap();
        fs::create_dir(town.deps.paths.feed()).unwrap();
        let error = curate::carry_over(&town.deps, &town.known, &mut town.follower).await.unwrap_err();
        assert!(error.starts_with(".feed.jsonl cannot be written: "), "{error}");
        town.appends(1);
        fs::remove_dir(town.deps.paths.feed()).unwrap();
        town.catches_up().await;
        assert_eq!(town.told(), ["x0", "x1", "x2"]);
    });
}

#[test]
fn a_feed_somebody_else_touches() {
    run(async {
        let mut town = Town::new().await;
        let feed = town.deps.paths.feed();
        append(&feed, b"{\"type\":\"theirs\"}\n{\"type\":\"torn\"");
        town.begins().await;
        town.appends(1);
        town.catches_up().await;
        assert_eq!(town.feed().lines().next().unwrap(), "{\"type\":\"theirs\"}", "what was there stays");
        assert_eq!(town.feed().lines().count(), 3, "ours begins on a line of its own: {}", town.feed());
        fs::remove_file(&feed).unwrap();
        town.appends(1);
        town.catches_up().await;
        assert_eq!(town.told(), ["x1"], "deleted, it is begun anew");
        assert_eq!(fs::metadata(&feed).unwrap().permissions().mode() & 0o777, 0o644);
        fs::write(&feed, "").unwrap();
        town.appends(1);
        town.catches_up().await;
        assert_eq!(town.told(), ["x2"], "emptied, it goes on");
    });
}

#[test]
fn the_newest_half_of_a_feed_that_grew_too_long_is_kept() {
    run(async {
        let mut settings = Settings::default();
        settings.feed.max_bytes = 10_000;
        let mut town = Town::with(Arc::new(Disk), Arc::new(DiskJournals::default()), settings).await;
        town.begins().await;
        for _ in 0..20 {
            town.appends(20);
            town.catches_up().await;
            let (told, length) = (town.told(), town.feed().len());
            let from = town.lines - told.len();
            assert_eq!(told, (from..town.lines).map(|n| format!("x{n}")).collect::<Vec<_>>(), "the newest");
            assert!(length <= 10_000 && (told.len() == town.lines || length >= 4_800), "{length} bytes");
        }
        let names: Vec<_> =
            fs::read_dir(town.dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{names:?}");
    });
}
