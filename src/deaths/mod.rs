//! Deaths: the window in which the deaths of several sessions become one alert.
//!
//! Owners note confirmed deaths in the [`register`], where the [`rules`] decide. The [`actor`] looks for their cause
//! ([`circumstance`]) and reports them. Nothing here starts or ends an agent; it only spaces restarts out.

pub mod actor;
pub mod circumstance;
pub mod register;
pub mod rules;
pub mod words;
