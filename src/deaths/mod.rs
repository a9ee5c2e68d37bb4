//! Deaths: the window in which several sessions' deaths become one alert.

pub mod register;
pub mod rules;
