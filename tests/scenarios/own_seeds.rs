//! Seeded lives of a town of one file in which everything goes wrong for a while, and then nothing: as [`seeds`](crate::seeds) has
//! them for a Gas Town.
//!
//! Agents die and hang, ports are slow and fail, actors crash, the machine sleeps, and the file is changed by people and by editors
//! that write it in two steps. At each call the world checks what the supervisor must never do, the running of `gt`, `bd` and `git`
//! included. After that the weather is good, and each agent must run as the file says.

use std::time::Duration;

use gastown_supervisor::signals::Signal;
use jiff::SignedDuration;

use crate::{
    seeds::{probes, same_twice, seeds, weather_all},
    world::*,
};

/// How long nothing does, before the town is judged: a crash loop is tried again after 30 minutes.
const CALM: Duration = mins(70);

/// The agents that the file always has.
const ALWAYS: [&str; 5] = ["db", "mayor", "api", "job", "worker-1"];
/// The actors that crash.
const ACTORS: [&str; 7] = ["sessions", "root", "accounts", "deaths", "@mayor", "@db", "@worker-1"];

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    /// How many workers there are.
    workers: u64,
    /// A variable of the mayor.
    port: u64,
}

impl Said {
    fn text(self) -> String {
        let Said { workers, port } = self;
        format!(
            "[agents.mayor]\ncommand = \"claude\"\nafter = [\"db\"]\nenv = {{ PORT = \"{port}\" }}\n\
             [agents.db]\ncommand = \"./run.sh\"\nrestart = \"always\"\n\
             [agents.worker]\ncommand = \"claude --model opus\"\nreplicas = {workers}\nresume = \"fresh\"\n\
             [agents.job]\ncommand = \"claude\"\nrestart = \"on-failure\"\n\
             [agents.api]\ncommand = \"claude\"\nafter = [\"db\", \"mayor\"]\nprompt = \"Go on.\"\n"
        )
    }

    fn sessions(self) -> Vec<String> {
        let workers = (2..=self.workers).map(|number| format!("worker-{number}"));
        ALWAYS.into_iter().map(str::to_owned).chain(workers).collect()
    }
}

/// People change the file: what that ends may end.
fn change(world: &World, said: &mut Said, to: Said) {
    let after = to.sessions();
    for name in said.sessions().iter().filter(|name| !after.contains(name)) {
        // Also when somebody starts it once more meanwhile: it is not in the file.
        (0..10).for_each(|_| world.allow_end(name));
    }
    if said.port != to.port {
        world.allow_end("mayor");
        // Its next start is no restart after a crash.
        let now = world.time();
        world.state().was_taken(now, "mayor");
    }
    *said = to;
    world.write(AGENTS_FILE, &to.text());
}

/// Something that goes wrong, or is done.
async fn mischief(world: &World, supervisor: &Supervisor, said: &mut Said) {
    let (what, number, session) = {
        let mut state = world.state();
        let (what, number) = (state.rng.u32(..100), state.rng.u64(1..100));
        let sessions = said.sessions();
        (what, number, sessions[state.rng.usize(..sessions.len())].clone())
    };
    match what {
        // Behind a program of which nothing is known there is no shell: what was started in its pane is the agent.
        0..30 => world.crash_agent(&session, number < 25 && session != "db"),
        30..33 => world.kill_server(),
        33..40 => {
            let call = ["list", "find", "create", "trees", "paste", "read"][number as usize % 6];
            world.fail(call, true);
            world.after(secs(number / 3), move |world| world.fail(call, false));
        }
        40..42 => world.jump(SignedDuration::from_mins(number as i64)),
        42..43 => world.jump(SignedDuration::from_secs(-(number as i64))),
        43..58 => supervisor.crash(ACTORS[number as usize % ACTORS.len()]).await,
        58..61 => supervisor.suspend(ACTORS[2 + number as usize % 2]).await,
        61..65 => world.show(&session, &["You've hit your session limit"]),
        65..77 => change(world, said, Said { workers: 1 + number % 3, ..*said }),
        77..83 => change(world, said, Said { port: number, ..*said }),
        // An editor empties the file and writes it again, or writes it piece by piece, or somebody errs for a while.
        83..96 => {
            let whole = said.text();
            let half = whole[..whole.len() * number as usize / 100].to_owned();
            let (first, then) = match number % 4 {
                0 => (Some(String::new()), millis(number * 5)),
                1 => (Some(half), millis(number * 8)),
                2 => (Some(format!("{whole}[agents.x]\ncomand = \"y\"\n")), secs(number)),
                _ => (None, secs(number)),
            };
            match first {
                Some(text) => world.write(AGENTS_FILE, &text),
                None => world.remove(AGENTS_FILE),
            }
            world.after(then, move |world| {
                // Unless somebody was faster.
                let now = world.text(AGENTS_FILE);
                if now.is_none_or(|now| whole.starts_with(&now) || now.contains("comand")) {
                    world.write(AGENTS_FILE, &whole);
                }
            });
        }
        _ => supervisor.signals.tell(Signal::Reload),
    }
}

async fn storm(world: &World, supervisor: &Supervisor, said: &mut Said, length: Duration) {
    {
        let mut state = world.state();
        if state.rng.u32(..4) > 0 {
            state.weather = Weather::bad();
        }
        state.adversary = true;
        state.nature.appears = 50..4_000;
        state.nature.prompts = 100..9_000;
        state.nature.never_appears = 0.04;
        state.nature.frail = 0.15;
        // The world has a shell where an agent was; behind `db` there is none: see `mischief`.
        state.nature.leaves_shell = 0.0;
        state.nature.splits = 0.0;
    }
    let end = world.time() + length;
    loop {
        let pause = world.state().rng.u64(1_000..90_000);
        world.pass(millis(pause)).await;
        if world.time() >= end {
            break;
        }
        mischief(world, supervisor, said).await;
    }
    {
        let mut state = world.state();
        state.weather = state.weather.clearing();
        state.adversary = false;
        state.failing.clear();
        state.nature.never_appears = 0.0;
        state.nature.frail = 0.0;
    }
    world.pass(mins(3)).await;
    change(world, said, Said { workers: 3, port: 7 });
}

/// How the town must be in the end.
async fn judge(world: &World, supervisor: &Supervisor, said: Said) {
    let town = supervisor.snapshot().await;
    let (now, wanted) = (world.time(), said.sessions());
    {
        let state = world.state();
        for name in &wanted {
            // In the world only a shell may be there where a program never came up; `db` is whatever was started.
            let lives =
                if name == "db" { state.sessions.contains_key(name) } else { state.appeared(name, now) };
            assert!(lives, "{name} does not live: {:#?}", town.agents);
        }
        let all: Vec<&String> = state.sessions.keys().collect();
        assert!(all.iter().all(|name| wanted.contains(name)), "nothing else runs: {all:?}");
        assert_eq!(state.session("mayor").environment["PORT"], "7", "the mayor has what the file says");
    }
    // What could not be compared in the storm is compared at the agent's next start.
    let mut problems = town.problems.clone();
    problems.retain(|key, _| !key.ends_with("/transcript"));
    assert_eq!(problems, Default::default(), "nothing is wrong any more");
    let mut known: Vec<String> = town.agents.iter().map(|agent| agent.session.clone()).collect();
    let mut expected = wanted;
    known.sort_unstable();
    expected.sort_unstable();
    assert_eq!(known, expected, "each has one owner");
    for agent in &town.agents {
        assert_eq!(agent.state, "alive", "it is known to be alive: {agent:#?}");
    }
    assert!(town.actors.iter().all(|actor| actor.running), "{:#?}", town.actors);
    assert!(town.heartbeat.late.is_empty(), "{:?}", town.heartbeat.late);
}

async fn live(world: World, storm_length: Duration, calm: Duration) {
    let mut said = Said { workers: 3, port: 1 };
    world.directory("");
    world.is_one_file(&said.text());
    world.state().programs.insert(format!("{TOWN}/run.sh"));
    let supervisor = world.supervisor().await;
    let story = async {
        storm(&world, &supervisor, &mut said, storm_length).await;
        world.pass(calm).await;
        if calm >= CALM {
            judge(&world, &supervisor, said).await;
        }
    };
    tokio::select! {
        biased;
        () = probes(world.clone(), &supervisor) => {}
        () = story => {}
    }
    assert!(!supervisor.ended(), "the supervisor goes on");
    let took = supervisor.stop().await;
    assert!(took <= millis(400), "it stopped after {took:?}");
}

#[test]
fn a_seed_run_twice_is_the_same_life_of_one_file() {
    for seed in seeds(2000..2002) {
        same_twice(seed, || {
            simulate(seed, |world| async move {
                live(world.clone(), mins(40), mins(10)).await;
                world.trace()
            })
        });
    }
}

#[test]
fn storms_of_one_file_00_to_09_pass() {
    weather_all(seeds(2000..2010), live);
}

#[test]
fn storms_of_one_file_10_to_19_pass() {
    weather_all(seeds(2010..2020), live);
}
