//! Accounts: what a reading of an agent says about its account, and which account an agent uses.
//!
//! A usage limit and a login belong to an account: what one agent meets, all agents of that account meet. So one reading holds
//! them all, in the [`register`]. The account is what the environment of the agent's process says ([`Account::of`]); of an agent
//! that does not run, what its settings say or what it used last. Unknown is unknown, and holds nobody up. Nothing here may type.

use std::collections::BTreeMap;

use age::Written;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    account::{Account, VARIABLES},
    activity::{Activity, Reading, Source},
    denial::Denial,
    liveness::{Marks, agent_pane},
    programs,
    spec::AgentSpec,
};
use crate::{
    agent::{accounts::hold::Key, confirmation::SessionKey, kill, liveness::ProcessNames, restart::later},
    clock::Now,
    deps::Deps,
    ports::Ports,
    sessions::scan::{self, Glimpse},
    supervision::messages::Broadcast,
    town::{identity::Identity, settings::Settings, usage_limit::reset},
};

mod age;
pub mod hold;
pub mod register;
mod stored;

/// Takes a reading of an agent, of a screen that was last seen without it at `unseen`. To be called when it changed; calling it
/// again with the same changes nothing.
pub async fn saw(deps: &Deps, agent: &AgentSpec, reading: &Reading, unseen: Option<Timestamp>) {
    let identity = &agent.identity;
    let is_news = match &reading.activity {
        Activity::Limited(sentence) => {
            learn(deps, agent).await;
            let (now, retry) = (deps.now(), deps.settings().usage_limit.retry_every);
            let written = written(deps, identity, reading, unseen);
            let ends = age::ends(sentence, written, now.wall, retry, &deps.clock.zone());
            deps.accounts.limited(identity, (sentence, reading), ends, now)
        }
        Activity::LoggedOut(sentence) => {
            learn(deps, agent).await;
            let written = written(deps, identity, reading, unseen);
            let lost = lost(deps, identity, written).await;
            deps.accounts.logged_out(identity, (sentence, reading), lost, deps.now())
        }
        Activity::Working => deps.accounts.works(identity, reading.source),
        Activity::Idle | Activity::WaitingAtQuestion(_) => {
            reading.source == Source::Screen && deps.accounts.works(identity, reading.source)
        }
        Activity::Hung(_) => false,
    };
    if is_news {
        tracing::debug!(agent = %identity, "its {} says that it is {}", reading.source, reading.activity.code());
        changed(deps);
    }
}

/// When what a reading says was written. A record has its time; a screen only shows it since some time.
fn written(deps: &Deps, agent: &Identity, reading: &Reading, unseen: Option<Timestamp>) -> Written {
    if reading.source == Source::Transcript {
        return Written { not_before: reading.since, not_after: reading.since };
    }
    let since = deps.accounts.shows_since(agent);
    Written { not_before: since.max(unseen).unwrap_or(Timestamp::MIN), not_after: deps.now().wall }
}

/// The fingerprint of the file with the login of an agent's account, if what the agent says of it is of now.
async fn lost(deps: &Deps, agent: &Identity, written: Written) -> Option<Option<String>> {
    let account = deps.accounts.of(agent)?;
    // First the content: a change after it was read is noticed later.
    let fingerprint = credentials(deps, &account).await;
    let changed = match account.credentials() {
        Some(file) => deps.files.modified(&file).await.ok(),
        None => None,
    };
    age::is_lost(written, changed, deps.now().wall).then_some(fingerprint)
}

/// An agent has ended. If it tried its account, that stays held; returns the key of the hold.
pub fn ended(deps: &Deps, agent: &Identity) -> Option<Key> {
    let now = deps.now().wall;
    let again = later(now, deps.settings().usage_limit.retry_every);
    let key = deps.accounts.tried_in_vain(agent, again, now)?;
    let account = &key.0;
    tracing::info!(agent = %agent, reason = "account_tried", "ended while it tried whether {account} can be used again");
    Some(key)
}

/// Notes which login was tried in vain: the program that tried it may have written its file.
pub async fn note_login(deps: &Deps, key: &Key) {
    let fingerprint = credentials(deps, &key.0).await;
    deps.accounts.credentials_after_try(key, fingerprint);
}

/// Tells the actor that looks after the accounts that the register changed.
pub fn changed(deps: &Deps) {
    deps.directory.send_to_other(register::ACTOR, Broadcast::AccountsChanged);
}

/// Finds out which account an agent uses in its session, if it lives there and that is not known yet. What cannot be found out
/// leaves what was known.
pub async fn learn(deps: &Deps, agent: &AgentSpec) {
    let lives = deps.records.living(&agent.identity);
    if lives.is_some_and(|(_, session)| deps.accounts.knows(&agent.identity, &session)) {
        return;
    }
    let Glimpse::Present(session, trees) =
        scan::glimpse(&*deps.sessions, &*deps.processes, &agent.session).await
    else {
        return;
    };
    let key: SessionKey = kill::key(&session);
    if deps.accounts.knows(&agent.identity, &key) {
        return;
    }
    let Ok(trees) = trees else { return };
    let program = programs::find(deps, agent).await.program;
    let known = deps.records.process_names(&agent.identity);
    let names = known.unwrap_or_else(|| ProcessNames::new(&program, None));
    let panes = Marks::panes_in(deps.records.marks(&agent.identity).as_ref(), &session).to_vec();
    let Some(pane) = agent_pane(&panes, &trees, &names) else { return };
    // A shell around it may have set variables that the pane's process does not have.
    let tree = trees.get(&pane.pid).map(Vec::as_slice).unwrap_or_default();
    let is_it = |name: &String| names.matches(name);
    let process = tree.iter().find(|process| process.names.iter().any(is_it)).map_or(pane.pid, |it| it.pid);
    let Ok(Some(look)) = deps.processes.details(process, VARIABLES).await else { return };
    let Some(environment) = look.environment else { return };
    deps.accounts.uses(&agent.identity, &key, Account::of(program.provider, &environment));
}

/// Why this agent must not be started or nudged, because of its account.
pub async fn denial(deps: &Deps, agent: &AgentSpec) -> Option<Denial> {
    if deps.accounts.is_quiet() {
        return None;
    }
    let known = deps.accounts.of(&agent.identity);
    let used = match deps.records.lives(&agent.identity) {
        true => known,
        false => given(deps, agent, known.as_ref()).await.or(known),
    };
    deps.accounts.denial(&agent.identity, &used?, deps.now(), &deps.clock.zone())
}

/// The account that the agent's settings give to its next start, if they name one.
async fn given(deps: &Deps, agent: &AgentSpec, known: Option<&Account>) -> Option<Account> {
    let program = programs::find(deps, agent).await.program;
    let told = program.environment.iter().filter(|(name, _)| VARIABLES.contains(&name.as_str()));
    let mut environment: BTreeMap<String, String> =
        told.map(|(name, value)| (name.clone(), value.clone())).collect();
    if environment.is_empty() {
        return None;
    }
    if let (Some(known), Some(variable)) = (known, Account::directory_variable(program.provider)) {
        let directory = known.directory.to_string_lossy().into_owned();
        environment.entry(variable.to_owned()).or_insert(directory);
    }
    Account::of(program.provider, &environment)
}

/// A fingerprint of the file that has an account's login; `None` when there is none, or it cannot be read. The content goes
/// nowhere else.
pub async fn credentials(ports: &Ports, account: &Account) -> Option<String> {
    let content = ports.files.read(&account.credentials()?).await.ok()?;
    Some(Sha256::digest(&content).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// How long an agent of an unknown account waits that ended with this sentence.
pub fn retry_after(sentence: &str, now: Now, ports: &Ports, settings: &Settings) -> std::time::Duration {
    let usage = &settings.usage_limit;
    match reset::of(sentence, now.wall, &ports.clock.zone()) {
        Some(ends) => time_to(ends.at, now) + usage.margin.max(std::time::Duration::from_secs(1)),
        None => usage.retry_every,
    }
}

fn time_to(at: Timestamp, now: Now) -> std::time::Duration {
    std::time::Duration::try_from(at.duration_since(now.wall)).unwrap_or_default()
}
