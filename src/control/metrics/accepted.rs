//! Content negotiation: which format a client that asks for metrics accepts. Pure.

use crate::ports::metrics::Format;

/// The format for a client with these `Accept` headers: OpenMetrics where it accepts version 1.0.0 of that at least as gladly as
/// plain text, else Prometheus's own.
pub fn format<'a>(headers: impl Iterator<Item = &'a str>) -> Format {
    let (mut open, mut plain) = (0.0, 0.0);
    for range in headers.flat_map(|header| header.split(',')) {
        let (kind, weight, version) = parsed(range);
        match kind.as_str() {
            "application/openmetrics-text" if matches!(version.as_deref(), None | Some("1.0.0")) => {
                open = weight.max(open);
            }
            "text/plain" => plain = weight.max(plain),
            _ => {}
        }
    }
    if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Prometheus }
}

/// The media type of one range of an `Accept` header, its weight, and its version.
fn parsed(range: &str) -> (String, f64, Option<String>) {
    let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let (mut weight, mut version) = (1.0, None);
    for part in parts {
        match part.split_once('=') {
            Some(("q", value)) => weight = value.trim().parse().unwrap_or(0.0),
            Some(("version", value)) => version = Some(value.trim_matches('"').to_owned()),
            _ => {}
        }
    }
    (kind, weight, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_for() {
        const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                                    text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                                    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2";
        for (accept, expected) in [
            (&[][..], Format::Prometheus),
            (&["*/*"], Format::Prometheus),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Prometheus),
            (&[PROMETHEUS_2], Format::OpenMetrics),
            (&[PROMETHEUS_3], Format::OpenMetrics),
            (&["text/plain;q=0.5", "application/openmetrics-text; version=\"1.0.0\""], Format::OpenMetrics),
            (&["application/openmetrics-text"], Format::OpenMetrics),
            (&["application/openmetrics-text;version=0.0.1"], Format::Prometheus),
            (&["application/openmetrics-text;q=0"], Format::Prometheus),
            (&["application/openmetrics-text;q=0.2,text/plain"], Format::Prometheus),
            (&[";;,=;q=x,\u{1F980}"], Format::Prometheus),
        ] {
            assert_eq!(format(accept.iter().copied()), expected, "{accept:?}");
        }
    }
}
