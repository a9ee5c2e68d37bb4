//! A town of one file.

use gastown_supervisor::town::dialect::{Dialect, recognise::Recognised};

use super::World;

/// The file, in the town's directory.
pub const AGENTS_FILE: &str = "agents.toml";

impl World {
    /// Makes this a town of one file, with this text.
    pub fn is_one_file(&self, text: &str) {
        self.state().gas_town = Recognised { dialect: Dialect::Own, ..Recognised::default() };
        self.directory("");
        self.write(AGENTS_FILE, text);
    }
}
