//! The sandbox: a throwaway town on a tmux server of its own, with stand-ins for agents, `gt` and `bd`, and a real supervisor.
//!
//! The demo and the benchmarks run in it. It must not know what they show or measure.
#![allow(dead_code, reason = "the demo and the benchmarks each use a part")]

#[path = "../limits.rs"]
pub mod limits;
pub mod one_file;
pub mod pids;
pub mod standin;
pub mod supervisor;
pub mod tmux;
pub mod town;
