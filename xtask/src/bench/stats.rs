//! Statistics of samples. In: times, and those of a reference measured in turns with them. Out: median, 99th percentile
//! and number; the ratio of the medians with the interval in which it lies on another such run. Pure.
use serde::Serialize;

/// Samples for the interval; fewer pairs than this tell none.
const PAIRS_MIN: usize = 8;
/// Draws of the interval.
const DRAWS: usize = 2_000;

/// Samples in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Sorts samples.
    pub(super) fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// How many there are.
    pub(super) fn n(&self) -> usize {
        self.0.len()
    }

    /// The median; that of an even number lies between the middle two. `None` without samples.
    pub(super) fn p50(&self) -> Option<f64> {
        let (low, high) = (self.0.get(self.n().checked_sub(1)? / 2)?, self.0.get(self.n() / 2)?);
        Some((low + high) / 2.0)
    }

    /// The least sample that 99 of 100 do not exceed: with fewer than 100 samples the greatest. `None` without samples.
    pub(super) fn p99(&self) -> Option<f64> {
        let rank = (self.n() as f64 * 0.99).ceil() as usize;
        self.0.get(rank.checked_sub(1)?).copied()
    }
}

/// A ratio of medians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) value: f64,
    /// Where 95 of 100 such runs would find it, as far as these samples can tell; `None` if they are too few.
    pub(super) interval: Option<(f64, f64)>,
}

/// The median of `samples` over that of `reference`, which were measured in turns: one of each to a pair. `None` without
/// samples or with a reference of zero.
pub(super) fn ratio(samples: &[f64], reference: &[f64]) -> Option<Ratio> {
    let value = of_medians(samples.to_vec(), reference.to_vec())?;
    let pairs: Vec<_> = samples.iter().copied().zip(reference.iter().copied()).collect();
    let interval = if pairs.len() < PAIRS_MIN { None } else { interval(&pairs) };
    Some(Ratio { value, interval })
}

fn of_medians(samples: Vec<f64>, reference: Vec<f64>) -> Option<f64> {
    let (above, below) = (Series::new(samples).p50()?, Series::new(reference).p50()?);
    (below > 0.0).then(|| above / below)
}

/// The bootstrap: what the ratio would be had other pairs of these been met. Pairs stay together, since what slows one
/// of a pair mostly slows the other.
fn interval(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let mut dice = Dice(0x5eed);
    let mut draw = || {
        let drawn = (0..pairs.len()).map(|_| pairs[dice.below(pairs.len())]);
        let (samples, reference) = drawn.unzip();
        of_medians(samples, reference)
    };
    let drawn = Series::new((0..DRAWS).filter_map(|_| draw()).collect());
    let at = |share: f64| drawn.0.get((drawn.n() as f64 * share) as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

/// SplitMix64: the same samples give the same interval.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Series::new(vec![3.0, 1.0, 2.0]).p50(), Some(2.0));
        assert_eq!(Series::new(vec![4.0, 1.0, 3.0, 2.0]).p50(), Some(2.5));
    }

    #[test]
    fn the_99th_percentile_is_a_sample_and_the_greatest_of_few() {
        let up_to = |n: u32| Series::new((1..=n).map(f64::from).collect());
        assert_eq!(up_to(60).p99(), Some(60.0));
        assert_eq!(up_to(100).p99(), Some(99.0));
        assert_eq!(up_to(1000).p99(), Some(990.0));
    }

    #[test]
    fn without_samples_there_is_no_figure() {
        let none = Series::new(Vec::new());
        assert_eq!((none.n(), none.p50(), none.p99()), (0, None, None));
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }

    #[test]
    fn a_ratio_is_that_of_the_medians_and_one_outlier_does_not_move_it() {
        let (mut samples, reference) = (vec![3.0; 20], vec![2.0; 20]);
        samples[7] = 1_000.0;
        let ratio = ratio(&samples, &reference).unwrap();
        assert_eq!(ratio.value, 1.5);
        assert_eq!(ratio.interval, Some((1.5, 1.5)));
    }

    #[test]
    fn the_interval_holds_the_value_narrows_with_samples_and_is_the_same_every_time() {
        let noisy = |n: usize| (0..n).map(|i| 10.0 + (i * 7 % 10) as f64).collect::<Vec<_>>();
        let steady = |n: usize| vec![10.0; n];
        let width = |n: usize| {
            let ratio = ratio(&noisy(n), &steady(n)).unwrap();
            let (low, high) = ratio.interval.unwrap();
            assert!(low <= ratio.value && ratio.value <= high, "{ratio:?}");
            high - low
        };
        assert!(width(1000) < width(50));
        assert_eq!(ratio(&noisy(50), &steady(50)), ratio(&noisy(50), &steady(50)));
        assert_eq!(ratio(&noisy(5), &steady(5)).unwrap().interval, None);
    }

    #[test]
    fn what_slows_both_of_a_pair_does_not_widen_the_interval() {
        // A machine that gets slower and slower, and a sample that always takes half as long again.
        let reference: Vec<_> = (1..=60).map(f64::from).collect();
        let samples: Vec<_> = reference.iter().map(|time| time * 1.5).collect();
        let (low, high) = ratio(&samples, &reference).unwrap().interval.unwrap();
        assert!((low - 1.5).abs() < 1e-9 && (high - 1.5).abs() < 1e-9, "{low} {high}");
    }
}
