//! GUPP and orphaned work: the actor of a polecat with snapshots of the ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::{agents::AgentBead, answer::Answer, snapshot::AgentSnapshot},
    roles::polecat::Polecat,
    supervision::{child::ask, messages::Broadcast},
    town::{
        bead::Bead,
        identity::{Identity, RigName},
        rig_plan::RigPlan,
    },
    tree::housekeeping,
};
use ractor::{Actor, ActorRef};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{Told, beat, town, world::*};

const NAME: &str = "Toast";
const BEAT: Duration = mins(3);

fn r() -> RigName {
    "r".parse().unwrap()
}

fn identity(name: &str) -> Identity {
    Identity::Polecat(r(), name.parse().unwrap())
}

/// The actors of its polecats, that of Toast first, and what they work with.
struct Rig {
    world: World,
    deps: Arc<Deps>,
    polecats: Vec<ActorRef<AgentMsg>>,
    beats: u64,
}

impl Rig {
    async fn of(world: &World) -> Rig {
        let deps = town(world).await;
        world.write_wisp("r", "");
        Rig::begin(world, deps).await
    }

    /// A supervisor takes over: nothing is remembered but what is on disk.
    async fn again(self) -> Rig {
        self.polecats.iter().for_each(|polecat| polecat.kill());
        self.world.pass(secs(1)).await;
        let (deps, _) = self.world.deps().await;
        deps.records.load(&deps).await;
        Rig::begin(&self.world, deps).await
    }

    async fn begin(world: &World, deps: Arc<Deps>) -> Rig {
        let plan = RigPlan { name: r(), prefix: "r".into() };
        let told = Told::default();
        let others: Vec<String> =
            world.state().polecats.values().map(|it| it.name.clone()).filter(|name| name != NAME).collect();
        let turn = Arc::new(Semaphore::new(1));
        let mut polecats = Vec::new();
        for name in std::iter::once(NAME).chain(others.iter().map(String::as_str)) {
            let spec = AgentSpec::new(identity(name), deps.settings().tmux.naming, &plan.prefix);
            let role = Box::new(Polecat::new(turn.clone()));
            let plan = AgentPlan { deps: deps.clone(), spec, answers: told.answers(), role };
            polecats.push(Actor::spawn(None, AgentActor, plan).await.unwrap().0);
        }
        // As a root has it done.
        let ours = deps.clone();
        tokio::spawn(async move {
            tokio::join!(housekeeping::keep_records(&ours), housekeeping::keep_writing(&ours))
        });
        world.pass(secs(1)).await;
        Rig { world: world.clone(), deps, polecats, beats: 0 }
    }

    /// Some heartbeats, each with a snapshot of what the ledger says then.
    async fn beats(&mut self, count: u64) {
        for _ in 0..count {
            self.beats += 1;
            let beat = beat(&self.deps, self.beats).await;
            self.hear(Broadcast::Heartbeat(beat)).await;
            self.world.pass(secs(2)).await;
            self.snapshot().await;
            self.world.pass(BEAT - secs(2)).await;
        }
    }

    async fn snapshot(&self) {
        let snapshot = snapshot(&self.world, &self.deps);
        self.hear(Broadcast::SnapshotRead(Arc::new(snapshot))).await;
    }

    async fn hear(&self, word: Broadcast) {
        for polecat in &self.polecats {
            polecat.cast(AgentMsg::Broadcast(word.clone())).unwrap();
        }
    }

    async fn state(&self) -> &'static str {
        ask(&self.polecats[0], AgentMsg::Status, millis(1)).await.unwrap().state
    }
}

/// What the ledger of the world says.
fn snapshot(world: &World, deps: &Deps) -> AgentSnapshot {
    let state = world.state();
    let text = |bead: &Value, key: &str| bead[key].as_str().map(str::to_owned);
    let bead = |id: &str| match state.beads.get(id) {
        None => Answer::Missing,
        Some(bead) => Answer::Found(Bead {
            id: id.to_owned(),
            status: text(bead, "status").unwrap(),
            issue_type: text(bead, "issue_type").unwrap(),
            updated_at: bead["updated_at"].as_str().and_then(|time| time.parse().ok()),
            hook_bead: text(bead, "hook_bead"),
            agent_state: text(bead, "agent_state"),
            ..Bead::default()
        }),
    };
    let (mut agents, mut hooked) = (BTreeMap::new(), BTreeMap::new());
    for polecat in state.polecats.values() {
        let agent = match bead(&agent_bead(&polecat.rig, &polecat.name)) {
            Answer::Found(bead) => Answer::Found(AgentBead::of(bead).unwrap()),
            _ => Answer::Missing,
        };
        if let Answer::Found(AgentBead { hook: Some(hook), .. }) = &agent {
            hooked.insert(hook.clone(), bead(hook));
        }
        agents.insert(identity(&polecat.name), agent);
    }
    drop(state);
    AgentSnapshot { rig: r(), begun: deps.now(), agents, hooked, rig_bead: Answer::Missing }
}

/// The subjects of the mails sent so far, all of them to the witness.
fn mails(world: &World) -> Vec<String> {
    let state = world.state();
    assert!(state.mails.iter().all(|(_, to, _)| to == "r/witness"), "{:?}", state.mails);
    state.mails.iter().map(|(_, _, subject)| subject.clone()).collect()
}

fn of_kind(world: &World, kind: &str) -> usize {
    mails(world).iter().filter(|subject| subject.starts_with(kind)).count()
}

fn gupps(world: &World) -> usize {
    of_kind(world, "GUPP_VIOLATION: r-r-polecat-Toast stuck for ")
}

fn orphans(world: &World) -> usize {
    of_kind(world, "ORPHANED_WORK: r-r-polecat-Toast has hooked work but is dead")
}

/// The open problem that its work makes no progress.
fn stalled(rig: &Rig) -> Option<String> {
    rig.deps.problems.open().get("rig/r/r/polecats/Toast/stalled").cloned()
}

/// The polecat does something: its bead moves.
fn progress(world: &World) {
    world.edit_bead(&agent_bead("r", NAME), |_| {});
}

/// A rig with a polecat that lives and has said nothing for half an hour.
async fn silent_for_half_an_hour(world: &World) -> Rig {
    world.set_rigs(&["r"]);
    world.polecat_at_work("r", NAME);
    let mut rig = Rig::of(world).await;
    rig.beats(10).await;
    assert_eq!((mails(world), rig.state().await), (vec![], "alive"));
    rig
}

#[test]
fn one_that_stalls_is_mailed_once_and_again_when_it_stalls_again() {
    simulate(700, |world| async move {
        let mut rig = silent_for_half_an_hour(&world).await;
        rig.beats(1).await;
        assert_eq!(mails(&world), ["GUPP_VIOLATION: r-r-polecat-Toast stuck for 30m0s"]);
        let line = "GUPP violation: agent r-r-polecat-Toast has hook_bead=r-Toast but hasn't updated in 30m0s (timeout: \
                    30m0s)";
        assert_eq!(world.logged(line).len(), 1);
        let text = "r/polecats/Toast makes no progress: r-Toast is on its hook, and nothing of it changed for more than 30m (GUPP)";
        assert_eq!(stalled(&rig).as_deref(), Some(text));
        rig.beats(30).await;
        assert_eq!(gupps(&world), 1, "for an hour and a half more");
        assert_eq!(stalled(&rig).as_deref(), Some(text), "as long as it lasts");
        progress(&world);
        rig.beats(9).await;
        assert_eq!((gupps(&world), stalled(&rig)), (1, None), "it gets on");
        rig.beats(3).await;
        assert_eq!(gupps(&world), 2, "it stalls again");
        world.hook("r", NAME, "r-next");
        world.edit_bead(&agent_bead("r", NAME), |_| {});
        rig.beats(12).await;
        assert_eq!(gupps(&world), 3, "with other work");
        assert_eq!(mails(&world).len(), 3, "and nothing else: {:?}", mails(&world));
    });
}

#[test]
fn other_work_is_another_incident_although_its_progress_was_not_seen() {
    simulate(701, |world| async move {
        let mut rig = silent_for_half_an_hour(&world).await;
        rig.beats(2).await;
        assert_eq!(gupps(&world), 1);
        // The bead changes with its hook, unless its time is set back.
        let before = world.state().beads[&agent_bead("r", NAME)]["updated_at"].clone();
        world.hook("r", NAME, "r-next");
        world.state().beads.get_mut(&agent_bead("r", NAME)).unwrap()["updated_at"] = before;
        rig.beats(2).await;
        assert_eq!(gupps(&world), 2);
    });
}

type Act = fn(&World);

/// What becomes known only at the check between the snapshot and the mail.
const NO_LONGER_SO: [(&str, Act); 9] = [
    ("it got on", progress),
    ("it has other work", |world| world.hook("r", NAME, "r-next")),
    ("its hook is empty", |world| world.unhook("r", NAME)),
    ("its work is closed", |world| world.close_bead(&work_of("r", NAME))),
    ("its bead is closed", |world| world.close_bead(&agent_bead("r", NAME))),
    ("its bead is gone", |world| world.delete_bead(&agent_bead("r", NAME))),
    ("it is stuck, and says so", |world| world.set_state("r", NAME, "stuck")),
    ("bd fails", |world| world.fail("bd", true)),
    ("its rig is parked", |world| world.write_wisp("r", r#""status":"parked""#)),
];

#[test]
fn nothing_is_mailed_that_is_not_so_right_before() {
    for (name, act) in NO_LONGER_SO {
        simulate(702, |world| async move {
            let rig = silent_for_half_an_hour(&world).await;
            world.pass(secs(1)).await;
            let seen = snapshot(&world, &rig.deps);
            act(&world);
            rig.hear(Broadcast::SnapshotRead(Arc::new(seen))).await;
            world.pass(mins(1)).await;
            assert_eq!(mails(&world), [""; 0], "{name}");
            assert!(world.text("daemon/supervisor/incidents.json").is_none(), "{name}: nothing is open");
        });
    }
}

/// What keeps a rig, or one polecat, from being mailed about, as long as it lasts; and what ends that.
const KEPT_FROM_MAILING: [(&str, Act, Act); 6] = [
    ("parked", |world| world.write_wisp("r", r#""status":"parked""#), |world| world.write_wisp("r", "")),
    (
        "wisp unreadable",
        |world| world.write(".beads-wisp/config/r.json", "{"),
        |world| world.write_wisp("r", ""),
    ),
    ("town stopped", |world| world.write("ESTOP", ""), |world| world.remove("ESTOP")),
    ("bd fails", |world| world.fail("bd", true), |world| world.fail("bd", false)),
    ("tmux does not answer", |world| world.fail("find", true), |world| world.fail("find", false)),
    ("gt fails", |world| world.fail("gt", true), |world| world.fail("gt", false)),
];

#[test]
fn it_is_mailed_when_it_can_be_known_and_may_be_mailed_again() {
    for (name, begin, end) in KEPT_FROM_MAILING {
        simulate(703, |world| async move {
            let mut rig = silent_for_half_an_hour(&world).await;
            begin(&world);
            rig.beats(3).await;
            assert_eq!(mails(&world), [""; 0], "{name}");
            end(&world);
            world.pass(secs(1)).await;
            rig.beats(2).await;
            assert_eq!(gupps(&world), 1, "{name}: once it is over");
        });
    }
}

#[test]
fn a_mail_that_cannot_be_sent_is_tried_with_each_snapshot_and_logged_once() {
    simulate(704, |world| async move {
        let mut rig = silent_for_half_an_hour(&world).await;
        let tries = |world: &World| {
            let state = world.state();
            state.trace.iter().filter(|line| line.what.starts_with("run `gt mail send")).count()
        };
        world.fail("gt", true);
        rig.beats(3).await;
        assert_eq!((tries(&world), mails(&world)), (3, vec![]));
        assert!(world.text("daemon/supervisor/incidents.json").unwrap().contains("\"mailed\": false"));
        assert_eq!(world.logged("GUPP violation: ").len(), 1);
        world.fail("gt", false);
        rig.beats(3).await;
        assert_eq!((tries(&world), gupps(&world)), (4, 1));
    });
}

#[test]
fn what_was_mailed_is_known_to_the_next_supervisor() {
    for (name, act, expected) in [
        ("nothing happens", (|_| {}) as Act, 1),
        ("it gets on", progress, 2),
        ("other work", |world| world.hook("r", NAME, "r-next"), 2),
    ] {
        simulate(705, |world| async move {
            let mut rig = silent_for_half_an_hour(&world).await;
            rig.beats(1).await;
            assert_eq!(gupps(&world), 1, "{name}");
            let mut rig = rig.again().await;
            rig.beats(2).await;
            assert_eq!(gupps(&world), 1, "{name}");
            act(&world);
            rig.beats(1).await;
            let mut rig = rig.again().await;
            rig.beats(12).await;
            assert_eq!(gupps(&world), expected, "{name}");
        });
    }
}

#[test]
fn it_is_on_disk_before_it_is_sent() {
    simulate(706, |world| async move {
        let rig = silent_for_half_an_hour(&world).await;
        world.pass(secs(1)).await;
        world.hang("gt");
        rig.snapshot().await;
        world.pass(secs(2)).await;
        let kept = world.text("daemon/supervisor/incidents.json").unwrap();
        assert!(kept.contains("r/polecats/Toast") && kept.contains("\"mailed\": true"), "{kept}");
        // Killed in the middle of it: it may have been sent, and is not sent again.
        world.release("gt");
        let mut rig = rig.again().await;
        rig.beats(3).await;
        assert_eq!(gupps(&world), 0);
    });
}

#[test]
fn a_disk_that_cannot_be_written_makes_no_second_mail() {
    simulate(707, |world| async move {
        let mut rig = silent_for_half_an_hour(&world).await;
        world.fail("replace", true);
        rig.beats(4).await;
        assert_eq!(gupps(&world), 1);
        let key = "file/daemon/supervisor/incidents.json";
        assert!(rig.deps.problems.any(key), "{:?}", rig.deps.problems.open());
        world.fail("replace", false);
        rig.beats(1).await;
        assert!(!rig.deps.problems.any(key));
        let mut rig = rig.again().await;
        rig.beats(2).await;
        assert_eq!(gupps(&world), 1, "and it is on disk at last");
    });
}

#[test]
fn many_snapshots_at_once_make_one_mail() {
    simulate(708, |world| async move {
        let rig = silent_for_half_an_hour(&world).await;
        world.pass(secs(1)).await;
        let before = world.state().bd_shows();
        for _ in 0..10 {
            rig.snapshot().await;
        }
        world.pass(mins(1)).await;
        assert_eq!(gupps(&world), 1);
        assert_eq!(world.state().bd_shows() - before, 2, "its bead and its work, once");
    });
}

#[test]
fn one_that_vanished_is_forgotten() {
    simulate(709, |world| async move {
        let mut rig = silent_for_half_an_hour(&world).await;
        rig.beats(1).await;
        world.end_session(&polecat("r", NAME), "nuked");
        world.close_bead(&agent_bead("r", NAME));
        world.remove_worktree("r", NAME);
        rig.beats(3).await;
        let kept = world.text("daemon/supervisor/incidents.json").unwrap();
        assert!(!kept.contains(NAME), "{kept}");
    });
}

/// A polecat whose agent ended and whose session cannot be cleared away: it is not restarted, and no crash was
/// reported.
async fn cannot_be_brought_back(world: &World) -> Rig {
    world.set_rigs(&["r"]);
    world.polecat_at_work("r", NAME);
    let mut rig = Rig::of(world).await;
    rig.beats(2).await;
    world.fail("end_trees", true);
    world.crash_agent(&polecat("r", NAME), true);
    rig
}

#[test]
fn a_dead_one_that_is_not_restarted_is_mailed_after_two_snapshots() {
    simulate(710, |world| async move {
        let mut rig = cannot_be_brought_back(&world).await;
        rig.beats(1).await;
        assert_eq!((mails(&world), rig.state().await), (vec![], "waiting"), "it is looked after first");
        for _ in 0..5 {
            rig.snapshot().await;
            world.pass(secs(1)).await;
        }
        rig.beats(1).await;
        assert_eq!(mails(&world), [""; 0], "looked at often, but only for a moment");
        rig.beats(1).await;
        assert_eq!(mails(&world), ["ORPHANED_WORK: r-r-polecat-Toast has hooked work but is dead"]);
        let line =
            "Orphaned work detected: agent r-r-polecat-Toast session is dead but has hook_bead=r-Toast";
        assert_eq!(world.logged(line).len(), 1);
        rig.beats(10).await;
        assert_eq!(mails(&world).len(), 1, "{:?}", mails(&world));
        world.fail("end_trees", false);
        rig.beats(3).await;
        assert_eq!((rig.state().await, mails(&world).len()), ("alive", 1));
        world.fail("end_trees", true);
        world.crash_agent(&polecat("r", NAME), true);
        rig.beats(5).await;
        assert_eq!(orphans(&world), 2, "it was well in between");
    });
}

#[test]
fn a_dead_one_in_a_rig_that_is_parked_is_not_missed() {
    for (name, act) in [
        ("parked", (|world| world.write_wisp("r", r#""status":"parked""#)) as Act),
        ("stuck", |world| world.set_state("r", NAME, "stuck")),
        ("no work", |world| world.unhook("r", NAME)),
        ("work closed", |world| world.close_bead(&work_of("r", NAME))),
        ("beads not readable", |world| world.fail("bd", true)),
        ("tmux does not answer", |world| world.fail("find", true)),
    ] {
        simulate(711, |world| async move {
            let mut rig = cannot_be_brought_back(&world).await;
            rig.beats(2).await;
            act(&world);
            rig.beats(6).await;
            assert_eq!(mails(&world), [""; 0], "{name}");
        });
    }
}

#[test]
fn a_crash_that_was_mailed_is_not_mailed_as_orphaned() {
    for fails in [false, true] {
        simulate(712, |world| async move {
            world.set_rigs(&["r"]);
            world.polecat_at_work("r", NAME);
            let mut rig = Rig::of(&world).await;
            rig.beats(2).await;
            world.state().programs.remove("claude");
            world.crash_agent(&polecat("r", NAME), false);
            world.fail("gt", fails);
            rig.beats(1).await;
            world.fail("gt", false);
            rig.beats(8).await;
            assert_eq!(
                mails(&world),
                ["CRASHED_POLECAT: r/Toast restart failed"],
                "its mail failed: {fails}"
            );
            let mut rig = rig.again().await;
            rig.beats(8).await;
            assert_eq!(mails(&world).len(), 1, "nor by the next supervisor: {:?}", mails(&world));
        });
    }
}

#[test]
fn work_mailed_as_orphaned_is_not_mailed_as_crashed() {
    simulate(713, |world| async move {
        let mut rig = cannot_be_brought_back(&world).await;
        rig.beats(4).await;
        assert_eq!(orphans(&world), 1);
        // Now its start fails in another way, which the witness would be mailed about.
        world.fail("end_trees", false);
        world.state().programs.remove("claude");
        rig.beats(5).await;
        assert_eq!(mails(&world).len(), 1, "{:?}", mails(&world));
    });
}

#[test]
fn a_rig_in_which_all_stall_runs_one_command_at_a_time() {
    simulate(714, |world| async move {
        world.set_rigs(&["r"]);
        let names: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
        for name in &names {
            world.polecat_at_work("r", name);
        }
        let mut rig = Rig::of(&world).await;
        rig.beats(12).await;
        assert_eq!(of_kind(&world, "GUPP_VIOLATION: "), 20, "{:?}", mails(&world));
        let mut times: Vec<Duration> = world.state().mails.iter().map(|(at, ..)| *at).collect();
        times.dedup();
        assert_eq!(times.len(), 20, "one after the other");
    });
}
