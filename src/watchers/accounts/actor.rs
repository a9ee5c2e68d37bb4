//! The actor that looks after the accounts: releases and wakes the agents that wait, watches for logins, and reports.
//!
//! It asks the [`rules`](super::rules) what is next, does that, and asks again. All that must outlive it is in the register, so its
//! successor goes on where it stopped. It must not end an agent.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    reports,
    rules::{self, Next, PROBE_SETTLES, PUT_OFF, Pace},
};
use crate::{
    agent::{
        accounts::{
            self,
            hold::{HeldAccount, Hold, Key},
            register::{ACTOR, Waiting, Waits},
        },
        confirmation::Permission,
        history::Entry,
        nudge::{self, NotDelivered, Why},
        permission,
    },
    clock::Now,
    deps::Deps,
    go_duration,
    ledger::notify,
    ports::{outbox, problems::ProblemKey},
    supervision::{
        child::{Answer, ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
    town::{events::Event, identity::Identity},
};

/// How often the files with logins are compared while one is lost.
const LOGIN_POLL: Duration = Duration::from_secs(15);

/// After these times the screen of an agent that was woken is read: one that meets the limit again ends the waking.
const AFTER_A_WAKE: [Duration; 3] =
    [Duration::from_millis(1900), Duration::from_secs(5), Duration::from_secs(15)];

/// An agent that tries an account and does not run after this long says nothing about it.
const PROBE_LIMIT: Duration = Duration::from_mins(3);

/// What this actor receives.
#[derive(Debug)]
pub enum AccountsMsg {
    /// The register changed, or the settings.
    Changed,
    /// From its timer; one of an earlier generation does nothing.
    Due(u64),
    /// From its timer: compare the files with logins.
    LoginPollDue,
    /// From that task, also when it failed.
    LoginsRead,
    /// From the task that woke an agent, and for which hold it tries the account.
    Woken(Identity, Option<Key>, Outcome),
    /// From its timer: read the screen of this agent, which was just woken.
    ScreenDue(Identity),
    /// From that task.
    ScreenRead,
    /// From the task that read the screen of the agent that tries an account.
    ProbeRead(Key, Identity),
    /// From a command: what holds the account of this agent, or any, is over.
    Clear(Option<Identity>),
    /// A request for its status.
    Status(RpcReplyPort<Vec<HeldAccount>>),
}

/// What came of waking a living agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was prompted to continue.
    Prompted,
    /// Not now: it waits at a question, its rig is parked, or that could not be found out.
    NotNow,
    /// Not now: its prompt holds a text that was not sent, or may hold one.
    PromptHolds,
    /// It does not live there any more.
    Gone,
}

/// The actor that looks after the accounts.
#[derive(Debug)]
pub struct AccountsWatch;

/// This actor as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    ChildSpec::new(ACTOR, || AccountsWatch, move || deps.clone(), contact())
}

/// The broadcasts and questions it accepts.
pub fn contact() -> Contact<AccountsMsg> {
    Contact::taking(|broadcast| match broadcast {
        Broadcast::AccountsChanged | Broadcast::TownChanged => Some(AccountsMsg::Changed),
        Broadcast::ClearBackoff(whose) => Some(AccountsMsg::Clear(whose)),
        _ => None,
    })
    .answering(AccountsMsg::Status, |held| Answer::figures("accounts", held))
}

/// The state of the [`AccountsWatch`].
pub struct AccountsState {
    deps: Arc<Deps>,
    work: Work<AccountsMsg>,
    timer: Timer,
    pace: Pace,
    /// Whether the files with logins are to be compared.
    watching_logins: bool,
    /// The living agents that are being prompted.
    prompting: BTreeSet<Identity>,
    /// Those that were not, because of what their prompts hold.
    left_alone: BTreeSet<Identity>,
}

/// The kind of problem that an agent is not woken because of its prompt.
const PROMPT: &str = "prompt";

impl Actor for AccountsWatch {
    type Msg = AccountsMsg;
    type State = AccountsState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<AccountsMsg>,
        deps: Arc<Deps>,
    ) -> Result<AccountsState, ActorProcessingErr> {
        let post: ReplyTo<AccountsMsg> = Arc::new(move |message| drop(myself.cast(message)));
        // First, what a predecessor left. It may have woken an agent just now.
        post(AccountsMsg::Changed);
        let pace = Pace { last: deps.now().mono, ..Pace::default() };
        Ok(AccountsState {
            deps,
            work: Work::new(post),
            timer: Timer::default(),
            pace,
            watching_logins: false,
            prompting: BTreeSet::new(),
            left_alone: BTreeSet::new(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<AccountsMsg>,
        message: AccountsMsg,
        state: &mut AccountsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AccountsMsg::Changed => state.proceed(),
            AccountsMsg::Due(generation) if state.timer.is_latest(generation) => state.proceed(),
            AccountsMsg::Due(_) => {}
            AccountsMsg::LoginPollDue => state.read_logins(),
            AccountsMsg::LoginsRead => {
                state.watching_logins = false;
                state.proceed();
            }
            AccountsMsg::Woken(agent, key, outcome) => state.woken(&agent, key, outcome),
            AccountsMsg::ScreenDue(agent) => {
                let deps = state.deps.clone();
                let task = async move {
                    read_screen(&deps, &agent).await;
                    AccountsMsg::ScreenRead
                };
                state.work.spawn(task, AccountsMsg::ScreenRead);
            }
            // What it showed came as a change of the register.
            AccountsMsg::ScreenRead => {}
            AccountsMsg::ProbeRead(key, agent) => state.judged(&key, &agent),
            AccountsMsg::Clear(whose) => {
                state.deps.accounts.clear(whose.as_ref(), state.deps.now().wall);
                state.proceed();
            }
            AccountsMsg::Status(reply) => drop(reply.send(state.deps.accounts.snapshot())),
        }
        Ok(())
    }
}

impl AccountsState {
    /// Does everything that is due, and sets the timer for the next.
    fn proceed(&mut self) {
        self.timer.cancel();
        loop {
            let (now, settings) = (self.deps.now(), self.deps.settings());
            let view = self.deps.accounts.view(now);
            self.watch_logins(&view.0);
            self.wait_no_more(&view.1);
            match rules::next(&view, &self.pace, now, &settings.usage_limit, &self.deps.clock.zone()) {
                Next::Report(hold) => self.report(&hold, now),
                Next::Over(key) => self.deps.accounts.is_over(&key, now.wall),
                Next::Probe(key, waiting) => {
                    tracing::info!(
                        reason = "account_tried",
                        "{} tries whether {} can be used again",
                        waiting.agent,
                        key.0
                    );
                    self.deps.accounts.probe(&key, Some(&waiting.agent), now);
                    self.wake(waiting, Some(key), now);
                }
                Next::Wake(waiting) => self.wake(waiting, None, now),
                Next::Judge(key, agent) => return self.judge(key, agent),
                Next::End(hold) => self.end(&hold, now),
                Next::Wait(after) => {
                    if let Some(after) = after {
                        self.timer.set(&mut self.work, after, AccountsMsg::Due);
                    }
                    return;
                }
            }
        }
    }

    fn report(&mut self, hold: &Hold, now: Now) {
        let text = reports::text(hold, now, &self.deps.clock.zone());
        self.deps.problems.report(reports::problem(hold), text);
        self.deps.accounts.reported(&hold.key());
        self.deps.metrics.account_held(hold.cause.code());
        let agents = self.deps.accounts.snapshot();
        let agents =
            agents.iter().find(|it| it.account == hold.account.to_string()).map_or(0, |it| it.agents);
        self.send(reports::held(hold, agents, now.wall));
    }

    fn end(&mut self, hold: &Hold, now: Now) {
        self.deps.problems.clear(&reports::problem(hold));
        self.deps.accounts.end(&hold.key());
        if hold.reported {
            tracing::info!(reason = "account_usable", "{} can be used again", hold.account);
            self.send(reports::over(hold, now.wall));
        }
    }

    /// That it is reported is on disk before it is.
    fn send(&mut self, event: Event) {
        let deps = self.deps.clone();
        self.work.run(async move {
            deps.accounts.save(&deps).await;
            outbox::append(&deps, &event).await;
            notify::send(&deps, &event).await;
        });
    }

    /// Wakes an agent: releases one that ended, so that its actor starts it; prompts a living one to continue.
    fn wake(&mut self, waiting: Waiting, key: Option<Key>, now: Now) {
        let agent = waiting.agent;
        self.pace.last = now.mono;
        let pause = if key.is_some() { PROBE_SETTLES } else { PUT_OFF };
        self.pace.put_off.insert(agent.clone(), now.mono + pause);
        for after in AFTER_A_WAKE {
            self.work.after(after, AccountsMsg::ScreenDue(agent.clone()));
        }
        if waiting.waits_as == Waits::Ended {
            self.deps.accounts.release(&agent);
            self.deps.directory.send(&agent, Broadcast::Released);
            return;
        }
        self.prompting.insert(agent.clone());
        let (deps, prompted) = (self.deps.clone(), agent.clone());
        let lost = AccountsMsg::Woken(agent.clone(), key.clone(), Outcome::NotNow);
        self.work.spawn(async move { AccountsMsg::Woken(agent, key, prompt(&deps, &prompted).await) }, lost);
    }

    fn woken(&mut self, agent: &Identity, key: Option<Key>, outcome: Outcome) {
        let now = self.deps.now();
        self.prompting.remove(agent);
        match outcome {
            Outcome::Gone => self.deps.accounts.lives_no_more(agent),
            Outcome::PromptHolds => self.leaves_alone(agent),
            Outcome::Prompted | Outcome::NotNow => {}
        }
        if let Some(key) = key.filter(|_| outcome != Outcome::Prompted) {
            self.deps.accounts.probe(&key, None, now);
        }
        self.proceed();
    }

    fn leaves_alone(&mut self, agent: &Identity) {
        let text = format!(
            "{agent} can work again and is not prompted to: its prompt holds a text that was not sent, or its screen does not show its prompt; it is tried again every {}",
            go_duration::short(PUT_OFF)
        );
        self.deps.problems.report(problem(agent), text);
        self.left_alone.insert(agent.clone());
    }

    /// Takes back the problems of agents that wait no more: they were prompted, go on by themselves, or have ended.
    fn wait_no_more(&mut self, waiting: &[Waiting]) {
        let waits = |agent: &Identity| {
            self.prompting.contains(agent) || waiting.iter().any(|waiting| waiting.agent == *agent)
        };
        let over: Vec<Identity> = self.left_alone.iter().filter(|agent| !waits(agent)).cloned().collect();
        for agent in over {
            self.deps.problems.clear(&problem(&agent));
            self.left_alone.remove(&agent);
        }
    }

    /// Reads the screen of the agent that tries an account; what that says is in the register afterwards.
    fn judge(&mut self, key: Key, agent: Identity) {
        let deps = self.deps.clone();
        let lost = AccountsMsg::ProbeRead(key.clone(), agent.clone());
        self.work.spawn(
            async move {
                read_screen(&deps, &agent).await;
                AccountsMsg::ProbeRead(key, agent)
            },
            lost,
        );
    }

    fn judged(&mut self, key: &Key, agent: &Identity) {
        let now = self.deps.now();
        let (holds, _) = self.deps.accounts.view(now);
        let hold = holds.into_iter().find(|hold| hold.key() == *key && hold.lasts());
        // It met it again, or somebody cleared it.
        if let Some((probe, since)) = hold.and_then(|hold| hold.probe)
            && probe == *agent
        {
            if self.deps.records.lives(agent) {
                self.deps.accounts.is_over(key, now.wall);
            } else if now.since(since) >= PROBE_LIMIT {
                self.deps.accounts.probe(key, None, now);
            } else {
                // It is still coming up.
                self.pace.put_off.insert(agent.clone(), now.mono + PROBE_SETTLES);
            }
        }
        self.proceed();
    }

    /// Has the files with logins compared while one is lost.
    fn watch_logins(&mut self, holds: &[Hold]) {
        if !self.watching_logins && !rules::wait_for_login(holds).is_empty() {
            self.watching_logins = true;
            self.work.after(LOGIN_POLL, AccountsMsg::LoginPollDue);
        }
    }

    fn read_logins(&mut self) {
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                let (holds, _) = deps.accounts.view(deps.now());
                for hold in rules::wait_for_login(&holds) {
                    let now = accounts::credentials(&deps, &hold.account).await;
                    // A file that is gone, or cannot be read, is no login.
                    if now.is_some() && deps.accounts.credentials(&hold.key(), &now, deps.now().wall) {
                        tracing::info!(reason = "login_changed", "the login of {} changed", hold.account);
                    }
                }
                AccountsMsg::LoginsRead
            },
            AccountsMsg::LoginsRead,
        );
    }
}

fn problem(agent: &Identity) -> ProblemKey {
    ProblemKey::from(format!("{PROMPT}/{agent}")).of(agent)
}

/// Reads the screen of an agent, if it lives; what that says is in the register afterwards.
async fn read_screen(deps: &Deps, agent: &Identity) {
    if let Some((spec, session)) = deps.records.living(agent) {
        // What could not be read now is read with the next scan.
        let _ = nudge::read_screen(deps, &spec, &session).await;
    }
}

/// Tells a living agent to continue, if nothing forbids to touch it. At the menu of its usage limit it chooses to wait, where the
/// settings allow that.
async fn prompt(deps: &Deps, agent: &Identity) -> Outcome {
    let Some((spec, session)) = deps.records.living(agent) else { return Outcome::Gone };
    if permission::ask(deps, &spec).await != Permission::Allowed {
        return Outcome::NotNow;
    }
    let Some(waits_as) = deps.accounts.prompted(agent, deps.now()) else { return Outcome::Gone };
    let text = deps.settings().usage_limit.continue_text.clone();
    let mut prompted = nudge::at_empty_prompt(deps, &spec, &session, &text).await;
    if let Err(NotDelivered { why: Why::Question(_), begun: false }) = prompted
        && nudge::answer(deps, &spec, &session).await == Ok(true)
    {
        prompted = nudge::at_empty_prompt(deps, &spec, &session, &text).await;
    }
    let (outcome, done) = match prompted {
        Ok(()) => (Outcome::Prompted, format!("prompted with {text:?}")),
        // A part of it may have been typed: it must not be typed again.
        Err(NotDelivered { why, begun: true }) => {
            (Outcome::Prompted, format!("may have been prompted with {text:?}: {why}"))
        }
        Err(NotDelivered { why: Why::Gone(_) | Why::NoAgent(_), .. }) => return Outcome::Gone,
        Err(NotDelivered { why, .. }) => {
            tracing::debug!(agent = %agent, "not woken: {why}");
            deps.accounts.waits_again(agent, waits_as);
            return match why {
                Why::Draft | Why::NoPrompt => Outcome::PromptHolds,
                _ => Outcome::NotNow,
            };
        }
    };
    tracing::info!(agent = %agent, reason = "woken", "its account can be used again, {done}");
    let entry = Entry::word(deps.now().wall, "woken", "its account can be used again", &done);
    deps.records.happened(agent, entry);
    outcome
}
