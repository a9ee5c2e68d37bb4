//! The JSON schema of `settings/supervisor.json`, made from the table of settings: only for the test that keeps
//! `docs/schemas/settings.json` up to date.
//!
//! What a key may be follows from the name of its reader in [`values`](super::values). A reader without an entry here is an error, so that a
//! new one is not forgotten.

use serde_json::{Map, Value, json};

use crate::town::{dialect::Dialect, dialogs::Dialog, identity::Role};

/// A duration as Go writes it.
pub const DURATION: &str = r"^\+?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

/// A key of the table: its name, the lines of its documentation, and its reader, as they are written there.
pub type Key = (&'static str, &'static [&'static str], &'static str);

/// A section with these keys, and the sections in it.
pub fn section(about: &[&str], keys: &[Key], inner: Vec<(&'static str, Value)>) -> Value {
    let mut properties: Map<String, Value> = keys
        .iter()
        .map(|(name, about, reader)| {
            let mut schema = read_by(reader);
            schema.insert("description".to_owned(), text(about).into());
            ((*name).to_owned(), Value::Object(schema))
        })
        .collect();
    properties.extend(inner.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    json!({"description": text(about), "type": "object", "properties": properties, "additionalProperties": false})
}

/// The whole file.
pub fn file(sections: Vec<(&'static str, Value)>) -> Value {
    let properties: Map<String, Value> =
        sections.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings",
        "description": "settings/supervisor.json of a town; docs/settings.md has the defaults",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The text of a documentation comment, given as `doc = " text"` for each line.
fn text(lines: &[&str]) -> String {
    let line = |line: &&str| {
        let quoted = line.split_once('=').map_or(*line, |(_, quoted)| quoted).trim();
        let raw = quoted.strip_prefix('r').map(|raw| raw.trim_matches('#').trim_matches('"').to_owned());
        let text = raw.or_else(|| serde_json::from_str(quoted).ok());
        text.unwrap_or_default().trim().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join(" ")
}

/// The values that a reader takes.
fn read_by(reader: &str) -> Map<String, Value> {
    let (name, bounds) = reader.split_once('(').unwrap_or((reader, ""));
    let bound = |at: usize| {
        let text = bounds.trim_end_matches(')').split(',').nth(at)?.trim().replace('_', "");
        text.parse::<u64>().ok()
    };
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    let amount = || json!({"type": "string", "pattern": r"^\s*[0-9.]+\s*(B|[KMGT](iB)?|%)\s*$", "examples": ["2GiB", "512MiB", "5%"]});
    let roles: Vec<&str> = Role::of_gas_town().map(Role::as_str).collect();
    let string = || json!({"type": "string", "minLength": 1});
    let schema = match name {
        "pause" | "interval" => json!({"type": "string", "pattern": DURATION, "examples": ["90s"]}),
        "switch" => json!({"type": "boolean"}),
        "optional_switch" => json!({"type": ["boolean", "null"]}),
        "count" => json!({"type": "integer", "minimum": 1, "maximum": 1_000_000}),
        "whole" => match bound(1) {
            Some(most) => json!({"type": "integer", "minimum": bound(0), "maximum": most}),
            None => json!({"type": "integer", "minimum": bound(0)}),
        },
        "factor" => json!({"type": "number", "minimum": 1}),
        "optional_percent" => {
            json!({"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 100})
        }
        "optional_amount" => or_null(amount()),
        "memory_max" => {
            let each = std::iter::once("all").chain(roles.iter().copied());
            let each: Map<String, Value> = each.map(|name| (name.to_owned(), or_null(amount()))).collect();
            json!({"anyOf": [
                amount(), {"type": "null"},
                {"type": "object", "properties": each, "additionalProperties": false},
            ]})
        }
        "text" => string(),
        "optional_text" => or_null(string()),
        "optional_url" => or_null(json!({"type": "string", "pattern": "^https?://"})),
        "webhook_shape" => json!({"enum": ["json", "slack", "discord", null]}),
        "socket_name" => or_null(json!({"type": "string", "pattern": "^[^/]+$"})),
        "absolute_path" => or_null(json!({"type": "string", "pattern": "^/"})),
        "usage_limits" => or_null(json!({"type": "array", "items": {"type": "string", "format": "regex"}})),
        "dialogs" => {
            let names = Dialog::ALL.into_iter().filter(|it| it.may_be_answered()).map(Dialog::name);
            or_null(json!({"type": "array", "items": {"enum": names.collect::<Vec<_>>()}}))
        }
        "roles" => or_null(json!({"type": "array", "items": {"enum": roles}})),
        "quiet" => or_null(json!({"type": "string", "examples": ["23:00-07:00"]})),
        "dialect" => {
            let names = Dialect::ALL.into_iter().map(|it| it.facts().name);
            json!({"enum": std::iter::once("auto").chain(names).map(Value::from).chain([Value::Null]).collect::<Vec<_>>()})
        }
        "resume" => json!({"enum": ["same", "fresh", null]}),
        "naming" => json!({"enum": ["rig", "prefix"]}),
        "level" => json!({"enum": ["error", "warn", "info", "debug"]}),
        "listen" => or_null(
            json!({"type": "string", "pattern": r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]+$", "examples": ["127.0.0.1:8642"]}),
        ),
        "hosts" => or_null(json!({"type": "array", "items": {"type": "string", "pattern": "^[^/@*]+$"}})),
        unknown => {
            json!({"not": {}, "$comment": format!("no schema for the reader {unknown}: add it to {}", file!())})
        }
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::{go_duration, town::settings::Settings};

    #[test]
    fn a_duration_is_what_the_reader_takes() {
        let pattern = Regex::new(DURATION).unwrap();
        for text in
            ["90s", "1h30m", "0", "0s", "1.5h", ".5s", "+1m", "5µs", "", "5", "-1s", "1 s", "s", "1d", "."]
        {
            assert_eq!(pattern.is_match(text), go_duration::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn every_reader_has_a_schema_and_every_key_says_what_it_is_for() {
        fn walk(at: &str, schema: &Value) {
            assert!(schema["$comment"].is_null(), "{at}: {}", schema["$comment"]);
            assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{at}: {schema}");
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                walk(&format!("{at}.{name}"), inner);
            }
        }
        walk("", &Settings::schema());
    }
}
