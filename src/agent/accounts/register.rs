//! The register of accounts: which agent uses which account, and which accounts are held because their plan is used up or their
//! login is lost.
//!
//! It is a register and not an actor's state, so that the gate ([`permission`](crate::agent::permission)) can ask it at any
//! moment, and so that a limit that lasts for days outlives every actor, and by its file (`daemon/supervisor/accounts.json`) the
//! process. An agent whose account is not known is never held. It must not read a screen, start or type anything.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::watch;

use crate::{
    agent::{
        account::Account,
        accounts::{
            hold::{Cause, Ends, HeldAccount, Hold, Key},
            stored::{Stored, Usage},
        },
        activity::{Reading, Source},
        confirmation::SessionKey,
        denial::Denial,
        restart::later,
    },
    clock::Now,
    ports::{Ports, persisted::Persisted},
    town::{identity::Identity, reading::FileProblem},
};

pub use super::stored::{Waiting, Waits};

/// The name of the actor that gets a message when something changed here.
pub const ACTOR: &str = "accounts";

/// A limit that is met again although its time is over, lasts this long.
const AGAIN: Duration = Duration::from_secs(60);

/// The accounts; clones share them.
#[derive(Debug, Clone)]
pub struct Accounts {
    stored: Persisted<Stored>,
    changed: Arc<watch::Sender<()>>,
}

impl Accounts {
    /// Nothing is known yet; its file is in this directory.
    pub fn new(directory: &Path) -> Self {
        let stored = Persisted::new(directory.join("accounts.json"));
        Accounts { stored, changed: Arc::new(watch::Sender::new(())) }
    }

    /// Takes over what the last supervisor left; to be called once, before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.stored.load(ports).await;
    }

    /// As [`Persisted::peek`].
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.stored.peek(ports).await
    }

    /// Writes the file. An error is reported as a problem, and retried.
    pub async fn save(&self, ports: &Ports) {
        let _ = self.stored.save(ports).await;
    }

    /// Moves with every change that is to be saved.
    pub fn changed(&self) -> watch::Receiver<()> {
        let mut changed = self.changed.subscribe();
        // What changed under an earlier caller.
        changed.mark_changed();
        changed
    }

    fn change<A>(&self, change: impl FnOnce(&mut Stored) -> A) -> A {
        let answer = change(&mut self.stored.value());
        self.changed.send_replace(());
        answer
    }

    /// An agent runs in this session with this account; `None` when it is one that cannot be known.
    pub fn uses(&self, agent: &Identity, session: &SessionKey, account: Option<Account>) {
        self.change(|stored| match account {
            None => drop(stored.agents.remove(agent)),
            Some(account) => {
                let usage = stored.agents.entry(agent.clone()).or_insert_with(|| Usage {
                    account: account.clone(),
                    session: None,
                    waits_as: None,
                    woken: None,
                    prompted: None,
                    free_since: None,
                });
                if usage.session.as_ref() != Some(session) {
                    // It runs: what an earlier incarnation waited for is over.
                    usage.session = Some(session.clone());
                    (usage.waits_as, usage.woken, usage.prompted) = (None, None, None);
                }
                usage.account = account;
            }
        });
    }

    /// Whether it is known which account the agent uses in this session.
    pub fn knows(&self, agent: &Identity, session: &SessionKey) -> bool {
        let stored = self.stored.value();
        stored.agents.get(agent).is_some_and(|usage| usage.session.as_ref() == Some(session))
    }

    /// The account that an agent uses, or used last.
    pub fn of(&self, agent: &Identity) -> Option<Account> {
        self.stored.value().agents.get(agent).map(|usage| usage.account.clone())
    }

    /// An agent is no more.
    pub fn forget(&self, agent: &Identity) {
        if self.stored.value().agents.contains_key(agent) {
            self.change(|stored| drop(stored.agents.remove(agent)));
        }
    }

    /// Whether any account is held or any agent waits for its turn: else nobody need ask.
    pub fn is_quiet(&self) -> bool {
        let stored = self.stored.value();
        stored.holds.is_empty() && stored.agents.values().all(|usage| usage.waits_as.is_none())
    }

    /// Why this agent must not be started or nudged, if its account is this one.
    pub fn denial(&self, agent: &Identity, account: &Account, now: Now, zone: &TimeZone) -> Option<Denial> {
        let stored = self.stored.value();
        let mut holds: Vec<&Hold> =
            stored.holds.iter().filter(|it| it.lasts() && it.account == *account).collect();
        holds.sort_by_key(|hold| hold.cause);
        if let Some(hold) = holds.into_iter().find(|hold| !hold.is_tried_by(agent)) {
            return Some(hold.denial(now, zone));
        }
        let usage = stored.agents.get(agent).filter(|usage| usage.account == *account)?;
        let takes_turn = usage.waits_as == Some(Waits::Ended) && !stored.is_tried_by(agent);
        takes_turn.then(|| Denial::UsageLimit {
            until: None,
            text: "its account can be used again; the agents start one after the other".to_owned(),
        })
    }

    /// The same, for the account that it uses or used last.
    pub fn denial_of(&self, agent: &Identity, now: Now, zone: &TimeZone) -> Option<Denial> {
        let account = self.of(agent)?;
        self.denial(agent, &account, now, zone)
    }

    /// The same, once this agent seems to have ended. If it tried its account, that try is over: what ends is no sign that the
    /// account can be used.
    pub fn denial_at_end(&self, agent: &Identity, now: Now, zone: &TimeZone) -> Option<Denial> {
        let tried = self.stored.value().holds.iter().find(|hold| hold.is_tried_by(agent)).cloned();
        tried.map_or_else(|| self.denial_of(agent, now, zone), |hold| Some(hold.denial(now, zone)))
    }

    /// The program of an agent said that the plan is used up. Returns whether that is news.
    pub fn limited(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        ends: Ends,
        now: Now,
    ) -> bool {
        if !self.stored.value().is_news(agent, (sentence, reading), Cause::UsageLimit, now) {
            return false;
        }
        let is_past = matches!(ends, Ends::At(reset) if reset.at <= now.wall);
        if is_past && self.stored.value().was_prompted_in_vain(agent, sentence) {
            // A screen that stays as it is however often the agent is prompted shows no limit of the account.
            return false;
        }
        self.change(|stored| {
            let Some(account) = stored.wait(agent, sentence, reading.source) else { return false };
            let key = (account, Cause::UsageLimit);
            let again = stored.agents.get(agent).is_some_and(|usage| usage.woken.is_some());
            let (until, exact) = match ends {
                Ends::At(reset) if reset.at > now.wall => (reset.at, reset.exact),
                // It is over: the agent only has to be prompted, unless it was and met the limit again.
                Ends::At(_) if !again => return true,
                Ends::At(_) => (later(now.wall, AGAIN), false),
                Ends::TryAfter(retry) => (later(now.wall, retry), false),
                Ends::Unconfirmed => {
                    stored.suspect(&key, (agent, sentence), now);
                    return true;
                }
            };
            stored.hold(&key, (agent, sentence), Some((until, exact)), now);
            true
        })
    }

    /// The program of an agent said that its login is lost; `lost` has the fingerprint of the file with the login, and is `None` when
    /// what it said may be old. Returns whether that is news.
    pub fn logged_out(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        lost: Option<Option<String>>,
        now: Now,
    ) -> bool {
        if !self.stored.value().is_news(agent, (sentence, reading), Cause::LoggedOut, now) {
            return false;
        }
        self.change(|stored| {
            let Some(account) = stored.wait(agent, sentence, reading.source) else { return false };
            let key = (account, Cause::LoggedOut);
            let Some(credentials) = lost else {
                stored.suspect(&key, (agent, sentence), now);
                return true;
            };
            stored.hold(&key, (agent, sentence), None, now);
            if let Some(hold) = stored.get(&key) {
                hold.credentials = credentials;
            }
            true
        })
    }

    /// An agent works, as this source says: it waits for nothing any more. Returns whether that is news.
    pub fn works(&self, agent: &Identity, says: Source) -> bool {
        let waits =
            |usage: &Usage| matches!(&usage.waits_as, Some(Waits::Lives { source, .. }) if says <= *source);
        if !self.stored.value().agents.get(agent).is_some_and(waits) {
            return false;
        }
        self.change(|stored| stored.agents.get_mut(agent).map(|usage| usage.waits_as = None));
        true
    }

    /// An agent is to be started, and must not be: it is one of those that are started in turn. Returns whether that is news.
    pub fn wants_to_start(&self, agent: &Identity) -> bool {
        let is_known = |usage: &Usage| usage.waits_as == Some(Waits::Ended);
        if self.stored.value().agents.get(agent).is_none_or(is_known) {
            return false;
        }
        self.change(|stored| stored.agents.get_mut(agent).map(|usage| usage.waits_as = Some(Waits::Ended)));
        true
    }

    /// An agent that waited to be started does not wait any more, or its turn has come.
    pub fn release(&self, agent: &Identity) {
        let waits = |usage: &Usage| usage.waits_as == Some(Waits::Ended);
        if self.stored.value().agents.get(agent).is_some_and(waits) {
            self.change(|stored| stored.agents.get_mut(agent).map(|usage| usage.waits_as = None));
        }
    }

    /// A living agent is about to be prompted to continue: what it shows from now on counts. Returns what it waited for.
    pub fn prompted(&self, agent: &Identity, now: Now) -> Option<Waits> {
        self.change(|stored| {
            let usage = stored.agents.get_mut(agent)?;
            let waits_as = usage.waits_as.take()?;
            if let Waits::Lives { sentence, .. } = &waits_as {
                let before = usage.woken.take().filter(|(_, below, _)| below == sentence);
                let tries = before.map_or(1, |(.., tries)| tries + 1);
                usage.woken = Some((now, sentence.clone(), tries));
                (usage.prompted, usage.free_since) = (Some(now.wall), Some(now.wall));
            }
            Some(waits_as)
        })
    }

    /// It was not prompted after all, and waits as before.
    pub fn waits_again(&self, agent: &Identity, waits_as: Waits) {
        self.change(|stored| {
            if let Some(usage) = stored.agents.get_mut(agent).filter(|usage| usage.waits_as.is_none()) {
                (usage.waits_as, usage.woken, usage.prompted) = (Some(waits_as), None, None);
            }
        });
    }

    /// The earliest moment from which what an agent's screen shows is its own: when its session began, or when it was last
    /// prompted to continue. `None` when neither is known.
    pub fn shows_since(&self, agent: &Identity) -> Option<Timestamp> {
        let stored = self.stored.value();
        let usage = stored.agents.get(agent)?;
        usage.prompted.or(usage.session.as_ref().map(|session| session.created))
    }

    /// An agent has ended: what its screen shows counts, however long ago it was prompted to continue.
    pub fn said_its_last(&self, agent: &Identity) {
        let was_woken = |usage: &Usage| usage.woken.is_some();
        if self.stored.value().agents.get(agent).is_some_and(was_woken) {
            self.change(|stored| stored.agents.get_mut(agent).map(|usage| usage.woken = None));
        }
    }

    /// Since when nothing of its account keeps this agent from working; `None` when nothing did, as far as is known.
    pub fn free_since(&self, agent: &Identity) -> Option<Timestamp> {
        self.stored.value().agents.get(agent)?.free_since
    }

    /// A living agent is gone, or another one by now.
    pub fn lives_no_more(&self, agent: &Identity) {
        self.change(|stored| stored.agents.get_mut(agent).map(|usage| usage.waits_as = None));
    }

    /// All holds and all agents that wait, with times shifted when the clock was set back since the last call.
    pub fn view(&self, now: Now) -> (Vec<Hold>, Vec<Waiting>) {
        let mut stored = self.stored.value();
        for hold in &mut stored.holds {
            hold.note(now.wall);
        }
        let waiting = stored.agents.iter().filter_map(|(agent, usage)| {
            let waits_as = usage.waits_as.clone()?;
            Some(Waiting { agent: agent.clone(), account: usage.account.clone(), waits_as })
        });
        (stored.holds.clone(), waiting.collect())
    }

    /// A hold was reported.
    pub fn reported(&self, key: &Key) {
        self.on(key, |hold| hold.reported = true);
    }

    /// From now on this agent tries whether the account can be used.
    pub fn probe(&self, key: &Key, agent: Option<&Identity>, now: Now) {
        self.on(key, |hold| hold.probe = agent.map(|agent| (agent.clone(), now)));
    }

    /// An agent ended while it tried its account: that is tried again at this time, or at once where its hold is not confirmed.
    /// Returns the key of that hold; `None` when the agent tried none.
    pub fn tried_in_vain(&self, agent: &Identity, again: Timestamp, now: Timestamp) -> Option<Key> {
        if !self.stored.value().is_tried_by(agent) {
            return None;
        }
        self.change(|stored| {
            let hold = stored.holds.iter_mut().find(|hold| hold.is_tried_by(agent))?;
            (hold.probe, hold.until) = (None, Some(if hold.confirmed { again } else { now }));
            Some(hold.key())
        })
    }

    /// The file with the login has this fingerprint after a try: only another one is a change.
    pub fn credentials_after_try(&self, key: &Key, now: Option<String>) {
        self.on(key, |hold| hold.credentials = now);
    }

    /// The file with the login has this fingerprint now: a change is worth a try. Returns whether it changed.
    pub fn credentials(&self, key: &Key, now: &Option<String>, at: Timestamp) -> bool {
        let mut changed = false;
        self.on(key, |hold| {
            changed = hold.waits_for_login() && hold.credentials != *now;
            if changed {
                (hold.until, hold.credentials) = (Some(at), now.clone());
            }
        });
        changed
    }

    /// A hold is over.
    pub fn is_over(&self, key: &Key, at: Timestamp) {
        self.change(|stored| {
            let Some(hold) = stored.get(key) else { return };
            (hold.over, hold.probe) = (Some(at), None);
            for usage in stored.agents.values_mut().filter(|usage| usage.account == key.0) {
                usage.free_since = Some(at);
            }
        });
    }

    /// The end of a hold was reported, or need not be.
    pub fn end(&self, key: &Key) {
        self.change(|stored| stored.holds.retain(|hold| hold.key() != *key || hold.lasts()));
    }

    /// A person says that what holds this agent's account, or any, is over.
    pub fn clear(&self, whose: Option<&Identity>, at: Timestamp) {
        let account = whose.map(|agent| self.of(agent));
        self.change(|stored| {
            let is_meant =
                |hold: &&mut Hold| account.as_ref().is_none_or(|it| it.as_ref() == Some(&hold.account));
            for hold in stored.holds.iter_mut().filter(|hold| hold.lasts()).filter(is_meant) {
                (hold.over, hold.probe) = (Some(at), None);
            }
        });
    }

    /// The holds for status reports.
    pub fn snapshot(&self) -> Vec<HeldAccount> {
        let stored = self.stored.value();
        let lasting = stored.holds.iter().filter(|hold| hold.lasts());
        let held = lasting.map(|hold| {
            let usages = || stored.agents.values().filter(|usage| usage.account == hold.account);
            HeldAccount {
                account: hold.account.to_string(),
                cause: hold.cause,
                since: hold.since,
                until: hold.until,
                exact: hold.exact,
                confirmed: hold.confirmed,
                by: hold.by.to_string(),
                sentence: hold.sentence.clone(),
                agents: usages().count(),
                waiting: usages().filter(|usage| usage.waits_as.is_some()).count(),
            }
        });
        held.collect()
    }

    fn on(&self, key: &Key, change: impl FnOnce(&mut Hold)) {
        self.change(|stored| stored.get(key).map(change));
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
