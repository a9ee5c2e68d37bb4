//! Pending spawns: polecat health with messages in the deacon's inbox.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use gastown_supervisor::{
    deps::Deps,
    ledger::inbox::Message,
    supervision::messages::Broadcast,
    town::rig_plan::RigPlan,
    watchers::polecats::{HealthMsg, HealthPlan, PolecatHealth, Roster},
};
use jiff::SignedDuration;
use ractor::{Actor, ActorRef};

use crate::{Told, town, world::*};

const NAME: &str = "Toast";
const ID: &str = "hq-m21";

/// The actor, and what it works with.
struct Rig {
    world: World,
    deps: Arc<Deps>,
    health: ActorRef<HealthMsg>,
    inbox: Vec<Message>,
}

impl Rig {
    async fn of(world: &World) -> Rig {
        let deps = town(world).await;
        world.write_wisp("r", "");
        let rig = Rig::begin(world, deps).await;
        world.pass(secs(1)).await;
        rig
    }

    async fn begin(world: &World, deps: Arc<Deps>) -> Rig {
        let plan = RigPlan { name: "r".parse().unwrap(), prefix: "r".into() };
        let told = Told::default();
        let itself: Arc<OnceLock<ActorRef<HealthMsg>>> = Arc::default();
        let to = itself.clone();
        // As the rig supervisor does.
        let listed = Arc::new(move |roster: Roster| {
            let known = HealthMsg::Known(roster.polecats.into_iter().collect());
            to.get().expect("it is there when it has listed").cast(known).unwrap();
        });
        let plan = HealthPlan { deps: deps.clone(), rig: plan, answers: told.answers(), listed };
        let (health, _) = Actor::spawn(None, PolecatHealth, plan).await.unwrap();
        itself.set(health.clone()).unwrap();
        Rig { world: world.clone(), deps, health, inbox: Vec::new() }
    }

    /// A message comes.
    fn put(&mut self, id: &str, about: &str, body: &str) {
        self.inbox.push(Message {
            id: id.to_owned(),
            from: "r/witness".into(),
            subject: format!("POLECAT_STARTED {about}"),
            body: body.to_owned(),
            sent: Some(self.world.wall()),
            read: false,
        });
    }

    /// The inbox is read; what was archived is no longer in it.
    fn read(&mut self) {
        let gone = archived(&self.world);
        self.inbox.retain(|message| !gone.contains(&message.id));
        self.health.cast(HealthMsg::Broadcast(Broadcast::Mail(Arc::new(self.inbox.clone())))).unwrap();
    }

    /// The inbox is read, and all time is given to what follows.
    async fn mail(&mut self) {
        self.read();
        self.world.pass(secs(10)).await;
    }
}

/// How often it was tried to archive each message, oldest first.
fn tried(world: &World) -> Vec<String> {
    let state = world.state();
    let runs = state.trace.iter().filter(|line| !line.log);
    runs.filter_map(|line| line.what.strip_prefix("run `gt mail archive "))
        .map(|rest| rest.split('`').next().unwrap().to_owned())
        .collect()
}

/// What was archived; nothing while `gt` fails.
fn archived(world: &World) -> Vec<String> {
    if world.state().failing.contains("gt") { Vec::new() } else { tried(world) }
}

/// What was typed into a session.
fn typed(world: &World, session: &str) -> Vec<String> {
    let state = world.state();
    let session = state.sessions.get(session);
    session.map_or(Vec::new(), |it| it.typed.iter().map(|(_, text)| text.clone()).collect())
}

fn session() -> String {
    polecat("r", NAME)
}

/// A rig with a polecat that was just started, and the message that says so.
async fn just_started(world: &World, appears: Duration) -> Rig {
    world.add_polecat("r", NAME, "r-1");
    let mut rig = Rig::of(world).await;
    let appears = appears.as_millis() as u64;
    world.state().nature.appears = appears..appears + 1;
    world.start_agent(&session());
    rig.put(ID, "r/Toast", "Polecat: Toast\nSession: gt-r-Toast\nIssue: r-1");
    rig
}

#[test]
fn one_that_is_ready_gets_its_instruction_once() {
    for (name, body) in [
        ("all said", "Polecat: Toast\nSession: gt-r-Toast\nIssue: r-1"),
        ("nothing said", ""),
        ("another's session named", "Session: gt-r-witness"),
    ] {
        simulate(720, |world| async move {
            let mut rig = just_started(&world, millis(300)).await;
            world.start_agent(&witness("r"));
            rig.inbox[0].body = body.to_owned();
            world.pass(secs(5)).await;
            let begun = world.time();
            rig.mail().await;
            assert_eq!(typed(&world, &session()), ["Begin."], "{name}");
            assert_eq!(typed(&world, &witness("r")), [""; 0], "{name}");
            assert_eq!(archived(&world), [ID], "{name}");
            let told = world.state().session(&session()).typed[0].0 - begun;
            assert!(told < millis(100), "{name}: after {told:?}");
            rig.mail().await;
            assert_eq!((typed(&world, &session()).len(), tried(&world).len()), (1, 1), "{name}");
            let other = world.logged("only its own, gt-r-Toast, is attended").len();
            assert_eq!(other, usize::from(name == "another's session named"), "{name}");
            assert_eq!(rig.deps.problems.open(), Default::default(), "{name}");
        });
    }
}

#[test]
fn read_or_unread_it_gets_its_instruction_when_it_is_ready() {
    for (name, appears, told) in [
        ("it shows its prompt a second later", secs(0), true),
        ("it shows its prompt just in time", millis(1200), true),
        ("it is too late for this time", secs(3), false),
    ] {
        simulate(721, |world| async move {
            let mut rig = just_started(&world, appears).await;
            rig.inbox[0].read = true;
            rig.mail().await;
            assert_eq!(typed(&world, &session()).len(), usize::from(told), "{name}");
            assert_eq!(archived(&world).len(), usize::from(told), "{name}");
            rig.mail().await;
            assert_eq!(typed(&world, &session()), ["Begin."], "{name}: the next time it is");
            assert_eq!(archived(&world), [ID], "{name}");
        });
    }
}

#[test]
fn one_without_a_prompt_gets_its_instruction_after_its_delay() {
    for (delay, at, told) in [(0, 1, true), (4000, 1, false), (4000, 3, true), (4000, 60, true)] {
        simulate(722, |world| async move {
            let agents = format!(
                r#"{{"role_agents":{{"polecat":"own"}},"agents":{{"own":{{"command":"claude","args":[],
                "tmux":{{"process_names":["claude"],"ready_prompt_prefix":"","ready_delay_ms":{delay}}}}}}}}}"#
            );
            world.write("settings/config.json", &agents);
            let mut rig = just_started(&world, millis(1)).await;
            world.state().sessions.get_mut(&session()).unwrap().prompts = secs(100_000);
            world.pass(secs(at)).await;
            rig.mail().await;
            assert_eq!(typed(&world, &session()).len(), usize::from(told), "{delay} ms, after {at} s");
            assert_eq!(archived(&world).len(), usize::from(told), "{delay} ms, after {at} s");
        });
    }
}

type Act = fn(&World);

/// What is the matter with a message of this age, and whether it is archived; nothing is typed anywhere.
const NOT_TOLD: [(&str, Act, u64, bool); 16] = [
    ("its session is gone", gone, 0, true),
    ("its session is gone for long", gone, 600, true),
    ("never ready, new", |world| never_ready(world), 0, false),
    ("never ready, five minutes", |world| never_ready(world), 290, false),
    ("never ready, old", |world| never_ready(world), 301, true),
    ("its agent has ended", |world| world.crash_agent(&session(), true), 0, false),
    ("its agent has ended long ago", |world| world.crash_agent(&session(), true), 301, true),
    ("tmux does not answer", |world| world.fail("find", true), 600, false),
    ("its screen cannot be read", |world| world.fail("capture", true), 600, false),
    ("its processes cannot be seen", |world| world.fail("trees", true), 600, false),
    ("its rig is parked", park, 600, false),
    (
        "its rig is parked, and its session gone",
        |world| {
            park(world);
            gone(world);
        },
        600,
        false,
    ),
    (
        "its rig is parked, and it is never ready",
        |world| {
            park(world);
            never_ready(world);
        },
        600,
        false,
    ),
    ("its rig's state cannot be read", |world| world.write(".beads-wisp/config/r.json", "{"), 600, false),
    ("the town is stopped", |world| world.write("ESTOP", ""), 600, false),
    ("the town goes down", |world| world.state().lock_held = true, 600, false),
];

fn gone(world: &World) {
    world.end_session(&session(), "gone");
}

fn park(world: &World) {
    world.write_wisp("r", r#""status":"parked""#);
}

fn never_ready(world: &World) {
    world.state().sessions.get_mut(&session()).unwrap().prompts = secs(100_000);
}

#[test]
fn one_that_cannot_be_instructed_is_left_or_given_up() {
    for (name, act, age, gone) in NOT_TOLD {
        simulate(723, |world| async move {
            let mut rig = just_started(&world, millis(300)).await;
            // Its end must not lead to a restart.
            world.unhook("r", NAME);
            world.pass(secs(1)).await;
            act(&world);
            let age = SignedDuration::try_from(secs(age)).unwrap();
            rig.inbox[0].sent = Some(world.wall() - age);
            rig.mail().await;
            assert_eq!(archived(&world).len(), usize::from(gone), "{name}");
            assert_eq!(typed(&world, &session()), [""; 0], "{name}");
            let reported = world.logged(ID).len();
            assert_eq!(reported, usize::from(gone), "{name}: it is said once");
        });
    }
}

#[test]
fn a_message_that_says_no_time_or_one_to_come_is_not_kept_for_ever() {
    for (name, sent) in [("none", None), ("a year ahead", Some(SignedDuration::from_hours(8760)))] {
        simulate(724, |world| async move {
            let mut rig = just_started(&world, millis(300)).await;
            never_ready(&world);
            rig.inbox[0].sent = sent.map(|ahead| world.wall() + ahead);
            rig.mail().await;
            world.pass(mins(4)).await;
            rig.mail().await;
            assert_eq!(archived(&world), [""; 0], "{name}");
            world.pass(mins(1)).await;
            rig.mail().await;
            assert_eq!(archived(&world), [ID], "{name}: five minutes after it was first seen");
        });
    }
}

#[test]
fn what_cannot_be_archived_is_never_instructed_twice() {
    simulate(725, |world| async move {
        let mut rig = just_started(&world, millis(300)).await;
        world.pass(secs(2)).await;
        world.fail("gt", true);
        for tries in 1..=4 {
            rig.mail().await;
            assert_eq!(typed(&world, &session()), ["Begin."]);
            assert_eq!(tried(&world).len(), tries);
        }
        let problems = rig.deps.problems.open();
        assert!(problems["rig/r/spawns/archive"].contains("cannot be archived"), "{problems:?}");
        world.write_wisp("r", r#""status":"parked""#);
        world.fail("gt", false);
        world.state().trace.retain(|line| !line.what.contains("gt mail archive"));
        rig.mail().await;
        assert_eq!(archived(&world), [ID], "nothing but this is left to do, parked or not");
        assert_eq!((typed(&world, &session()).len(), rig.deps.problems.open()), (1, Default::default()));
    });
}

#[test]
fn a_problem_ends_with_its_message() {
    simulate(726, |world| async move {
        let mut rig = just_started(&world, millis(300)).await;
        world.pass(secs(2)).await;
        world.fail("gt", true);
        rig.mail().await;
        assert_eq!(rig.deps.problems.open().len(), 1);
        rig.inbox.clear(); // the deacon took it
        rig.mail().await;
        assert_eq!(rig.deps.problems.open(), Default::default());
        // One of the same id would be another message.
        rig.put(ID, "r/Toast", "");
        rig.mail().await;
        assert_eq!(typed(&world, &session()).len(), 2);
    });
}

#[test]
fn a_name_that_no_polecat_can_have_is_reported_once_and_given_up() {
    simulate(727, |world| async move {
        let mut rig = just_started(&world, millis(300)).await;
        rig.inbox.clear();
        rig.put("hq-m24", "r/a/b", "Session: gt-r-Toast");
        rig.put("hq-m23", "broken", "no slash");
        rig.put("hq-m99", "other/Toast", "");
        for _ in 0..3 {
            rig.mail().await;
        }
        let key = "rig/r/spawns/names";
        assert!(rig.deps.problems.open()[key].contains("\"a/b\""), "{:?}", rig.deps.problems.open());
        assert_eq!(world.logged("hq-m24").len(), 1, "told once");
        assert_eq!(archived(&world), [""; 0]);
        world.pass(mins(5)).await;
        rig.mail().await;
        rig.mail().await;
        assert_eq!(archived(&world), ["hq-m24"]);
        assert_eq!(rig.deps.problems.open(), Default::default());
        assert_eq!(typed(&world, &session()), [""; 0]);
    });
}

#[test]
fn a_name_that_is_no_polecats_here_gets_nothing_typed() {
    simulate(728, |world| async move {
        let mut rig = Rig::of(&world).await;
        world.start_agent(&witness("r"));
        world.start_agent("gt-r-crew-max");
        world.pass(secs(5)).await;
        rig.put("1", "r/witness", "");
        rig.put("2", "r/crew-max", "");
        rig.put("3", "r/nobody", "");
        rig.mail().await;
        assert_eq!(archived(&world), ["3"], "it has no session");
        world.pass(mins(5)).await;
        rig.mail().await;
        assert_eq!(archived(&world), ["3", "1", "2"]);
        for session in [witness("r"), "gt-r-crew-max".to_owned()] {
            assert_eq!(typed(&world, &session), [""; 0], "{session}");
        }
    });
}

#[test]
fn mail_that_doubles_is_one_word() {
    simulate(729, |world| async move {
        let mut rig = just_started(&world, millis(300)).await;
        world.pass(secs(2)).await;
        rig.put(ID, "r/Toast", "");
        rig.put("hq-later", "r/Toast", "");
        // Read again before anything came of it.
        for _ in 0..5 {
            rig.read();
            world.pass(millis(1)).await;
        }
        rig.mail().await;
        assert_eq!(typed(&world, &session()), ["Begin."]);
        let mut archived = archived(&world);
        archived.sort();
        assert_eq!(archived, ["hq-later", ID], "each once");
    });
}

#[test]
fn an_inbox_read_before_the_polecats_are_known_waits_for_them() {
    simulate(730, |world| async move {
        let deps = town(&world).await;
        world.write_wisp("r", "");
        world.polecat_at_work("r", NAME);
        world.pass(secs(5)).await;
        world.fail("list dir", true);
        let mut rig = Rig::begin(&world, deps).await;
        rig.put(ID, "r/Toast", "");
        rig.inbox[0].sent = Some(world.wall() - SignedDuration::from_hours(1));
        rig.mail().await;
        assert_eq!((typed(&world, &session()), archived(&world)), (vec![], vec![]));
        world.fail("list dir", false);
        rig.health.cast(HealthMsg::Broadcast(Broadcast::TownChanged)).unwrap();
        world.pass(secs(5)).await;
        assert_eq!((typed(&world, &session()).len(), archived(&world).len()), (1, 1));
    });
}

#[test]
fn twenty_side_by_side_take_as_long_as_one() {
    simulate(731, |world| async move {
        for n in 0..20 {
            world.add_polecat("r", &format!("p{n}"), "r-1");
        }
        let mut rig = Rig::of(&world).await;
        world.state().nature.appears = 500..501;
        for n in 0..20 {
            world.start_agent(&polecat("r", &format!("p{n}")));
            rig.put(&format!("hq-{n}"), &format!("r/p{n}"), "");
        }
        let begun = world.time();
        rig.read();
        world.pass(millis(1500)).await; // ready after 1.2 s, seen at the next reading
        let times: Vec<Duration> =
            (0..20).map(|n| world.state().session(&polecat("r", &format!("p{n}"))).typed[0].0).collect();
        assert!(times.iter().all(|at| *at - begun <= millis(1300)), "{times:?}");
        world.pass(secs(2)).await;
        assert_eq!(archived(&world).len(), 20);
    });
}

#[test]
fn ten_thousand_messages_are_attended_a_few_at_a_time() {
    simulate(732, |world| async move {
        let mut rig = Rig::of(&world).await;
        for n in 0..10_000 {
            rig.put(&format!("hq-{n}"), &format!("r/p{n}"), &"x".repeat(100));
        }
        rig.read();
        world.pass(secs(1)).await;
        let gone = archived(&world).len();
        assert!((10..=200).contains(&gone), "two in some 50 ms: {gone}");
        world.pass(mins(15)).await;
        assert_eq!(archived(&world).len(), 10_000);
    });
}

#[test]
fn ten_thousand_malformed_messages_are_one_problem() {
    simulate(733, |world| async move {
        let mut rig = Rig::of(&world).await;
        for n in 0..10_000 {
            rig.put(&format!("hq-{n:05}"), &format!("r/a/b{n}"), "");
        }
        world.fail("gt", true);
        for _ in 0..3 {
            rig.mail().await;
        }
        let problems = rig.deps.problems.open();
        assert_eq!(problems.len(), 1, "{:?}", problems.keys());
        assert!(problems["rig/r/spawns/names"].ends_with("(and 9999 more of this kind)"), "{problems:?}");
        assert_eq!(world.logged("of this kind").len(), 1);
        assert!(world.logged("mail hq-").len() < 5, "{}", world.logged("mail hq-").len());
        // Given up, and not archived.
        world.pass(mins(6)).await;
        rig.mail().await;
        world.pass(mins(15)).await;
        assert_eq!(tried(&world).len(), 10_000, "each once");
        let problems = rig.deps.problems.open();
        assert_eq!(problems.len(), 2, "{:?}", problems.keys());
        assert!(problems["rig/r/spawns/archive"].ends_with("(and 9999 more of this kind)"), "{problems:?}");
        assert!(world.logged("of this kind").len() <= 2);
        world.fail("gt", false);
        rig.inbox.clear();
        rig.mail().await;
        assert_eq!(rig.deps.problems.open(), Default::default());
    });
}
