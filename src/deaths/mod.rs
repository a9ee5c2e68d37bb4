//! Deaths: the window in which the deaths of several sessions become one alert.
//!
//! Owners note confirmed deaths in the [`register`], where the [`rules`] decide. An [actor](crate::watchers::deaths)
//! searches for their cause and reports them. Nothing here starts or ends an agent; it only spaces restarts out.

pub mod register;
pub mod rules;
