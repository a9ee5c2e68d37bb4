//! The order of starts: each agent behind those that it waits for. Pure.

/// What is before what, by index: `after[i]` are those that `i` waits for, all of them below `after.len()`.
///
/// Returns all indices, each behind those that it waits for and else as low as possible; or each cycle, as the indices along it.
pub fn ordered(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<Vec<usize>>> {
    let (mut order, mut cycles) = (Vec::new(), Vec::new());
    let mut is_done = vec![false; after.len()];
    while order.len() < after.len() {
        let next = (0..after.len()).find(|at| !is_done[*at] && after[*at].iter().all(|it| is_done[*it]));
        let next = next.map_or_else(
            || {
                let cycle = cycle(after, &is_done);
                cycles.push(cycle.clone());
                cycle
            },
            |at| vec![at],
        );
        next.iter().for_each(|at| is_done[*at] = true);
        order.extend(next);
    }
    if cycles.is_empty() { Ok(order) } else { Err(cycles) }
}

/// A cycle among those that are not done, each of which waits for another of them.
fn cycle(after: &[Vec<usize>], is_done: &[bool]) -> Vec<usize> {
    let mut at = is_done.iter().position(|done| !done).unwrap_or_default();
    let mut path = Vec::new();
    while !path.contains(&at) {
        path.push(at);
        at = after[at].iter().copied().find(|it| !is_done[*it]).unwrap_or(at);
    }
    let begin = path.iter().position(|it| *it == at).unwrap_or_default();
    path.split_off(begin)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_and_cycles() {
        for (after, expected) in [
            (vec![], Ok(vec![])),
            (vec![vec![], vec![], vec![]], Ok(vec![0, 1, 2])),
            (vec![vec![2], vec![0], vec![]], Ok(vec![2, 0, 1])),
            (vec![vec![1, 1], vec![], vec![0, 1]], Ok(vec![1, 0, 2])),
            (vec![vec![0]], Err(vec![vec![0]])),
            (vec![vec![1], vec![2], vec![0]], Err(vec![vec![0, 1, 2]])),
            (vec![vec![1], vec![2], vec![1]], Err(vec![vec![1, 2]])),
            (vec![vec![1], vec![0], vec![3], vec![2]], Err(vec![vec![0, 1], vec![2, 3]])),
        ] {
            assert_eq!(ordered(&after), expected, "{after:?}");
        }
    }

    proptest! {
        #[test]
        fn each_is_there_once_and_behind_those_it_waits_for(
            after in (1..12_usize).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0..n, 0..3), n)),
        ) {
            match ordered(&after) {
                Ok(order) => {
                    let mut sorted = order.clone();
                    sorted.sort_unstable();
                    prop_assert_eq!(sorted, (0..after.len()).collect::<Vec<_>>());
                    let place = |at: usize| order.iter().position(|it| *it == at);
                    for (at, needed) in after.iter().enumerate() {
                        prop_assert!(needed.iter().all(|it| place(*it) < place(at)));
                    }
                }
                Err(cycles) => {
                    for cycle in cycles {
                        for (at, it) in cycle.iter().enumerate() {
                            prop_assert!(after[*it].contains(&cycle[(at + 1) % cycle.len()]));
                        }
                    }
                }
            }
        }
    }
}
