//! Newer: what an agent of a 1.x town needs to start beyond what January's needs, where the supervisor starts it itself.
//!
//! There, `gt` starts the agents; this is for when it cannot, and is the least with which `gt` and the agent know each other
//! afterwards. Facts from gt 1.0.1 (`internal/session/`, `internal/runtime/runtime.go`, `internal/polecat/session_manager.go`).
//!
//! Deacon and mayor do not get the hook with which `gt` respawns their pane 3 s after its process ended: the supervisor restarts
//! them itself. Nor do others get the ones that only report. It must not decide whether to start.

use std::{collections::BTreeMap, path::Path};

use super::{Site, Start, conversation::Talk};
use crate::{
    agent::{
        environment::{self, OfPolecat},
        heartbeats,
        lifecycle::Attempt,
        polecat::roster,
        program::{AgentProgram, Hooks, Prompt},
        texts,
        worktree::Worktree,
    },
    sessions::Session,
    town::{
        dialect::{prompt, roles},
        identity::Identity,
    },
};

/// The variable in a session's environment that names the pane in which `gt` looks for the agent.
const PANE: &str = "GT_PANE_ID";

/// The variables that say where the Dolt server is.
const DOLT: [&str; 3] = ["GT_DOLT_PORT", "BEADS_DOLT_PORT", "BEADS_DOLT_SERVER_HOST"];

/// The first instruction of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstWords {
    /// On its command line.
    pub(super) argument: Option<String>,
    /// In its session, once it takes input.
    pub(super) typed: Option<String>,
}

/// What goes where: the prompt on the command line if the program takes one there, else it is typed; and where nothing calls `gt`
/// for the agent, what it is to call itself is typed.
fn first_words(prompt: String, takes_prompt: bool, has_hooks: bool, instead_of_hooks: &str) -> FirstWords {
    let mut typed = Vec::new();
    if !has_hooks && !instead_of_hooks.is_empty() {
        typed.push(instead_of_hooks.to_owned());
    }
    let argument = if takes_prompt {
        Some(prompt)
    } else {
        typed.push(prompt);
        None
    };
    FirstWords { argument, typed: (!typed.is_empty()).then(|| typed.join("\n")) }
}

impl Start<'_> {
    /// Its first instruction, given what its session is made of; `None` in January's towns, where all is typed. In a town
    /// of one file that file has it.
    pub(super) fn first_words(&self, program: &AgentProgram, site: &Site, talk: &Talk) -> Option<FirstWords> {
        let dialect = self.deps.dialect();
        if !dialect.facts().has_gt {
            return Some(self.own_first_words(program, site, talk));
        }
        if !dialect.facts().prompt_is_argument {
            return None;
        }
        let identity = &self.spec.identity;
        if talk.is_resumed() {
            return Some(FirstWords { argument: None, typed: Some(self.resumed()) });
        }
        let role = roles::of(dialect, identity.role());
        let has_hooks = match program.hooks {
            Hooks::Claude => site.settings.is_some() || role.hook_settings.is_none(),
            Hooks::Own => true,
            Hooks::None => false,
        };
        let of_role = self.deps.starts.role_beads.of(identity, self.deps.paths.root());
        let takes_prompt = program.prompt != Prompt::None && of_role.start_command.is_none();
        let at = self.deps.now().wall.to_zoned(self.deps.clock.zone());
        let prompt = prompt::prompt(identity, self.order.attempt == Attempt::Asked, &at);
        Some(first_words(prompt, takes_prompt, has_hooks, role.instead_of_hooks))
    }

    /// What it is told when it continues its conversation.
    pub(super) fn resumed(&self) -> String {
        texts::resumed(&self.spec.identity, &self.deps.now().wall.to_zoned(self.deps.clock.zone()))
    }

    /// What its variables say beside who it is and what it runs; `None` in January's towns. A worktree may take long to
    /// answer: to be called before the last checks of a start.
    pub(super) async fn given<'a>(&'a self, directory: &'a Path) -> Option<environment::V1<'a>> {
        if !self.deps.dialect().facts().prompt_is_argument {
            return None;
        }
        Some(environment::V1 {
            session: &self.spec.session,
            run: self.deps.jitter.uuid(),
            dolt: self.dolt(),
            polecat: self.of_polecat(directory).await,
        })
    }

    async fn of_polecat<'a>(&self, directory: &'a Path) -> Option<OfPolecat<'a>> {
        let Identity::Polecat(rig, name) = &self.spec.identity else { return None };
        let polecats = roster::list(self.deps, rig).await.unwrap_or_default();
        let slot = polecats.iter().position(|polecat| polecat == name);
        Some(OfPolecat { directory, branch: self.branch(directory).await, slot })
    }

    async fn branch(&self, directory: &Path) -> Option<String> {
        let worktree = Worktree::open(self.deps, directory).await.ok()?;
        let printed = worktree.git(&["symbolic-ref", "--quiet", "HEAD"]).await.ok()?;
        let text = String::from_utf8_lossy(&printed.stdout);
        Some(text.trim_end().strip_prefix("refs/heads/")?.to_owned())
    }

    /// Where the Dolt server is.
    fn dolt(&self) -> BTreeMap<String, String> {
        let mut variables = self.deps.dolt_variables();
        variables.retain(|name, _| DOLT.contains(&name.as_str()));
        variables
    }

    /// Does what lets `gt` see the agent in this new session as one of its own: names its pane, and writes its heartbeat, as
    /// `gt` takes a polecat or crew member with an old one for stale and ends it.
    pub(super) async fn show_to_gt(&self, session: &Session) {
        if !self.deps.dialect().facts().prompt_is_argument {
            return;
        }
        heartbeats::write_fresh(self.deps, self.spec).await;
        // A person may have split its window meanwhile.
        let ours = session.panes.iter().find(|pane| pane.started_by_us);
        let Some(pane) = ours.or(session.panes.first()) else { return };
        if let Err(error) = self.deps.sessions.set_environment(&self.spec.session, PANE, &pane.id).await {
            self.passed_over(&format!("{PANE} was not set: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_where() {
        for (case, takes_prompt, has_hooks, instead, argument, typed) in [
            ("hooks and an argument", true, true, "gt prime", Some("go"), None),
            ("no hooks", true, false, "gt prime", Some("go"), Some("gt prime")),
            ("no argument", false, true, "gt prime", None, Some("go")),
            ("neither", false, false, "gt prime", None, Some("gt prime\ngo")),
            ("boot without hooks", true, false, "", Some("go"), None),
            ("boot with neither", false, false, "", None, Some("go")),
        ] {
            let words = first_words("go".to_owned(), takes_prompt, has_hooks, instead);
            assert_eq!((words.argument.as_deref(), words.typed.as_deref()), (argument, typed), "{case}");
        }
    }
}
