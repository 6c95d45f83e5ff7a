//! The baselines on a sample of Azure Functions 2019 give the figures that were found for it with other code.

#![expect(clippy::unwrap_used, reason = "what helps tests ends them, too")]

mod common;

use weft_models::replay::{
    AlwaysWarm, Clairvoyant, Figures, FixedKeepAlive, HybridHistogram, Node, Policy, Window, replay,
};
use weft_models::trace::{Counts, Expansion, MINUTE_US};

const UNIFORM: Expansion = Expansion::Uniform { seed: 1 };

fn figures(counts: &Counts, policy: impl Policy) -> Figures {
    let window = Window { from_us: 0, until_us: counts.end_us() };
    replay(counts.apps(), counts.expand(UNIFORM), policy, Node::default(), window).unwrap().figures()
}

/// Within 5 %, or the last digit that the figure was given with.
fn near(found: f64, expected: f64, digit: f64, what: &str) {
    let off = (found - expected).abs();
    assert!(off <= 0.05 * expected || off <= digit, "{what}: {found} instead of {expected}");
}

#[test]
fn baselines_reproduce_the_reference_figures_within_five_percent() {
    let Some(folder) = common::calls_folder() else { return };
    let counts = common::azure(&folder);
    assert_eq!((counts.apps().len(), counts.calls()), (476, 3_037_902));
    for (minutes, cold, wasted) in [
        (1, 0.878, 303_614.0),
        (2, 0.520, 411_485.0),
        (5, 0.216, 578_685.0),
        (10, 0.090, 651_856.0),
        (20, 0.043, 718_826.0),
        (60, 0.023, 850_603.0),
        (240, 0.016, 944_245.0),
    ] {
        let found = figures(&counts, FixedKeepAlive { keep_us: minutes * MINUTE_US });
        eprintln!("fixed {minutes}: {found:?}");
        near(found.cold_percent_with_first, cold, 0.0015, &format!("cold, fixed {minutes} min"));
        near(found.wasted_gb_s, wasted, 0.0, &format!("waste, fixed {minutes} min"));
    }
    for (minutes, cold, wasted) in [
        (5, 0.190, 540_466.0),
        (10, 0.088, 542_974.0),
        (15, 0.059, 516_234.0),
        (20, 0.052, 533_151.0),
        (30, 0.044, 574_424.0),
        (60, 0.032, 659_243.0),
        (120, 0.027, 701_924.0),
        (240, 0.026, 744_332.0),
    ] {
        let found = figures(&counts, HybridHistogram::new(counts.apps().len(), minutes));
        eprintln!("hybrid {minutes}: {found:?}");
        near(found.cold_percent_with_first, cold, 0.0015, &format!("cold, histogram of {minutes} min"));
        near(found.wasted_gb_s, wasted, 0.0, &format!("waste, histogram of {minutes} min"));
    }
    let oracle = Clairvoyant::new(counts.apps(), counts.expand(UNIFORM), 1_000_000, f64::INFINITY);
    let found = figures(&counts, oracle);
    eprintln!("oracle: {found:?}");
    near(found.cold_percent_with_first, 0.016, 0.0005, "cold, oracle");
    near(found.wasted_gb_s, 40_349.0, 0.0, "waste, oracle");
    let warm = figures(&counts, AlwaysWarm);
    assert_eq!((warm.cold_percent_with_first, warm.churn), (0.0, 476));
}
