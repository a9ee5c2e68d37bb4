//! The register of accounts: which agent uses which account, and which accounts are held because their plan is used up or their
//! login is lost.
//!
//! It is a register and not an actor's state, so that the gate ([`permission`](crate::agent::permission)) can ask it at any
//! moment, and so that a limit that lasts for days outlives every actor, and by its file (`daemon/supervisor/accounts.json`) the
//! process. An agent whose account is not known is never held. It must not read a screen, start or type anything.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    agent::{
        account::Account,
        activity::{Reading, Source},
        confirmation::SessionKey,
        denial::Denial,
        restart::later,
    },
    clock::Now,
    ports::{Ports, persisted::Persisted},
    town::{identity::Identity, reading::FileProblem, usage_limit::reset::Reset},
};

/// The name of the actor that gets a message when something changed here.
pub const ACTOR: &str = "accounts";

/// For this long after an agent was prompted to continue, the same sentence on its screen is the old one.
const SETTLES: Duration = Duration::from_secs(30);

/// A limit that is met again although its time is over, lasts this long.
const AGAIN: Duration = Duration::from_secs(60);

/// How often an agent is prompted to continue below a sentence that stays as it is.
const TRIES: u32 = 3;

/// A limit that is met again counts as another one, which is reported again, when it ends this much later.
const ANOTHER: SignedDuration = SignedDuration::from_hours(1);

/// Why an account is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its login is lost.
    LoggedOut,
    /// Its plan is used up.
    UsageLimit,
}

impl Cause {
    /// `logged_out` or `usage_limit`.
    pub fn code(self) -> &'static str {
        match self {
            Cause::LoggedOut => "logged_out",
            Cause::UsageLimit => "usage_limit",
        }
    }
}

/// An account and why it is held: there is at most one hold of each kind.
pub type Key = (Account, Cause);

/// A hold of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The account.
    pub account: Account,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// The agent that said it.
    pub by: Identity,
    /// What its program said.
    pub sentence: String,
    /// When it ends, or is to be tried; `None` while only a person can end it.
    pub until: Option<Timestamp>,
    /// Whether the program itself said so. If not, one agent tries it before the others do.
    pub exact: bool,
    /// The fingerprint of the file with the login when it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Whether it was reported.
    #[serde(default)]
    pub reported: bool,
    /// Since when it is over; it is kept until that is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Timestamp>,
    /// The agent that tries it, and since when.
    #[serde(skip)]
    pub probe: Option<(Identity, Now)>,
    /// When it was last read, by which a clock that was set back is noticed.
    noted: Timestamp,
}

impl Hold {
    /// Its key.
    pub fn key(&self) -> Key {
        (self.account.clone(), self.cause)
    }

    /// Whether it still forbids to start anything.
    pub fn lasts(&self) -> bool {
        self.over.is_none()
    }

    fn text(&self, now: Now, zone: &TimeZone) -> String {
        match self.cause {
            Cause::LoggedOut => format!("{}: {}", self.account.login_lost(), self.sentence),
            Cause::UsageLimit => {
                let guess = if self.exact { "" } else { "about " };
                let until = self.until.map(|until| format!(" until {guess}{}", shown(until, now, zone)));
                format!("limited{}: {}", until.unwrap_or_default(), self.sentence)
            }
        }
    }
}

/// A time of the clock on the wall, with its day when that is another one.
pub fn shown(at: Timestamp, now: Now, zone: &TimeZone) -> String {
    let (at, today) = (at.to_zoned(zone.clone()), now.wall.to_zoned(zone.clone()).date());
    let format = if at.date() == today { "%H:%M" } else { "%b %-d %H:%M" };
    at.strftime(format).to_string()
}

/// What an agent waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// It lives, and its program said this.
    Lives {
        /// What it said.
        sentence: String,
        /// Where that was read.
        source: Source,
    },
    /// It does not run, and is to be started.
    Ended,
}

/// What is known of one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Usage {
    account: Account,
    /// The session in which that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_as: Option<Waits>,
    /// When it was last prompted to continue, below which sentence, and how often below that.
    #[serde(skip)]
    woken: Option<(Now, String, u32)>,
    /// Since when nothing of its account keeps it from working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    free_since: Option<Timestamp>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    #[serde(default)]
    holds: Vec<Hold>,
    #[serde(default)]
    agents: BTreeMap<Identity, Usage>,
}

/// An agent that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The agent.
    pub agent: Identity,
    /// Its account.
    pub account: Account,
    /// What it waits for.
    pub waits_as: Waits,
}

/// A part of the status: one hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldAccount {
    /// The account.
    pub account: String,
    /// `usage_limit` or `logged_out`.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Until when, as far as is known.
    pub until: Option<Timestamp>,
    /// Whether the program itself said until when.
    pub exact: bool,
    /// The agent that said it.
    pub by: String,
    /// What it said.
    pub sentence: String,
    /// The agents of this account.
    pub agents: usize,
    /// Those that wait to be started or to continue.
    pub waiting: usize,
}

/// The accounts; clones share them.
#[derive(Debug, Clone)]
pub struct Accounts {
    book: Persisted<Book>,
    changed: Arc<watch::Sender<()>>,
}

impl Accounts {
    /// Nothing is known yet; its file is in this directory.
    pub fn new(directory: &Path) -> Self {
        let book = Persisted::new(directory.join("accounts.json"));
        Accounts { book, changed: Arc::new(watch::Sender::new(())) }
    }

    /// Takes over what the last supervisor left; to be called once, before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.book.load(ports).await;
    }

    /// As [`Persisted::peek`].
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.book.peek(ports).await
    }

    /// Writes the file. An error is reported as a problem, and retried.
    pub async fn save(&self, ports: &Ports) {
        let _ = self.book.save(ports).await;
    }

    /// Moves with every change that is to be saved.
    pub fn changed(&self) -> watch::Receiver<()> {
        let mut changed = self.changed.subscribe();
        // What changed under an earlier caller.
        changed.mark_changed();
        changed
    }

    fn change<A>(&self, change: impl FnOnce(&mut Book) -> A) -> A {
        let answer = change(&mut self.book.value());
        self.changed.send_replace(());
        answer
    }

    /// An agent runs in this session with this account; `None` when it is one that cannot be known.
    pub fn uses(&self, agent: &Identity, session: &SessionKey, account: Option<Account>) {
        self.change(|book| match account {
            None => drop(book.agents.remove(agent)),
            Some(account) => {
                let usage = book.agents.entry(agent.clone()).or_insert_with(|| Usage {
                    account: account.clone(),
                    session: None,
                    waits_as: None,
                    woken: None,
                    free_since: None,
                });
                if usage.session.as_ref() != Some(session) {
                    // It runs: what an earlier incarnation waited for is over.
                    (usage.session, usage.waits_as, usage.woken) = (Some(session.clone()), None, None);
                }
                usage.account = account;
            }
        });
    }

    /// Whether it is known which account the agent uses in this session.
    pub fn knows(&self, agent: &Identity, session: &SessionKey) -> bool {
        let book = self.book.value();
        book.agents.get(agent).is_some_and(|usage| usage.session.as_ref() == Some(session))
    }

    /// The account that an agent uses, or used last.
    pub fn of(&self, agent: &Identity) -> Option<Account> {
        self.book.value().agents.get(agent).map(|usage| usage.account.clone())
    }

    /// An agent is no more.
    pub fn forget(&self, agent: &Identity) {
        if self.book.value().agents.contains_key(agent) {
            self.change(|book| drop(book.agents.remove(agent)));
        }
    }

    /// Whether any account is held or any agent waits for its turn: else nobody need ask.
    pub fn is_quiet(&self) -> bool {
        let book = self.book.value();
        book.holds.is_empty() && book.agents.values().all(|usage| usage.waits_as.is_none())
    }

    /// Why this agent must not be started or nudged, if its account is this one.
    pub fn denial(&self, agent: &Identity, account: &Account, now: Now, zone: &TimeZone) -> Option<Denial> {
        let book = self.book.value();
        let mut holds: Vec<&Hold> =
            book.holds.iter().filter(|it| it.lasts() && it.account == *account).collect();
        holds.sort_by_key(|hold| hold.cause);
        let is_probe = |hold: &Hold| hold.probe.as_ref().is_some_and(|(probe, _)| probe == agent);
        if let Some(hold) = holds.into_iter().find(|hold| !is_probe(hold)) {
            let (until, text) = (hold.until.filter(|until| *until > now.wall), hold.text(now, zone));
            return Some(match hold.cause {
                Cause::LoggedOut => Denial::LoggedOut(text),
                Cause::UsageLimit => Denial::UsageLimit { until, text },
            });
        }
        let usage = book.agents.get(agent).filter(|usage| usage.account == *account)?;
        let takes_turn = usage.waits_as == Some(Waits::Ended) && !book.is_tried_by(agent);
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

    /// The program of a living agent said that the plan is used up, until this time as far as it says so; without one, it is
    /// tried after `retry`. Returns whether that is news.
    pub fn limited(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        reset: Option<Reset>,
        retry: Duration,
        now: Now,
    ) -> bool {
        if !self.book.value().is_news(agent, (sentence, reading), Cause::UsageLimit, now) {
            return false;
        }
        let is_past = reset.is_some_and(|reset| reset.at <= now.wall);
        if is_past && self.book.value().was_prompted_in_vain(agent, sentence) {
            // A screen that stays as it is however often the agent is prompted shows no limit of the account.
            return false;
        }
        self.change(|book| {
            let Some(account) = book.wait(agent, sentence, reading.source) else { return false };
            let again = book.agents.get(agent).is_some_and(|usage| usage.woken.is_some());
            let (until, exact) = match reset {
                Some(reset) if reset.at > now.wall => (reset.at, reset.exact),
                // It is over: the agent only has to be prompted, unless it was and met the limit again.
                Some(_) if !again => return true,
                Some(_) => (later(now.wall, AGAIN), false),
                None => (later(now.wall, retry), false),
            };
            book.hold(&(account, Cause::UsageLimit), (agent, sentence), Some((until, exact)), now);
            true
        })
    }

    /// The program of a living agent said that its login is lost; `credentials` is the fingerprint of the file that has it.
    /// Returns whether that is news.
    pub fn logged_out(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        credentials: Option<String>,
        now: Now,
    ) -> bool {
        if !self.book.value().is_news(agent, (sentence, reading), Cause::LoggedOut, now) {
            return false;
        }
        self.change(|book| {
            let Some(account) = book.wait(agent, sentence, reading.source) else { return false };
            let key = (account, Cause::LoggedOut);
            book.hold(&key, (agent, sentence), None, now);
            if let Some(hold) = book.get(&key) {
                hold.credentials = credentials;
            }
            true
        })
    }

    /// An agent works, as this source says: it waits for nothing any more. Returns whether that is news.
    pub fn works(&self, agent: &Identity, says: Source) -> bool {
        let waits =
            |usage: &Usage| matches!(&usage.waits_as, Some(Waits::Lives { source, .. }) if says <= *source);
        if !self.book.value().agents.get(agent).is_some_and(waits) {
            return false;
        }
        self.change(|book| book.agents.get_mut(agent).map(|usage| usage.waits_as = None));
        true
    }

    /// An agent is to be started, and must not be: it is one of those that are started in turn. Returns whether that is news.
    pub fn wants_to_start(&self, agent: &Identity) -> bool {
        let is_known = |usage: &Usage| usage.waits_as == Some(Waits::Ended);
        if self.book.value().agents.get(agent).is_none_or(is_known) {
            return false;
        }
        self.change(|book| book.agents.get_mut(agent).map(|usage| usage.waits_as = Some(Waits::Ended)));
        true
    }

    /// An agent that waited to be started does not wait any more, or its turn has come.
    pub fn release(&self, agent: &Identity) {
        let waits = |usage: &Usage| usage.waits_as == Some(Waits::Ended);
        if self.book.value().agents.get(agent).is_some_and(waits) {
            self.change(|book| book.agents.get_mut(agent).map(|usage| usage.waits_as = None));
        }
    }

    /// A living agent is about to be prompted to continue: what it shows from now on counts. Returns what it waited for.
    pub fn prompted(&self, agent: &Identity, now: Now) -> Option<Waits> {
        self.change(|book| {
            let usage = book.agents.get_mut(agent)?;
            let waits_as = usage.waits_as.take()?;
            if let Waits::Lives { sentence, .. } = &waits_as {
                let before = usage.woken.take().filter(|(_, below, _)| below == sentence);
                let tries = before.map_or(1, |(.., tries)| tries + 1);
                (usage.woken, usage.free_since) = (Some((now, sentence.clone(), tries)), Some(now.wall));
            }
            Some(waits_as)
        })
    }

    /// It was not prompted after all, and waits as before.
    pub fn waits_again(&self, agent: &Identity, waits_as: Waits) {
        self.change(|book| {
            if let Some(usage) = book.agents.get_mut(agent).filter(|usage| usage.waits_as.is_none()) {
                (usage.waits_as, usage.woken) = (Some(waits_as), None);
            }
        });
    }

    /// An agent has ended: what its screen shows counts, however long ago it was prompted to continue.
    pub fn said_its_last(&self, agent: &Identity) {
        let was_woken = |usage: &Usage| usage.woken.is_some();
        if self.book.value().agents.get(agent).is_some_and(was_woken) {
            self.change(|book| book.agents.get_mut(agent).map(|usage| usage.woken = None));
        }
    }

    /// Since when nothing of its account keeps this agent from working; `None` when nothing did, as far as is known.
    pub fn free_since(&self, agent: &Identity) -> Option<Timestamp> {
        self.book.value().agents.get(agent)?.free_since
    }

    /// A living agent is gone, or another one by now.
    pub fn lives_no_more(&self, agent: &Identity) {
        self.change(|book| book.agents.get_mut(agent).map(|usage| usage.waits_as = None));
    }

    /// All holds and all agents that wait, with times shifted when the clock was set back since the last call.
    pub fn view(&self, now: Now) -> (Vec<Hold>, Vec<Waiting>) {
        let mut book = self.book.value();
        for hold in &mut book.holds {
            hold.note(now.wall);
        }
        let waiting = book.agents.iter().filter_map(|(agent, usage)| {
            let waits_as = usage.waits_as.clone()?;
            Some(Waiting { agent: agent.clone(), account: usage.account.clone(), waits_as })
        });
        (book.holds.clone(), waiting.collect())
    }

    /// A hold was reported.
    pub fn reported(&self, key: &Key) {
        self.on(key, |hold| hold.reported = true);
    }

    /// From now on this agent tries whether the account can be used.
    pub fn probe(&self, key: &Key, agent: Option<&Identity>, now: Now) {
        self.on(key, |hold| hold.probe = agent.map(|agent| (agent.clone(), now)));
    }

    /// The file with the login has this fingerprint now: a change is worth a try. Returns whether it changed.
    pub fn credentials(&self, key: &Key, now: &Option<String>, at: Timestamp) -> bool {
        let mut changed = false;
        self.on(key, |hold| {
            changed = hold.lasts() && hold.until.is_none() && hold.credentials != *now;
            if changed {
                (hold.until, hold.credentials) = (Some(at), now.clone());
            }
        });
        changed
    }

    /// A hold is over.
    pub fn is_over(&self, key: &Key, at: Timestamp) {
        self.change(|book| {
            let Some(hold) = book.get(key) else { return };
            (hold.over, hold.probe) = (Some(at), None);
            for usage in book.agents.values_mut().filter(|usage| usage.account == key.0) {
                usage.free_since = Some(at);
            }
        });
    }

    /// The end of a hold was reported, or need not be.
    pub fn end(&self, key: &Key) {
        self.change(|book| book.holds.retain(|hold| hold.key() != *key || hold.lasts()));
    }

    /// A person says that what holds this agent's account, or any, is over.
    pub fn clear(&self, whose: Option<&Identity>, at: Timestamp) {
        let account = whose.map(|agent| self.of(agent));
        self.change(|book| {
            let is_meant =
                |hold: &&mut Hold| account.as_ref().is_none_or(|it| it.as_ref() == Some(&hold.account));
            for hold in book.holds.iter_mut().filter(|hold| hold.lasts()).filter(is_meant) {
                (hold.over, hold.probe) = (Some(at), None);
            }
        });
    }

    /// The holds for status reports.
    pub fn snapshot(&self) -> Vec<HeldAccount> {
        let book = self.book.value();
        let lasting = book.holds.iter().filter(|hold| hold.lasts());
        let held = lasting.map(|hold| {
            let usages = || book.agents.values().filter(|usage| usage.account == hold.account);
            HeldAccount {
                account: hold.account.to_string(),
                cause: hold.cause,
                since: hold.since,
                until: hold.until,
                exact: hold.exact,
                by: hold.by.to_string(),
                sentence: hold.sentence.clone(),
                agents: usages().count(),
                waiting: usages().filter(|usage| usage.waits_as.is_some()).count(),
            }
        });
        held.collect()
    }

    fn on(&self, key: &Key, change: impl FnOnce(&mut Hold)) {
        self.change(|book| book.get(key).map(change));
    }
}

impl Book {
    fn get(&mut self, key: &Key) -> Option<&mut Hold> {
        self.holds.iter_mut().find(|hold| hold.account == key.0 && hold.cause == key.1)
    }

    fn is_tried_by(&self, agent: &Identity) -> bool {
        let mut probes = self.holds.iter().filter_map(|hold| hold.probe.as_ref());
        probes.any(|(probe, _)| probe == agent)
    }

    /// Whether a reading says what is not known yet.
    fn is_news(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        cause: Cause,
        now: Now,
    ) -> bool {
        let Some(usage) = self.agents.get(agent) else { return false };
        // It does not run: this is what was left of it.
        if usage.waits_as == Some(Waits::Ended) {
            return false;
        }
        if let Some((woken, below, _)) = &usage.woken {
            // After a clock that was set back, times say nothing.
            let clock_is_well = now.wall >= woken.wall;
            let is_old = reading.source == Source::Transcript && clock_is_well && reading.since <= woken.wall;
            let same = below == sentence;
            let settles = same && reading.source == Source::Screen && now.since(*woken) < SETTLES;
            if is_old || settles {
                return false;
            }
        }
        let known =
            matches!(&usage.waits_as, Some(Waits::Lives { sentence: before, .. }) if before == sentence);
        let held = self.holds.iter().find(|hold| hold.account == usage.account && hold.cause == cause);
        // One that waits for its turn shows the sentence until it is prompted to continue.
        !known || held.is_some_and(|hold| hold.probe.as_ref().is_some_and(|(probe, _)| probe == agent))
    }

    /// Whether it was prompted to continue below this sentence as often as it ever is.
    fn was_prompted_in_vain(&self, agent: &Identity, sentence: &str) -> bool {
        let woken = self.agents.get(agent).and_then(|usage| usage.woken.as_ref());
        woken.is_some_and(|(_, below, tries)| below == sentence && *tries >= TRIES)
    }

    /// Notes that a living agent waits, and returns its account; `None` when that is unknown.
    fn wait(&mut self, agent: &Identity, sentence: &str, source: Source) -> Option<Account> {
        let usage = self.agents.get_mut(agent)?;
        usage.waits_as = Some(Waits::Lives { sentence: sentence.to_owned(), source });
        Some(usage.account.clone())
    }

    /// Holds an account, or prolongs its hold.
    fn hold(
        &mut self,
        key: &Key,
        (by, sentence): (&Identity, &str),
        until: Option<(Timestamp, bool)>,
        now: Now,
    ) {
        let (at, exact) = (until.map(|until| until.0), until.is_some_and(|until| until.1));
        let Some(hold) = self.get(key) else {
            self.holds.push(Hold {
                account: key.0.clone(),
                cause: key.1,
                since: now.wall,
                by: by.clone(),
                sentence: sentence.to_owned(),
                until: at,
                exact,
                credentials: None,
                reported: false,
                over: None,
                probe: None,
                noted: now.wall,
            });
            return;
        };
        let tried = hold.probe.take().is_some() || hold.over.take().is_some();
        let is_past = hold.until.is_none_or(|until| until <= now.wall);
        // What the program says counts more than a guess, and of two limits the one that ends later.
        let better = match (hold.exact, exact) {
            (true, false) => false,
            (false, true) => true,
            (false, false) => false,
            (true, true) => at > hold.until,
        };
        if tried || is_past || better || key.1 == Cause::LoggedOut {
            let far = |before: Timestamp| at.is_some_and(|at| exact && at.duration_since(before) > ANOTHER);
            if hold.until.is_some_and(far) {
                hold.reported = false;
            }
            (hold.until, hold.exact) = (at, exact);
            (hold.by, hold.sentence) = (by.clone(), sentence.to_owned());
        }
        hold.noted = now.wall;
    }
}

impl Hold {
    /// A clock that was set back takes the times with it: a hold ends as long after its beginning as it was to.
    fn note(&mut self, now: Timestamp) {
        let back = self.noted.duration_since(now);
        if back > SignedDuration::from_secs(1) {
            let times = [Some(&mut self.since), self.until.as_mut(), self.over.as_mut()];
            for at in times.into_iter().flatten() {
                *at = at.checked_sub(back).unwrap_or(*at);
            }
        }
        self.noted = now;
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
