//! The table: each figure as measured, as aimed at, and as the original daemon has it.

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// On this machine, now.
    pub measured: String,
    /// What it should be.
    pub target: &'static str,
    /// Whether it is.
    pub met: bool,
    /// What it is for the daemon inside `gt`.
    pub original: &'static str,
}

/// Prints them.
pub fn show(rows: &[Row]) {
    let head = Row {
        figure: "figure".into(),
        measured: "measured".into(),
        target: "target",
        met: true,
        original: "original",
    };
    let width = |text: fn(&Row) -> &str| {
        rows.iter().chain([&head]).map(|row| text(row).chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(|row| &row.figure), width(|row| &row.measured));
    let (third, fourth) = (width(|row| row.target), width(|row| row.original));
    println!();
    for row in [&head].into_iter().chain(rows) {
        let verdict = if row.met { "" } else { "  MISSED" };
        println!(
            "{:first$}  {:>second$}  {:>third$}  {:>fourth$}{verdict}",
            row.figure, row.measured, row.target, row.original
        );
    }
}

/// The middle one and the largest of some measurements; zeros when there are none.
pub fn median_and_max<T: Ord + Copy + Default>(mut values: Vec<T>) -> (T, T) {
    values.sort_unstable();
    let middle = values.get(values.len() / 2).copied().unwrap_or_default();
    (middle, values.last().copied().unwrap_or_default())
}
