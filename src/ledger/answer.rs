//! Answer: what came of asking the ledger for one thing. "It is not there" and "it could not be found out" are two answers.

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
