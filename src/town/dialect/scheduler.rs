//! The scheduler of gt 1.x: whether slung work waits until somebody dispatches it. Pure.
//!
//! Facts from gt 1.0.1 (`internal/daemon/daemon.go`): with `scheduler.max_polecats` above zero in `settings/config.json`, `gt sling`
//! only queues work, and `gt scheduler run` dispatches it. By default `gt sling` starts at once.

/// Whether work waits for the scheduler, according to the content of `settings/config.json`.
pub fn is_used(config: &[u8]) -> bool {
    let file: serde_json::Value = serde_json::from_slice(config).unwrap_or_default();
    file["scheduler"]["max_polecats"].as_i64().is_some_and(|most| most > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_work_waits() {
        for (config, expected) in [
            (r#"{"scheduler":{"max_polecats":3}}"#, true),
            (r#"{"scheduler":{"max_polecats":0}}"#, false),
            (r#"{"scheduler":{"max_polecats":-1}}"#, false),
            (r#"{"scheduler":{"max_polecats":"3"}}"#, false),
            (r#"{"scheduler":3}"#, false),
            (r#"{"scheduler":{"max_po"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(is_used(config.as_bytes()), expected, "{config}");
        }
    }
}
