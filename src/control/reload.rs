//! Reload: makes a supervisor reload its settings, and waits for the result.
//!
//! It reports only what the supervisor confirms.

use std::time::Duration;

use hyper::StatusCode;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{
    client::{Client, ClientError},
    http::{AskError, Http},
    report::StatusReport,
    reporter::FRESH,
};
use crate::{
    service::running::{self, RunningError},
    town::{
        files::{Disk, Files},
        original,
        paths::TownPaths,
        settings::read::contradiction,
    },
    tree::town_reading::SettingsState,
};

/// The time limit of one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait for the new reading.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// The interval of queries meanwhile.
const POLL: Duration = Duration::from_millis(25);

/// Settings that were read again and are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The PID of the supervisor.
    pub pid: u32,
    /// What takes effect only at the supervisor's next start, if anything.
    pub next_start: Option<String>,
}

impl Client {
    /// Makes the supervisor read its settings again and reopen its log. Returns when it has confirmed that they are
    /// in force.
    ///
    /// # Errors
    /// [`ClientError::Settings`] says what is wrong with them, and the last good ones stay in force;
    /// [`ClientError::Unresponsive`] says that the supervisor did not confirm within 5 s.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        let paths = &self.paths;
        let holder = running::find(paths).await?;
        let pid = holder.pid();
        // An answer may be this old. After this time, a reading that the answer does not include yet reads the
        // current settings.
        sleep(FRESH).await;
        // HUP ends programs that do not expect it, including the original `gt daemon`; only this supervisor has this
        // socket.
        let before = settings(paths).await.map_err(|why| {
            ClientError::Unresponsive(match original::running_as(pid) {
                Some(original) => format!("{original}; no signal was sent"),
                None => format!("PID {pid} supervises this town, but {why}; no signal was sent"),
            })
        })?;
        holder.signal(Signal::HUP).await?;
        let now = read_since(paths, &before).await.map_err(|why| {
            ClientError::Unresponsive(format!(
                "PID {pid} was asked to read its settings again (HUP), but did not confirm within {CONFIRMED_WITHIN:?}: {why}"
            ))
        })?;
        if let Some(refused) = now.refused {
            return Err(ClientError::Settings(refused));
        }
        if let Some(problems) = now.shared {
            return Err(ClientError::Settings(format!("{problems}; everything else is in force")));
        }
        if let Some(problem) = apart(paths).await {
            return Err(ClientError::Settings(format!("{problem}; everything else is in force")));
        }
        Ok(Reloaded { pid, next_start: now.next_start })
    }
}

impl From<RunningError> for ClientError {
    fn from(error: RunningError) -> Self {
        match error {
            RunningError::NotRunning { town } => ClientError::NotRunning(town),
            error => ClientError::Unresponsive(error.to_string()),
        }
    }
}

/// What in the settings of a Gas Town does not go together, although each value by itself is right. In a town of one file that is a
/// mistake of the file, which is refused as a whole.
async fn apart(paths: &TownPaths) -> Option<String> {
    if paths.agents_file().is_some() {
        return None;
    }
    let path = paths.supervisor_json();
    let shown = paths.shown(&path).to_owned();
    contradiction(&shown, &Disk.read(&path).await.ok()?).map(|problem| problem.to_string())
}

/// The settings after a reading later than `before`; or why the supervisor did not report one in time.
async fn read_since(paths: &TownPaths, before: &SettingsState) -> Result<SettingsState, String> {
    let mut why = "it does not answer".to_owned();
    let look = async {
        loop {
            match settings(paths).await {
                Ok(now) if now.generation > before.begun => return now,
                Ok(_) => why = "it answers, but has not read them yet".to_owned(),
                Err(said) => why = format!("it {said}"),
            }
            sleep(POLL).await;
        }
    };
    timeout(CONFIRMED_WITHIN, look).await.map_err(|_| why)
}

/// The settings in force, as the root reports them; or why it does not answer.
async fn settings(paths: &TownPaths) -> Result<SettingsState, String> {
    match Http::new(paths.clone(), ANSWER).get("/v1/status").await {
        Ok((StatusCode::OK, body)) => match serde_json::from_slice::<StatusReport>(&body) {
            Ok(report) => Ok(report.settings),
            Err(error) => Err(format!("gives an answer that cannot be read: {error}")),
        },
        Ok((status, _)) => Err(format!("is stuck ({status})")),
        Err(error @ AskError::NobodyListens { .. }) => {
            Err(format!("may be another program, which HUP would end ({error})"))
        }
        Err(error) => Err(format!("does not answer: {error}")),
    }
}
