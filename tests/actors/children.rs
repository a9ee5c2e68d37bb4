//! Supervision of children, independent of their purpose: made-up children, each added by one entry of the list.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use gastown_supervisor::{
    deps::Deps,
    ports::metrics::{Format, Page},
    stopping,
    supervision::{
        child::{ActorReport, Answer, ChildSpec, Contact, ask},
        messages::Broadcast,
    },
    tree::children::{ChildEvent, Children},
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus, RpcReplyPort, SupervisionEvent};

use crate::{town, world::*};

/// What happened, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A made-up actor.
struct Dog;

#[derive(Debug)]
enum DogMsg {
    TownChanged,
    Hang,
    Status(RpcReplyPort<String>),
}

#[derive(Clone)]
struct DogPlan {
    name: &'static str,
    /// Its start fails.
    ill: bool,
    log: Log,
}

impl DogPlan {
    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

impl Actor for Dog {
    type Msg = DogMsg;
    type State = DogPlan;
    type Arguments = DogPlan;

    async fn pre_start(&self, _: ActorRef<DogMsg>, plan: DogPlan) -> Result<DogPlan, ActorProcessingErr> {
        plan.note("starts");
        if plan.ill { Err("it is ill".into()) } else { Ok(plan) }
    }

    async fn handle(
        &self,
        _: ActorRef<DogMsg>,
        message: DogMsg,
        plan: &mut DogPlan,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DogMsg::TownChanged => plan.note("hears"),
            DogMsg::Hang => pending().await,
            DogMsg::Status(reply) => drop(reply.send(plan.name.to_owned())),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<DogMsg>, plan: &mut DogPlan) -> Result<(), ActorProcessingErr> {
        plan.note("stops");
        Ok(())
    }
}

/// All that is to be written for it.
fn dog(name: &'static str, log: &Log) -> ChildSpec {
    let plan = DogPlan { name, ill: name == "ill", log: log.clone() };
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::TownChanged).then_some(DogMsg::TownChanged)
    })
    .answering(DogMsg::Status, |name| Answer::figures("dogs", name));
    let child = ChildSpec::new(name, || Dog, move || plan.clone(), contact);
    ChildSpec { significant: name == "significant", answers_heartbeats: name != "silent", ..child }
}

/// A supervisor that has nothing but its list.
struct Above;

#[derive(Debug)]
enum AboveMsg {
    Child(ChildEvent),
    Start(ChildSpec),
    Stop(&'static str),
    Broadcast(Broadcast),
    Hang(&'static str),
    Parts(RpcReplyPort<(Vec<String>, Vec<String>)>),
    Status(RpcReplyPort<Vec<ActorReport>>),
}

impl Actor for Above {
    type Msg = AboveMsg;
    type State = Children;
    type Arguments = (Arc<Deps>, Vec<ChildSpec>);

    async fn pre_start(
        &self,
        myself: ActorRef<AboveMsg>,
        (deps, list): Self::Arguments,
    ) -> Result<Children, ActorProcessingErr> {
        let events = myself.clone();
        let events = Arc::new(move |event| drop(events.cast(AboveMsg::Child(event))));
        let mut children = Children::new(deps, myself.get_cell(), stopping::LEAF, events);
        for child in list {
            children.start(child).await?;
        }
        Ok(children)
    }

    async fn handle(
        &self,
        _: ActorRef<AboveMsg>,
        message: AboveMsg,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AboveMsg::Child(event) => drop(children.handle(event).await?),
            AboveMsg::Start(child) => drop(children.start(child).await?),
            AboveMsg::Stop(name) => children.stop(name),
            AboveMsg::Broadcast(broadcast) => children.broadcast(&broadcast),
            AboveMsg::Hang(name) => drop(children.cast(name, DogMsg::Hang)),
            AboveMsg::Parts(reply) => drop(reply.send(children.parts())),
            AboveMsg::Status(reply) => drop(reply.send(children.report())),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<AboveMsg>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        children.ended(event).await.map(drop)
    }

    async fn post_stop(
        &self,
        _: ActorRef<AboveMsg>,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        children.stop_all().await;
        Ok(())
    }
}

struct Pack {
    deps: Arc<Deps>,
    above: ActorRef<AboveMsg>,
    log: Log,
}

impl Pack {
    async fn of(world: &World, names: &[&'static str]) -> Pack {
        let (deps, log) = (town(world).await, Log::default());
        let list = names.iter().map(|name| dog(name, &log)).collect();
        let above = Actor::spawn(None, Above, (deps.clone(), list)).await.unwrap().0;
        Pack { deps, above, log }
    }

    fn tell(&self, message: AboveMsg) {
        self.above.cast(message).unwrap();
    }

    fn cell(&self, name: &str) -> Option<ActorCell> {
        let actor = self.deps.directory.by_name().remove(name)?;
        actor.is_running().then_some(actor.cell)
    }

    async fn crash(&self, world: &World, name: &str) {
        if let Some(cell) = self.cell(name) {
            cell.kill();
        }
        world.pass(millis(1)).await;
    }

    /// How many restarts or suspensions of actors of this kind were counted.
    fn counted(&self, what: &str, kind: &str) -> u32 {
        let mut page = Page::default();
        self.deps.metrics.reader().onto(&mut page);
        let text = page.text(Format::Prometheus).unwrap();
        let start = format!("gastown_supervisor_actor_{what}_total{{actor=\"{kind}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap_or_default()
    }

    async fn report(&self, name: &str) -> ActorReport {
        let all = ask(&self.above, AboveMsg::Status, millis(1)).await.unwrap();
        all.into_iter().find(|child| child.name == name).unwrap()
    }

    /// What happened since this was last asked.
    fn happened(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

#[test]
fn the_grid_of_children_and_their_crashes() {
    // Name, crashes; whether it runs then, its restarts, whether it is suspended and whether its supervisor still runs.
    for (name, crashes, expected) in [
        ("dog", 0, (true, 0, false, true)),
        ("dog", 1, (true, 1, false, true)),
        ("dog", 5, (true, 5, false, true)),
        ("dog", 6, (false, 5, true, true)),
        ("significant", 5, (true, 5, false, true)),
        ("significant", 6, (false, 0, false, false)),
        ("ill", 0, (false, 5, true, true)),
    ] {
        simulate(330, |world| async move {
            let pack = Pack::of(&world, &["first", name, "last"]).await;
            let siblings = || ["first", "last"].map(|name| pack.cell(name).map(|cell| cell.get_id()));
            let before = siblings();
            for _ in 0..crashes {
                pack.crash(&world, name).await;
            }
            let (_, _, suspended, goes_on) = expected;
            let case = format!("{name} after {crashes} crashes");
            assert_eq!(pack.above.get_status() <= ActorStatus::Running, goes_on, "{case}");
            if !goes_on {
                return;
            }
            let child = pack.report(name).await;
            let is = (child.running, child.restarts, child.parked.is_some(), goes_on);
            assert_eq!(is, expected, "{case}: {child:?}");
            assert_eq!(siblings(), before, "{case}: nobody else notices");
            assert_eq!(pack.counted("restarts", name), expected.1, "{case}");
            assert_eq!(pack.counted("suspensions", name), u32::from(suspended), "{case}");
            let problems = pack.deps.problems.open();
            assert_eq!(problems.contains_key(&format!("actor/{name}")), suspended, "{case}: {problems:?}");
            world.pass(secs(30)).await;
            if suspended && name != "ill" {
                assert!(pack.report(name).await.running, "{case}: tried again");
                assert_eq!(pack.deps.problems.open(), Default::default(), "{case}");
            }
        });
    }
}

#[test]
fn where_actors_are_counted_no_agent_and_no_rig_is_named() {
    for (name, agent, kind) in [
        ("feed", None, "feed"),
        ("rig gastown", None, "rig"),
        ("gastown/census", None, "census"),
        ("gastown/polecats", None, "polecats"),
        ("gastown/witness", Some("gastown/witness"), "witness"),
        ("gastown/polecats/nux", Some("gastown/polecats/nux"), "polecat"),
        ("deacon", Some("deacon"), "deacon"),
    ] {
        let agent = agent.map(|agent: &str| agent.parse().unwrap());
        let child = ChildSpec { name: name.to_owned(), agent, ..dog("dog", &Log::default()) };
        assert_eq!(child.kind(), kind, "{name}");
    }
}

#[test]
fn a_child_gets_questions_and_messages_by_its_entry() {
    simulate(331, |world| async move {
        let pack = Pack::of(&world, &["dog", "ill", "silent"]).await;
        let parts = ask(&pack.above, AboveMsg::Parts, millis(1)).await.unwrap();
        assert_eq!(parts, (vec!["dog".to_owned()], vec!["ill".to_owned()]));
        pack.happened();
        for broadcast in [Broadcast::RestartStateChanged, Broadcast::TownChanged] {
            pack.tell(AboveMsg::Broadcast(broadcast));
        }
        world.pass(millis(1)).await;
        assert_eq!(pack.happened(), ["dog hears", "silent hears"]);
        let actor = pack.deps.directory.by_name().remove("dog").unwrap();
        let answer = actor.ask(millis(1)).await;
        assert!(matches!(&answer, Some(Answer::Figures("dogs", name)) if name == "dog"), "{answer:?}");
    });
}

#[test]
fn children_stop_in_reverse_order_of_their_start() {
    simulate(332, |world| async move {
        // Not the order of their names.
        let pack = Pack::of(&world, &["b", "c", "a"]).await;
        assert_eq!(pack.happened(), ["b starts", "c starts", "a starts"]);
        pack.crash(&world, "b").await;
        assert_eq!(pack.happened(), ["b starts"], "it keeps its place");
        pack.above.stop(None);
        pack.above.wait(Some(millis(1))).await.expect("at once");
        assert_eq!(pack.happened(), ["a stops", "c stops", "b stops"]);
    });
}

#[test]
fn one_that_does_not_stop_is_killed_in_time_and_so_are_those_after_it() {
    simulate(333, |world| async move {
        let pack = Pack::of(&world, &["a", "b", "c"]).await;
        let cells = ["a", "b", "c"].map(|name| pack.cell(name).unwrap());
        pack.tell(AboveMsg::Hang("b"));
        world.pass(millis(1)).await;
        pack.happened();
        let begun = world.time();
        pack.above.stop(None);
        pack.above.wait(Some(secs(1))).await.expect("in time");
        assert!(world.time() - begun <= stopping::LEAF + stopping::KILL, "{:?}", world.time() - begun);
        assert_eq!(pack.happened(), ["c stops"]);
        assert!(cells.iter().all(|cell| cell.get_status() == ActorStatus::Stopped));
    });
}

#[test]
fn a_successor_waits_until_the_one_before_is_gone() {
    // Whether it is stopped once more while it waits.
    for again in [false, true] {
        simulate(334, |world| async move {
            let pack = Pack::of(&world, &["dog"]).await;
            let first = pack.cell("dog").unwrap();
            pack.tell(AboveMsg::Hang("dog"));
            world.pass(millis(1)).await;
            pack.happened();
            pack.tell(AboveMsg::Stop("dog"));
            pack.tell(AboveMsg::Start(dog("dog", &pack.log)));
            if again {
                pack.tell(AboveMsg::Stop("dog"));
            }
            world.pass(stopping::LEAF - millis(5)).await;
            assert_eq!(pack.happened(), Vec::<String>::new(), "the first one is there");
            world.pass(stopping::KILL + millis(10)).await;
            assert_eq!(first.get_status(), ActorStatus::Stopped);
            let expected = if again { vec![] } else { vec!["dog starts"] };
            assert_eq!(pack.happened(), expected);
            assert_eq!(pack.cell("dog").is_some(), !again);
        });
    }
}

#[test]
fn a_suspended_child_that_is_stopped_is_forgotten() {
    simulate(335, |world| async move {
        let pack = Pack::of(&world, &["ill"]).await;
        assert!(pack.deps.problems.open().contains_key("actor/ill"));
        pack.tell(AboveMsg::Stop("ill"));
        world.pass(millis(1)).await;
        pack.happened();
        assert_eq!(pack.deps.problems.open(), Default::default());
        world.pass(mins(20)).await;
        assert_eq!(pack.happened(), Vec::<String>::new());
    });
}
