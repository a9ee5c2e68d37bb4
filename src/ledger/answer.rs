//! Answer: the result of a query to the ledger. "It does not exist" and "it could not be found out" are different results.

/// The answer to a query for one bead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was found.
    Found(T),
    /// There is no bead with this id.
    Missing,
    /// It could not be read, and why.
    Unknown(String),
    /// No query was made.
    NotAsked,
}
