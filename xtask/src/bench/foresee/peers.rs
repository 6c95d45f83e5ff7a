//! Sequence predictors of the literature, to compare with. In: items of sessions. Out: ranked items. All are kept up to
//! date while they are scored, as weft's own counts are. Refused: nothing.

use std::collections::HashMap;

/// What is compared.
pub(super) trait Peer {
    /// Learns that `item` came after `before` (newest last).
    fn learn(&mut self, before: &[u32], item: u32);
    /// The three likeliest after `before`.
    fn rank(&self, before: &[u32]) -> Vec<u32>;
}

type Counts = HashMap<u32, (u32, u32)>;

/// Counts after sequences up to a length; ties go to what came last.
#[derive(Default)]
struct Table {
    contexts: HashMap<Vec<u32>, Counts>,
    clock: u32,
}

impl Table {
    fn learn(&mut self, before: &[u32], item: u32, order: usize) {
        self.clock += 1;
        for length in 0..=order.min(before.len()) {
            let key = before[before.len() - length..].to_vec();
            let count = self.contexts.entry(key).or_default().entry(item).or_default();
            *count = (count.0 + 1, self.clock);
        }
    }

    fn get(&self, before: &[u32], length: usize) -> Option<&Counts> {
        self.contexts.get(&before[before.len().checked_sub(length)?..])
    }
}

/// A Markov chain of some order that backs off to shorter sequences for what the longer one has not seen.
pub(super) struct Markov {
    order: usize,
    table: Table,
}

impl Markov {
    /// A chain of this order.
    pub(super) fn new(order: usize) -> Self {
        Self { order, table: Table::default() }
    }
}

impl Peer for Markov {
    fn learn(&mut self, before: &[u32], item: u32) {
        self.table.learn(before, item, self.order);
    }

    fn rank(&self, before: &[u32]) -> Vec<u32> {
        let mut best = Vec::new();
        for length in (0..=self.order.min(before.len())).rev() {
            let Some(counts) = self.table.get(before, length) else { continue };
            let mut items: Vec<_> = counts.iter().collect();
            items.sort_unstable_by_key(|(item, count)| (std::cmp::Reverse(**count), **item));
            for (item, _) in items.into_iter().take(6) {
                if best.len() < 3 && !best.contains(item) {
                    best.push(*item);
                }
            }
            if best.len() == 3 {
                break;
            }
        }
        best
    }
}

/// Prediction by partial matching, method C with exclusion.
pub(super) struct Ppm {
    order: usize,
    table: Table,
}

impl Ppm {
    /// With sequences up to this length.
    pub(super) fn new(order: usize) -> Self {
        Self { order, table: Table::default() }
    }
}

impl Peer for Ppm {
    fn learn(&mut self, before: &[u32], item: u32) {
        self.table.learn(before, item, self.order);
    }

    fn rank(&self, before: &[u32]) -> Vec<u32> {
        let mut left = 1.0_f64;
        let mut chances: Vec<(u32, f64)> = Vec::new();
        for length in (0..=self.order.min(before.len())).rev() {
            let Some(counts) = self.table.get(before, length) else { continue };
            let fresh: Vec<(u32, u32)> = counts
                .iter()
                .filter(|(item, _)| !chances.iter().any(|(known, _)| known == *item))
                .map(|(item, count)| (*item, count.0))
                .collect();
            let total = fresh.iter().map(|(_, count)| f64::from(*count)).sum::<f64>() + fresh.len() as f64;
            if fresh.is_empty() {
                continue;
            }
            chances.extend(fresh.iter().map(|(item, count)| (*item, left * f64::from(*count) / total)));
            left *= fresh.len() as f64 / total;
            // What is left can no longer reach the first three.
            let mut third: Vec<f64> = chances.iter().map(|(_, chance)| *chance).collect();
            third.sort_unstable_by(|a, b| b.total_cmp(a));
            if third.get(2).is_some_and(|third| *third > left) {
                break;
            }
        }
        chances.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        chances.into_iter().take(3).map(|(item, _)| item).collect()
    }
}

/// All of them, with their names.
pub(super) fn all() -> [(&'static str, Box<dyn Peer>); 5] {
    [
        ("Markov 1", Box::new(Markov::new(1))),
        ("Markov 2", Box::new(Markov::new(2))),
        ("Markov 3", Box::new(Markov::new(3))),
        ("PPM 3", Box::new(Ppm::new(3))),
        ("PPM 5", Box::new(Ppm::new(5))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(mut peer: impl Peer, items: &[u32]) -> impl Peer {
        (1..items.len()).for_each(|at| peer.learn(&items[..at], items[at]));
        peer
    }

    const ITEMS: [u32; 12] = [1, 2, 3, 9, 2, 4, 1, 2, 3, 9, 2, 4];

    #[test]
    fn a_chain_of_order_two_tells_apart_what_one_of_order_one_cannot() {
        let two = taught(Markov::new(2), &ITEMS);
        assert_eq!((two.rank(&[1, 2])[0], two.rank(&[9, 2])[0]), (3, 4));
        let one = taught(Markov::new(1), &ITEMS);
        assert_eq!(one.rank(&[1, 2]), one.rank(&[9, 2]));
    }

    #[test]
    fn a_chain_fills_up_from_shorter_sequences_without_telling_twice() {
        let ranked = taught(Markov::new(2), &ITEMS).rank(&[1, 2]);
        assert_eq!(ranked, [3, 4, 2]);
        assert_eq!(taught(Markov::new(2), &ITEMS).rank(&[77]).len(), 3);
    }

    #[test]
    fn partial_matching_prefers_the_longest_sequence_and_escapes_from_the_unknown() {
        let ppm = taught(Ppm::new(3), &ITEMS);
        assert_eq!((ppm.rank(&[3, 9, 2])[0], ppm.rank(&[4, 1, 2])[0]), (4, 3));
        assert_eq!(ppm.rank(&[77])[0], 2);
        assert!(Ppm::new(3).rank(&[1]).is_empty());
    }
}
