//! What the world knows of lifecycle requests: who asked for what, and what the supervisor may do because of it, once each.

use std::{collections::BTreeMap, time::Duration};

use super::{State, World};

/// What was asked for and not done yet, by session.
#[derive(Debug, Default)]
pub struct Wishes {
    /// So many live agents of this session may be ended.
    ends: BTreeMap<String, u32>,
    /// Which incarnation is being ended because of it.
    ending: BTreeMap<String, u64>,
    /// So many starts of this session were asked for.
    starts: BTreeMap<String, u32>,
    /// Those that were asked to stop, and how they are spelled; a request to start afresh may be refused.
    stopped: BTreeMap<String, String>,
}

impl World {
    /// The agent of `session`, spelled `from`, asks by mail for `body`. The message's id.
    pub fn ask(&self, session: &str, from: &str, body: &str) -> String {
        {
            let mut state = self.state();
            let wishes = &mut state.wishes;
            *wishes.ends.entry(session.to_owned()).or_default() += 1;
            if ["restart", "cycle"].iter().any(|word| body.to_lowercase().contains(word)) {
                *wishes.starts.entry(session.to_owned()).or_default() += 1;
                // It goes before everything that would hold a start back or count it.
                let now = self.time();
                state.unhold(session);
                state.was_taken(now, session);
            } else {
                wishes.stopped.insert(session.to_owned(), from.to_owned());
            }
        }
        self.mail(from, "LIFECYCLE: please", body)
    }

    /// One more live agent of this session may be ended: what is about to be started there.
    pub fn allow_end(&self, session: &str) {
        *self.state().wishes.ends.entry(session.to_owned()).or_default() += 1;
    }

    /// Those that were asked to stop and do not live are asked for again.
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
    /// Whether somebody asked for the end of what lives there now; each wish is for one incarnation.
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

    /// A session is made. One that nobody keeps must have been asked for.
    pub fn check_asked_for(&mut self, now: Duration, session: &str) {
        let kept = session != "hq-mayor" && !session.contains("-crew-");
        match self.wishes.starts.get_mut(session) {
            Some(count) if *count > 0 => *count -= 1,
            _ if kept => {}
            _ => self.violated(now, format!("create {session}, which nobody asked for")),
        }
    }

    /// Whether a start of this session was asked for.
    pub fn wished(&self, session: &str) -> bool {
        self.wishes.starts.get(session).is_some_and(|count| *count > 0)
    }
}
