//! What people outside the town are sent: when something begins, when it is over, and once for all supervisors.

use serde_json::Value;

use crate::{town, world::*};

const HOOK: &str = "https://a.example/secret/hook";

fn configure(world: &World, more: &str) {
    world.write("settings/supervisor.json", &format!(r#"{{"notify": {{"webhook": "{HOOK}"}}{more}}}"#));
}

fn alerts(world: &World) -> Vec<Value> {
    world.state().network.alerts("/secret/hook")
}

/// Kind and agents of each alert; `over` when it is resolved.
fn told(world: &World) -> Vec<String> {
    let word = |alert: &Value| {
        let agents: Vec<&str> =
            alert["agents"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let over = if alert["resolved"] == true { "over: " } else { "" };
        format!("{over}{} {}", alert["kind"].as_str().unwrap(), agents.join(" ")).trim_end().to_owned()
    };
    alerts(world).iter().map(word).collect()
}

/// The supervisor is killed, and another one runs for long enough to find everything.
async fn killed(world: &World, supervisor: Supervisor) -> Supervisor {
    supervisor.vanish().await;
    let supervisor = world.supervisor().await;
    world.pass(mins(15)).await;
    supervisor
}

#[test]
fn a_question() {
    simulate(1800, |world| async move {
        configure(&world, "");
        let supervisor = town(&world, &["r"]).await;
        world.ask_in(&witness("r"), Asks::theme(0));
        world.pass(mins(5)).await;
        assert_eq!(told(&world), ["waiting_at_question r/witness"]);
        let attach = supervisor.deps.sessions.place().attach(&witness("r"));
        assert_eq!(alerts(&world)[0]["attach"], attach);
        let _supervisor = killed(&world, supervisor).await;
        assert_eq!(told(&world)[1..], ["supervisor_crashed"], "the question is no news");
        let id = world.state().session(&witness("r")).id;
        world.answer(&witness("r"), id);
        world.pass(mins(5)).await;
        assert_eq!(told(&world)[2..], ["over: waiting_at_question r/witness"]);
    });
}

#[test]
fn a_crash_loop() {
    simulate(1801, |world| async move {
        configure(&world, "");
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.doomed = vec![witness("r")];
        world.crash_agent(&witness("r"), false);
        supervisor.until_agent("r/witness", "crash_loop", mins(15)).await;
        world.pass(mins(1)).await;
        assert_eq!(told(&world), ["crash_loop r/witness"]);
        let supervisor = killed(&world, supervisor).await;
        assert_eq!(told(&world)[1..], ["supervisor_crashed"]);
        world.state().nature.doomed.clear();
        supervisor.until_agent("r/witness", "alive", mins(31)).await;
        world.pass(mins(40)).await;
        assert_eq!(told(&world)[2..], ["over: crash_loop r/witness"]);
    });
}

#[test]
fn stalled_work_and_a_missing_program() {
    simulate(1802, |world| async move {
        configure(&world, "");
        let supervisor = town(&world, &["r"]).await;
        world.polecat_at_work("r", "Toast");
        world.pass(mins(36)).await;
        assert_eq!(told(&world), ["stalled_work r/polecats/Toast"]);
        let supervisor = killed(&world, supervisor).await;
        assert_eq!(told(&world)[1..], ["supervisor_crashed"]);
        world.edit_bead(&agent_bead("r", "Toast"), |_| {});
        world.pass(mins(10)).await;
        assert_eq!(told(&world)[2..], ["over: stalled_work r/polecats/Toast"]);
        world.state().programs.remove("gt");
        world.pass(mins(5)).await;
        assert_eq!(told(&world)[3..], ["missing_program"]);
        world.state().programs.insert("gt".to_owned());
        world.pass(mins(10)).await;
        assert_eq!(told(&world)[4..], ["over: missing_program"]);
        world.edit_bead(&agent_bead("r", "Toast"), |_| {}); // or it stalls again
        supervisor.stop().await;
        let _supervisor = world.supervisor().await;
        world.pass(mins(15)).await;
        assert_eq!(told(&world).len(), 5, "an orderly stop is no news: {:?}", told(&world));
    });
}

#[test]
fn a_limit() {
    simulate(1803, |world| async move {
        configure(&world, r#", "boot": {"enabled": false}"#);
        world.state().accounts.home = Some("/home/one".to_owned());
        let supervisor = town(&world, &["r"]).await;
        let ten = "2026-02-02T10:00:00Z";
        world.use_up("/home/one", ten, "You've hit your session limit · resets 10am (UTC)");
        world.asks_its_program(&witness("r"));
        world.pass(mins(5)).await;
        let limits = told(&world);
        assert_eq!(limits.len(), 1, "{limits:?}");
        assert!(limits[0].starts_with("usage_limit "), "{limits:?}");
        let _supervisor = killed(&world, supervisor).await;
        assert_eq!(told(&world)[1..], ["supervisor_crashed"]);
        let left = ten.parse::<jiff::Timestamp>().unwrap().duration_since(world.wall());
        world.pass(std::time::Duration::try_from(left).unwrap() + mins(20)).await;
        assert_eq!(told(&world)[2..], [format!("over: {}", limits[0])]);
    });
}

#[test]
fn everybody_at_once_is_one_alert() {
    simulate(1804, |world| async move {
        configure(&world, "");
        let supervisor = town(&world, &["r", "s"]).await;
        for session in [witness("r"), refinery("r"), witness("s"), refinery("s")] {
            world.crash_agent(&session, false);
        }
        world.pass(mins(5)).await;
        assert_eq!(told(&world).len(), 1, "{:?}", told(&world));
        assert_eq!(alerts(&world)[0]["agents"].as_array().unwrap().len(), 4);
        let _supervisor = killed(&world, supervisor).await;
        assert_eq!(told(&world)[1..], ["supervisor_crashed"]);
    });
}
