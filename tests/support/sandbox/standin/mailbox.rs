//! The stand-in's `gt mail`: the deacon's inbox, a directory with one file per message.
//!
//! It prints as `gt` 0.3: newest first, `null` when there is nothing. A deleted message can be deleted again without
//! an error, as `gt` only closes its bead; a message that never existed is not found. Must not use the supervisor's
//! own code.

use std::{fs, io, path::Path};

use serde_json::Value;

/// Runs `gt mail <words>` and prints its output; `None` when these words are not about the inbox.
pub fn command(demo: &Path, words: &[&str]) -> Option<i32> {
    match words {
        ["inbox", ..] if words.contains(&"--json") => {
            println!("{:#}", inbox(&demo.join("mail")));
            Some(0)
        }
        ["delete", id] => Some(match take(demo, id) {
            Ok(()) => {
                println!("✓ Message deleted");
                0
            }
            Err(_) => {
                eprintln!(
                    "Error: deleting message: Error: resolving ID {id}: no issue found matching {id:?}"
                );
                1
            }
        }),
        ["archive", id] => Some(match take(demo, id) {
            Ok(()) => {
                println!("✓ Message archived");
                0
            }
            Err(_) => {
                println!("⚠ Archived 0/1 messages\n  Error: {id}: Error: resolving ID {id}: no issue found");
                eprintln!("Error: failed to archive 1 messages");
                1
            }
        }),
        _ => None,
    }
}

pub fn inbox(directory: &Path) -> Value {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).ok()?).ok();
    let mut messages: Vec<Value> = files.filter_map(|file| read(&file.path())).collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message["timestamp"].to_string()));
    if messages.is_empty() { Value::Null } else { Value::Array(messages) }
}

/// Removes a message; one that was removed already stays removed.
pub fn take(demo: &Path, id: &str) -> io::Result<()> {
    let (from, to) = (demo.join("mail"), demo.join("mail-gone"));
    let file = format!("{id}.json");
    if to.join(&file).exists() {
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    fs::rename(from.join(&file), to.join(&file))
}
