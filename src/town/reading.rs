//! Reading: the result of reading a file that others write, and the value to use when it cannot be read.
//!
//! Such files can be half-written, of the wrong type or gone at any time. Each error becomes a [`FileProblem`] that
//! names path, line, column and key. Nothing here touches the disk or decides what a file means.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::opening::WrongKind;
use crate::terminal;

/// The longest foreign text repeated in a message, in characters.
const QUOTED: usize = 200;

/// A place in a text, both counted from 1; the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset; one past the end is the end.
    pub fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Place { line, column }
    }
}

/// What is wrong with a file. Its [`Display`](fmt::Display) is one line:
/// `mayor/rigs.json:3:14: rigs.gastown: invalid type: …; <what to do>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// The position in it; `None` when the problem is about the whole file.
    pub place: Option<Place>,
    /// The key it is about (`patrols.witness.rigs`), if there is one.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What the user can do; may be empty.
    pub advice: &'static str,
}

impl FileProblem {
    /// A problem of the whole file.
    pub fn whole(path: &Path, reason: impl Into<String>) -> Self {
        FileProblem {
            path: path.to_owned(),
            place: None,
            key: None,
            reason: shorten(&reason.into()),
            advice: "",
        }
    }

    /// The file exists but could not be read; `error` is the operating system's.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let advice = match WrongKind::is_behind(error) {
            true => "put the file in its place, or remove it",
            false => "check its owner and permissions",
        };
        Self::whole(path, format!("cannot be read: {error}")).advise(advice)
    }

    /// The same problem, at this position.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same problem, about this key; an empty one counts as none.
    pub fn about(mut self, key: &str) -> Self {
        // serde_path_to_error names a key `?` if it did not read it to its end.
        let key = key.strip_suffix('?').unwrap_or(key).trim_end_matches('.');
        self.key = (!key.is_empty()).then(|| shorten(key));
        self
    }

    /// The same problem, with advice for the user.
    pub fn advise(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", terminal::path(&self.path))?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.reason)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileProblem {}

/// Foreign text, shortened and with control characters escaped, so that a message stays one line.
pub fn shorten(text: &str) -> String {
    let mut short = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED {
            short.push('…');
            break;
        }
        if c.is_control() {
            short.extend(c.escape_default());
        } else {
            short.push(c);
        }
    }
    short
}

/// The bytes as text; a byte order mark, invalid UTF-8 or an empty file is a problem.
pub fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, FileProblem> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        let problem = FileProblem::whole(path, "it begins with a byte order mark");
        return Err(problem.at(Place::of(bytes, 0)).advise("save it as UTF-8 without one"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        FileProblem::whole(path, "it is not valid UTF-8").at(Place::of(bytes, error.valid_up_to()))
    })?;
    if text.trim().is_empty() {
        return Err(FileProblem::whole(path, "it is empty").at(Place::of(bytes, bytes.len())));
    }
    Ok(text)
}

/// Parses a whole file as one JSON object. `T` decides about unknown keys; a problem has line, column and key.
pub fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, FileProblem> {
    let text = text(path, bytes)?;
    // Checked here because serde accepts an array for a struct.
    if !text.trim_start().starts_with('{') {
        let offset = text.len() - text.trim_start().len();
        let problem = FileProblem::whole(path, "expected an object, that is {…}");
        return Err(problem.at(Place::of(bytes, offset)));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let key = error.path().to_string();
        json_problem(path, error.inner()).about(&key)
    })?;
    deserializer.end().map_err(|error| json_problem(path, &error))?;
    Ok(value)
}

/// A problem from a JSON error, without a key.
pub fn json_problem(path: &Path, error: &serde_json::Error) -> FileProblem {
    let problem = FileProblem::whole(path, json_reason(error));
    match error.line() {
        0 => problem,
        line => problem.at(Place { line, column: error.column() }),
    }
}

/// A JSON error's text without its " at line 1 column 2".
pub fn json_reason(error: &serde_json::Error) -> String {
    let mut reason = error.to_string();
    if let Some(at) = reason.rfind(" at line ") {
        reason.truncate(at);
    }
    reason
}

/// Deserializes `null` as the default, as Go does; for `#[serde(deserialize_with)]`.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The result of reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// There is no such file.
    Missing,
    /// The parsed value.
    Good(T),
    /// The file exists, but its content is unknown.
    Bad(FileProblem),
}

impl<T> Reading<T> {
    /// Combines the result of a read with a parser. A missing parent directory counts as a missing file.
    pub fn of(
        path: &Path,
        read: io::Result<Vec<u8>>,
        parse: impl FnOnce(&Path, &[u8]) -> Result<T, FileProblem>,
    ) -> Self {
        match read {
            Ok(bytes) => parse(path, &bytes).map_or_else(Reading::Bad, Reading::Good),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Reading::Missing
            }
            Err(error) => Reading::Bad(FileProblem::unreadable(path, &error)),
        }
    }

    /// What is wrong, if something is.
    pub fn problem(&self) -> Option<&FileProblem> {
        match self {
            Reading::Bad(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A value that is read repeatedly from a file that may be broken for a while.
///
/// Missing means the default; unreadable keeps the last good value, or the default if there was none yet.
#[derive(Debug, Clone)]
pub struct LastGood<T> {
    default: T,
    value: Option<T>,
    problem: Option<FileProblem>,
}

impl<T> LastGood<T> {
    /// The value before the first reading; `default` is the value of a missing file.
    pub fn new(default: T) -> Self {
        LastGood { default, value: None, problem: None }
    }

    /// Takes a reading; returns what is wrong with the file now.
    pub fn update(&mut self, reading: Reading<T>) -> Option<&FileProblem> {
        match reading {
            Reading::Missing => (self.value, self.problem) = (None, None),
            Reading::Good(value) => (self.value, self.problem) = (Some(value), None),
            Reading::Bad(problem) => self.problem = Some(problem),
        }
        self.problem.as_ref()
    }

    /// The value in force.
    pub fn value(&self) -> &T {
        self.value.as_ref().unwrap_or(&self.default)
    }

    /// What was wrong with the file when it was last read.
    #[cfg(test)]
    fn problem(&self) -> Option<&FileProblem> {
        self.problem.as_ref()
    }
}

/// Inputs for which every parser must return a problem that names the file: shared by the tests of all parsers.
#[cfg(test)]
pub(crate) fn broken_json() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
    vec![
        ("empty", b"".to_vec()),
        ("blank", b" \n\n".to_vec()),
        ("half-written", b"{\"rigs\": {\"a".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a string", b"\"x\"".to_vec()),
        ("byte order mark", b"\xEF\xBB\xBF{}".to_vec()),
        ("invalid UTF-8", b"{\"a\": \"\xFF\xFE\"}".to_vec()),
        ("trailing garbage", b"{} x".to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("1 MB of junk", b"\x00\x01junk\x7f".repeat(150_000)),
        ("1 MB of quote", [b"\"".to_vec(), b"x".repeat(1_000_000), b"\"".to_vec()].concat()),
        ("deep nesting", nested(100_000)),
        ("deep and open", b"{\"a\":".repeat(100_000)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Table = BTreeMap<String, BTreeMap<String, u8>>;

    #[test]
    fn everything_broken_is_one_short_line_that_names_the_file() {
        for (name, bytes) in broken_json() {
            let problem = json::<Table>(Path::new("mayor/rigs.json"), &bytes).expect_err(name);
            let line = problem.to_string();
            assert!(line.starts_with("mayor/rigs.json:1:") || name == "blank", "{name}: {line}");
            assert!(line.len() < 500 && !line.contains('\n'), "{name}: {line}");
        }
    }

    #[test]
    fn names_line_column_and_key() {
        for (name, text, line) in [
            (
                "wrong type",
                "{\n  \"a\": {\"b\": \"x\"}\n}",
                "f.json:2:16: a.b: invalid type: string \"x\", expected u8",
            ),
            ("cut", "{\"a\": {", "f.json:1:7: a: EOF while parsing an object"),
            ("garbage", "{\"a\": {}}\n!", "f.json:2:1: trailing characters"),
            (
                "bom",
                "\u{feff}{}",
                "f.json:1:1: it begins with a byte order mark; save it as UTF-8 without one",
            ),
        ] {
            let problem = json::<Table>(Path::new("f.json"), text.as_bytes()).expect_err(name);
            assert_eq!(problem.to_string(), line, "{name}");
        }
    }

    #[test]
    fn long_foreign_text_is_cut() {
        let text = format!("{{\"{}\": 7}}", "k".repeat(100_000));
        let problem = json::<Table>(Path::new("f.json"), text.as_bytes()).expect_err("wrong type");
        assert!(problem.to_string().len() < 600);
        assert_eq!(shorten("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
    }

    #[test]
    fn the_disks_answer_becomes_a_reading() {
        let path = Path::new("f.json");
        let parse = |path: &Path, bytes: &[u8]| json::<Table>(path, bytes).map(|table| table.len());
        let failed = |kind: io::ErrorKind| Reading::of(path, Err(kind.into()), parse);
        assert_eq!(Reading::of(path, Ok(b"{}".to_vec()), parse), Reading::Good(0));
        assert_eq!(failed(io::ErrorKind::NotFound), Reading::Missing);
        assert_eq!(failed(io::ErrorKind::NotADirectory), Reading::Missing);
        assert!(matches!(failed(io::ErrorKind::PermissionDenied), Reading::Bad(_)));
        assert!(matches!(Reading::of(path, Ok(b"x".to_vec()), parse), Reading::Bad(_)));
    }

    #[test]
    fn the_last_good_value_stays() {
        let bad = || Reading::Bad(FileProblem::whole(Path::new("f"), "broken"));
        let mut last = LastGood::new(0);
        for (name, reading, value, well) in [
            ("broken before it was ever good", bad(), 0, false),
            ("good", Reading::Good(7), 7, true),
            ("broken", bad(), 7, false),
            ("still broken", bad(), 7, false),
            ("good again", Reading::Good(8), 8, true),
            ("gone", Reading::Missing, 0, true),
            ("broken after it was gone", bad(), 0, false),
        ] {
            assert_eq!(last.update(reading).is_none(), well, "{name}");
            assert_eq!(*last.value(), value, "{name}");
            assert_eq!(last.problem().is_none(), well, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn places_never_panic(bytes: Vec<u8>, offset in 0usize..300) {
            let place = Place::of(&bytes, offset);
            proptest::prop_assert!(place.line >= 1 && place.column >= 1);
            let _ = json::<Table>(Path::new("f"), &bytes);
        }
    }
}
