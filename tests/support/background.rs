//! Our commands as a test runs them, and the supervisors they leave in the background, which end with the test.

use std::{
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::{
    limits::{LimitedCommand, MARK, output_of},
    process::{self, Guarded, raw},
    town::Town,
};

/// The output of one of our commands, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one number in its standard output, when it prints a process.
    pub fn pid(&self) -> u32 {
        let (_, rest) = self.stdout.rsplit_once("(PID ").unwrap_or_else(|| panic!("no process in {self:?}"));
        rest.split(')').next().unwrap().parse().unwrap()
    }

    /// Asserts that it failed with this exit code, and printed only a text that begins like this.
    pub fn failed(&self, code: i32, begins: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with(begins) && !self.stderr.contains("panicked"), "{begins}: {self:?}");
    }

    /// Asserts that it printed exactly this.
    pub fn fine(&self, said: &str) {
        assert_eq!((self.code, &*self.stdout, &*self.stderr), (Some(0), said, ""));
    }

    /// It went well, and its output begins like this.
    pub fn begins(&self, said: &str) {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        assert!(self.stdout.starts_with(said), "{self:?}");
    }
}

/// Runs it with piped outputs until they are closed and it has ended.
pub fn answer(mut command: Command) -> Answer {
    of(command.limited_output())
}

/// Waits for the end of a command whose outputs are piped, and of the outputs.
pub fn ended(child: Child) -> Answer {
    of(output_of(child, "a command of ours"))
}

fn of(output: Output) -> Answer {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Answer { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Ends a town's background supervisors, however the test ends.
pub struct Background<'a>(pub &'a Town);

impl Background<'_> {
    /// The supervisors that `start` left, including those that do not hold the town.
    pub fn supervisors(&self) -> Vec<u32> {
        let detached = |pid: &u32| process::command_line(*pid).contains(&"--detached".to_owned());
        process::marked(MARK, self.0.mark()).into_iter().filter(detached).collect()
    }

    /// Starts a supervisor; returns its process.
    pub fn start(&self) -> u32 {
        let answer = self.0.ask(&["start"]);
        assert_eq!((answer.code, &*answer.stderr), (Some(0), ""), "{answer:?}; {}", self.0.log());
        answer.pid()
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        let left: Vec<Guarded> = self.supervisors().into_iter().map(Guarded::of).collect();
        for supervisor in left.iter().filter(|supervisor| supervisor.lives()) {
            let _ = kill_process(raw(supervisor.0.pid), Signal::KILL);
        }
        // The town's directory is about to be removed.
        let deadline = Instant::now() + Duration::from_secs(5);
        while left.iter().any(Guarded::lives) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
