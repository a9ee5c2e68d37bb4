//! Standing: the program of an agent of which the town's one file says how it is run.
//!
//! No settings file of Gas Town is read. What is known of a program such as `claude` is what Gas Town 1.x knows of it, but its
//! arguments and variables are those of the file alone.

use std::{path::PathBuf, time::Duration};

use crate::{
    agent::{
        program::{
            AgentProgram, Hooks, Prompt, Provider, Ready, Resolution,
            command::{Words, words},
            provider::{base_name, preset_in},
        },
        role_bead::overrides::process_names,
    },
    deps::Deps,
    terminal,
    town::{dialect::Dialect, standing::Standing},
};

/// The words that execute the command behind them, for env(1), which takes a path with `=` in it for a variable.
const EXECUTE: [&str; 4] = ["/bin/sh", "-c", r#"exec "$@""#, "sh"];

/// The program of an agent of which this is said.
pub(super) async fn of(deps: &Deps, standing: &Standing) -> Resolution {
    let preset = standing.preset.and_then(|name| preset_in(Dialect::Own, name));
    let program = AgentProgram {
        args: Vec::new(),
        hooks: Hooks::None,
        environment: standing.env.clone(),
        wrapper: Vec::new(),
        ..preset.unwrap_or_else(unknown)
    };
    match words(&standing.command) {
        Some(words) => of_words(deps, standing, words, program).await,
        None => by_shell(standing, program),
    }
}

/// The program of an agent of which nothing is said any more: whatever runs in its session may be it.
pub(super) fn of_nobody() -> Resolution {
    Resolution {
        program: unknown(),
        on_path: false,
        by_role: false,
        start_command: None,
        reports: Vec::new(),
    }
}

fn unknown() -> AgentProgram {
    AgentProgram {
        name: String::new(),
        command: String::new(),
        args: Vec::new(),
        initial_prompt: None,
        prompt: Prompt::None,
        session_id_env: None,
        hooks: Hooks::None,
        process_names: Vec::new(),
        provider: Provider::Generic,
        ready: Ready::Delay(Duration::ZERO),
        environment: Default::default(),
        wrapper: Vec::new(),
        effort: None,
        has_any_name: true,
    }
}

async fn of_words(deps: &Deps, standing: &Standing, words: Words, mut program: AgentProgram) -> Resolution {
    let own = base_name(&words.program).to_owned();
    name(&mut program, vec![own]);
    let found = locate(deps, standing, &words).await;
    let on_path = found.is_some();
    let variables = words.variables().map(|(name, value)| (name.to_owned(), value.to_owned()));
    program.environment.extend(variables);
    program.wrapper = words.before;
    program.args = words.args;
    program.command = match found {
        Some(path) => path.to_string_lossy().into_owned(),
        None => words.program,
    };
    if program.command.contains('=') {
        program.wrapper.extend(EXECUTE.map(str::to_owned));
    }
    Resolution { program, on_path, by_role: false, start_command: None, reports: Vec::new() }
}

/// What a shell runs as it is written; the shell says what is missing.
fn by_shell(standing: &Standing, mut program: AgentProgram) -> Resolution {
    let names = process_names(&standing.command);
    if program.command.is_empty() {
        program.command = names.first().cloned().unwrap_or_else(|| "sh".to_owned());
    }
    name(&mut program, names);
    let start_command = Some(standing.command.clone());
    Resolution { program, on_path: true, by_role: false, start_command, reports: Vec::new() }
}

/// Adds these names of processes. A program without a preset is called by the first.
fn name(program: &mut AgentProgram, names: Vec<String>) {
    if program.name.is_empty() {
        program.name = names.first().cloned().unwrap_or_else(|| program.command.clone());
    }
    for name in names.into_iter().rev() {
        if !program.process_names.contains(&name) {
            program.process_names.insert(0, name);
        }
    }
}

/// Where its program is: a path is relative to its directory, a bare name is looked up on the `PATH` that its command or the file
/// gives it, else on that of the supervisor.
async fn locate(deps: &Deps, standing: &Standing, words: &Words) -> Option<PathBuf> {
    // Without `.`, as people read it.
    let plain = |path: PathBuf| path.components().collect::<PathBuf>();
    let at = async |path: PathBuf| deps.commands.locate(plain(path).to_str()?).await;
    if words.program.contains('/') {
        return at(standing.dir.join(&words.program)).await;
    }
    let Some(path) = words.search_path().or_else(|| standing.env.get("PATH").map(String::as_str)) else {
        return deps.commands.locate(&words.program).await;
    };
    for directory in std::env::split_paths(path) {
        if let Some(found) = at(standing.dir.join(directory).join(&words.program)).await {
            return Some(found);
        }
    }
    None
}

/// Why this program, which was not found, cannot be run, and what to do.
pub fn missing(program: &AgentProgram) -> String {
    match program.command.contains('/') {
        true => format!(
            "its program {} does not exist, or is not executable; create it, or correct command in the file",
            terminal::path(&program.command)
        ),
        false => format!(
            "its program {:?} is not on PATH; install it, or write its whole path in command",
            program.command
        ),
    }
}
