//! What Gas Town's programs print when they list something as JSON (`gt` 0.2.6 to 0.3, `bd` 0.47 to 1.0). Pure; it
//! must survive any bytes.
//!
//! The output is a list, `null` for an empty one, or the envelope that later versions put around their lists; text
//! may precede it. Any other output is an error, never an empty list.

use serde::Deserialize;
use serde_json::Value;

use super::show_output::json_part;
use crate::town::reading::shorten;

/// Parses standard output into its rows. The error describes what was printed instead; `line` is the command, for
/// that text.
pub fn rows(stdout: &[u8], line: &str) -> Result<Vec<Value>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Output {
        List(Vec<Value>),
        Error { error: String },
        Enveloped { data: Vec<Value> },
        EnvelopedNull { data: () },
    }
    let shown = || shorten(&String::from_utf8_lossy(stdout));
    let Some(json) = json_part(stdout) else {
        let last = stdout.trim_ascii().rsplit(|byte| *byte == b'\n').next();
        return match last {
            Some(b"null") => Ok(Vec::new()),
            Some(b"") | None => Err(format!("{line} printed nothing")),
            Some(_) => Err(format!("{line} printed no JSON: {:?}", shown())),
        };
    };
    match serde_json::from_slice(json) {
        Ok(Output::List(list) | Output::Enveloped { data: list }) => Ok(list),
        Ok(Output::EnvelopedNull { data: () }) => Ok(Vec::new()),
        Ok(Output::Error { error }) => Err(format!("{line}: {error}")),
        Err(_) => Err(format!("{line} did not print a list: {:?}", shown())),
    }
}
