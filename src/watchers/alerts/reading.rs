//! What lasts in the town and is an alert, read from the registers. It decides nothing: which problems are alerts is a
//! [rule](crate::alerts::levels::of_problem).

use crate::{
    agent::accounts::hold::Cause,
    alerts::{
        Kind,
        levels::{Level, of_problem},
    },
    deps::Deps,
    go_duration,
    ports::problems::OpenProblems,
    town::identity::Identity,
    watchers::accounts::reports,
};

/// All conditions that are there now. Reads only what is in memory.
pub fn levels(deps: &Deps, problems: &OpenProblems) -> Vec<Level> {
    let mut levels: Vec<Level> = problems.select(of_problem);
    let (now, zone) = (deps.now(), deps.clock.zone());
    let holds = deps.accounts.view(now).0;
    levels.extend(holds.iter().filter(|hold| hold.lasts() && hold.confirmed).map(|hold| Level {
        key: reports::problem(hold).name().to_owned(),
        kind: match hold.cause {
            Cause::UsageLimit => Kind::UsageLimit,
            Cause::LoggedOut => Kind::LoginLost,
        },
        summary: reports::text(hold, now, &zone),
        agents: vec![hold.by.to_string()],
    }));
    let settings = deps.settings();
    for (identity, _) in deps.directory.all() {
        let agents = vec![identity.to_string()];
        let history = deps.records.restarts(&identity);
        if history.crash_loop_since.is_some() {
            let again = go_duration::short(settings.restart.retry_crash_loop_after);
            levels.push(Level {
                key: format!("crash_loop/{identity}"),
                kind: Kind::CrashLoop,
                summary: format!(
                    "{identity} was restarted too often and is held; it is tried again every {again}"
                ),
                agents: agents.clone(),
            });
        }
        // Its key has the work: other work that stalls is another alert.
        if let Some(mailed) =
            deps.records.incident(&identity, |open| open.as_ref().and_then(|it| it.mailed()))
        {
            levels.push(Level {
                key: format!("stalled/{identity}/{}", mailed.hook),
                kind: Kind::StalledWork,
                summary: format!("{identity} {} (hook {})", mailed.condition, mailed.hook),
                agents,
            });
        }
    }
    levels
}

/// How a person attaches to the one agent that these are.
pub fn attach(deps: &Deps, agents: &[String]) -> Option<String> {
    let [agent] = agents else { return None };
    let identity: Identity = agent.parse().ok()?;
    let (_, session) = deps.directory.all().into_iter().find(|(known, _)| *known == identity)?;
    Some(deps.sessions.place().attach(&session))
}
