//! The grid of the second probe: what is seen × which commands run × what the files say.

use super::*;
use crate::{operator::rules::Effect, town::wisp::Closed};

fn key() -> SessionKey {
    SessionKey { id: "$1".into(), created: Timestamp::UNIX_EPOCH }
}

fn operation(pid: u32, effect: Effect, line: &str) -> Operation {
    let arguments = line.split(' ').skip(1).map(str::to_owned).collect();
    Operation { pid, born: 1, ancestors: Vec::new(), effect, line: line.to_owned(), arguments }
}

/// A second probe, by words: the session, then everything unusual.
fn seen(words: &str) -> Observation {
    let has = |word: &str| words.split(' ').any(|it| it == word);
    let presence = match words.split(' ').next().unwrap() {
        "gone" => Presence::Absent,
        "zombie" => Presence::Dead(key()),
        "back" => Presence::Alive(key()),
        "coming" => Presence::Starting(key()),
        "dark" => Presence::Unknown("tmux".into()),
        other => panic!("{other}"),
    };
    Observation {
        begun: Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH },
        noticed: Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH },
        death: None,
        presence,
        permission: match () {
            () if has("parked") => Permission::Denied(Denial::Rig(Closed::Parked)),
            () if has("gate?") => Permission::Unknown("wisp".into()),
            () => Permission::Allowed,
        },
        state_file: match () {
            () if has("stopped") => StateFile::Stopped,
            () if has("silent") => StateFile::Silent,
            () => StateFile::Running,
        },
        at_work: if has("table?") {
            Err("table".into())
        } else {
            let stranger = has("stranger").then(|| operation(9, Effect::Stops, "gt shutdown"));
            let mut running: Vec<Operation> = stranger.into_iter().collect();
            if has("working") {
                running.extend([7, 8].map(|pid| operation(pid, Effect::Changes, "gt x")));
            }
            Ok(AtWork { recent: running.clone(), running })
        },
        assignment: match () {
            () if has("hooked") => Assignment::Hooked { hook: "gt-1".into() },
            () if has("idle") => Assignment::None(Unwanted::NoWork),
            () if has("bead?") => Assignment::Unknown("bd".into()),
            () if has("unasked") => Assignment::NotAsked,
            () => Assignment::Permanent,
        },
        worktree: match () {
            () if has("treeless") => Worktree::Gone,
            () if has("tree?") => Worktree::Unknown("disk".into()),
            () => Worktree::There,
        },
        usage_limit: has("limited").then(|| "limit reached".to_owned()),
        question: has("asked").then(|| "Trust it?".to_owned()),
        left_to_respawn: has("left"),
        exit: None,
        oom_kill: has("oom").then_some(OomKill { kills: 1, limit: None, is_its_own: true }),
    }
}

/// The judgement, as a word and its reason.
fn judged(words: &str, seconds: u64, involved: &[Operation], said_stopped: bool) -> String {
    let identity = Identity::Witness("r".parse().unwrap());
    let ago = Duration::from_secs(seconds);
    match judge(&seen(words), FirstProbe { identity: &identity, ago, involved, said_stopped }) {
        ConfirmOutcome::Back(_) => "back".into(),
        ConfirmOutcome::AtWork(line) => format!("wait: {line}"),
        ConfirmOutcome::Paused(why) => format!("paused: {why}"),
        ConfirmOutcome::Unwanted(why) => format!("unwanted: {why}"),
        ConfirmOutcome::StoppedByHand(_) => "stopped".into(),
        ConfirmOutcome::BeingRemoved => "being removed".into(),
        ConfirmOutcome::UsageLimit(_) => "limit".into(),
        ConfirmOutcome::Question(_) => "question".into(),
        ConfirmOutcome::CleanExit => "clean exit".into(),
        ConfirmOutcome::Death => "death".into(),
        ConfirmOutcome::Unclear(why) => format!("unclear: {why}"),
    }
}

#[test]
fn no_command_running() {
    for (words, expected) in [
        ("gone", "death"),
        ("gone silent", "death"),
        ("zombie left", "clean exit"),
        ("back left", "back"),
        ("zombie left parked", "paused: rig is parked"),
        ("zombie left stopped", "stopped"),
        ("zombie left limited", "limit"),
        ("zombie left asked", "question"),
        ("zombie", "death"),
        ("gone stopped", "stopped"),
        ("zombie stopped", "stopped"),
        ("gone parked", "paused: rig is parked"),
        ("gone parked stopped", "paused: rig is parked"),
        ("gone gate?", "unclear: wisp"),
        ("gone gate? stopped", "unclear: wisp"),
        ("gone table?", "unclear: table"),
        ("back", "back"),
        ("back parked stopped table?", "back"),
        ("coming idle treeless", "unclear: an agent may be starting in its session"),
        ("dark stopped", "unclear: tmux"),
        ("gone hooked", "death"),
        ("zombie hooked", "death"),
        ("gone idle", "unwanted: no work on its hook"),
        ("gone bead?", "unclear: bd"),
        ("gone unasked", "unclear: its work was not looked up"),
        ("gone hooked treeless", "being removed"),
        ("gone idle treeless", "unwanted: no work on its hook"),
        ("gone bead? treeless", "being removed"),
        ("gone hooked tree?", "unclear: disk"),
        ("gone hooked treeless parked", "paused: rig is parked"),
        ("gone limited", "limit"),
        ("gone hooked limited", "limit"),
        ("gone idle limited", "unwanted: no work on its hook"),
        ("gone stopped limited", "stopped"),
        ("gone limited oom", "death"),
        ("gone asked oom", "death"),
        ("gone stopped oom", "stopped"),
        ("gone asked", "question"),
        ("zombie hooked asked", "question"),
        ("gone limited asked", "limit"),
        ("gone idle asked", "unwanted: no work on its hook"),
        ("gone stopped asked", "stopped"),
        ("gone parked asked", "paused: rig is parked"),
        ("gone stranger", "death"),
    ] {
        assert_eq!(judged(words, 1, &[], false), expected, "{words}");
    }
}

#[test]
fn a_word_that_was_there_before_says_nothing() {
    assert_eq!(judged("gone stopped", 1, &[], true), "death");
    assert_eq!(judged("gone stopped parked", 1, &[], true), "paused: rig is parked");
}

#[test]
fn a_command_running() {
    let changes = [operation(7, Effect::Changes, "gt sling gt-1 r")];
    let stops = [operation(7, Effect::Stops, "gt rig stop r")];
    let reused = [Operation { born: 2, ..operation(7, Effect::Changes, "gt sling gt-1 r") }];
    let others = [
        operation(7, Effect::Changes, "gt sling gt-1 other"),
        operation(8, Effect::Changes, "gt polecat nuke r/toast"),
    ];
    let others_stopped = [operation(7, Effect::Stops, "gt rig stop other")];
    let again = [
        Operation { born: 0, ..operation(6, Effect::Stops, "gt witness stop r") },
        operation(8, Effect::Changes, "gt witness start r"),
    ];
    type Case<'a> = (&'a str, &'a [Operation], &'a str, u64, &'a str);
    let cases: &[Case<'_>] = &[
        ("changes, at it", &changes, "gone working", 1, "wait: gt sling gt-1 r"),
        ("changes, at it, back", &changes, "back working", 1, "back"),
        ("changes, at it for too long", &changes, "gone working", 180, "death"),
        ("changes, almost too long", &changes, "gone working", 179, "wait: gt sling gt-1 r"),
        ("changes, ended", &changes, "gone", 1, "death"),
        ("changes, its process id was reused", &reused, "gone working", 1, "death"),
        ("changes, ended, noted as stopped", &changes, "gone stopped", 1, "stopped"),
        ("changes, ended, work is done", &changes, "gone idle", 1, "unwanted: no work on its hook"),
        ("changes, table dark", &changes, "gone table?", 1, "unclear: table"),
        ("stops, at it", &stops, "gone working", 1, "wait: gt rig stop r"),
        ("stops, at it, gate closed by now", &stops, "gone working parked", 1, "wait: gt rig stop r"),
        ("stops, ended", &stops, "gone", 1, "stopped"),
        ("stops, at it for too long", &stops, "gone working", 180, "stopped"),
        ("stops, ended, gate closed", &stops, "gone parked", 1, "paused: rig is parked"),
        ("stops, ended, gate dark", &stops, "gone gate?", 1, "unclear: wisp"),
        ("stops, ended, and it is back", &stops, "back", 1, "back"),
        ("stops, ended, word was there before", &stops, "gone stopped", 1, "stopped"),
        ("another began later", &changes, "gone stranger", 1, "death"),
        ("cannot have done it, at it", &others, "gone working", 1, "death"),
        ("cannot have done it, stops others", &others_stopped, "gone working", 1, "death"),
        ("stopped, and started again", &again, "gone", 1, "death"),
        ("stopped, and started again, at it", &again, "gone working", 1, "wait: gt witness start r"),
    ];
    for (name, involved, words, seconds, expected) in cases {
        let said_stopped = name.contains("word was there before");
        assert_eq!(judged(words, *seconds, involved, said_stopped), *expected, "{name}");
    }
}

#[test]
fn a_worktree_that_is_gone_is_waited_for_a_minute() {
    for (seconds, expected) in [(0, "being removed"), (59, "being removed"), (60, "death"), (300, "death")] {
        assert_eq!(judged("gone hooked treeless", seconds, &[], false), expected, "{seconds}");
    }
    assert_eq!(judged("gone idle treeless", 60, &[], false), "unwanted: no work on its hook");
}
