//! Rules: what is to be done next about accounts that are held and agents that wait. Pure.
//!
//! A hold whose end the program itself named is over at that time, and all agents of the account go on, one in each
//! `usage_limit.wake_every`. After one whose end is a guess, or after a login, one agent tries first. Whatever an agent meets
//! again holds its account again, and with that ends the waking.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, tz::TimeZone};

use crate::{
    agent::{
        accounts::{
            hold::{Cause, Hold, Key},
            register::{Waiting, Waits},
        },
        restart::later,
    },
    clock::Now,
    town::{identity::Identity, settings::UsageLimit},
};

/// An agent that tries an account must have met nothing for this long; a screen that stays as it is counts after 30 s only.
pub const PROBE_SETTLES: Duration = Duration::from_secs(35);

/// An agent that cannot be woken now is tried again after this long.
pub const PUT_OFF: Duration = Duration::from_secs(60);

/// How long a hold that is over may be met again before its end is reported.
const END_SETTLES: SignedDuration = SignedDuration::from_secs(60);

/// The longest wait: clocks jump.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When agents were woken.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// When the last one was (monotonic).
    pub last: Duration,
    /// Those that could not be, and when they are tried again (monotonic).
    pub put_off: BTreeMap<Identity, Duration>,
}

/// What is next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Report that this account is held.
    Report(Box<Hold>),
    /// This hold is over.
    Over(Key),
    /// Let this agent try the account.
    Probe(Key, Waiting),
    /// See what became of the agent that tries the account.
    Judge(Key, Identity),
    /// Wake this agent.
    Wake(Waiting),
    /// Report that this hold is over, and forget it.
    End(Box<Hold>),
    /// Ask again after this time; `None` when nothing is held and nobody waits.
    Wait(Option<Duration>),
}

/// What is next, given all holds and all agents that wait.
pub fn next(
    (holds, waiting): &(Vec<Hold>, Vec<Waiting>),
    pace: &Pace,
    now: Now,
    policy: &UsageLimit,
    zone: &TimeZone,
) -> Next {
    if let Some(hold) = holds.iter().find(|hold| hold.lasts() && hold.confirmed && !hold.reported) {
        return Next::Report(Box::new(hold.clone()));
    }
    let mut wait = LONGEST_WAIT;
    let is_quiet = policy.quiet.is_some_and(|quiet| quiet.covers(now.wall.to_zoned(zone.clone()).time()));
    let of = |hold| waiting_for(hold, waiting, policy);
    let turn = (pace.last + policy.wake_every).saturating_sub(now.mono);
    let mut open = Vec::new();
    for hold in holds.iter().filter(|hold| hold.lasts()) {
        if let Some((agent, since)) = &hold.probe {
            let put_off = pace.put_off.get(agent).map_or(Duration::ZERO, |at| at.saturating_sub(now.mono));
            match PROBE_SETTLES.saturating_sub(now.since(*since)).max(put_off) {
                Duration::ZERO => return Next::Judge(hold.key(), agent.clone()),
                left => wait = wait.min(left),
            }
            continue;
        }
        match left(hold, now, policy) {
            Some(Duration::ZERO) if hold.exact || of(hold).next().is_none() => return Next::Over(hold.key()),
            Some(Duration::ZERO) => open.extend(who_tries(hold, of(hold)).map(|it| (Some(hold), it))),
            Some(left) => wait = wait.min(left),
            None => {}
        }
    }
    let is_held = |it: &Waiting| holds.iter().any(|hold| hold.lasts() && hold.account == it.account);
    open.extend(waiting.iter().filter(|it| may_be(it, policy) && !is_held(it)).map(|it| (None, it)));
    open.sort_by_key(|(_, it)| (it.agent.role().facts().priority, it.agent.clone()));
    let due = |it: &Waiting| pace.put_off.get(&it.agent).is_none_or(|until| *until <= now.mono);
    // A start that only waits because of an old sentence would have been made in any case.
    let may_be_now = |hold: &Option<&Hold>, it: &Waiting| {
        !is_quiet || hold.is_some_and(|hold| !hold.confirmed) && it.waits_as == Waits::Ended
    };
    if let Some((probes, it)) = open.iter().find(|(hold, it)| due(it) && may_be_now(hold, it)) {
        match (turn, probes) {
            (Duration::ZERO, Some(hold)) => return Next::Probe(hold.key(), (*it).clone()),
            (Duration::ZERO, None) => return Next::Wake((*it).clone()),
            (turn, _) => wait = wait.min(turn),
        }
    }
    let over = holds.iter().filter(|hold| !hold.lasts());
    for hold in over {
        let since = hold.over.unwrap_or(now.wall);
        if now.wall.duration_since(since) >= END_SETTLES || of(hold).next().is_none() {
            return Next::End(Box::new(hold.clone()));
        }
    }
    Next::Wait((!holds.is_empty() || !waiting.is_empty()).then_some(wait))
}

/// The agents that wait for this hold to end.
fn waiting_for<'a>(
    hold: &Hold,
    waiting: &'a [Waiting],
    policy: &UsageLimit,
) -> impl Iterator<Item = &'a Waiting> {
    let is_meant = |it: &&Waiting| it.account == hold.account && may_be(it, policy);
    waiting.iter().filter(is_meant).collect::<Vec<_>>().into_iter()
}

/// Who of these may try the account of a hold. Where its sentence may be old, a start comes first, which types nothing.
fn who_tries<'a>(
    hold: &Hold,
    waiting: impl Iterator<Item = &'a Waiting>,
) -> impl Iterator<Item = &'a Waiting> {
    let (starts, live): (Vec<_>, Vec<_>) = waiting.partition(|it| it.waits_as == Waits::Ended);
    let live = if hold.confirmed || starts.is_empty() { live } else { Vec::new() };
    starts.into_iter().chain(live)
}

/// Whether the settings let this agent be woken at all. One that ended is started in any case.
fn may_be(it: &Waiting, policy: &UsageLimit) -> bool {
    let is_prompted = policy.wake && !policy.wake_except.contains(&it.agent.role());
    it.waits_as == Waits::Ended || is_prompted
}

/// The time until a hold is over, or may be tried; `None` while only a person can end it.
fn left(hold: &Hold, now: Now, policy: &UsageLimit) -> Option<Duration> {
    let margin =
        if hold.cause == Cause::UsageLimit && hold.confirmed { policy.margin } else { Duration::ZERO };
    let until = later(hold.until?, margin);
    Some(Duration::try_from(until.duration_since(now.wall)).unwrap_or_default())
}

/// The holds that a new login would end, the latest first.
pub fn wait_for_login(holds: &[Hold]) -> Vec<&Hold> {
    let mut found: Vec<&Hold> = holds.iter().filter(|hold| hold.waits_for_login()).collect();
    found.sort_by_key(|hold| Reverse(hold.since));
    found
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
