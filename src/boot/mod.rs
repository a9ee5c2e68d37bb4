//! Boot: the short agent that looks at the deacon now and then.

pub mod role;
pub mod rules;
