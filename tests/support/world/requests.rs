//! What the world knows of lifecycle requests: the requests, and what the supervisor may do because of each, once.

use std::{collections::BTreeMap, time::Duration};

use super::{MAYOR, State, World};

/// Requests that are not carried out yet, by session.
#[derive(Debug, Default)]
pub struct Wishes {
    /// How many live agents of this session may be ended.
    ends: BTreeMap<String, u32>,
    /// The incarnation that is being ended because of it.
    ending: BTreeMap<String, u64>,
    /// How many starts of this session were requested.
    starts: BTreeMap<String, u32>,
    /// Agents that were asked to stop, and their spelling; a request to restart may be refused.
    stopped: BTreeMap<String, String>,
}

impl World {
    /// The agent of `session`, spelled `from`, asks by mail for `body`. Returns the message's id.
    pub fn ask(&self, session: &str, from: &str, body: &str) -> String {
        *self.state().wishes.ends.entry(session.to_owned()).or_default() += 1;
        if ["restart", "cycle"].iter().any(|word| body.to_lowercase().contains(word)) {
            self.allow_start(session);
        } else {
            self.state().wishes.stopped.insert(session.to_owned(), from.to_owned());
        }
        self.mail(from, "LIFECYCLE: please", body)
    }

    /// This session may be started once, before everything that would delay a start or count it.
    pub fn allow_start(&self, session: &str) {
        let (now, mut state) = (self.time(), self.state());
        *state.wishes.starts.entry(session.to_owned()).or_default() += 1;
        state.unhold(session);
        state.was_taken(now, session);
    }

    /// One more live agent of this session may be ended: the one that is about to be started there.
    pub fn allow_end(&self, session: &str) {
        *self.state().wishes.ends.entry(session.to_owned()).or_default() += 1;
    }

    /// Requests again the agents that were asked to stop and do not live.
    pub fn ask_for_the_stopped(&self) {
        let stopped: Vec<(String, String)> = {
            let state = self.state();
            let all = state.wishes.stopped.iter().filter(|(session, _)| !state.lives(session));
            all.map(|(session, from)| (session.clone(), from.clone())).collect()
        };
        for (session, from) in stopped {
            self.ask(&session, &from, "restart");
        }
    }

    /// `bd` wrote its export.
    pub fn ledger_changes(&self) {
        self.0.ledger_changed.send_modify(|count| *count += 1);
    }
}

impl State {
    /// Whether the end of what lives there now was requested; each request is for one incarnation.
    pub fn was_asked_to_end(&mut self, session: &str) -> bool {
        let Some(id) = self.sessions.get(session).map(|it| it.id) else { return false };
        if self.wishes.ending.get(session) == Some(&id) {
            return true;
        }
        match self.wishes.ends.get_mut(session) {
            Some(count) if *count > 0 => {
                *count -= 1;
                self.wishes.ending.insert(session.to_owned(), id);
                true
            }
            _ => false,
        }
    }

    /// A session is created. One that is not supervised must have been requested.
    pub fn check_asked_for(&mut self, now: Duration, session: &str) {
        let kept = (session != MAYOR || self.is_v1()) && !session.contains("-crew-");
        match self.wishes.starts.get_mut(session) {
            Some(count) if *count > 0 => *count -= 1,
            _ if kept => {}
            _ => self.violated(now, format!("create {session}, which nobody asked for")),
        }
    }

    /// Whether a start of this session was requested.
    pub fn wished(&self, session: &str) -> bool {
        self.wishes.starts.get(session).is_some_and(|count| *count > 0)
    }
}
