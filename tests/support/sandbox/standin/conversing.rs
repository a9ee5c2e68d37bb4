//! The stand-in's conversation: a transcript as Claude Code keeps it, in which each record is a line.
//!
//! Only where `CLAUDE_CONFIG_DIR` says where, so that nothing is ever written to the user's own. Must not use the supervisor's
//! own code.

use std::{env, fs, path::PathBuf};

use serde_json::{Value, json};

use super::append;

/// A conversation, and the file that keeps it.
pub struct Conversation {
    file: PathBuf,
    id: String,
    records: u32,
}

impl Conversation {
    /// The conversation that these arguments name, or a new one. An error is what the program prints before it ends. `cut`: what is
    /// resumed keeps only its first record; `forgets`: it is not known.
    pub fn begin(args: &[String], cut: bool, forgets: bool) -> Result<Option<Conversation>, String> {
        let after = |flag: &str| {
            let at = args.iter().position(|word| word == flag)?;
            args.get(at + 1).cloned()
        };
        let (begins, resumes) = (after("--session-id"), after("--resume"));
        let is_resumed = resumes.is_some();
        let home = env::var_os("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let (Some(home), Ok(here)) = (home, env::current_dir()) else { return Ok(None) };
        let id = begins.or(resumes).unwrap_or_else(new_id);
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
        let mut conversation = Conversation { file, id, records: 0 };
        conversation.hears("hello");
        conversation.says("how are you");
        Ok(Some(conversation))
    }

    /// Adds what the agent was given.
    pub fn hears(&mut self, text: &str) {
        self.add(json!({"type": "user", "message": {"role": "user", "content": text}}));
    }

    /// Adds what the agent answers, with which its turn is over.
    pub fn says(&mut self, text: &str) {
        self.add(json!({"type": "assistant", "message": answer(text, "end_turn")}));
    }

    /// Adds what the program says in place of an answer, as the plan is used up.
    pub fn is_refused(&mut self, text: &str) {
        let message = answer(text, "stop_sequence");
        let record = json!({"type": "assistant", "isApiErrorMessage": true, "error": "rate_limit", "message": message});
        self.add(record);
    }

    fn add(&mut self, mut record: Value) {
        self.records += 1;
        record["cwd"] = json!(env::current_dir().unwrap_or_default());
        record["sessionId"] = json!(self.id);
        record["uuid"] = json!(format!("{}-{}", std::process::id(), self.records));
        record["timestamp"] = json!(jiff::Timestamp::now().to_string());
        append(&self.file, &format!("{record}\n"));
    }
}

fn answer(text: &str, stop_reason: &str) -> Value {
    json!({"role": "assistant", "stop_reason": stop_reason, "content": [{"type": "text", "text": text}]})
}

/// An id in the form of a UUID, which no other process has.
fn new_id() -> String {
    let now = jiff::Timestamp::now().as_millisecond().unsigned_abs() & 0xffff_ffff_ffff;
    format!("{:08x}-0000-4000-8000-{now:012x}", std::process::id())
}
