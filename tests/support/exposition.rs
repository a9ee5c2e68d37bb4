//! The page of metrics as a client reads it: by a parser of others that keeps to the rules of the formats.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;

use openmetrics_parser::{
    MetricNumber, OpenMetricsValue, PrometheusValue, openmetrics::parse_openmetrics,
    prometheus::parse_prometheus,
};

/// One family: its type, its unit, and its samples by their labels (`role=witness,state=alive`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Family {
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub labels: Vec<String>,
    pub samples: BTreeMap<String, Sample>,
}

/// The value of a sample, or how many were observed and their sum, with the cumulative buckets.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    Value(f64),
    Histogram { count: u64, sum: f64, buckets: Vec<(f64, f64)> },
}

/// All families by their names; a counter's is without `_total`, and an info's without `_info`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition(pub BTreeMap<String, Family>);

impl Exposition {
    /// Reads OpenMetrics text; a violation of the format is an error.
    pub fn openmetrics(text: &str) -> Result<Exposition, String> {
        let (text, units) = without_units_of_histograms(text);
        let parsed = parse_openmetrics(&text).map_err(|error| format!("{error:?}"))?;
        let family = |(name, family): (String, openmetrics_parser::MetricFamily<_, OpenMetricsValue>)| {
            let labels = family.get_label_names().to_vec();
            let samples = family.iter_samples().map(|sample| {
                let values = sample.get_labelset().map_err(|error| format!("{error:?}")).unwrap();
                let key = key(values.iter());
                (key, of_openmetrics(&sample.value))
            });
            let samples = samples.collect();
            let kind = format!("{:?}", family.family_type).to_lowercase();
            let unit = units.get(&name).unwrap_or(&family.unit).clone();
            (name, Family { kind, unit, help: family.help.clone(), labels, samples })
        };
        Ok(Exposition(parsed.families.into_iter().map(family).collect()))
    }

    /// Whether it is text in Prometheus's own format; how many samples there are.
    pub fn prometheus(text: &str) -> Result<usize, String> {
        let parsed = parse_prometheus(text).map_err(|error| format!("{error:?}"))?;
        let samples =
            |family: &openmetrics_parser::MetricFamily<_, PrometheusValue>| family.iter_samples().count();
        Ok(parsed.families.values().map(samples).sum())
    }

    /// The value of a sample, by the name of its family without the prefix and its labels (`role=witness`).
    pub fn value(&self, family: &str, labels: &str) -> Option<f64> {
        match self.sample(family, labels)? {
            Sample::Value(value) => Some(*value),
            Sample::Histogram { count, .. } => Some(*count as f64),
        }
    }

    /// The same; zero where there is none.
    pub fn count(&self, family: &str, labels: &str) -> f64 {
        self.value(family, labels).unwrap_or_default()
    }

    pub fn sample(&self, family: &str, labels: &str) -> Option<&Sample> {
        let full = format!("gastown_supervisor_{family}");
        self.0.get(&full).or_else(|| self.0.get(family))?.samples.get(labels)
    }
}

/// The parser refuses a unit of a histogram, which OpenMetrics 1.0 allows; so those are read here.
fn without_units_of_histograms(text: &str) -> (String, BTreeMap<String, String>) {
    let word = |line: &str, keyword: &str| {
        line.strip_prefix(keyword)?.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    let histograms =
        text.lines().filter_map(|line| word(line, "# TYPE ")).filter(|(_, kind)| kind == "histogram");
    let histograms: Vec<String> = histograms.map(|(name, _)| name).collect();
    let (mut kept, mut units) = (String::new(), BTreeMap::new());
    for line in text.split_inclusive('\n') {
        match word(line.trim_end_matches('\n'), "# UNIT ").filter(|(name, _)| histograms.contains(name)) {
            Some((name, unit)) => drop(units.insert(name, unit)),
            None => kept.push_str(line),
        }
    }
    (kept, units)
}

fn key<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let mut parts: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    parts.sort();
    parts.join(",")
}

fn of_openmetrics(value: &OpenMetricsValue) -> Sample {
    match value {
        OpenMetricsValue::Counter(counter) => Sample::Value(counter.value.as_f64()),
        OpenMetricsValue::Gauge(value) | OpenMetricsValue::Unknown(value) => Sample::Value(value.as_f64()),
        OpenMetricsValue::Info => Sample::Value(1.0),
        OpenMetricsValue::Histogram(histogram) => Sample::Histogram {
            count: histogram.count.unwrap_or_default(),
            sum: histogram.sum.map_or(0.0, |sum: MetricNumber| sum.as_f64()),
            buckets: histogram.buckets.iter().map(|it| (it.upper_bound, it.count.as_f64())).collect(),
        },
        other => panic!("no metric of ours is {other:?}"),
    }
}
