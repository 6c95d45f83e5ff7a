//! Curves against curves. In: points of policies. Out: at each point of the hybrid histogram's curve, how much of its wasted
//! memory and of its cold starts is left.

use serde::{Deserialize, Serialize};

use crate::replay::{Figures, percentile};

/// Percentiles per application may be worse by so many points.
const POINTS: f64 = 1.0;

/// A policy with one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Which policy.
    pub policy: String,
    /// Its parameter: minutes of `fixed` and `hybrid`, GB·s per cold start of `weft`, else 0.
    pub parameter: f64,
    /// What came of it.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What is left of the hybrid histogram's losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// At each of its points: wasted memory left at no more cold starts, over all calls and, but for a point, per application
    /// at p75 and p90; `None` where no price gets there.
    pub waste_over_hhp_at_equal_cold: Vec<Option<f64>>,
    /// Median of that.
    pub waste_over_hhp_at_equal_cold_median: f64,
    /// Largest.
    pub waste_over_hhp_at_equal_cold_worst: f64,
    /// At each of its points: cold starts left at no more wasted memory; `None` where no price gets there.
    pub cold_over_hhp_at_equal_waste: Vec<Option<f64>>,
    /// Median of that.
    pub cold_over_hhp_at_equal_waste_median: f64,
    /// Largest.
    pub cold_over_hhp_at_equal_waste_worst: f64,
    /// Share of the way from its waste to the oracle's that is made at no more cold starts; the median of its points.
    pub gap_to_oracle_closed: f64,
}

/// Compares `weft` with `hybrid` and `oracle`.
pub fn compare(curve: &[Point]) -> Comparison {
    let of = |name: &'static str| curve.iter().filter(move |point| point.policy == name).map(|p| p.figures);
    let weft: Vec<Figures> = of("weft").collect();
    let oracle_gb_s = of("oracle").map(|figures| figures.wasted_gb_s).next().unwrap_or(0.0);
    let (mut waste, mut cold, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for other in of("hybrid") {
        let no_colder = |ours: &&Figures| {
            ours.cold_percent <= other.cold_percent
                && ours.p75_cold_percent <= other.p75_cold_percent + POINTS
                && ours.p90_cold_percent <= other.p90_cold_percent + POINTS
        };
        let least = |values: &mut dyn Iterator<Item = f64>| values.min_by(f64::total_cmp);
        let wasted = least(&mut weft.iter().filter(no_colder).map(|ours| ours.wasted_gb_s));
        waste.push(wasted.map(|wasted| wasted / other.wasted_gb_s));
        closed.push(wasted.map_or(f64::NEG_INFINITY, |wasted| {
            (other.wasted_gb_s - wasted) / (other.wasted_gb_s - oracle_gb_s)
        }));
        let no_dearer = weft.iter().filter(|ours| ours.wasted_gb_s <= other.wasted_gb_s);
        let colds = least(&mut no_dearer.map(|ours| ours.cold_percent));
        cold.push(colds.map(|colds| over(colds, other.cold_percent)));
    }
    closed.sort_by(f64::total_cmp);
    let (waste_median, waste_worst) = median_and_worst(&waste);
    let (cold_median, cold_worst) = median_and_worst(&cold);
    Comparison {
        waste_over_hhp_at_equal_cold: waste,
        waste_over_hhp_at_equal_cold_median: waste_median,
        waste_over_hhp_at_equal_cold_worst: waste_worst,
        cold_over_hhp_at_equal_waste: cold,
        cold_over_hhp_at_equal_waste_median: cold_median,
        cold_over_hhp_at_equal_waste_worst: cold_worst,
        gap_to_oracle_closed: percentile(&closed, 0.5),
    }
}

/// No cold starts are as good as none.
fn over(ours: f64, other: f64) -> f64 {
    if other == 0.0 && ours == 0.0 { 1.0 } else { ours / other }
}

/// A point that is not reached counts as infinitely bad.
fn median_and_worst(ratios: &[Option<f64>]) -> (f64, f64) {
    let mut all: Vec<f64> = ratios.iter().map(|ratio| ratio.unwrap_or(f64::INFINITY)).collect();
    all.sort_by(f64::total_cmp);
    (percentile(&all, 0.5), all.last().copied().unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(policy: &str, cold_percent: f64, p90_cold_percent: f64, wasted_gb_s: f64) -> Point {
        let figures = Figures { cold_percent, p90_cold_percent, wasted_gb_s, ..Figures::default() };
        Point { policy: policy.to_owned(), parameter: 0.0, figures }
    }

    #[test]
    fn each_point_is_met_by_the_cheapest_that_is_as_good_in_all_ways() {
        let curve = [
            point("hybrid", 2.0, 10.0, 100.0),
            point("hybrid", 1.0, 5.0, 200.0),
            point("oracle", 0.0, 0.0, 0.0),
            // Few cold starts in all, many for some applications.
            point("weft", 1.0, 20.0, 10.0),
            point("weft", 1.5, 11.0, 50.0),
            point("weft", 0.5, 5.0, 120.0),
        ];
        let found = compare(&curve);
        assert_eq!(found.waste_over_hhp_at_equal_cold, [Some(0.5), Some(0.6)]);
        assert_eq!(found.cold_over_hhp_at_equal_waste, [Some(0.5), Some(0.5)]);
        assert_eq!(found.waste_over_hhp_at_equal_cold_worst, 0.6);
        assert!((found.gap_to_oracle_closed - 0.45).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_point_that_no_price_reaches_is_told_as_such() {
        let found = compare(&[point("hybrid", 1.0, 5.0, 200.0), point("weft", 2.0, 5.0, 300.0)]);
        assert_eq!(found.waste_over_hhp_at_equal_cold, [None]);
        assert_eq!(found.cold_over_hhp_at_equal_waste, [None]);
        assert_eq!(found.waste_over_hhp_at_equal_cold_worst, f64::INFINITY);
    }
}
