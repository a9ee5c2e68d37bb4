//! The role of an agent of a town of one file: it has the agent's health checked, one check at a time, where its file asks for that.
//!
//! A check is made only while the agent lives and nothing else holds it: not during its start, at a question or a usage limit, or with a lost
//! login; its health then stays what it was. What a check means is judged by [`health`](crate::agent::health); its owner alone replaces
//! an agent that is not well. A check runs in a task of its own, and never delays a message.

use std::time::Duration;

use futures::future::{AbortHandle, abortable};

use crate::{
    agent::{
        activity::Activity,
        actor::Agent,
        confirmation::{Permission, SessionKey},
        dependencies,
        health::{Checked, Course, Health},
        history::Entry,
        lifecycle::{Event, State},
        permission,
        role::{Role, RoleEvent},
        spec::AgentSpec,
    },
    deps::Deps,
    ports::problems::{Condition, ProblemKey},
    town::standing::{self, RestartWhen},
};

mod check;

/// The kind of problem that an agent is not well.
const UNHEALTHY: &str = "health";
/// The kind of problem that its check cannot be made.
const NOT_CHECKED: &str = "health_check";

/// The end of a cycle of this number: a pause and a check.
#[derive(Debug)]
struct Ended(u64, Outcome);

/// What came of a cycle.
#[derive(Debug)]
enum Outcome {
    /// No check was made, as something holds the agent, or its result does not count.
    Left,
    /// A check was made; and whether the supervisor may act, if it failed.
    Checked(Checked, Permission),
}

/// What the actor of such an agent keeps beside its owner.
#[derive(Debug, Default)]
pub struct Own {
    /// The session that is checked, and how.
    checks: Option<(SessionKey, standing::Health)>,
    /// The number of the latest cycle.
    number: u64,
    /// Ends that cycle, with its check.
    cycle: Option<AbortHandle>,
}

impl Role for Own {
    fn handle(&mut self, agent: &mut Agent, event: RoleEvent) {
        let Some(Ended(number, outcome)) = event.get() else { return };
        let Some((session, rules)) = self.checks.clone().filter(|_| number == self.number) else { return };
        // What was found out while nobody could say whether it lives may be about its end.
        let is_seen = agent.owner.is_alive() && agent.owner.doubt().is_none();
        if let Outcome::Checked(checked, permission) = outcome
            && is_seen
        {
            takes(agent, &session, &checked, permission);
        }
        let course = agent.deps.records.health(&agent.owner.spec().identity, &session.id);
        let now = agent.deps.now();
        self.begin_cycle(agent, course.map_or(rules.interval, |course| course.pause(now)));
    }

    fn handled(&mut self, agent: &mut Agent) {
        let spec = agent.owner.spec();
        let standing = agent.deps.standing(&spec.identity);
        let rules = standing.as_ref().and_then(|it| it.health.as_ref());
        let session = match agent.owner.state() {
            State::Alive { session, .. } => Some(session),
            _ => None,
        };
        if rules.is_none() || is_at_rest(agent.owner.state()) {
            [UNHEALTHY, NOT_CHECKED]
                .iter()
                .for_each(|what| agent.deps.problems.clear(&spec.problem_key(what)));
        }
        let checks = session.zip(rules);
        if self.checks.as_ref().map(|(session, rules)| (session, rules)) == checks {
            return;
        }
        let checks = checks.map(|(session, rules)| (session.clone(), rules.clone()));
        if rules.is_none() {
            agent.deps.records.set_health(&spec.identity, None);
        }
        self.checks = checks;
        self.begin(agent);
    }
}

impl Own {
    /// Begins to check what is to be checked now, and ends what was before.
    fn begin(&mut self, agent: &mut Agent) {
        let Some((session, rules)) = &self.checks else { return self.end_cycle() };
        let (deps, identity) = (&agent.deps, &agent.owner.spec().identity);
        let (before, now) = (deps.records.health(identity, &session.id), deps.now());
        // An earlier actor of this agent checked it.
        let pause = match before.filter(|course| course.is_of(&session.id, rules)) {
            Some(course) => course.pause(now),
            None => {
                deps.records.set_health(identity, Some(Course::begins(&session.id, rules.clone(), now)));
                Duration::ZERO
            }
        };
        self.begin_cycle(agent, pause);
    }

    /// Checks it after this pause.
    fn begin_cycle(&mut self, agent: &mut Agent, pause: Duration) {
        self.end_cycle();
        let Some((session, rules)) = self.checks.clone() else { return };
        let (deps, spec, number) = (agent.deps.clone(), agent.owner.spec().clone(), self.number);
        let (cycle, handle) = abortable(async move {
            tokio::time::sleep(pause).await;
            checked(&deps, &spec, &session, &rules).await
        });
        self.cycle = Some(handle);
        let task = async move { RoleEvent::new(Ended(number, cycle.await.unwrap_or(Outcome::Left))) };
        agent.spawn(task, RoleEvent::new(Ended(number, Outcome::Left)));
    }

    /// Ends the cycle, and its check: the program that is run for it is killed.
    fn end_cycle(&mut self) {
        self.number += 1;
        if let Some(cycle) = self.cycle.take() {
            cycle.abort();
        }
    }
}

/// Whether nobody expects it to run.
fn is_at_rest(state: &State) -> bool {
    matches!(state, State::Absent { .. } | State::Held { .. } | State::HeldOnRequest { .. })
}

/// Makes one check, unless something holds the agent.
async fn checked(deps: &Deps, spec: &AgentSpec, session: &SessionKey, rules: &standing::Health) -> Outcome {
    let _turn = deps.starts.turn_to_check().await;
    if is_held(deps, spec, session) {
        return Outcome::Left;
    }
    let Some(standing) = deps.standing(&spec.identity) else { return Outcome::Left };
    let checked = check::make(deps, &standing, rules).await;
    if is_held(deps, spec, session) {
        return Outcome::Left;
    }
    let permission = match &checked {
        Checked::Failed(_) => permission::ask(deps, spec).await,
        Checked::Well | Checked::Unknown(_) => Permission::Allowed,
    };
    Outcome::Checked(checked, permission)
}

/// Whether a question, a usage limit or a lost login holds it.
fn is_held(deps: &Deps, spec: &AgentSpec, session: &SessionKey) -> bool {
    let identity = &spec.identity;
    let asks = || deps.records.screen(identity, Some(&session.id)).is_some_and(|it| it.question.is_some());
    let doing = || deps.records.activity(identity, Some(&session.id)).map(|reading| reading.activity);
    let account = || deps.accounts.denial_of(identity, deps.now(), &deps.clock.zone());
    let waits = |activity: &Activity| {
        matches!(activity, Activity::WaitingAtQuestion(_) | Activity::Limited(_) | Activity::LoggedOut(_))
    };
    asks() || doing().as_ref().is_some_and(waits) || account().is_some()
}

/// Takes the result of a check: reports what changed, and has an agent that is not well replaced.
fn takes(agent: &mut Agent, session: &SessionKey, checked: &Checked, permission: Permission) {
    let (deps, spec, now) = (agent.deps.clone(), agent.owner.spec().clone(), agent.deps.now());
    let Some(mut course) = deps.records.health(&spec.identity, &session.id) else { return };
    let (key, called) = (spec.problem_key(NOT_CHECKED), spec.identity.called());
    match checked {
        Checked::Unknown(why) => {
            let text =
                format!("{called}: its health check cannot be made: {why}; its health stays as it was");
            deps.problems.report(key, text);
        }
        Checked::Well | Checked::Failed(_) => deps.problems.clear(&key),
    }
    let edge = course.takes(checked, now);
    deps.records.set_health(&spec.identity, Some(course.clone()));
    let is_replaced = deps.standing(&spec.identity).is_some_and(|it| it.restart != RestartWhen::No);
    if let Some(health) = edge {
        report(&deps, &spec, &course, health, is_replaced);
    }
    if course.health() == Health::Unhealthy && matches!(checked, Checked::Failed(_)) && is_replaced {
        let why = "its health checks fail".to_owned();
        agent.owner.apply(Event::Unhealthy { session: session.clone(), why, permission });
    }
}

/// Reports that its health is another one now.
fn report(deps: &Deps, spec: &AgentSpec, course: &Course, health: Health, is_replaced: bool) {
    let (identity, session, reason) = (&spec.identity, &spec.session, health.as_str());
    let (seen, done) = match health {
        Health::Unhealthy if is_replaced => (format!("unhealthy: {}", course.failed()), ""),
        Health::Unhealthy => {
            (format!("unhealthy: {}", course.failed()), "left running, as its `restart` is `no`")
        }
        Health::Healthy | Health::Starting => ("healthy: its check succeeded".to_owned(), ""),
    };
    let line =
        [seen.as_str(), done].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    match health {
        Health::Unhealthy => tracing::warn!(agent = %identity, session, reason, "{line}"),
        Health::Healthy | Health::Starting => tracing::info!(agent = %identity, session, reason, "{line}"),
    }
    deps.records.happened(identity, Entry::word(deps.now().wall, reason, &seen, done));
    let key = unhealthy_key(spec, is_replaced);
    if health == Health::Unhealthy {
        return deps.problems.report(key, format!("{} is {line}", identity.called()));
    }
    deps.problems.clear(&key);
    dependencies::wake(deps, identity);
}

fn unhealthy_key(spec: &AgentSpec, is_replaced: bool) -> ProblemKey {
    let key = spec.problem_key(UNHEALTHY).meaning(Condition::Unhealthy);
    // Nothing is done about it until a person acts.
    if is_replaced { key } else { key.critical() }
}
