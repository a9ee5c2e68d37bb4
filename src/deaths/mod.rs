//! Deaths: the window in which several sessions' deaths become one alert.
//!
//! Owners note confirmed deaths in the [`register`], where the [`rules`] decide; the [`actor`] finds out what may have
//! caused them ([`circumstance`]) and tells people. Nothing here starts or ends an agent; it only spaces restarts out.

pub mod actor;
pub mod circumstance;
pub mod register;
pub mod rules;
pub mod words;
