//! The syntax of Gas Town's command line, parsed without knowing the flags of every command. Pure.
//!
//! Facts: the commands of Gas Town 0.2.6 (`internal/cmd`), as their command lines appear in the process table.

use super::rules::Effect;
use crate::town::identity::{Role, Scope};

/// Words that stop agents, which are meant to stay stopped.
const STOPS: [&str; 5] = ["shutdown", "down", "stop", "park", "dock"];

/// Words whose commands may kill sessions in passing.
#[rustfmt::skip]
const CHANGES: [&str; 20] = [
    "nuke", "remove", "restart", "reboot", "handoff", "done", "kill", "force-kill", "up", "start", "boot", "triage",
    "sling", "spawn", "doctor", "land", "refresh", "rename", "at", "attach",
];

/// The word that removes a rig's label.
const OPENS: &str = "undock";

/// Commands whose arguments are free text or names, and that never end a session.
#[rustfmt::skip]
const TALK: [&str; 12] = [
    "mail", "nudge", "broadcast", "escalate", "notify", "log", "help", "prime", "hook", "status-line", "completion",
    "commit",
];

/// Flags that never take a value.
#[rustfmt::skip]
const SWITCHES: [&str; 20] = [
    "--force", "-f", "--all", "-a", "--yes", "-y", "--verbose", "-v", "--quiet", "-q", "--polecats", "--nuclear",
    "--graceful", "--cleanup-orphans", "--json", "--fix", "--no-convoy", "--create", "--nuke", "--",
];

/// Flags with which a command does nothing.
const IDLE: [&str; 3] = ["--help", "-h", "--dry-run"];

/// The agents a word may end in passing although the command does not name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The agents that the command names.
    WhomItIsAbout,
    /// Of those it is about, the roles that it [restarts](crate::town::identity::Facts::restarted_by): it ends what it takes for
    /// a dead agent's session, and starts them again.
    WhomItRestarts,
    /// Those, and of the rig it names sessions that have no worktree.
    Homeless,
    /// Only the session it is typed in, which is detected in another way.
    NoOther,
}

/// The agents a word may end in passing, as recorded of the real commands; a word that was not recorded may end any
/// agent it is about.
pub fn reach(verb: &str) -> Reach {
    match verb {
        "done" | "handoff" | "undock" => Reach::NoOther,
        "doctor" | "sling" | "spawn" => Reach::Homeless,
        "up" | "start" | "boot" => Reach::WhomItRestarts,
        _ => Reach::WhomItIsAbout,
    }
}

/// What a word does to agents; `None` when it is not known to change them.
pub fn effect(word: &str) -> Option<Effect> {
    if STOPS.contains(&word) {
        Some(Effect::Stops)
    } else if word == OPENS {
        Some(Effect::Opens)
    } else {
        CHANGES.contains(&word).then_some(Effect::Changes)
    }
}

/// The roles that a command's first word names; `None` when it names none.
pub fn roles(noun: &str) -> Option<Vec<Role>> {
    let is_named = |role: &Role| role.as_str() == noun || role.facts().aliases.contains(&noun);
    if let Some(role) = Role::of_gas_town().find(is_named) {
        return Some(vec![role]);
    }
    match noun {
        "session" | "sess" | "rig" | "rigs" => {
            let of_rigs = Role::of_gas_town().filter(|role| !matches!(role.facts().scope, Scope::Town(_)));
            Some(of_rigs.collect())
        }
        "dog" | "dogs" | "daemon" | "convoy" | "swarm" | "dolt" | "costs" | "worktree" | "mq" | "mol" => {
            Some(Vec::new())
        }
        _ => None,
    }
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    /// What it does to agents.
    pub effect: Effect,
    /// Its first word.
    pub first: &'a str,
    /// The word for the action; in a command of one word, that one.
    pub verb: &'a str,
    /// The roles it is about; `None` when it does not say.
    pub roles: Option<Vec<Role>>,
    /// True for a command of one word about the whole town (`gt down`).
    pub whole_town: bool,
    /// The arguments after the words that can only be names.
    pub names: Vec<&'a str>,
    /// The arguments after unknown flags: values or names.
    pub perhaps: Vec<&'a str>,
}

/// Parses the arguments after the program's name; `None` when the command changes no agent.
pub fn read(arguments: &[String]) -> Option<Words<'_>> {
    if arguments.iter().any(|word| IDLE.contains(&word.as_str())) {
        return None;
    }
    let mut words: Vec<&str> = Vec::with_capacity(2);
    let (mut names, mut perhaps) = (Vec::new(), Vec::new());
    let mut after_flag = false;
    for word in arguments.iter().map(String::as_str).filter(|word| !word.is_empty()) {
        if word.starts_with('-') {
            after_flag = !word.contains('=') && !SWITCHES.contains(&word);
            continue;
        }
        // Before the words are complete, an argument after a flag is its value unless it is a word itself.
        match (words.len() < 2 && !is_object(&words), after_flag) {
            (true, true) if !is_word(word) => {}
            (true, _) => words.push(word),
            (false, true) => perhaps.push(word),
            (false, false) => names.push(word),
        }
        after_flag = false;
    }
    let (first, second) = (*words.first()?, words.get(1).copied());
    if TALK.contains(&first) {
        return None;
    }
    let named = roles(first);
    let by_second = second.and_then(effect);
    match (effect(first), by_second) {
        // `gt boot spawn`: a word that is both a role and an action takes its meaning from the next one.
        (own, Some(effect)) if own.is_none() || named.is_some() => {
            let verb = second.unwrap_or(first);
            Some(Words { effect, first, verb, roles: named, whole_town: false, names, perhaps })
        }
        (Some(effect), _) => {
            names.splice(0..0, second);
            let whole_town = matches!(first, "shutdown" | "down" | "stop");
            Some(Words { effect, first, verb: first, roles: named, whole_town, names, perhaps })
        }
        (None, _) => None,
    }
}

/// Whether the words so far are a whole command, so that its objects follow.
fn is_object(words: &[&str]) -> bool {
    words.first().is_some_and(|first| effect(first).is_some() && roles(first).is_none())
}

fn is_word(word: &str) -> bool {
    effect(word).is_some() || roles(word).is_some() || TALK.contains(&word)
}
