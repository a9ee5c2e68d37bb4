//! Role beads: what the town's ledger says about starting agents of a role, over and above the built-in ways.

/// What was last read of all role beads; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct RoleBeads;
