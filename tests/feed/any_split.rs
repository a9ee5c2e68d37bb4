//! However the log is split into writes, rotated or interrupted by kills, each visible event appears once.

use std::{fs, sync::Arc};

use gastown_supervisor::{
    town::settings::Settings,
    watchers::feed::{curate, progress::Progress},
};
use proptest::prelude::*;

use crate::{Town, append, mortal::Mortal, run};

#[derive(Debug, Clone)]
enum Act {
    /// Appends this many lines, the last one in two pieces with a round between them.
    Write { lines: usize, torn: bool },
    /// The log is renamed, and those before it too; the next write creates it again.
    Rename,
    /// The log is copied and emptied.
    CopyAndEmpty,
    /// The curator catches up.
    CatchUp,
    /// How far it came is put on disk.
    Save,
    /// It is killed at its n-th call from now, and starts again.
    Kill(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1_usize..6, any::<bool>()).prop_map(|(lines, torn)| Act::Write { lines, torn }),
        2 => Just(Act::Rename),
        2 => Just(Act::CopyAndEmpty),
        4 => Just(Act::CatchUp),
        2 => Just(Act::Save),
        3 => (0_i64..30).prop_map(Act::Kill),
    ]
}

/// A town, and all that was ever written into its log.
struct Story {
    town: Town,
    disk: Mortal,
    written: Vec<u8>,
    rotated: usize,
}

impl Story {
    async fn begin(max_bytes: Option<u64>) -> Story {
        let disk = Mortal::default();
        disk.ends_after(-1);
        let mut settings = Settings::default();
        settings.feed.max_bytes = max_bytes.unwrap_or(settings.feed.max_bytes);
        let mut town = Town::with(Arc::new(disk.clone()), Arc::new(disk.clone()), settings).await;
        town.begins().await;
        Story { town, disk, written: Vec::new(), rotated: 0 }
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Write { lines, torn } => self.write(*lines, *torn).await,
            Act::Rename => {
                if self.town.log().exists() {
                    self.make_room();
                    fs::rename(self.town.log(), self.town.beside(".1")).unwrap();
                }
            }
            Act::CopyAndEmpty => {
                if self.town.log().exists() {
                    self.make_room();
                    fs::copy(self.town.log(), self.town.beside(".1")).unwrap();
                    fs::OpenOptions::new().write(true).truncate(true).open(self.town.log()).unwrap();
                }
            }
            Act::CatchUp => self.town.catches_up().await,
            Act::Save => self.town.saves().await,
            Act::Kill(calls) => self.kill(*calls).await,
        }
    }

    async fn write(&mut self, lines: usize, torn: bool) {
        for n in 0..lines {
            let line = self.line();
            let at = if torn && n + 1 == lines { line.len() / 2 } else { line.len() };
            append(&self.town.log(), &line[..at]);
            if at < line.len() {
                self.town.catches_up().await;
                append(&self.town.log(), &line[at..]);
            }
            self.written.extend_from_slice(&line);
        }
    }

    /// Every kind of line there is.
    fn line(&mut self) -> Vec<u8> {
        let n = self.town.lines;
        self.town.lines += 1;
        let (kind, visibility) = match n % 7 {
            0 => ("sling", "feed"),
            1 => ("done", "both"),
            2 => ("sling", "audit"),
            3 => return format!("nonsense {n}\n").into_bytes(),
            4 => ("mail", "audit"),
            _ => ("handoff", "feed"),
        };
        let seconds = n / 3 % 60;
        format!(
            "{{\"ts\":\"2026-11-22T20:45:{seconds:02}Z\",\"source\":\"gt\",\"type\":\"{kind}\",\"actor\":\"a{}\",\
             \"payload\":{{\"n\":{n}}},\"visibility\":\"{visibility}\"}}\n",
            n % 2
        )
        .into_bytes()
    }

    fn make_room(&mut self) {
        for number in (1..=self.rotated).rev() {
            let (from, to) = (format!(".{number}"), format!(".{}", number + 1));
            fs::rename(self.town.beside(&from), self.town.beside(&to)).unwrap();
        }
        self.rotated += 1;
    }

    async fn kill(&mut self, calls: i64) {
        self.disk.ends_after(calls);
        let life = async {
            loop {
                self.town.catches_up().await;
                self.town.deps.journals.sync(&self.town.deps.paths.feed()).await.unwrap();
                self.town.saves().await;
            }
        };
        let end = self.disk.ended();
        tokio::select! {
            () = life => unreachable!("it never ends by itself"),
            () = end => {}
        }
        self.town.is_killed();
        self.disk.ends_after(-1);
        self.town.begins().await;
    }
}

/// What the feed has to be: all that was written, taken in one piece.
fn expected(written: &[u8]) -> (String, Progress) {
    let mut progress = Progress::default();
    let taken = progress.take(written, &Settings::default().feed);
    (String::from_utf8(taken.text).unwrap(), progress)
}

async fn live(acts: &[Act], max_bytes: Option<u64>) -> Story {
    let mut story = Story::begin(max_bytes).await;
    for act in acts {
        story.act(act).await;
    }
    while curate::carry_over(&story.town.deps, &story.town.known, &mut story.town.follower)
        .await
        .unwrap()
        .more
    {}
    story
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_visible_event_once(acts in proptest::collection::vec(act(), 1..30)) {
        run(async {
            let story = live(&acts, None).await;
            let (text, progress) = expected(&story.written);
            assert_eq!(story.town.feed(), text);
            let now = story.town.progress();
            assert_eq!((now.written, now.skipped), (progress.written, progress.skipped));
        });
    }

    #[test]
    fn also_while_the_feed_is_kept_short(acts in proptest::collection::vec(act(), 1..30)) {
        run(async {
            let story = live(&acts, Some(1000)).await;
            let (text, feed) = (expected(&story.written).0, story.town.feed());
            assert!(text.ends_with(&feed), "{feed}\nis not the end of\n{text}");
            assert!(feed.is_empty() || text.len() == feed.len() || text[..text.len() - feed.len()].ends_with('\n'));
            assert!(feed.len() <= 1000, "{} bytes", feed.len());
            assert!(text.len() <= 1000 || feed.len() >= 200, "{} of {} bytes", feed.len(), text.len());
        });
    }
}
