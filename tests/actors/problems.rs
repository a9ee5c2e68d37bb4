//! Which changes of a problem are logged.

use gastown_supervisor::ports::problems::Problems;

use crate::world::*;

#[test]
fn only_a_change_is_logged() {
    simulate(219, |world| async move {
        let problems = Problems::default();
        problems.report("rigs", "first");
        problems.report("rigs", "first");
        problems.report("rigs", "second");
        problems.clear("rigs");
        problems.clear("rigs");
        problems.report("rigs", "first");
        let logged =
            ["Warning: first", "Warning: second", "Resolved: second"].map(|line| world.logged(line).len());
        assert_eq!(logged, [2, 1, 1]);
        assert_eq!(world.logged("Resolved: ").len(), 1);
    });
}
