//! The runner: the adapter behind [`Commands`] that starts real programs.
//!
//! Each command leads a process group of its own, which is killed as a whole at the limit or when the call is
//! dropped. It must not interpret what a program prints.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that runs commands")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::ErrorKind,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin},
    time::timeout,
};

use super::{Command, CommandError, Commands, Printed, group::Group};
use crate::{
    terminal,
    town::{environment, hold},
};

/// The most bytes accepted on each output.
const MAX_OUTPUT: usize = 16 << 20;
/// How long after the command's exit its output may stay open in a process it left behind.
const AFTER_EXIT: Duration = Duration::from_millis(200);
/// How much of stderr an error quotes, in characters.
const STDERR_SHOWN: usize = 500;

/// Runs programs of the machine.
#[derive(Debug, Clone, Default)]
pub struct Runner {
    environment: BTreeMap<String, String>,
    /// Variables of our own environment that commands do not get.
    without: &'static [&'static str],
    /// The paths of bare names, so that a later change in `PATH`'s directories does not change which program runs.
    resolved: Arc<Mutex<BTreeMap<String, PathBuf>>>,
}

impl Runner {
    /// A runner whose commands get these variables on top of our own environment, such as `BD_ACTOR=daemon`.
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Runner { environment, without: &[], resolved: Arc::default() }
    }

    /// The same without these variables of our own environment.
    pub fn without(self, variables: &'static [&'static str]) -> Self {
        Runner { without: variables, ..self }
    }

    /// Prepares the process; its standard input is empty unless the command has input.
    fn process(&self, command: &Command, line: &str) -> Result<tokio::process::Command, CommandError> {
        // When the directory belongs to another town by now, the command would act on that town.
        hold::verify().map_err(|error| self.not_started(command, line, &error))?;
        let Some(program) = self.resolve(command) else {
            // Not tried: a program that is not installed must not cost a process for each call.
            return Err(self.not_started(command, line, &ErrorKind::NotFound.into()));
        };
        let mut process = tokio::process::Command::new(program);
        environment::withhold(process.as_std_mut());
        for variable in self.without {
            process.env_remove(variable);
        }
        process
            .args(&command.arguments)
            .current_dir(&command.directory)
            .envs(&self.environment)
            .envs(&command.environment)
            .stdin(if command.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(process)
    }

    /// The path of the program, searched once, and again only when it no longer exists. `None` for a bare name that
    /// is nowhere on `PATH`; a path is not checked and fails by itself.
    fn resolve(&self, command: &Command) -> Option<PathBuf> {
        let mut resolved = self.resolved.lock();
        if let Some(path) = resolved.get(&command.program).filter(|path| executable(path)) {
            return Some(path.clone());
        }
        match self.find(&command.program, command.environment.get("PATH")) {
            Some(path) => {
                resolved.insert(command.program.clone(), path.clone());
                Some(path)
            }
            None => command.program.contains('/').then(|| PathBuf::from(&command.program)),
        }
    }

    /// The error of a command that could not be started. The system reports "not found" for a missing program, a
    /// missing directory and a missing interpreter.
    fn not_started(&self, command: &Command, line: &str, error: &std::io::Error) -> CommandError {
        let reason = match error.kind() {
            ErrorKind::NotFound if !command.directory.is_dir() => "the directory does not exist".to_owned(),
            ErrorKind::NotFound => match self.find(&command.program, command.environment.get("PATH")) {
                Some(path) => format!("{}: its interpreter (first line) is missing", terminal::path(path)),
                None => {
                    return CommandError::NotFound {
                        program: command.program.clone(),
                        line: line.to_owned(),
                    };
                }
            },
            _ => error.to_string(),
        };
        CommandError::NotStarted { line: line.to_owned(), directory: command.directory.clone(), reason }
    }

    fn path(&self) -> Option<OsString> {
        self.environment.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"))
    }

    fn find(&self, program: &str, path: Option<&String>) -> Option<PathBuf> {
        if program.contains('/') {
            return executable(Path::new(program)).then(|| PathBuf::from(program));
        }
        let path = path.map(OsString::from).or_else(|| self.path())?;
        std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| executable(file))
    }
}

fn executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[async_trait]
impl Commands for Runner {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let line = command.line();
        let spawned = self.process(&command, &line)?.spawn();
        let mut child = spawned.map_err(|error| self.not_started(&command, &line, &error))?;
        let mut group = Group::of(&child);
        match timeout(command.limit, complete(&mut child, &mut group, command.input)).await {
            Ok(Ok((status, printed))) => outcome(line, status, printed),
            Ok(Err(Broken::TooMuch)) => Err(CommandError::TooMuchOutput { line, bytes: MAX_OUTPUT }),
            Ok(Err(Broken::Io(error))) => Err(CommandError::Failed {
                line,
                status: "its output could not be read".to_owned(),
                code: None,
                stdout: Vec::new(),
                stderr: error.to_string(),
            }),
            Err(_) => Err(CommandError::TimedOut { line, limit: command.limit }),
        }
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        let found = self.find(program, None)?;
        std::path::absolute(found).ok()
    }

    async fn in_use(&self, program: &str) -> Option<PathBuf> {
        let first = self.resolved.lock().get(program).filter(|path| executable(path)).cloned();
        match first {
            Some(path) => std::path::absolute(path).ok(),
            None => self.locate(program).await,
        }
    }

    fn search_path(&self) -> Option<String> {
        self.path()?.into_string().ok()
    }
}

/// Why a command's output was not read to its end.
enum Broken {
    TooMuch,
    Io(std::io::Error),
}

/// Writes the input, reads both outputs and waits for the exit.
async fn complete(
    child: &mut Child,
    group: &mut Group,
    input: Option<Vec<u8>>,
) -> Result<(ExitStatus, Printed), Broken> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut printed = Printed::default();
    let (feed, out, err) =
        (feed(stdin, input), read(stdout, &mut printed.stdout), read(stderr, &mut printed.stderr));
    let mut streams = Box::pin(async { tokio::try_join!(out, err, feed) });
    let mut waiting = Box::pin(child.wait());
    let status = tokio::select! {
        biased;
        closed = &mut streams => {
            closed?;
            drop(streams);
            let status = waiting.await.map_err(Broken::Io)?;
            group.let_go();
            return Ok((status, printed));
        }
        status = &mut waiting => status.map_err(Broken::Io)?,
    };
    // It ended, but a child of it may hold its output open.
    if let Ok(closed) = timeout(AFTER_EXIT, &mut streams).await {
        closed?;
        group.let_go();
    }
    drop(streams);
    Ok((status, printed))
}

async fn feed(stdin: Option<ChildStdin>, input: Option<Vec<u8>>) -> Result<(), Broken> {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        // A program need not read its input: a closed pipe is no failure of the command.
        let _ = stdin.write_all(&input).await;
    }
    Ok(())
}

async fn read(stream: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), Broken> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = vec![0; 16 << 10];
    loop {
        match stream.read(&mut chunk).await.map_err(Broken::Io)? {
            0 => return Ok(()),
            more if into.len() + more > MAX_OUTPUT => return Err(Broken::TooMuch),
            more => into.extend_from_slice(&chunk[..more]),
        }
    }
}

fn outcome(line: String, status: ExitStatus, printed: Printed) -> Result<Printed, CommandError> {
    if status.success() {
        return Ok(printed);
    }
    let told = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    };
    let (code, stderr) = (status.code(), last_words(&printed.stderr));
    Err(CommandError::Failed { line, status: told, code, stdout: printed.stdout, stderr })
}

/// The end of standard error, on one line.
fn last_words(stderr: &[u8]) -> String {
    let tail = &stderr[stderr.len().saturating_sub(4 * STDERR_SHOWN)..];
    let text = String::from_utf8_lossy(tail);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = words.chars().count().saturating_sub(STDERR_SHOWN);
    words.chars().skip(skip).collect()
}
