//! The JSON schema of `agents.toml`, for editors, made from the tables of keys: only for the test that keeps
//! `docs/schemas/agents.json` up to date.

use serde_json::{Map, Value, json};

use super::{
    grammar::{AgentTable, Limits, is_default, is_setting},
    values::{KINDS, RESTART},
};
use crate::town::{
    settings::{
        Settings,
        schema::{self, Key},
    },
    standing::StopSignal,
};

/// A section with these keys, and the sections in it.
pub fn section(about: &[&str], keys: &[Key], inner: Vec<(&'static str, Value)>) -> Value {
    let mut section = schema::section(about, keys, inner);
    for (name, _, reader) in keys {
        let Some(Value::Object(own)) = read_by(reader) else { continue };
        let key = &mut section["properties"][name];
        let description = key["description"].take();
        *key = Value::Object(own);
        key["description"] = description;
    }
    section
}

/// The values that a reader of this file takes; `None` for those that are shared with the settings.
fn read_by(reader: &str) -> Option<Value> {
    let words = |words: Vec<&str>| json!({"enum": words});
    Some(match reader {
        "command" | "directory" | "prose" | "session_name" => json!({"type": "string", "minLength": 1}),
        "kind" => words(KINDS.iter().map(|(name, _)| *name).collect()),
        "restart_when" => words(RESTART.iter().map(|(name, _)| *name).collect()),
        "resume" => words(vec!["same", "fresh"]),
        "memory_limit" => json!({"type": "string", "examples": ["8G", "512MiB", "5%", "none"]}),
        "environment" => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": {"type": "string"},
        }),
        "names" => json!({"type": "array", "items": {"type": "string"}}),
        "replicas" => json!({"type": "integer", "minimum": 1}),
        "stop_signal" => words(StopSignal::ALL.iter().map(|it| it.as_str()).collect()),
        "optional_url" => json!({"type": "string", "pattern": "^https?://"}),
        _ => return None,
    })
}

/// The whole file.
pub fn file() -> Value {
    let without = |mut schema: Value, path: &str, may: &dyn Fn(&str) -> bool| {
        drop_keys(&mut schema, path, may);
        schema
    };
    let agent = AgentTable::schema();
    let mut properties = Map::new();
    properties.insert(
        "socket".to_owned(),
        json!({"type": "string", "description": "The tmux server: \"default\" for yours, a name or an absolute path; without it the town has its own."}),
    );
    properties.insert("defaults".to_owned(), without(agent.clone(), "defaults", &is_default));
    properties.insert(
        "agents".to_owned(),
        json!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
            "additionalProperties": agent,
        }),
    );
    properties.insert("limits".to_owned(), Limits::schema());
    let settings = Settings::schema();
    for (name, schema) in settings["properties"].as_object().into_iter().flatten() {
        if is_setting(name) {
            properties.insert(name.clone(), without(schema.clone(), name, &is_setting));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agents.toml",
        "description": "agents.toml, a town that is one file; docs/agents.md has the defaults",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn drop_keys(schema: &mut Value, path: &str, may: &dyn Fn(&str) -> bool) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    properties.retain(|name, _| may(&format!("{path}.{name}")));
    for (name, inner) in properties.iter_mut() {
        drop_keys(inner, &format!("{path}.{name}"), may);
    }
}
