//! Which running command changes this town, and which agents it affects. Pure.

use std::path::{Component, Path, PathBuf};

use super::words::{self, Reach, Words};
use crate::{
    processes::Invocation,
    town::{
        identity::{Identity, RigName, Scope},
        settings::Naming,
    },
};

/// The name Gas Town's program has unless the settings say otherwise.
pub const PROGRAM: &str = "gt";

/// At most this many characters of a command line are shown; a `sling` may carry a whole page for its agent.
const SHOWN: usize = 200;

/// What a command does to agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It stops agents, and they are meant to stay stopped (`stop`, `shutdown`, `down`, `park`, `dock`).
    Stops,
    /// It may kill sessions in passing, which are not meant to stay away (`sling`, `restart`, `nuke`).
    Changes,
    /// It changes the label on a rig's bead, and ends no session (`undock`).
    Opens,
}

/// One running command of Gas Town in this town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its process's id.
    pub pid: u32,
    /// When that process started, in the unit of the process table's reader.
    pub born: u64,
    /// Its ancestors and kernel session, as first seen.
    pub ancestors: Vec<u32>,
    /// What it does.
    pub effect: Effect,
    /// The command line, for people: `gt rig park gastown`.
    pub line: String,
    /// Its arguments after the program's name.
    pub arguments: Vec<String>,
}

impl Operation {
    /// A running command, by its usual name.
    #[cfg(test)]
    fn of(invocation: &Invocation, town: &Path) -> Option<Operation> {
        Self::by(PROGRAM, invocation, town)
    }

    /// Reads a running command of this program; `None` when it is none of those that change agents, or not running in
    /// this town (an absolute path without links).
    pub fn by(program: &str, invocation: &Invocation, town: &Path) -> Option<Operation> {
        let arguments = invocation.given_to(program)?;
        let effect = words::read(arguments)?.effect;
        if !is_in(invocation, arguments, town) {
            return None;
        }
        let line = std::iter::once(program).chain(arguments.iter().map(String::as_str));
        Some(Operation {
            pid: invocation.pid,
            born: invocation.born,
            ancestors: invocation.ancestors.clone(),
            effect,
            line: shell_words::join(line).chars().take(SHOWN).collect(),
            arguments: arguments.to_vec(),
        })
    }

    /// Whether it runs inside a session with these pane processes, and so ends with it.
    pub fn is_inside(&self, panes: &[u32]) -> bool {
        panes.contains(&self.pid) || self.ancestors.iter().any(|pid| panes.contains(pid))
    }

    /// Whether the supervisor with this pid started it. Lost ancestors are replaced by process 1, so as process 1 we
    /// have started only what shares our kernel session.
    pub fn is_child_of(&self, supervisor: u32) -> bool {
        let of_our_session = self.ancestors.last() == Some(&supervisor);
        self.ancestors.contains(&supervisor) && (supervisor != 1 || of_our_session)
    }

    /// Whether this is the other command's process, seen between its fork and its exec, or a child of a script with
    /// the program's name.
    pub fn is_part_of(&self, other: &Operation) -> bool {
        self.pid != other.pid
            && self.ancestors.first() == Some(&other.pid)
            && self.arguments == other.arguments
    }

    /// Whether it may have ended this agent's session, on purpose or in passing; as narrow as recorded for the real
    /// commands. When its arguments do not say which agent it is about, it may be any. `homeless`: the agent has no
    /// worktree, as far as is known.
    pub fn may_end(&self, identity: &Identity, homeless: bool) -> bool {
        let Some(words) = words::read(&self.arguments) else { return false };
        let about = means(&words, identity);
        if words.effect == Effect::Stops {
            return about;
        }
        let restarts = identity.facts().restarted_by.contains(&words.verb);
        match words::reach(words.verb) {
            Reach::NoOther => false,
            _ if by_name(&words, identity) => true,
            Reach::WhomItIsAbout => about,
            Reach::WhomItRestarts => about && restarts,
            Reach::Homeless => about && (homeless || restarts),
        }
    }

    /// Whether it may have changed the label on this rig's own bead, which is stored nowhere else.
    pub fn relabels(&self, rig: &RigName) -> bool {
        let words = words::read(&self.arguments);
        let words = words.filter(|words| matches!(words.verb, "dock" | "undock" | "park"));
        words.is_some_and(|words| {
            let is_it = |name: &&str| name.split('/').next() == Some(rig.as_str());
            words.names.is_empty() || words.names.iter().chain(&words.perhaps).any(is_it)
        })
    }

    /// Whether it is meant to stop this agent. When its arguments do not say, it is.
    pub fn stops(&self, identity: &Identity) -> bool {
        let words = words::read(&self.arguments).filter(|words| words.effect == Effect::Stops);
        words.is_some_and(|words| means(&words, identity))
    }
}

/// The command that counts for this agent's end: of those that may have ended it, the one that started last.
pub fn latest<'a>(operations: &'a [Operation], identity: &Identity, homeless: bool) -> Option<&'a Operation> {
    operations.iter().filter(|it| it.may_end(identity, homeless)).max_by_key(|it| it.born)
}

/// Whether it names this one agent, and not only a group that contains it.
fn by_name(words: &Words<'_>, identity: &Identity) -> bool {
    let one = identity.rig().map_or("", |rig| rig.as_str());
    let groups = [one, &format!("{one}/polecats"), &format!("{one}/crew")];
    let is_one = |name: &&str| !groups.contains(&name.trim_end_matches('/')) && is_agent(name, identity);
    !names_rigs(words) && words.names.iter().chain(&words.perhaps).any(is_one)
}

fn means(words: &Words<'_>, identity: &Identity) -> bool {
    words.whole_town
        || words.roles.as_ref().is_none_or(|roles| roles.contains(&identity.role())) && names(words, identity)
}

/// Whether it works on this town: by its directory, or by an argument.
fn is_in(invocation: &Invocation, arguments: &[String], town: &Path) -> bool {
    let directory = invocation.directory.as_deref().map(Path::to_string_lossy);
    let directory = directory.as_deref().map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    let value = |word: &'_ str| match word.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => value.to_owned(),
        _ => word.to_owned(),
    };
    let inside = |path: &str| path.starts_with('/') && plain(path).starts_with(town);
    directory.is_some_and(inside) || arguments.iter().any(|word| inside(&value(word)))
}

/// The path without `.` and `..`, by its text alone.
fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a command names this agent, or may.
fn names(words: &Words<'_>, identity: &Identity) -> bool {
    if matches!(scope(words), Some(Scope::Town(_))) {
        // There is only one of them. `gt deacon force-kill gastown/refinery`: the first word is the role that acts,
        // the name is the target.
        let other = |name: &&str| name.contains('/') && !name.starts_with('/') && !is_agent(name, identity);
        return !words.names.iter().any(other);
    }
    let of_rigs = names_rigs(words);
    let is_it = |name: &&str| if of_rigs { is_rig(name, identity) } else { is_agent(name, identity) };
    // A path names a place, not an agent.
    let named = |names: &[&str]| names.iter().any(|name| !name.starts_with('/'));
    !named(&words.names) || words.names.iter().chain(&words.perhaps).any(is_it)
}

/// Whether what follows this word is the name of a rig.
fn names_rigs(words: &Words<'_>) -> bool {
    matches!(words.first, "rig" | "rigs") || matches!(scope(words), Some(Scope::Rig(_)))
}

/// How many there are of the one role that its first word speaks of.
fn scope(words: &Words<'_>) -> Option<Scope> {
    match words.roles.as_deref() {
        Some([role]) => Some(role.facts().scope),
        _ => None,
    }
}

/// Whether this is the agent's rig, or a directory in it.
fn is_rig(name: &str, identity: &Identity) -> bool {
    identity.rig().is_some_and(|rig| name.split('/').next() == Some(rig.as_str()))
}

/// Whether this is the agent, in one of the spellings that `gt` accepts, or a group that contains it.
fn is_agent(name: &str, identity: &Identity) -> bool {
    let name = name.trim_end_matches('/');
    let own = identity.to_string();
    let last = identity.name().map_or(identity.role().as_str(), |name| name.as_str());
    let dashed = |rig: &str| {
        let name = name.strip_prefix("gt-").unwrap_or(name);
        let rest = name.strip_prefix(rig).and_then(|rest| rest.strip_prefix('-'));
        let rest = rest.map(|rest| rest.strip_prefix(&format!("{}-", identity.role())).unwrap_or(rest));
        rest == Some(last)
    };
    name == last
        || own.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || identity.mail_address().is_some_and(|address| address.trim_end_matches('/') == name)
        || identity.session(Naming::Rig, "") == name
        || identity.rig().is_some_and(|rig| dashed(rig.as_str()))
}

#[cfg(test)]
mod tests;
