//! What is counted while forecasts are scored. In: ranked items with confidences, and what came. Out: how often what came
//! was the first or among the first three, how far confidences are from what came true, and how long forecasts took.

use super::super::stats::Series;

/// Widths of confidence that are compared with the share that came true.
const BINS: usize = 10;

/// Counts of one model on one trace.
#[derive(Debug, Default)]
pub(super) struct Tally {
    scored: usize,
    judged: usize,
    hits: [usize; 3],
    squares: f64,
    /// How many, the sum of their confidences, how many came true.
    bins: [(usize, f64, usize); BINS],
    /// Of each forecast, in microseconds.
    pub(super) times_us: Vec<f64>,
}

impl Tally {
    /// One forecast, and what came after it in the same session; `None` if nothing did.
    pub(super) fn count(&mut self, ranked: &[(u32, f32)], came: Option<u32>) {
        if let Some((first, confidence)) = ranked.first() {
            let hit = usize::from(Some(*first) == came);
            self.judged += 1;
            self.squares += (f64::from(*confidence) - hit as f64).powi(2);
            let bin = &mut self.bins[((confidence * BINS as f32) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + f64::from(*confidence), bin.2 + hit);
        }
        let Some(came) = came else { return };
        self.scored += 1;
        let place = ranked.iter().position(|(item, _)| *item == came);
        for (nth, hits) in self.hits.iter_mut().enumerate() {
            *hits += usize::from(place.is_some_and(|place| place <= nth));
        }
    }

    /// Events that went on in their session.
    pub(super) fn scored(&self) -> usize {
        self.scored
    }

    /// The share of them that was among the first so many, three at most.
    pub(super) fn hit(&self, within: usize) -> f64 {
        self.hits[within - 1] as f64 / self.scored.max(1) as f64
    }

    /// How far the confidence of the first is from the share that came true, on average over confidences.
    pub(super) fn ece(&self) -> f64 {
        let error = |(_, sum, hits): &(usize, f64, usize)| (sum - *hits as f64).abs();
        self.bins.iter().map(error).sum::<f64>() / self.judged.max(1) as f64
    }

    /// The mean squared error of the confidence of the first.
    pub(super) fn brier(&self) -> f64 {
        self.squares / self.judged.max(1) as f64
    }

    /// Times of forecasts, ascending.
    pub(super) fn times(&self) -> Series {
        Series::new(self.times_us.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_a_hit_within_its_place_and_all_after() {
        let mut tally = Tally::default();
        let ranked = [(5, 0.5), (6, 0.3), (7, 0.1)];
        [5, 6, 7, 8].into_iter().for_each(|came| tally.count(&ranked, Some(came)));
        assert_eq!((tally.scored(), tally.hit(1), tally.hit(3)), (4, 0.25, 0.75));
    }

    #[test]
    fn after_the_end_of_a_session_only_the_confidence_is_judged() {
        let mut tally = Tally::default();
        tally.count(&[(5, 1.0)], None);
        assert_eq!((tally.scored(), tally.hit(1)), (0, 0.0));
        assert_eq!((tally.brier(), tally.ece()), (1.0, 1.0));
    }

    #[test]
    fn no_forecast_is_a_miss_of_no_confidence() {
        let mut tally = Tally::default();
        tally.count(&[], Some(1));
        assert_eq!((tally.scored(), tally.hit(3), tally.brier()), (1, 0.0, 0.0));
    }

    #[test]
    fn confidences_that_come_true_as_often_as_they_say_are_calibrated() {
        let mut tally = Tally::default();
        (0..4).for_each(|nth| tally.count(&[(1, 0.75)], Some(u32::from(nth > 0))));
        assert!(tally.ece() < 1e-9);
        assert!((tally.brier() - 0.1875).abs() < 1e-9);
        tally.count(&[(1, 1.0)], Some(0));
        assert!((tally.ece() - 0.2).abs() < 1e-9);
    }
}
