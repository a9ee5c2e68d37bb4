//! The page of metrics against the rules of its formats; and what documents, dashboard and alert rules name against the table.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests read the repository"
)]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use gastown_supervisor::{
    ports::metrics::{
        Format, Metrics, Page,
        table::{self, Kind, Row},
    },
    town::identity::Role,
};
use regex::Regex;
use serde_json::Value;

#[path = "support/exposition.rs"]
mod exposition;

use exposition::{Exposition, Sample};

const DASHBOARD: &str = "examples/grafana/dashboard.json";
const RULES: &str = "examples/prometheus/alerts.yml";
const DOCUMENT: &str = "docs/metrics.md";

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A page with a sample of every metric.
fn everything() -> Page {
    let (metrics, measured) = Metrics::new();
    let (role, second) = (Role::Polecat, Duration::from_secs(1));
    metrics.start_ended(role, "started");
    metrics.started(role, second);
    metrics.restarted(role);
    metrics.start_refused(role, "emergency_stop");
    metrics.crash_loop(role);
    metrics.died(role, "crashed", second);
    metrics.death_noticed("process", Duration::from_micros(1500));
    metrics.replaced(role, 3 * second);
    metrics.ended(role, "stopped_by_hand");
    metrics.mass_death();
    metrics.account_held("usage_limit");
    metrics.command_began("bd");
    metrics.command_ended("bd", "ok", second);
    metrics.heartbeat(false, second);
    metrics.actor_restarted("feed");
    metrics.actor_suspended("polecat");
    let mut page = Page::default();
    measured.onto(&mut page);
    let counted: BTreeSet<String> = names(&page.text(Format::Prometheus).unwrap()).collect();
    for row in table::ALL.iter().filter(|row| !counted.contains(row.name)) {
        assert_ne!(row.kind, Kind::Histogram, "{} is in the table, and nothing counts it", row.name);
        let values = row.labels.iter().map(|label| format!("\"{label}\" \\ \n{{}}")).collect();
        page.put_all(row, [(values, 1_800_000_000.25)]);
    }
    page
}

/// The names in `# TYPE` lines.
fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned)
}

/// The name of the family in OpenMetrics.
fn family(row: &Row) -> &str {
    row.name.strip_suffix("_total").or(row.name.strip_suffix("_info")).unwrap_or(row.name)
}

#[test]
fn the_page_keeps_to_both_formats() {
    let page = everything();
    let open = page.text(Format::OpenMetrics).unwrap();
    assert!(open.ends_with("# EOF\n"));
    let read = Exposition::openmetrics(&open).unwrap();
    assert_eq!(read.0.len(), table::ALL.len());
    for row in table::ALL {
        let family = &read.0[family(row)];
        assert_eq!(family.kind, row.kind.as_str(), "{}", row.name);
        let unit = ["seconds", "bytes"].into_iter().find(|unit| self::family(row).ends_with(unit));
        assert_eq!(family.unit, unit.unwrap_or_default(), "{}", row.name);
        assert_eq!(family.labels.iter().collect::<BTreeSet<_>>().len(), row.labels.len(), "{}", row.name);
        assert_eq!(family.help, format!("{}.", row.help));
    }
    let Some(Sample::Histogram { count, sum, buckets }) = read.sample("death_notice_seconds", "sign=process")
    else {
        panic!("a histogram")
    };
    assert_eq!((*count, *sum), (1, 0.0015));
    assert_eq!(buckets.iter().find(|(_, count)| *count == 1.0).unwrap().0, 0.0025);
    let plain = page.text(Format::Prometheus).unwrap();
    assert!(Exposition::prometheus(&plain).unwrap() > table::ALL.len());
    assert!(!plain.contains("# UNIT") && !plain.contains("# EOF"));
}

#[test]
fn there_is_a_line_for_each_before_anything_happened() {
    let (_, measured) = Metrics::new();
    let mut page = Page::default();
    measured.onto(&mut page);
    let read = Exposition::openmetrics(&page.text(Format::OpenMetrics).unwrap()).unwrap();
    for (family, labels) in [
        ("agent_deaths", "cause=crashed,role=witness"),
        ("agent_restarts", "role=polecat"),
        ("mass_deaths", ""),
        ("commands", "outcome=timed_out,program=bd"),
        ("account_holds", "cause=usage_limit"),
        ("heartbeats", "result=complete"),
    ] {
        assert_eq!(read.value(family, labels), Some(0.0), "{family}");
    }
}

/// What a text names of our metrics, without the endings of a histogram's series.
fn named(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(gastown_supervisor|process)_[a-z_]*[a-z]\b").unwrap();
    let histograms = table::ALL.iter().filter(|row| row.kind == Kind::Histogram);
    let histograms: Vec<&str> = histograms.map(|row| row.name).collect();
    let without_series = |found: &str| {
        let series = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| found.strip_suffix(end));
        series.filter(|name| histograms.contains(name)).unwrap_or(found).to_owned()
    };
    name.find_iter(text).map(|found| without_series(found.as_str())).collect()
}

fn known() -> BTreeSet<String> {
    table::ALL.iter().map(|row| row.name.to_owned()).collect()
}

#[test]
fn the_document_has_every_metric_as_it_is() {
    let document = text(DOCUMENT);
    for row in table::ALL {
        let labels = row.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let line = format!("| `{}` | {} | {labels} | {} |", row.name, row.kind.as_str(), row.help);
        assert!(document.contains(&line), "{DOCUMENT} lacks the line\n{line}");
    }
    assert_eq!(named(&document).difference(&known()).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn dashboard_and_rules_name_metrics_that_exist_and_between_them_all() {
    let (dashboard, rules) = (text(DASHBOARD), text(RULES));
    let used: BTreeSet<String> = named(&dashboard).union(&named(&rules)).cloned().collect();
    assert_eq!(used.difference(&known()).collect::<Vec<_>>(), Vec::<&String>::new(), "no such metric");
    assert_eq!(known().difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "nobody looks at it");
}

/// The label matchers and groupings that are used with each metric are labels of it.
#[test]
fn dashboard_and_rules_ask_for_labels_that_exist() {
    let selector = Regex::new(r"\b((?:gastown_supervisor|process)_[a-z_]*[a-z])\{([^}]*)\}").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)"#).unwrap();
    for (path, text) in [(DASHBOARD, text(DASHBOARD).replace("\\\"", "\"")), (RULES, text(RULES))] {
        for found in selector.captures_iter(&text) {
            let name = named(&found[1]).pop_first().unwrap();
            let row = table::ALL.iter().find(|row| row.name == name).unwrap();
            for label in matcher.captures_iter(&found[2]) {
                let is_known =
                    row.labels.contains(&&label[1]) || ["le", "job", "instance"].contains(&&label[1]);
                assert!(is_known, "{path}: {} has no label {}", row.name, &label[1]);
            }
        }
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39, "{}", dashboard["schemaVersion"]);
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|it| !it.is_empty()), "{}", panel["title"]);
    }
    let rules = text(RULES);
    let count = |what: &str| rules.matches(what).count();
    assert!(count("- alert: ") >= 10);
    for part in ["summary: ", "description: ", "severity: "] {
        assert_eq!(count("- alert: "), count(part), "each alert has a {part}");
    }
}
