//! The register of detected commands: those that run, and those that ended within the last 10 s.
//!
//! It is a register and not an actor's state: owners read it at the moment of a death, and it survives the crash of
//! any actor.

use std::{path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    noted::Noted,
    rules::{Operation, PROGRAM},
};
use crate::{
    clock::Now,
    ports::Ports,
    processes::{ProcessesError, shared::Shared},
};

/// The maximum age of a process in a quick scan.
const YOUNG: Duration = Duration::from_secs(2);

/// A scan that takes longer has failed; a process table answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

/// The register, shared by all owners; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Operations(Arc<Register>);

#[derive(Debug, Default)]
struct Register {
    noted: Mutex<Noted>,
    /// The full scan, shared by concurrent callers.
    full_scan: Shared<Answer>,
}

type Answer = Result<Vec<Operation>, ProcessesError>;

impl Operations {
    /// Scans the process table, and returns the running commands. The result is remembered for 10 s.
    ///
    /// The scan begins after this was called, and concurrent callers share one. It fails when the process table
    /// cannot be read, or not within 5 s.
    pub async fn full_scan(&self, ports: &Ports) -> Result<Vec<Operation>, ProcessesError> {
        let make = || async {
            let began = ports.now().mono;
            survey(ports, None).await.map(|found| {
                let mut noted = self.0.noted.lock();
                noted.note(&found, true, began);
                let whole = noted.running();
                whole.into_iter().filter(|it| found.iter().any(|one| one.pid == it.pid)).collect()
            })
        };
        self.0.full_scan.begun_after_now(make).await
    }

    /// Scans only the youngest processes, which costs little, and returns the commands that are new.
    pub async fn quick_scan(&self, ports: &Ports) -> Result<Vec<Operation>, ProcessesError> {
        let began = ports.now().mono;
        let found = survey(ports, Some(YOUNG)).await?;
        Ok(self.0.noted.lock().note(&found, false, began))
    }

    /// Notes that a process has just ended.
    pub fn ended(&self, pid: u32, born: u64, now: Now) {
        self.0.noted.lock().ended(pid, born, now.mono);
    }

    /// The commands that ran at the last scan.
    pub fn running(&self) -> Vec<Operation> {
        self.0.noted.lock().running()
    }

    /// The commands that ran within the last 10 s, and those of the last scan.
    pub fn recent(&self, now: Now) -> Vec<Operation> {
        self.0.noted.lock().recent(now.mono)
    }

    /// The commands first seen since then, within the last 10 minutes.
    pub fn since(&self, then: Now) -> Vec<Operation> {
        self.0.noted.lock().since(then.mono)
    }
}

/// The possible names of Gas Town's program: `gt`, and the base name of the one in the settings.
pub fn programs(ports: &Ports) -> Vec<String> {
    let settings = ports.settings();
    let name = Path::new(&settings.commands.gt).file_name().map(|name| name.to_string_lossy().into_owned());
    let other = name.filter(|name| name != PROGRAM);
    std::iter::once(PROGRAM.to_owned()).chain(other).collect()
}

async fn survey(ports: &Ports, young: Option<Duration>) -> Answer {
    if !ports.dialect().facts().has_gt {
        return Ok(Vec::new());
    }
    tokio::time::timeout(LIMIT, async {
        let mut found: Vec<Operation> = Vec::new();
        for program in programs(ports) {
            let invocations = ports.processes.invocations(&program, young).await?;
            let operations =
                invocations.iter().filter_map(|it| Operation::by(&program, it, ports.paths.root()));
            for operation in operations.filter(|it| !it.is_child_of(ports.processes.own())) {
                if !found.iter().any(|known| known.pid == operation.pid) {
                    found.push(operation);
                }
            }
        }
        Ok(found)
    })
    .await
    .unwrap_or_else(|_| Err(ProcessesError(format!("no answer within {LIMIT:?}"))))
}
