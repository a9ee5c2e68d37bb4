//! A settings file as entries with their positions; both settings files are read this way.
//!
//! Each value is parsed on its own, so that one mistake does not hide the next and every problem names line and
//! column. [`read`](super::read) knows what the keys mean.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use crate::town::reading::{self, FileProblem, Place};

/// One key of the file with its value.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    file: &'a Path,
    text: &'a str,
    /// The keys that lead to it, its own last.
    pub keys: Vec<String>,
    raw_key: &'a RawValue,
    raw: &'a RawValue,
}

/// The entries of a whole file, which must be one object.
pub fn open<'a>(file: &'a Path, bytes: &'a [u8]) -> Result<Vec<Entry<'a>>, FileProblem> {
    let text = reading::text(file, bytes)?;
    // The whole syntax is checked first, so that an error at the end is not hidden by one at the start.
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| reading::json_problem(file, &error))?;
    let whole = Entry { file, text, keys: Vec::new(), raw_key: raw, raw };
    whole.entries().map_err(|reason| whole.wrong_value(reason))
}

impl<'a> Entry<'a> {
    /// Its own key.
    pub fn key(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }

    /// Its value.
    pub fn value(&self) -> Result<Value, String> {
        serde_json::from_str(self.raw.get()).map_err(|error| {
            // The syntax was checked before.
            let text = error.to_string();
            match text.split(" at line ").next().unwrap_or_default() {
                "recursion limit exceeded" => "it is nested too deeply".to_owned(),
                "number out of range" => "its number is too large".to_owned(),
                other => other.to_owned(),
            }
        })
    }

    /// The entries of its value, which must be an object, in order and including duplicates.
    pub fn entries(&self) -> Result<Vec<Entry<'a>>, String> {
        let Entries(entries) =
            serde_json::from_str(self.raw.get()).map_err(|_| "expected an object, that is {…}".to_owned())?;
        let below = |(key, raw_key, raw)| {
            let keys = self.keys.iter().cloned().chain([key]).collect();
            Entry { keys, raw_key, raw, ..self.clone() }
        };
        Ok(entries.into_iter().map(below).collect())
    }

    /// A problem about its value.
    pub fn wrong_value(&self, reason: impl Into<String>) -> FileProblem {
        self.problem(self.raw, reason.into())
    }

    /// A problem about its key.
    pub fn wrong_key(&self, reason: impl Into<String>) -> FileProblem {
        self.problem(self.raw_key, reason.into())
    }

    /// Where its key is.
    pub fn place(&self) -> Place {
        self.place_of(self.raw_key)
    }

    fn place_of(&self, raw: &RawValue) -> Place {
        // Raw values are slices of the text.
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Place::of(self.text.as_bytes(), offset)
    }

    fn problem(&self, raw: &RawValue, reason: String) -> FileProblem {
        FileProblem::whole(self.file, reason).at(self.place_of(raw)).about(&self.keys.join("."))
    }
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
