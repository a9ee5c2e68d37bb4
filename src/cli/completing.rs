//! Completing: what the shell offers after `explain `, and for `--town` and `--file`.
//!
//! The script that `completions` prints calls this program again for each word, with the variable [`VARIABLE`]. It must be quick
//! and never print anything but candidates: without a town there are none. A supervisor that does not answer at once is not
//! waited for; the agents come from the town's files then.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap_complete::{
    CompletionCandidate,
    env::{CompleteEnv, EnvCompleter},
};

use super::town::asked;
use crate::{
    Answer, Client,
    report::AgentReport,
    service::own_town,
    town::{
        files::{Disk, Files},
        identity::Identity,
        paths::TownPaths,
        rigs::{self, Rig},
        root::{self, Named},
    },
};

/// Set by the script: the shell that completes.
const VARIABLE: &str = "GTS_COMPLETE";
/// How long the supervisor has for its answer; it takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(300);

/// Answers the shell and exits, if it is the shell that asks. Must be called before any thread is started.
pub fn answer_the_shell() {
    CompleteEnv::with_factory(super::grammar).var(VARIABLE).complete();
}

/// The script for this shell that completes the command under this name, by calling this program.
pub fn script(shell: &dyn EnvCompleter, name: &str, program: &str) -> std::io::Result<Vec<u8>> {
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, name, name, program, &mut script)?;
    Ok(script)
}

/// The agents whose identity begins with this.
pub fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let words = words(std::env::args_os());
    let (file, town) = (value_of("--file", None, &words), value_of("--town", Some("-t"), &words));
    let named = Named { file: file.as_deref(), town: town.as_deref() };
    let Ok(paths) = root::find_here(named) else { return Vec::new() };
    let agents = asked(async { Ok(known(&paths).await) }).unwrap_or_default();
    agents.into_iter().filter(|agent| agent.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// The words of the command line that is being typed.
fn words(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    all.skip_while(|word| word != "--").collect()
}

/// The value of an option in the command line that is being typed.
fn value_of(long: &str, short: Option<&str>, words: &[OsString]) -> Option<PathBuf> {
    let is_it = |word: &OsString| word == long || short.is_some_and(|short| word == short);
    let after = words.iter().position(is_it).and_then(|at| words.get(at + 1));
    let within =
        || words.iter().find_map(|word| Some(word.to_str()?.strip_prefix(long)?.strip_prefix('=')?.into()));
    after.map(PathBuf::from).or_else(within)
}

/// The agents that the running supervisor knows; else those that the last one saw, and those of the town's files.
async fn known(paths: &TownPaths) -> BTreeSet<String> {
    let client = Client::of(paths.clone());
    let (report, mut agents) = match tokio::time::timeout(PATIENCE, client.status()).await {
        Ok(Answer::Live(report)) => (report, BTreeSet::new()),
        Ok(answer) => (answer.into_inner(), on_disk(paths).await),
        Err(_) => return on_disk(paths).await,
    };
    // People are shown an agent of such a town by its name alone.
    let called = |agent: AgentReport| {
        agent.identity.parse::<Identity>().map_or(agent.identity, |identity| identity.called())
    };
    agents.extend(report.agents.into_iter().map(called));
    agents
}

/// The agents that there may be: those that always are, and those with a directory; those of the file, in a town that is one. What
/// cannot be read is left out.
async fn on_disk(paths: &TownPaths) -> BTreeSet<String> {
    if let Some(file) = paths.agents_file() {
        let read = own_town::read(&Disk, &file).await;
        return read
            .map(|town| town.plan.agents.iter().map(|it| it.name.to_string()).collect())
            .unwrap_or_default();
    }
    let mut agents: BTreeSet<String> = Identity::of_town().map(|it| it.to_string()).collect();
    let path = paths.rigs();
    let read = Disk.read(&path).await.ok().and_then(|bytes| rigs::parse(&path, &bytes).ok());
    for Rig { name: rig, .. } in read.unwrap_or_default().rigs {
        agents.extend(Identity::of_rig(&rig).map(|it| it.to_string()));
        for (directory, role) in [(paths.polecats(&rig), "polecats"), (paths.crews(&rig), "crew")] {
            let names = Disk.list(&directory).await.unwrap_or_default();
            let named =
                names.iter().filter_map(|name| format!("{rig}/{role}/{name}").parse::<Identity>().ok());
            agents.extend(named.map(|it| it.to_string()));
        }
    }
    agents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_town_in_what_is_being_typed() {
        for (line, town) in [
            ("gts -- gts explain", None),
            ("gts -- gts explain --town /a x", Some("/a")),
            ("gts -- gts --town=/a explain", Some("/a")),
            ("gts -- gts -t /a explain", Some("/a")),
            ("gts -- gts explain x --town", None),
            ("gts --town /a explain", None),
        ] {
            let words = words(line.split(' ').map(OsString::from));
            assert_eq!(value_of("--town", Some("-t"), &words), town.map(PathBuf::from), "{line}");
            let as_file = line.replace("--town", "--file").replace("-t ", "--file ");
            let words = self::words(as_file.split(' ').map(OsString::from));
            assert_eq!(value_of("--file", None, &words), town.map(PathBuf::from), "{as_file}");
        }
    }
}
