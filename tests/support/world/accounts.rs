//! The accounts of the world's agents: their limits and logins, and what agents show and do when they meet them.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{Asks, World, millis, secs};

/// What the program of an agent without a login says.
pub const LOGGED_OUT: &str = "Invalid API key · Please run /login";

/// One account.
#[derive(Debug, Clone, Default)]
pub struct FakeAccount {
    /// Until when its plan is used up, and what its program says about that.
    pub limited: Option<(Timestamp, String)>,
    /// Whether its login is lost.
    pub logged_out: bool,
}

/// All accounts, and who uses them.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// The accounts, by the home directory of the agents that use them.
    pub by_home: BTreeMap<String, FakeAccount>,
    /// The home of all agents that are not named otherwise; without one, nobody can tell their account.
    pub home: Option<String>,
    /// The homes of some agents, by session.
    pub homes: BTreeMap<String, String>,
    /// Whether agents end when they meet a limit or have no login.
    pub ends: bool,
    /// How long the program of an agent takes until it says what keeps it from working.
    pub takes: Duration,
    /// Whether their program asks what to do when they meet a limit.
    pub asks: bool,
}

impl World {
    /// The home of the agent of this session.
    pub(super) fn home(&self, session: &str) -> Option<String> {
        let accounts = &self.state().accounts;
        accounts.homes.get(session).or(accounts.home.as_ref()).cloned()
    }

    /// The plan of the account of this home is used up, until this time of the wall clock.
    pub fn use_up(&self, home: &str, until: &str, says: &str) {
        let until = until.parse().unwrap();
        let mut state = self.state();
        state.accounts.by_home.entry(home.to_owned()).or_default().limited = Some((until, says.to_owned()));
    }

    /// The login of the account of this home is lost, or is back; its file says which.
    pub fn log_in(&self, home: &str, well: bool, token: &str) {
        self.state().accounts.by_home.entry(home.to_owned()).or_default().logged_out = !well;
        self.write(&format!("{home}/.claude/.credentials.json"), token);
    }

    /// The agent of this session asks its program for something, and is answered when that has taken its time.
    pub fn asks_its_program(&self, name: &str) {
        let takes = self.state().accounts.takes;
        if takes.is_zero() {
            return self.is_answered_by_its_program(name);
        }
        let Some(id) = self.state().sessions.get(name).map(|session| session.id) else { return };
        let name = name.to_owned();
        self.after(takes, move |world| {
            if world.state().sessions.get(&name).is_some_and(|it| it.id == id) {
                world.is_answered_by_its_program(&name);
            }
        });
    }

    /// The agent of this session works, or shows what keeps it from that.
    fn is_answered_by_its_program(&self, name: &str) {
        let Some(home) = self.home(name) else { return };
        let (wall, now) = (self.wall(), self.time());
        let mut state = self.state();
        let account = state.accounts.by_home.get(&home).cloned().unwrap_or_default();
        let limit = account.limited.filter(|(until, _)| wall < *until).map(|(_, says)| says);
        let asks = state.accounts.asks && limit.is_some() && !account.logged_out;
        let shows = if account.logged_out { Some(LOGGED_OUT.to_owned()) } else { limit };
        let ends = state.accounts.ends && shows.is_some();
        let Some(session) = state.sessions.get_mut(name) else { return };
        session.shows = shows.clone().into_iter().collect();
        if asks {
            session.asks = Some((now, Asks::usage_limit()));
        }
        let id = session.id;
        state.note(now, true, || format!("{name} shows {shows:?}"));
        drop(state);
        if ends {
            let name = name.to_owned();
            self.after(secs(2) + millis(500), move |world| {
                let there = world.state().sessions.get(&name).is_some_and(|it| it.id == id);
                if there {
                    world.crash_agent(&name, false);
                }
            });
        }
    }
}
