//! A settings file, in JSON or TOML, as entries with their positions; all settings files are read this way.
//!
//! Each value is parsed on its own, so that one mistake does not hide the next and every problem names line and
//! column. [`read`](super::read) knows what the keys mean.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::toml_document::{self, TomlValue};
use crate::town::reading::{self, FileProblem, Place};

/// At most this many mistakes are reported of one table, and of the syntax of a file.
pub const MOST_MISTAKES: usize = 100;

/// One key of the file with its value, or one value of a list.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    /// The keys that lead to it, its own last.
    pub keys: Vec<String>,
    /// Where its key and its value begin, in bytes.
    pub(super) key_at: usize,
    pub(super) value_at: usize,
    pub(super) raw: Raw<'a>,
}

/// A value as the file's syntax has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    Json(&'a RawValue),
    Toml(TomlValue<'a>),
}

/// The entries of a whole file, which must be one object.
pub fn open<'a>(file: &'a Path, bytes: &'a [u8]) -> Result<Vec<Entry<'a>>, FileProblem> {
    let text = reading::text(file, bytes)?;
    // The whole syntax is checked first, so that an error at the end is not hidden by one at the start.
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| reading::json_problem(file, &error))?;
    let at = offset(text, raw);
    let whole = Entry { file, text, keys: Vec::new(), key_at: at, value_at: at, raw: Raw::Json(raw) };
    whole.entries().map_err(|reason| whole.wrong_value(reason))
}

impl<'a> Entry<'a> {
    /// Its own key.
    pub fn key(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }

    /// Its value.
    pub fn value(&self) -> Result<Value, String> {
        let raw = match self.raw {
            Raw::Json(raw) => raw,
            Raw::Toml(value) => return toml_document::value(value),
        };
        serde_json::from_str(raw.get()).map_err(|error| {
            // The syntax was checked before.
            let text = error.to_string();
            match text.split(" at line ").next().unwrap_or_default() {
                "recursion limit exceeded" => "it is nested too deeply".to_owned(),
                "number out of range" => "its number is too large".to_owned(),
                other => other.to_owned(),
            }
        })
    }

    /// The entries of its value, which must be an object or a table, in order and including duplicates.
    pub fn entries(&self) -> Result<Vec<Entry<'a>>, String> {
        let raw = match self.raw {
            Raw::Json(raw) => raw,
            Raw::Toml(value) => return toml_document::entries(self, value),
        };
        let Entries(entries) =
            serde_json::from_str(raw.get()).map_err(|_| "expected an object, that is {…}".to_owned())?;
        let below = |(key, raw_key, raw)| {
            let (key_at, value_at) = (offset(self.text, raw_key), offset(self.text, raw));
            self.below(key, key_at, value_at, Raw::Json(raw))
        };
        Ok(entries.into_iter().map(below).collect())
    }

    /// The entry of this key in its value.
    pub(super) fn below(&self, key: String, key_at: usize, value_at: usize, raw: Raw<'a>) -> Entry<'a> {
        let keys = self.keys.iter().cloned().chain([key]).collect();
        Entry { keys, key_at, value_at, raw, ..*self }
    }

    /// The entry at this path of keys below some entries; of several, the last, which counts.
    pub fn find(entries: &[Entry<'a>], path: &[&str]) -> Option<Entry<'a>> {
        let (first, rest) = path.split_first()?;
        let entry = entries.iter().rfind(|entry| entry.key() == *first)?;
        if rest.is_empty() { Some(entry.clone()) } else { Entry::find(&entry.entries().ok()?, rest) }
    }

    /// A problem about its value.
    pub fn wrong_value(&self, reason: impl Into<String>) -> FileProblem {
        self.problem(self.value_at, reason.into())
    }

    /// A problem about its key.
    pub fn wrong_key(&self, reason: impl Into<String>) -> FileProblem {
        self.problem(self.key_at, reason.into())
    }

    /// Where its key is.
    pub fn place(&self) -> Place {
        Place::of(self.text.as_bytes(), self.key_at)
    }

    fn problem(&self, at: usize, reason: String) -> FileProblem {
        let place = Place::of(self.text.as_bytes(), at);
        FileProblem::whole(self.file, reason).at(place).about(&self.keys.join("."))
    }
}

/// Where a raw value is: it is a slice of the text.
fn offset(text: &str, raw: &RawValue) -> usize {
    (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// An object's entries: key, the key as written, value.
struct Entries<'a>(Vec<(String, &'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((raw_key, raw)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    let key = serde_json::from_str(raw_key.get()).map_err(A::Error::custom)?;
                    entries.push((key, raw_key, raw));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
