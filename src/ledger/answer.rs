//! Answer: the result of a query to the ledger. "It does not exist" and "it could not be found out" are different results.

/// What came of asking for one bead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// There it is.
    Found(T),
    /// There is none of this id.
    Missing,
    /// It could not be asked, and why.
    Unknown(String),
    /// It was not asked.
    NotAsked,
}
