//! Trees: which processes of a survey belong to a root. Pure.
//!
//! A process belongs to a root when it descends from the root, when the root leads its kernel session (a child that
//! lost its parent is reparented to pid 1 but stays in its session), or when it descends from such a process.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// One process of a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// The id of its kernel session's leader.
    pub session: u32,
    /// When it started, in the unit of the reader that made the survey: only for detecting a reused pid.
    pub born: u64,
    /// How long it has been running.
    pub age: Duration,
    /// The kernel's short name for it.
    pub comm: String,
    /// True when it has ended and was not reaped yet.
    pub ended: bool,
}

/// A process of a tree and its depth below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The process.
    pub row: &'a Row,
    /// 0 for the root, 1 for its children and for orphans of its session.
    pub depth: usize,
}

/// A survey, indexed.
#[derive(Debug)]
pub struct Forest<'a> {
    by_pid: BTreeMap<u32, &'a Row>,
    by_parent: BTreeMap<u32, Vec<&'a Row>>,
    by_session: BTreeMap<u32, Vec<&'a Row>>,
}

impl<'a> Forest<'a> {
    /// Indexes a survey.
    pub fn new(rows: &'a [Row]) -> Self {
        let mut forest =
            Forest { by_pid: BTreeMap::new(), by_parent: BTreeMap::new(), by_session: BTreeMap::new() };
        for row in rows {
            forest.by_pid.insert(row.pid, row);
            forest.by_parent.entry(row.parent).or_default().push(row);
            forest.by_session.entry(row.session).or_default().push(row);
        }
        forest
    }

    /// True when `root` is a process that has not ended.
    pub fn lives(&self, root: u32) -> bool {
        self.by_pid.get(&root).is_some_and(|row| !row.ended)
    }

    /// The running members of a root's tree, the root first, then by depth. When the root itself has ended, the rest
    /// of its session: the kernel does not reuse an id while a session has it.
    pub fn members(&self, root: u32) -> Vec<Member<'a>> {
        let mut seen = BTreeSet::new();
        let mut queue: VecDeque<(&Row, usize)> =
            self.by_pid.get(&root).map(|row| (*row, 0)).into_iter().collect();
        let mates = self.by_session.get(&root).into_iter().flatten();
        queue.extend(mates.filter(|row| row.pid != root && self.adrift(row, root)).map(|row| (*row, 1)));
        let mut members = Vec::new();
        while let Some((row, depth)) = queue.pop_front() {
            if root == 0 || !seen.insert(row.pid) {
                continue;
            }
            if !row.ended {
                members.push(Member { row, depth });
            }
            let children = self.by_parent.get(&row.pid).into_iter().flatten();
            queue.extend(children.map(|child| (*child, depth + 1)));
        }
        members.sort_by_key(|member| member.depth);
        members
    }

    /// Whether a process of the root's session cannot be reached from the root through parents.
    fn adrift(&self, row: &Row, root: u32) -> bool {
        let (mut at, mut steps) = (row.parent, 0);
        while at != root {
            match self.by_pid.get(&at) {
                Some(parent) if at > 1 && steps < self.by_pid.len() => {
                    (at, steps) = (parent.parent, steps + 1)
                }
                _ => return true,
            }
        }
        !self.by_pid.contains_key(&root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, parent: u32, session: u32) -> Row {
        Row { pid, parent, session, born: 0, age: Duration::ZERO, comm: String::new(), ended: false }
    }

    #[test]
    fn members_grid() {
        let gone = Row { ended: true, ..row(10, 1, 10) };
        type Case = (&'static str, Vec<Row>, &'static [(u32, usize)]);
        #[rustfmt::skip]
        let cases: [Case; 9] = [
            ("alone", vec![row(10, 1, 10), row(11, 1, 11)], &[(10, 0)]),
            ("child and grandchild", vec![row(12, 11, 10), row(11, 10, 10), row(10, 1, 10)], &[(10, 0), (11, 1), (12, 2)]),
            ("child with a session of its own", vec![row(10, 1, 10), row(11, 10, 11)], &[(10, 0), (11, 1)]),
            ("handed to init, same session", vec![row(10, 1, 10), row(20, 1, 10)], &[(10, 0), (20, 1)]),
            ("handed to init, with a child", vec![row(10, 1, 10), row(20, 1, 10), row(21, 20, 21)], &[(10, 0), (20, 1), (21, 2)]),
            ("another's", vec![row(10, 1, 10), row(20, 1, 20), row(21, 20, 20)], &[(10, 0)]),
            ("root ended, session goes on", vec![gone.clone(), row(20, 1, 10)], &[(20, 1)]),
            ("root gone, session goes on", vec![row(20, 1, 10)], &[(20, 1)]),
            ("a survey that makes no sense", vec![row(10, 12, 10), row(11, 10, 10), row(12, 11, 10)], &[(10, 0), (11, 1), (12, 2)]),
        ];
        for (name, rows, wanted) in cases {
            let found: Vec<_> =
                Forest::new(&rows).members(10).iter().map(|member| (member.row.pid, member.depth)).collect();
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[test]
    fn an_ended_root_does_not_live() {
        let rows = [Row { ended: true, ..row(10, 1, 10) }, row(11, 1, 11)];
        let forest = Forest::new(&rows);
        assert!(!forest.lives(10) && forest.lives(11) && !forest.lives(12));
    }
}
