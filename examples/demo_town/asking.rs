//! The chapter of requests: an agent asks by mail for a fresh start, and the supervisor is killed while it makes it.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;

use super::{Story, since, wait_for};
use crate::{narrator::shown, supervisor::signal};

/// Puts a message into the deacon's inbox, as `gt mail send deacon/` does.
fn send(town: &Path, id: &str, from: &str, subject: &str, body: &str) -> anyhow::Result<()> {
    let inbox = town.join("demo/mail");
    fs::create_dir_all(&inbox)?;
    let now = Timestamp::now().to_string();
    let message = json!({"id": id, "from": from, "to": "deacon/", "subject": subject, "body": body, "timestamp": now,
        "read": false, "priority": "normal", "type": "notification"});
    let written = inbox.join(format!(".{id}"));
    fs::write(&written, message.to_string())?;
    fs::rename(&written, inbox.join(format!("{id}.json"))).context("the message cannot be put into the inbox")
}

impl Story {
    /// A requested fresh start is made once, whichever supervisor makes it.
    pub(super) async fn an_agent_asks_by_mail(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        let (agent, session) = self.cast.agents[3];
        narrator.scene(
            "An agent asks by mail for a fresh start, and the supervisor is killed in the middle of it.",
        );
        let (before, from) = (self.all_run()?, self.said()?);
        let body = r#"{"action":"cycle"}"#;
        send(self.town.root(), "hq-1", agent, &format!("LIFECYCLE: {agent} requesting cycle"), body)?;
        let sent = Timestamp::now();
        signal(self.supervisor_pid()?, Signal::USR1);
        narrator.say(&format!("mail from {agent}: {body}"));
        let ending = self.until(from, agent, "ending it: fresh start requested").await?;
        narrator.say(&format!(
            "claimed, its message deleted, and carried out {} later",
            shown(since(sent, ending.at))
        ));
        let tmux = self.town.tmux();
        wait_for("its session has ended", || !tmux.sessions().contains_key(session)).await?;
        let supervisor = self.supervisor.take().context("no supervisor runs")?;
        signal(supervisor.pid(), Signal::KILL);
        drop(supervisor);
        narrator.say("the supervisor is killed before the new session is made: kill -9");
        self.start_supervisor()?;
        self.until(0, agent, ": started in").await?;
        let after = self.all_run()?;
        ensure!(after[session] != before[session], "{session} is still the old one");
        self.others_untouched(session, &before, &after)?;
        ensure!(!self.town.root().join("demo/mail/hq-1.json").exists(), "the message is still there");
        narrator.say(&format!(
            "the next supervisor continues: {agent} is back (PID {}), started once",
            after[session]
        ));
        Ok(())
    }
}
