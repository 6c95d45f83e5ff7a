//! Lives of instances. In: a phase. Out: for each instance when its making began, when it was ready and when it was gone,
//! and a row for each, so that lives that overlap do not cover each other.
use std::collections::BTreeMap;

use super::super::record::{Phase, What};

/// Instances of one segment that are drawn side by side; more share the last row.
const ROWS_MAX: usize = 3;

/// The life of one instance, in Unix milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Life {
    /// Its segment.
    pub(super) segment: String,
    /// Whether it was made for a forecast.
    pub(super) woven: bool,
    /// When its making began.
    pub(super) begun_ms: f64,
    /// When it listened.
    pub(super) ready_ms: Option<f64>,
    /// When it was gone.
    pub(super) gone_ms: Option<f64>,
    /// Which of the segment's rows it has.
    pub(super) row: usize,
}

/// All lives of a phase, in the order of their beginnings.
pub(super) fn lives(phase: &Phase) -> Vec<Life> {
    let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
    for event in &phase.journal {
        let What::Instance { instance, segment, state, cause } = &event.what else { continue };
        let life = lives.entry(instance).or_insert_with(|| Life {
            segment: segment.clone(),
            woven: cause == "forecast",
            begun_ms: event.at_ms,
            ready_ms: None,
            gone_ms: None,
            row: 0,
        });
        match state.as_str() {
            "ready" => drop(life.ready_ms.get_or_insert(event.at_ms)),
            "gone" => drop(life.gone_ms.get_or_insert(event.at_ms)),
            _ => {}
        }
    }
    let mut lives: Vec<_> = lives.into_values().collect();
    lives.sort_by(|a, b| a.begun_ms.total_cmp(&b.begun_ms));
    give_rows(&mut lives);
    lives
}

fn give_rows(lives: &mut [Life]) {
    let mut free_from: BTreeMap<String, [f64; ROWS_MAX]> = BTreeMap::new();
    for life in lives {
        let rows = free_from.entry(life.segment.clone()).or_insert([f64::NEG_INFINITY; ROWS_MAX]);
        life.row = rows.iter().position(|free| *free <= life.begun_ms).unwrap_or(ROWS_MAX - 1);
        rows[life.row] = life.gone_ms.unwrap_or(f64::INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::phase;
    use super::*;

    #[test]
    fn a_life_begins_with_its_making_and_ends_when_it_is_gone() {
        let lives = lives(&phase());
        let [cart, checkout] = &lives[..] else { panic!("{lives:?}") };
        assert_eq!((cart.begun_ms, cart.ready_ms, cart.gone_ms), (1_010.0, Some(1_300.0), None));
        assert_eq!((checkout.woven, cart.woven), (true, false));
        assert_eq!(checkout.gone_ms, Some(5_000.0));
    }

    #[test]
    fn lives_that_overlap_have_rows_of_their_own() {
        let life = |begun_ms, gone_ms| Life {
            segment: "cart".into(),
            woven: false,
            begun_ms,
            ready_ms: None,
            gone_ms: Some(gone_ms),
            row: 0,
        };
        let mut lives = [life(0.0, 10.0), life(5.0, 20.0), life(12.0, 14.0)];
        give_rows(&mut lives);
        assert_eq!(lives.map(|life| life.row), [0, 1, 0]);
    }
}
