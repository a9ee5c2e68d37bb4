//! The JSON schemas in `docs/schemas`: a change of what scripts read is noticed, and noted.
//!
//! `UPDATE_SCHEMAS=1 cargo test --test schemas` writes them anew.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests read and write files"
)]

use std::{collections::BTreeSet, env, fs, path::Path};

use gastown_supervisor::{
    Explanation, StatusReport, agents_file,
    alerts::Alert,
    control::programs::ProgramsReport,
    town::{events::Event, settings::Settings},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

/// What is written, not what is accepted: a key that is always there is required.
fn written<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

fn all() -> [(&'static str, Value); 7] {
    [
        ("agents", agents_file::schema::file()),
        ("settings", Settings::schema()),
        ("status", written::<StatusReport>()),
        ("explanation", written::<Explanation>()),
        ("event", written::<Event>()),
        ("alert", written::<Alert>()),
        ("programs", written::<ProgramsReport>()),
    ]
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let update = env::var_os("UPDATE_SCHEMAS").is_some();
    for (name, schema) in all() {
        let file = directory.join(format!("{name}.json"));
        let text = format!("{schema:#}\n");
        if update {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&file, text).unwrap();
        } else {
            assert!(
                fs::read_to_string(&file).is_ok_and(|there| there == text),
                "docs/schemas/{name}.json is not the schema of the types any more. Scripts rely on it, and keys are only ever \
                 added: note the change in CHANGELOG.md under [Unreleased], and write the file anew with \
                 `UPDATE_SCHEMAS=1 cargo test --test schemas`"
            );
        }
    }
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "agents.json",
        "alert.json",
        "event.json",
        "explanation.json",
        "programs.json",
        "settings.json",
        "status.json",
    ];
    assert_eq!(names, expected);
}

/// The schemas fit what is really written, as far as the names of keys and which of them are always there.
#[test]
fn what_is_written_has_their_keys() {
    let agents = json!([{"identity": "deacon"}]);
    let report: StatusReport = serde_json::from_value(json!({ "agents": agents })).unwrap();
    let written = serde_json::to_value(report).unwrap();
    let schema = self::written::<StatusReport>();
    let names = |value: &Value| {
        let mut names: Vec<String> = match value {
            Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            value => value.as_object().unwrap().keys().cloned().collect(),
        };
        names.sort();
        names
    };
    assert_eq!(names(&written), names(&schema["properties"]));
    assert_eq!(names(&written), names(&schema["required"]));
    let agent = &schema["$defs"]["AgentReport"];
    assert_eq!(names(&written["agents"][0]), names(&agent["properties"]));

    let settings = Settings::schema();
    let defaults: Value = serde_json::from_str(include_str!("fixtures/settings/defaults.json")).unwrap();
    for (section, keys) in defaults.as_object().unwrap() {
        for key in keys.as_object().unwrap().keys() {
            assert!(settings["properties"][section]["properties"][key].is_object(), "{section}.{key}");
        }
    }

    let schema = agents_file::schema::file();
    let agent = &schema["properties"]["agents"]["additionalProperties"];
    let file: toml::Value = toml::from_str(include_str!("fixtures/agents/full.toml")).unwrap();
    fn has(schema: &Value, value: &toml::Value, path: &str) {
        let (Some(table), Some(properties)) = (value.as_table(), schema["properties"].as_object()) else {
            return;
        };
        for (key, value) in table {
            let path = format!("{path}.{key}");
            has(properties.get(key).unwrap_or_else(|| panic!("{path} is not in the schema")), value, &path);
        }
    }
    has(&schema, &file, "");
    file["agents"].as_table().unwrap().iter().for_each(|(name, table)| has(agent, table, name));
    let defaults = &schema["properties"]["defaults"]["properties"];
    assert!(defaults["after"].is_null() && defaults["restart"]["enum"].is_array());
    assert!(
        schema["properties"]["deacon"].is_null()
            && schema["properties"]["start"]["properties"]["by_gt"].is_null()
    );
    assert!(
        !schema.to_string().contains("no schema for the reader"),
        "every reader of agents.toml has a schema"
    );
}

/// The page about alerts shows one that the schema is of, and names every kind and severity.
#[test]
fn the_page_about_alerts_has_all_that_the_schema_has() {
    let page = include_str!("../docs/alerts.md");
    let schema = written::<Alert>();
    let names = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let shown = page.split("```json\n").find_map(|part| {
        let shown: Value = serde_json::from_str(part.split("```").next()?).ok()?;
        shown["version"].is_number().then_some(shown)
    });
    let shown = shown.expect("the page shows an alert");
    assert_eq!(names(&shown), names(&schema["properties"]));
    let required = schema["required"].as_array().unwrap().iter();
    assert_eq!(names(&shown), required.map(|name| name.as_str().unwrap().to_owned()).collect());
    let event: Event = Event::ours("2026-02-02T08:00:00Z".parse().unwrap(), "x", json!({}));
    assert_eq!(names(&shown["event"]), names(&serde_json::to_value(event).unwrap()));
    assert_eq!(serde_json::to_value(serde_json::from_value::<Alert>(shown.clone()).unwrap()).unwrap(), shown);
    let values = |name: &str| {
        let all = schema["$defs"][name]["oneOf"].as_array().unwrap().clone();
        all.into_iter().map(|one| one["const"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for kind in values("Kind") {
        assert!(page.contains(&format!("| `{kind}` |")), "docs/alerts.md does not name {kind}");
    }
    assert_eq!(values("Severity"), ["info", "warning", "critical"]);
}
