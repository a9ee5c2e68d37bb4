//! The stand-in's conversation: a transcript as Claude Code keeps it, in which each record is a line.
//!
//! Only where `CLAUDE_CONFIG_DIR` says where, so that nothing is ever written to the user's own. Must not use the supervisor's
//! own code.

use std::{env, fs, path::PathBuf};

use super::append;

/// A conversation, and the file that keeps it.
pub struct Conversation {
    file: PathBuf,
    id: String,
    said: u32,
}

impl Conversation {
    /// The conversation that these arguments name, if any. An error is what the program prints before it ends. `cut`: what is
    /// resumed keeps only its first record; `forgets`: it is not known.
    pub fn begin(args: &[String], cut: bool, forgets: bool) -> Result<Option<Conversation>, String> {
        let after = |flag: &str| {
            let at = args.iter().position(|word| word == flag)?;
            args.get(at + 1).cloned()
        };
        let (begins, resumes) = (after("--session-id"), after("--resume"));
        let is_resumed = resumes.is_some();
        let home = env::var_os("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let (Some(id), Some(home), Ok(here)) = (begins.or(resumes), home, env::current_dir()) else {
            return Ok(None);
        };
        let slug = here.to_string_lossy().replace(|it: char| !it.is_ascii_alphanumeric(), "-");
        let file = home.join("projects").join(slug).join(format!("{id}.jsonl"));
        if is_resumed && (forgets || !file.exists()) {
            return Err(format!("No conversation found with session ID: {id}"));
        }
        if is_resumed && cut {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let first: String = text.split_inclusive('\n').take(1).collect();
            let _ = fs::write(&file, first);
        }
        let mut conversation = Conversation { file, id, said: 0 };
        conversation.say("hello");
        conversation.say("how are you");
        Ok(Some(conversation))
    }

    /// Adds a record.
    pub fn say(&mut self, text: &str) {
        self.said += 1;
        let record = serde_json::json!({
            "type": "user",
            "cwd": env::current_dir().unwrap_or_default(),
            "sessionId": self.id,
            "uuid": format!("{}-{}", std::process::id(), self.said),
            "message": text,
        });
        append(&self.file, &format!("{record}\n"));
    }
}
