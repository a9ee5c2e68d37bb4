//! The cast: who plays in the town of each generation of Gas Town, and under which names.

use crate::town::Generation;

/// The town's rigs, and the prefixes that their sessions and beads have in 1.x.
pub const RIGS: [(&str, &str); 2] = [("harbor", "ha"), ("mill", "mi")];

/// A polecat of the story, its work, and the commands that give it that work and end its session without a trace.
#[derive(Debug, Clone, Copy)]
pub struct Polecat {
    pub identity: &'static str,
    pub rig: &'static str,
    pub name: &'static str,
    pub session: &'static str,
    pub hook: &'static str,
    pub start: &'static str,
    pub stop: &'static str,
}

/// Who plays.
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    /// The agents that always run, and their sessions.
    pub agents: &'static [(&'static str, &'static str)],
    /// The polecat that dies, and the one that is stopped.
    pub polecats: [Polecat; 2],
    /// Text of the log line that says that an agent is being started.
    pub starting: &'static str,
}

const JANUARY: Cast = Cast {
    agents: &[
        ("deacon", "hq-deacon"),
        ("harbor/witness", "gt-harbor-witness"),
        ("harbor/refinery", "gt-harbor-refinery"),
        ("mill/witness", "gt-mill-witness"),
        ("mill/refinery", "gt-mill-refinery"),
    ],
    polecats: [
        Polecat {
            identity: "harbor/polecats/toast",
            rig: "harbor",
            name: "toast",
            session: "gt-harbor-toast",
            hook: "harbor-7",
            start: "gt session start harbor/toast",
            stop: "gt session stop harbor/toast",
        },
        Polecat {
            identity: "mill/polecats/ember",
            rig: "mill",
            name: "ember",
            session: "gt-mill-ember",
            hook: "mill-3",
            start: "gt session start mill/ember",
            stop: "gt session stop mill/ember",
        },
    ],
    starting: ": starting claude in session",
};

/// In 1.x `gt` names its polecats itself: the first of a rig is furiosa.
const V1: Cast = Cast {
    agents: &[
        ("deacon", "hq-deacon"),
        ("harbor/witness", "ha-witness"),
        ("harbor/refinery", "ha-refinery"),
        ("mill/witness", "mi-witness"),
        ("mill/refinery", "mi-refinery"),
        ("mayor", "hq-mayor"),
    ],
    polecats: [
        Polecat {
            identity: "harbor/polecats/furiosa",
            rig: "harbor",
            name: "furiosa",
            session: "ha-furiosa",
            hook: "ha-7",
            start: "gt sling ha-7 harbor --no-convoy",
            stop: "gt session stop harbor/furiosa",
        },
        Polecat {
            identity: "mill/polecats/furiosa",
            rig: "mill",
            name: "furiosa",
            session: "mi-furiosa",
            hook: "mi-3",
            start: "gt sling mi-3 mill --no-convoy",
            stop: "gt session stop mill/furiosa",
        },
    ],
    starting: ": starting it with `gt ",
};

impl Cast {
    /// That of a generation.
    pub fn of(generation: Generation) -> Cast {
        match generation {
            Generation::January => JANUARY,
            Generation::V1 => V1,
        }
    }
}
