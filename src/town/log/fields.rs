//! Fields: each field of an event with its text. It must not format a line.

use std::fmt;

use tracing::field::{Field, Visit};

/// Gets each field of an event and its text.
pub(super) struct Each<F>(pub F);

impl<F: FnMut(&Field, &str)> Visit for Each<F> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0(field, &format!("{value:?}"));
    }
}
