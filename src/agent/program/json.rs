//! Json: a lenient parser for one object, in which a wrong entry spoils only itself.
//!
//! Every skipped entry is reported with its key, line and column in the whole file. It must not know what the keys mean.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::town::{dialect::Dialect, reading::json_reason};

/// A file that could not be used at all.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {reason}")]
pub struct ProgramFileError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// One entry that was skipped.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{key}: {reason} (line {line}, column {column})")]
pub struct EntryProblem {
    /// Its key in the file (`agents.a.args`).
    pub key: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// One file being read.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The dialect of the town whose file it is.
    pub(super) dialect: Dialect,
    /// The object's entries.
    pub(super) top: BTreeMap<String, &'a RawValue>,
    /// The entries skipped so far.
    pub(super) problems: Vec<EntryProblem>,
}

impl<'a> Reader<'a> {
    /// Parses a file that must be one JSON object.
    pub(super) fn new(dialect: Dialect, bytes: &'a [u8]) -> Result<Self, ProgramFileError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (line, column) = position(bytes, error.valid_up_to());
            ProgramFileError { line, column, reason: "it is not UTF-8 text".to_owned() }
        })?;
        let top = serde_json::from_str(text).map_err(|error| ProgramFileError {
            line: error.line().max(1),
            column: error.column().max(1),
            reason: json_reason(&error),
        })?;
        Ok(Reader { text, dialect, top, problems: Vec::new() })
    }

    /// A top-level text; empty is unset.
    pub(super) fn name(&mut self, key: &str) -> Option<String> {
        let raw = self.top.get(key).copied()?;
        self.typed::<Option<String>>(key, raw).flatten().filter(|name| !name.is_empty())
    }

    /// A top-level object of texts; empty ones are unset.
    pub(super) fn names(&mut self, key: &str) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for (name, raw) in self.entries(key) {
            let text = self.typed::<Option<String>>(&format!("{key}.{name}"), raw).flatten();
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                names.insert(name, text);
            }
        }
        names
    }

    /// The entries of a top-level object; none when it is absent or `null`.
    pub(super) fn entries(&mut self, key: &str) -> BTreeMap<String, &'a RawValue> {
        let Some(raw) = self.top.get(key).copied() else {
            return BTreeMap::new();
        };
        // Not through `typed`: the entries borrow from the text.
        match serde_json::from_str::<Option<BTreeMap<String, &'a RawValue>>>(raw.get()) {
            Ok(entries) => entries.unwrap_or_default(),
            Err(error) => {
                self.problem(key, raw, &error);
                BTreeMap::new()
            }
        }
    }

    /// A value of this type, or `None` and a problem when it has another type; `path` is its key in the file.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, path: &str, raw: &RawValue) -> Option<T> {
        let mut json = serde_json::Deserializer::from_str(raw.get());
        match serde_path_to_error::deserialize(&mut json) {
            Ok(value) => Some(value),
            Err(error) => {
                let inner = error.path().to_string();
                let path = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
                self.problem(&path, raw, error.inner());
                None
            }
        }
    }

    /// Notes an error found while parsing `raw` by itself: its position is converted to that in the file.
    fn problem(&mut self, path: &str, raw: &RawValue, error: &serde_json::Error) {
        let (mut line, mut column) = self.place(raw);
        match error.line() {
            0 | 1 => column += error.column().saturating_sub(1),
            further => {
                line += further - 1;
                column = error.column();
            }
        }
        self.problems.push(EntryProblem { key: path.to_owned(), line, column, reason: json_reason(error) });
    }

    /// Notes what is wrong with a value.
    pub(super) fn told(&mut self, path: &str, raw: &RawValue, what: &str) {
        let (line, column) = self.place(raw);
        self.problems.push(EntryProblem { key: path.to_owned(), line, column, reason: what.to_owned() });
    }

    fn place(&self, raw: &RawValue) -> (usize, usize) {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        position(self.text.as_bytes(), offset)
    }
}

/// Line and column, from 1, of a byte.
fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}
