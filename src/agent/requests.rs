//! Requests, by mail, by a command of an operator, or by a change of the town's file: what is not done yet, and what is done and may
//! be asked about.
//!
//! A request goes through four stages, each on disk before what follows from it is done: *noted* before its message is
//! deleted, *due* when it is to be carried out, *begun* with the session that is to end, *done* until its message is gone.
//! So it is carried out once, also when the message cannot be deleted, and when we are killed in between. A command has no
//! message: it is due at once, and its [outcome](Outcome) is kept for a while, for who asked.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{agent::confirmation::SessionKey, town::identity::Identity};

/// How long what cannot be found out is tried again for a command. Then it has failed: somebody waits for the answer.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// A command that was not begun within this time is not carried out any more: nobody waits for it.
pub const STALE: SignedDuration = SignedDuration::from_mins(5);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End it, if it runs, and start it again (`cycle`, `restart`).
    Restart,
    /// End it, if it runs, and leave it so (`shutdown`, `stop`).
    Stop,
    /// Start it, unless it runs; by command only.
    Start,
}

impl Action {
    const ALL: [Action; 3] = [Action::Restart, Action::Stop, Action::Start];

    /// The command that asks for it.
    pub fn command(self) -> &'static str {
        match self {
            Action::Restart => "restart",
            Action::Stop => "stop",
            Action::Start => "start",
        }
    }

    /// What this command asks for.
    pub fn of_command(command: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.command() == command)
    }

    /// What a mail asks for that asks for it.
    pub fn by_mail(self) -> &'static str {
        match self {
            Action::Restart => "fresh start",
            Action::Stop | Action::Start => self.command(),
        }
    }
}

/// The command that ends a town of one file with all of its agents.
pub const DOWN: &str = "down";

/// A command of an operator that asks for something, or the file of a town of one file that does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByCommand {
    /// The user's id, as the kernel gave it with the connection.
    pub uid: u32,
    /// The user's name; `None` when the system knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The command, in words (`stop --for 2h`).
    pub command: String,
    /// When it was given.
    pub at: Timestamp,
    /// For a stop: when its hold ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether what runs is ended only while it is idle.
    #[serde(default)]
    pub when_idle: bool,
    /// Whether it is no command: the town's file, whose name is that of the user, says so by what changed in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_file: bool,
}

impl ByCommand {
    /// Whether the whole town is ended.
    pub fn is_down(&self) -> bool {
        self.command == DOWN
    }

    /// The user in short (`anna`).
    pub fn who(&self) -> String {
        self.user.clone().unwrap_or_else(|| format!("uid {}", self.uid))
    }

    /// Whether somebody waits for what becomes of it.
    pub fn is_awaited(&self) -> bool {
        !self.of_file
    }
}

impl fmt::Display for ByCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(file) if self.of_file => write!(f, "{file} {}", self.command),
            Some(user) => write!(f, "`{}` by {user} (uid {})", self.command, self.uid),
            None => write!(f, "`{}` by uid {}", self.command, self.uid),
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether what was asked for is so now.
    pub ok: bool,
    /// What happened, as a code.
    pub code: String,
    /// The same for people.
    pub text: String,
}

impl Outcome {
    /// It is as was asked for.
    pub fn done(code: &str, text: impl Into<String>) -> Self {
        Outcome { ok: true, code: code.to_owned(), text: text.into() }
    }

    /// It is not, for this reason.
    pub fn failed(code: &str, text: impl Into<String>) -> Self {
        Outcome { ok: false, code: code.to_owned(), text: text.into() }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The message's id, or one of ours for a command.
    pub id: String,
    /// For which agent.
    pub identity: Identity,
    /// What is asked for.
    pub action: Action,
    /// Which command asks for it; `None` for a mail.
    pub by: Option<ByCommand>,
}

impl Request {
    /// Who asks, as a reference: `mail hq-5w2`, or the command and its user.
    pub fn reference(&self) -> String {
        self.by.as_ref().map_or_else(|| format!("mail {}", self.id), ByCommand::to_string)
    }

    /// The same after `request`: `by mail hq-5w2`.
    pub fn named(&self) -> String {
        match &self.by {
            None => format!("by mail {}", self.id),
            Some(by) if by.of_file => format!("by {}", by.who()),
            Some(by) => by.to_string(),
        }
    }

    /// Whether somebody gave a command and waits for the answer.
    pub fn is_awaited(&self) -> bool {
        self.by.as_ref().is_some_and(ByCommand::is_awaited)
    }

    /// What is asked for and by whom.
    pub fn why(&self) -> String {
        let what = if self.by.is_some() { self.action.command() } else { self.action.by_mail() };
        format!("{what} requested ({})", self.reference())
    }

    /// Whether it must not be begun any more: nobody could carry it out in time.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.by.as_ref().is_some_and(|by| by.is_awaited() && now.duration_since(by.at) >= STALE)
    }

    /// Whether it is no longer tried again when something cannot be found out, which was first tried then. One that waited
    /// for its turn has the same time.
    pub fn is_given_up(&self, first_tried: Timestamp, now: Timestamp) -> bool {
        self.is_awaited() && now.duration_since(first_tried) >= PATIENCE
    }
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was read, and nothing was done about it.
    Noted,
    /// It is ours and to be carried out.
    Due,
    /// It is being carried out.
    Begun {
        /// The session that is to end; `None` when there was none.
        session: Option<SessionKey>,
    },
    /// It was carried out, or must not be; its message is still in the inbox, as far as is known.
    Done,
}

/// How a request is kept, by its message's id; its agent's [record](crate::agent::record) has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// For which agent.
    pub identity: Identity,
    /// What is asked for.
    pub action: Action,
    /// How far it is.
    pub stage: Stage,
    /// Earlier ones are carried out first.
    pub number: u64,
    /// Which command asks for it; `None` for a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ByCommand>,
    /// What became of it, for a command that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Claim {
    /// The request with this message's id.
    pub fn request(&self, id: &str) -> Request {
        let (identity, by) = (self.identity.clone(), self.by.clone());
        Request { id: id.to_owned(), identity, action: self.action, by }
    }

    /// Whether something is to be carried out.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Due | Stage::Begun { .. })
    }
}
