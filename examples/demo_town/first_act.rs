//! The first act: a town that is one file. It is started, an agent of it is killed and comes back with its conversation, and it is ended.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rustix::process::Signal;

use crate::{
    narrator::{Narrator, shown},
    sandbox::one_file::{OneFile, signal},
};

/// How long anything may take that should take a second or two.
const LIMIT: Duration = Duration::from_secs(20);

/// The agent that is killed.
const AGENT: &str = "mayor";

const FILE: &str = r#"[agents.mayor]
command = "claude"
after = ["db"]

[agents.db]
command = "./run.sh"
stop.signal = "INT"
"#;

/// Any program; it ends on INT.
const PROGRAM: &str = "#!/bin/sh\ntrap 'exit 0' INT\nwhile :; do sleep 0.2; done\n";

/// The town on the stage.
#[derive(Debug)]
pub struct FirstAct {
    town: OneFile,
    narrator: Narrator,
}

impl FirstAct {
    /// The town before its start.
    pub fn new(narrator: Narrator) -> anyhow::Result<Self> {
        let program = env::current_exe().context("the path of this program cannot be found out")?;
        let town = OneFile::build(&[("gastown-supervisor", &program), ("claude", &program)])?;
        town.put_program("run.sh", PROGRAM)?;
        town.put("agents.toml", FILE)?;
        Ok(FirstAct { town, narrator })
    }

    /// Plays it to the end; with `keep` the agents are not ended. An error says what did not happen.
    pub async fn play(&self, keep: bool) -> anyhow::Result<()> {
        let narrator = self.narrator;
        narrator.scene(&format!("A town that is one file, {}/agents.toml:", self.town.root().display()));
        FILE.lines().filter(|line| !line.is_empty()).for_each(|line| narrator.more(line));
        self.shows(&["up"]).await?;
        let (pid, id) = self.conversation("--session-id").await?;
        narrator.scene("Its claude is killed.");
        let killed = Instant::now();
        signal(pid, Signal::KILL);
        narrator.say(&format!("kill -9 {pid}, in the middle of session {id}"));
        let (again, resumed) = self.conversation("--resume").await?;
        ensure!(resumed == id, "it is back with the session {resumed}, and not with {id}");
        narrator.say(&format!(
            "{AGENT} is back after {}, with the same session id: claude --resume {resumed} (PID {again})",
            shown(killed.elapsed())
        ));
        self.is_alive().await?;
        narrator.scene("What you can read about it.");
        self.shows(&["status"]).await?;
        self.shows(&["explain", AGENT]).await?;
        if !keep {
            narrator.scene("It is ended.");
            self.shows(&["down"]).await?;
            ensure!(self.town.sessions().is_empty(), "agents are left: {:?}", self.town.sessions());
        }
        Ok(())
    }

    /// Runs one of our commands, and shows what it prints.
    async fn shows(&self, words: &[&str]) -> anyhow::Result<()> {
        self.narrator.say(&format!("gastown-supervisor {}", words.join(" ")));
        let command = self.town.command(&[&["gastown-supervisor"], words].concat());
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn();
        let ended = child.context("our own program cannot be run")?.wait_with_output(); // limited: by the timeout
        let ended = tokio::time::timeout(LIMIT, ended).await;
        let output = ended.with_context(|| format!("{} does not end", words.join(" ")))??;
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        said.lines()
            .chain(wrong.lines())
            .for_each(|line| self.narrator.plain(format!("  {line}").trim_end()));
        ensure!(
            output.status.success(),
            "{} failed: {}\n{}",
            words.join(" "),
            output.status,
            self.town.text(".supervisor/supervisor.log")
        );
        Ok(())
    }

    /// The process of the agent, and the conversation that it was given with this flag, once there is one.
    async fn conversation(&self, flag: &str) -> anyhow::Result<(u32, String)> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = self.given(flag) {
                return Ok(found);
            }
            ensure!(
                Instant::now() < deadline,
                "no {AGENT} with {flag} came within {LIMIT:?}:\n{}",
                self.town.text(".supervisor/supervisor.log")
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn given(&self, flag: &str) -> Option<(u32, String)> {
        let pid = *self.town.sessions().get(AGENT)?;
        let socket = self.town.socket()?;
        let words = ["list-panes", "-t", &format!("={AGENT}:"), "-F", "#{pane_pid} #{pane_start_command}"];
        let listed = self.town.tmux(&socket, &words).ok()?;
        let mut words = listed.split([' ', '"', '\'']).skip_while(|word| *word != flag);
        words.nth(1).filter(|id| !id.is_empty()).map(|id| (pid, id.to_owned()))
    }

    /// Waits until the supervisor knows that the agent is alive again.
    async fn is_alive(&self) -> anyhow::Result<()> {
        let words = ["gastown-supervisor", "wait", AGENT, "--for", "alive", "--timeout", "20s"];
        let child = tokio::process::Command::from(self.town.command(&words)).kill_on_drop(true).spawn();
        let ended = child.context("our own program cannot be run")?.wait_with_output(); // limited: by the timeout
        let output = tokio::time::timeout(LIMIT, ended).await.context("`wait` does not end")??;
        ensure!(
            output.status.success(),
            "{AGENT} does not work again: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Leaves the town running, and says how to look into it and how to end it.
    pub fn keep(self) {
        let root = self.town.root();
        let directory = self.town.keep();
        let (directory, root) = (directory.display(), root.display());
        self.narrator.plain(&format!(
            "
The town of one file is left running, too. In a shell, first

  cd {root}; export TMUX_TMPDIR={directory} PATH={directory}/bin:$PATH

and then

  gastown-supervisor status
  gastown-supervisor attach {AGENT}
  gastown-supervisor down; rm -r {directory}"
        ));
    }
}
