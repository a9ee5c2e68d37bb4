//! A TOML file as [entries](Entry) with their positions.
//!
//! A table may be spread over the file; its entries come in the order in which they are first named there. It must survive any text.

use std::path::Path;

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeArray, DeInteger, DeTable, DeValue, Error},
};

use super::document::{Entry, MOST_MISTAKES, Raw};
use crate::town::reading::{self, FileProblem, Place};

/// A value of a file.
#[derive(Debug, Clone, Copy)]
pub enum TomlValue<'a> {
    /// A table, or the whole file.
    Table(&'a DeTable<'a>),
    /// Anything else.
    Other(&'a DeValue<'a>),
}

impl<'a> TomlValue<'a> {
    fn of(value: &'a DeValue<'a>) -> Self {
        match value {
            DeValue::Table(table) => TomlValue::Table(table),
            other => TomlValue::Other(other),
        }
    }
}

/// A whole file, from which its entries borrow.
#[derive(Debug)]
pub struct TomlDocument<'a> {
    file: &'a Path,
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

impl<'a> TomlDocument<'a> {
    /// Parses a file, which `file` names in problems: all that is wrong in its syntax.
    pub fn parse(file: &'a Path, bytes: &'a [u8]) -> Result<Self, Vec<FileProblem>> {
        let text = reading::text(file, bytes).map_err(|problem| vec![problem])?;
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(TomlDocument { file, text, table });
        }
        let mut problems: Vec<FileProblem> =
            errors.iter().take(MOST_MISTAKES).map(|error| problem(file, text, error)).collect();
        problems.sort_by_key(|problem| problem.place);
        Err(problems)
    }

    /// Its keys with their values.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let table = TomlValue::Table(self.table.get_ref());
        let whole = Entry {
            file: self.file,
            text: self.text,
            keys: Vec::new(),
            key_at: 0,
            value_at: 0,
            raw: Raw::Toml(table),
        };
        entries(&whole, table).unwrap_or_default()
    }
}

fn problem(file: &Path, text: &str, error: &Error) -> FileProblem {
    let Some(span) = error.span() else { return FileProblem::whole(file, error.message()) };
    let rest = text.get(span.start..).unwrap_or_default();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
    let is_bare_word = error.message().starts_with("invalid float") && word.starts_with(char::is_alphabetic);
    let reason = match is_bare_word {
        true => format!("a text is written in quotes: \"{word}\""),
        false => error.message().to_owned(),
    };
    FileProblem::whole(file, reason).at(Place::of(text.as_bytes(), span.start))
}

/// The entries of a table.
pub(super) fn entries<'a>(of: &Entry<'a>, value: TomlValue<'a>) -> Result<Vec<Entry<'a>>, String> {
    let TomlValue::Table(table) = value else {
        return Err("expected a table, that is […] or {…}".to_owned());
    };
    let mut entries: Vec<Entry<'a>> = table
        .iter()
        .map(|(key, value)| {
            let raw = Raw::Toml(TomlValue::of(value.get_ref()));
            of.below(key.get_ref().to_string(), key.span().start, value.span().start, raw)
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at);
    Ok(entries)
}

impl<'a> Entry<'a> {
    /// The values of its list, each with its own position and its key; none where it is no list of a TOML file.
    pub fn elements(&self) -> Vec<Entry<'a>> {
        let Raw::Toml(TomlValue::Other(DeValue::Array(list))) = self.raw else { return Vec::new() };
        let each = |value: &'a Spanned<DeValue<'a>>| {
            let at = value.span().start;
            Entry { key_at: at, value_at: at, raw: Raw::Toml(TomlValue::of(value.get_ref())), ..self.clone() }
        };
        list.iter().map(each).collect()
    }
}

/// The value as JSON has it.
pub(super) fn value(value: TomlValue<'_>) -> Result<Value, String> {
    match value {
        TomlValue::Table(table) => {
            let each = |(key, of): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok((key.to_string(), self::value(TomlValue::of(of.get_ref()))?))
            };
            table.iter().map(each).collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        TomlValue::Other(DeValue::String(text)) => Ok(Value::String(text.to_string())),
        TomlValue::Other(DeValue::Integer(number)) => integer(number),
        TomlValue::Other(DeValue::Float(number)) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map(Value::Number).ok_or_else(|| "expected a finite number".to_owned())
        }
        TomlValue::Other(DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        TomlValue::Other(DeValue::Datetime(_)) => {
            Err("a date is no value here; a text is written in quotes".to_owned())
        }
        TomlValue::Other(DeValue::Array(list)) => array(list),
        TomlValue::Other(DeValue::Table(table)) => self::value(TomlValue::Table(table)),
    }
}

fn array(list: &DeArray<'_>) -> Result<Value, String> {
    list.iter().map(|of| value(TomlValue::of(of.get_ref()))).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn integer(number: &DeInteger<'_>) -> Result<Value, String> {
    let (text, radix) = (number.as_str(), number.radix());
    let unsigned = u64::from_str_radix(text, radix).ok().map(Value::from);
    let signed = || i64::from_str_radix(text, radix).ok().map(Value::from);
    unsigned.or_else(signed).ok_or_else(|| "its number is too large".to_owned())
}
