//! Pending spawns: polecats that `gt` just started and that wait for the word to begin.
