//! A settings file as sections, keys and places: what both settings files are read through.
//!
//! Each key is read on its own, so that one mistake does not hide the next and every problem names line and column.
//! What the keys mean is [`read`](super::read)'s part.

use std::{collections::BTreeSet, fmt, path::Path};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use crate::town::reading::{self, FileProblem, Place};

/// What is done about keys nobody asked for and keys given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Both are problems.
    Strict,
    /// Neither is; of a key given twice the last counts.
    Lenient,
}

/// One object of the file.
#[derive(Debug)]
pub struct Section<'a> {
    path: &'a Path,
    text: &'a str,
    strictness: Strictness,
    /// The key under which the object stands; empty for the whole file.
    name: String,
    entries: Vec<Entry<'a>>,
    known: BTreeSet<&'static str>,
    problems: Vec<FileProblem>,
}

#[derive(Debug)]
struct Entry<'a> {
    key: String,
    raw_key: &'a RawValue,
    value: &'a RawValue,
}

/// Opens a whole file, which must be one JSON object.
pub fn open<'a>(path: &'a Path, bytes: &'a [u8], strictness: Strictness) -> Result<Section<'a>, FileProblem> {
    let text = reading::text(path, bytes)?;
    // The whole syntax first, so that a broken end is not hidden behind a wrong beginning.
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| reading::json_problem(path, &error))?;
    let nothing = Section {
        path,
        text,
        strictness,
        name: String::new(),
        entries: Vec::new(),
        known: BTreeSet::new(),
        problems: Vec::new(),
    };
    nothing.with_entries_of(whole)
}

impl<'a> Section<'a> {
    fn with_entries_of(mut self, object: &'a RawValue) -> Result<Self, FileProblem> {
        match serde_json::from_str::<Entries<'a>>(object.get()) {
            Ok(Entries(entries)) => self.entries = entries,
            Err(_) => {
                let place = self.place(object);
                let problem = FileProblem::whole(self.path, "expected an object, that is {…}");
                return Err(problem.at(place).about(&self.name));
            }
        }
        if self.strictness == Strictness::Strict {
            self.report_doubles();
        }
        Ok(self)
    }

    /// Reads a key into `slot` if it is there; what `convert` refuses is a problem at the value's place.
    /// Returns whether the slot was set.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(&Value) -> Result<T, String>,
        slot: &mut T,
    ) -> bool {
        let Some(raw) = self.find(key) else { return false };
        let value =
            serde_json::from_str::<Value>(raw.get()).map_err(|_| "it is nested too deeply".to_owned());
        match value.and_then(|value| convert(&value)) {
            Ok(value) => {
                *slot = value;
                true
            }
            Err(reason) => {
                self.report(key, raw, reason);
                false
            }
        }
    }

    /// Hands the object under a key, if it is there, to `work`, and takes its problems over.
    pub fn section(&mut self, key: &'static str, work: impl FnOnce(&mut Section<'a>)) {
        let Some(raw) = self.find(key) else { return };
        let section = Section {
            path: self.path,
            text: self.text,
            strictness: self.strictness,
            name: self.full(key),
            entries: Vec::new(),
            known: BTreeSet::new(),
            problems: Vec::new(),
        };
        match section.with_entries_of(raw) {
            Ok(mut section) => {
                work(&mut section);
                self.problems.extend(section.finish());
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Reads every key of this section, whatever it is called.
    pub fn each(&mut self, mut work: impl FnMut(&str, &Value) -> Result<(), String>) {
        for index in 0..self.entries.len() {
            let (key, raw) = (self.entries[index].key.clone(), self.entries[index].value);
            let value =
                serde_json::from_str::<Value>(raw.get()).map_err(|_| "it is nested too deeply".to_owned());
            if let Err(reason) = value.and_then(|value| work(&key, &value)) {
                self.report(&key, raw, reason);
            }
        }
    }

    /// Adds a problem about a key that is here; does nothing and returns false when it is not.
    pub fn refuse(&mut self, key: &'static str, reason: &str) -> bool {
        let Some(raw) = self.find(key) else { return false };
        self.report(key, raw, reason.to_owned());
        true
    }

    /// All problems; in a strict file, the keys nobody asked for are among them.
    pub fn finish(mut self) -> Vec<FileProblem> {
        if self.strictness == Strictness::Strict {
            let known = self.known.iter().copied().collect::<Vec<_>>().join(", ");
            for entry in &self.entries {
                if !self.known.contains(entry.key.as_str()) {
                    let reason = format!("unknown key; the keys here are {known}");
                    let problem = FileProblem::whole(self.path, "").at(self.place(entry.raw_key));
                    self.problems.push(FileProblem { reason, ..problem.about(&self.full(&entry.key)) });
                }
            }
        }
        self.problems
    }

    fn find(&mut self, key: &'static str) -> Option<&'a RawValue> {
        self.known.insert(key);
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    fn report(&mut self, key: &str, raw: &RawValue, reason: String) {
        let problem = FileProblem::whole(self.path, reason).at(self.place(raw));
        self.problems.push(problem.about(&self.full(key)));
    }

    fn report_doubles(&mut self) {
        let mut seen = BTreeSet::new();
        let mut problems = Vec::new();
        for entry in &self.entries {
            if !seen.insert(entry.key.as_str()) {
                let problem = FileProblem::whole(self.path, "the key is given twice");
                problems.push(problem.at(self.place(entry.raw_key)).about(&self.full(&entry.key)));
            }
        }
        self.problems.extend(problems);
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Where a value stands: raw values are slices of the text.
    fn place(&self, raw: &RawValue) -> Place {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Place::of(self.text.as_bytes(), offset)
    }
}

/// An object's entries in order, doubles included.
struct Entries<'a>(Vec<Entry<'a>>);

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
                while let Some((raw_key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    let key = serde_json::from_str(raw_key.get()).map_err(serde::de::Error::custom)?;
                    entries.push(Entry { key, raw_key, value });
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
