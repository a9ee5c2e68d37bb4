//! Following one agent: where its transcript is, and what that says. The slow parts, for tasks.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::hung::Seen;
use crate::{
    agent::{
        account::{self, Account},
        activity::{
            Said,
            transcript::{self, TAILS, Verdict, location},
        },
        program::Provider,
        programs,
        record::screens::Living,
    },
    deps::Deps,
    town::{dialect::Dialect, usage_limit::UsageLimits},
    transcripts::{Candidate, Location, Silence},
};

/// A record may be this much older than the process, by the resolution of its start.
const SLACK: SignedDuration = SignedDuration::from_secs(1);
/// At most this many processes of an agent are looked at.
const PROCESSES: usize = 64;

/// A process whose transcript can be followed.
#[derive(Debug, Clone)]
pub struct Followed {
    provider: Provider,
    account: Account,
    /// The directory it works in.
    pub directory: PathBuf,
    /// Where its transcript may be.
    pub location: Location,
}

impl Followed {
    /// The same process, later: programs that keep transcripts by day have more directories by then.
    pub fn at(self, now: Timestamp) -> Option<Followed> {
        let location =
            location::of(self.provider, &self.account, &self.directory, (self.location.since, now))?;
        Some(Followed { location, ..self })
    }
}

/// Where the transcript of this agent is; or why that is not known.
pub async fn locate(deps: &Deps, living: &Living, began: Timestamp) -> Result<Followed, String> {
    let look = deps.processes.details(living.process.pid, account::VARIABLES).await;
    let look = look.map_err(|error| error.to_string())?.ok_or("its process has ended")?;
    let environment = look.environment.ok_or("the environment of its process cannot be read")?;
    let directory = look.directory.ok_or("the directory of its process cannot be read")?;
    let named = |name: &String| {
        let provider = Provider::of_command(Dialect::V1, name);
        provider.filter(|it| matches!(it, Provider::Claude | Provider::Codex | Provider::Gemini))
    };
    let provider = match living.process.names.iter().find_map(named) {
        Some(provider) => provider,
        None => programs::find(deps, &living.agent).await.program.provider,
    };
    let account = Account::of(provider, &environment);
    let account = account.ok_or("it is not known where its program keeps transcripts")?;
    let location = location::of(provider, &account, &directory, (began, deps.now().wall));
    let location = location.ok_or("it is not known where its program keeps this transcript")?;
    Ok(Followed { provider, account, directory, location })
}

/// What a transcript says, and in which file.
#[derive(Debug)]
pub struct Heard {
    /// The file, as it was when it was searched for; `None` when it has to be searched for again.
    pub file: Option<Candidate>,
    /// What it says; or why it is silent, where that is worth telling.
    pub said: Result<Option<Said>, String>,
}

impl Heard {
    /// Nothing, for this reason.
    pub fn nothing(why: &Silence) -> Heard {
        let said = match why {
            Silence::Nothing => Ok(None),
            why => Err(why.to_string()),
        };
        Heard { file: None, said }
    }
}

/// Reads the transcript of an agent: in this file, or in the one that is found. `limits` are the patterns of usage limits.
pub async fn read(deps: &Deps, followed: &Followed, file: Option<Candidate>, limits: &UsageLimits) -> Heard {
    let file = match file {
        Some(file) => file,
        None => match deps.transcripts.find(&followed.location).await {
            Ok(file) => file,
            Err(why) => return Heard::nothing(&why),
        },
    };
    match verdict(deps, followed.provider, &file.path, limits).await {
        Ok(Verdict::Says(activity, at)) => {
            // What an earlier process wrote before this one continued its session.
            let is_its_own = at >= followed.location.since - SLACK;
            Heard { file: Some(file), said: Ok(is_its_own.then(|| Said::at(activity, at))) }
        }
        Ok(Verdict::Silent | Verdict::TooShort) => {
            let why = Silence::Unknown(file.path.clone());
            Heard { file: Some(file), said: Err(why.to_string()) }
        }
        Err(error) => Heard::nothing(&Silence::Unreadable(file.path, error)),
    }
}

async fn verdict(
    deps: &Deps,
    provider: Provider,
    file: &Path,
    limits: &UsageLimits,
) -> std::io::Result<Verdict> {
    let mut verdict = Verdict::TooShort;
    for most in TAILS {
        let tail = deps.transcripts.tail(file, most).await?;
        verdict = transcript::judge(provider, &tail, limits);
        if verdict != Verdict::TooShort {
            break;
        }
    }
    Ok(verdict)
}

/// What the processes of an agent do; `None` when that could not be seen.
pub async fn look(deps: &Deps, living: &Living) -> Option<Seen> {
    let mut seen = Seen { is_stopped: false, cpu: Default::default() };
    for pid in living.all.iter().take(PROCESSES) {
        // One that has ended meanwhile is none that computes.
        if let Some(look) = deps.processes.details(*pid, &[]).await.ok()? {
            seen.cpu += look.cpu;
            seen.is_stopped |= look.is_stopped && *pid == living.process.pid;
        }
    }
    Some(seen)
}
