//! What holds for every policy, and for the one that follows forecasts in particular, whatever is called when.

#![expect(clippy::unwrap_used, reason = "what helps tests ends them, too")]

use std::sync::LazyLock;

use proptest::prelude::*;
use weft_models::policy::{Foresight, Rule, Tuned};
use weft_models::replay::{
    AlwaysWarm, Clairvoyant, FixedKeepAlive, GreedyDual, HybridHistogram, NoKeepAlive, Node, Policy,
    ReplayError, Score, Window, gigabytes, replay,
};
use weft_models::timing::{GrowOptions, Outlook, Rhythm, TimingModel, Tutor};
use weft_models::trace::{App, Call, MINUTE_US, SECOND_US, Trigger};

const HOUR_US: u64 = 60 * MINUTE_US;
const ANY: Node = Node { memory_kib: None, idle_kib: None };

fn roll(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Timers of several periods, and segments that are called at random, for some hours.
fn habits(hours: u64) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut state = 7;
    for (app, period) in [1, 2, 5, 5, 7, 10, 15, 30].into_iter().enumerate() {
        let phase = roll(&mut state, period);
        for minute in (phase..hours * 60).step_by(period as usize) {
            let at_us = minute * MINUTE_US + roll(&mut state, MINUTE_US);
            calls.push(Call { at_us, app: app as u32, duration_us: 1_000 });
        }
    }
    for app in 8..14 {
        let mean = (app - 7) * 6;
        for minute in 0..hours * 60 {
            if roll(&mut state, mean) == 0 {
                let at_us = minute * MINUTE_US + roll(&mut state, MINUTE_US);
                calls.push(Call { at_us, app: app as u32, duration_us: 1_000 });
            }
        }
    }
    calls.sort();
    calls
}

fn grown(seed: u64) -> TimingModel {
    let mut tutor = Tutor::new(50_000, 100);
    habits(8).iter().for_each(|call| tutor.called(call.app, Trigger::Unknown, call.at_us));
    tutor.finish(8 * HOUR_US);
    TimingModel::grow(&tutor, &GrowOptions { trees: 6, ..GrowOptions::default() }, seed).unwrap()
}

static MODEL: LazyLock<TimingModel> = LazyLock::new(|| grown(1));

#[derive(Debug, Clone)]
struct Load {
    apps: Vec<App>,
    calls: Vec<Call>,
}

impl Load {
    fn end_us(&self) -> u64 {
        self.calls.last().map_or(0, |call| call.at_us) + 10 * MINUTE_US
    }

    fn window(&self) -> Window {
        Window { from_us: 0, until_us: self.end_us() }
    }

    fn run(&self, policy: impl Policy, node: Node, window: Window) -> Score {
        replay(&self.apps, self.calls.iter().copied(), policy, node, window).unwrap()
    }

    fn policies(&self) -> Vec<(&'static str, Box<dyn Policy + '_>)> {
        let rule = |tuned| Rule { price_gb_s: 50.0, tuned, ..Rule::default() };
        vec![
            ("none", Box::new(NoKeepAlive)),
            ("fixed", Box::new(FixedKeepAlive { keep_us: 5 * MINUTE_US })),
            ("hybrid", Box::new(HybridHistogram::new(self.apps.len(), 30))),
            ("dual", Box::new(GreedyDual::new(&self.apps))),
            ("warm", Box::new(AlwaysWarm)),
            ("plain", Box::new(Foresight::new(&MODEL, &self.apps, rule(Tuned::Never)))),
            ("tuned", Box::new(Foresight::new(&MODEL, &self.apps, rule(Rule::default().tuned)))),
        ]
    }
}

fn loads(concurrency: impl Strategy<Value = u32>) -> impl Strategy<Value = Load> {
    let app = (16_u64..1_024, 0_u64..5_000, concurrency).prop_map(|(mib, start_ms, concurrency)| App {
        memory_kib: mib << 10,
        start_us: start_ms * 1_000,
        concurrency,
        ..App::named("a")
    });
    let call = (0_usize..6, prop_oneof![Just(60_u64), 0_u64..300, 0_u64..5], 0_u64..20_000);
    (proptest::collection::vec(app, 1..6), proptest::collection::vec(call, 1..150)).prop_map(
        |(apps, steps)| {
            let mut at_us = 0;
            let calls = steps.into_iter().map(|(app, later_s, duration_ms)| {
                at_us += later_s * SECOND_US;
                Call { at_us, app: (app % apps.len()) as u32, duration_us: duration_ms * 1_000 }
            });
            let calls = calls.collect();
            Load { apps, calls }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn idle_instances_never_take_more_than_their_budget(load in loads(0_u32..3), mib in 0_u64..2_048) {
        let node = Node { idle_kib: Some(mib << 10), ..ANY };
        for (name, policy) in load.policies() {
            let score = load.run(policy, node, load.window());
            prop_assert!(score.idle_kib_max <= mib << 10, "{name}: {} KiB", score.idle_kib_max);
        }
    }

    #[test]
    fn instances_never_take_more_memory_than_the_node_has(load in loads(0_u32..3), mib in 0_u64..2_048) {
        let node = Node { memory_kib: Some(mib << 10), ..ANY };
        for (name, policy) in load.policies() {
            let score = load.run(policy, node, load.window());
            prop_assert!(score.memory_kib_max <= mib << 10, "{name}: {} KiB", score.memory_kib_max);
        }
    }

    #[test]
    fn the_oracle_is_never_beaten(load in loads(Just(0)), price_gb_s in 0.1_f64..1_000.0) {
        let oracle = Clairvoyant::new(&load.apps, load.calls.iter().copied(), 0, price_gb_s);
        let best = load.run(oracle, ANY, load.window());
        let least = best.wasted_gb_s() + price_gb_s * best.cold() as f64;
        for (name, policy) in load.policies() {
            let score = load.run(policy, ANY, load.window());
            // A cold start makes the next idle time shorter by the time it takes.
            let cold: f64 = load.apps.iter().zip(&score.apps).map(|(app, score)| {
                let start_gb_s = app.start_us as f64 / 1e6 * gigabytes(app);
                score.cold as f64 * (price_gb_s + start_gb_s) + score.first_cold as f64 * start_gb_s
            }).sum();
            prop_assert!(score.wasted_gb_s() + cold >= least - 1e-6, "{name}: {score:?}");
        }
    }

    #[test]
    fn calls_are_all_counted_and_time_is_all_accounted_for(load in loads(0_u32..3)) {
        for (name, policy) in load.policies() {
            let score = load.run(policy, ANY, load.window());
            let firsts: u64 = score.apps.iter().map(|app| app.first).sum();
            prop_assert_eq!(score.calls() + firsts, load.calls.len() as u64, "{}", name);
            prop_assert_eq!(score.dropped, 0);
        }
        let warm = load.run(AlwaysWarm, ANY, load.window());
        let whole: u128 = load.apps.iter().map(|app| u128::from(app.memory_kib) * u128::from(load.end_us())).sum();
        if load.apps.iter().all(|app| app.concurrency == 0) {
            prop_assert_eq!(warm.wasted_kib_us + warm.busy_kib_us, whole);
        }
    }

    #[test]
    fn a_replay_is_the_same_each_time(load in loads(0_u32..3)) {
        for ((name, one), (_, other)) in load.policies().into_iter().zip(load.policies()) {
            let (one, other) = (load.run(one, ANY, load.window()), load.run(other, ANY, load.window()));
            prop_assert_eq!(one, other, "{}", name);
        }
    }

    #[test]
    fn a_tuned_rule_is_never_worse_than_keep_alive_by_more_than_it_says(
        load in loads(Just(0)),
        price_gb_s in 1.0_f64..500.0,
    ) {
        let rule = Rule { price_gb_s, ..Rule::default() };
        let keep_us = 600 * SECOND_US;
        for from_us in (0..load.end_us()).step_by(25 * MINUTE_US as usize) {
            let window = Window { from_us, until_us: from_us + HOUR_US };
            let cost = |policy: Box<dyn Policy + '_>| {
                let score = load.run(policy, ANY, window);
                score.wasted_gb_s() + price_gb_s * score.cold() as f64
            };
            let ours = cost(Box::new(Foresight::new(&MODEL, &load.apps, rule)));
            let plain = cost(Box::new(FixedKeepAlive { keep_us }));
            let bounds = load.apps.iter().map(|app| rule.lost_max_gb_s(gigabytes(app), price_gb_s).unwrap());
            let bound: f64 = bounds.sum();
            prop_assert!(ours <= plain + bound, "{ours} against {plain}, at most {bound} more");
        }
    }
}

#[test]
fn the_same_lessons_and_seed_grow_the_same_model() {
    assert_eq!(grown(3), grown(3));
    assert_ne!(grown(3), grown(4));
}

#[test]
fn a_model_survives_being_written_and_no_damage_is_read_as_a_model() {
    let bytes = MODEL.to_bytes().unwrap();
    assert_eq!(TimingModel::from_bytes(&bytes).unwrap(), *MODEL);
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    assert!(TimingModel::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    for at in (0..bytes.len()).step_by(bytes.len() / 97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(TimingModel::from_bytes(&damaged).is_err(), "byte {at}");
    }
    let mut older = bytes;
    older[5] = 0;
    let error = TimingModel::from_bytes(&older).unwrap_err();
    assert!(matches!(error, weft_models::ArtifactError::Version { found: 0, .. }), "{error}");
}

/// Chances of a call in each of the minutes after the last of `minutes`.
fn chances(minutes: impl IntoIterator<Item = u64>, ahead: u64) -> Vec<f32> {
    let mut minutes = minutes.into_iter();
    let mut rhythm = Rhythm::new(minutes.next().unwrap() * MINUTE_US);
    let mut last = 0;
    for minute in minutes {
        rhythm.called(minute * MINUTE_US + 30 * SECOND_US);
        last = minute;
    }
    let mut outlook = Outlook::default();
    (1..=ahead).map(|later| outlook.minute(&MODEL, &rhythm, Trigger::Unknown, last + later)).collect()
}

#[test]
fn a_timer_is_expected_in_its_minute_and_not_before() {
    let chances = chances((0..12).map(|time| 3 + time * 5), 5);
    let (before, then) = (&chances[..4], chances[4]);
    assert!(then > 0.8 && before.iter().all(|chance| *chance < 0.2), "{chances:?}");
}

#[test]
fn what_comes_at_random_is_never_nearly_sure() {
    let mut state = 5;
    let minutes: Vec<u64> = (0..400).filter(|_| roll(&mut state, 9) == 0).collect();
    let chances = chances(minutes, 12);
    assert!(chances.iter().all(|chance| (0.01..0.6).contains(chance)), "{chances:?}");
}

#[test]
fn a_timer_is_prewarmed_and_costs_a_part_of_keep_alive() {
    let load = Load { apps: vec![App::named("a"); 14], calls: habits(8) };
    let window = Window { from_us: 4 * HOUR_US, until_us: 8 * HOUR_US };
    let rule = Rule { price_gb_s: 20.0, ..Rule::default() };
    let ours = load.run(Foresight::new(&MODEL, &load.apps, rule), ANY, window);
    let kept = load.run(FixedKeepAlive { keep_us: 30 * MINUTE_US }, ANY, window);
    assert!(ours.apps[..8].iter().all(|app| app.cold <= 1), "{:?}", ours.apps);
    assert!(ours.wasted_gb_s() < 0.5 * kept.wasted_gb_s(), "{ours:?}");
    assert!(ours.prewarms > 100, "{ours:?}");
}

#[test]
fn who_plays_at_random_costs_others_nothing_and_stays_within_the_budget() {
    let mut calls = habits(8);
    let quiet = Load { apps: vec![App::named("a"); 74], calls: calls.clone() };
    let mut state = 11;
    for _ in 0..20_000 {
        let app = 14 + roll(&mut state, 60) as u32;
        calls.push(Call { at_us: roll(&mut state, 8 * HOUR_US), app, duration_us: 1_000 });
    }
    calls.sort();
    let noisy = Load { calls, ..quiet.clone() };
    let node = Node { idle_kib: Some(2 << 20), ..ANY };
    let window = Window { from_us: 4 * HOUR_US, until_us: 8 * HOUR_US };
    let rule = Rule { price_gb_s: 20.0, ..Rule::default() };
    let run = |load: &Load| load.run(Foresight::new(&MODEL, &load.apps, rule), node, window);
    let (alone, beside) = (run(&quiet), run(&noisy));
    assert!(beside.idle_kib_max <= 2 << 20);
    let cold = |score: &Score| score.apps[..8].iter().map(|app| app.cold).sum::<u64>();
    assert!(cold(&beside) <= cold(&alone) + 2, "{} instead of {}", cold(&beside), cold(&alone));
}

#[test]
fn a_call_that_goes_back_in_time_or_to_nobody_ends_the_replay() {
    let apps = [App::named("a")];
    let call = |at_us, app| Call { at_us, app, duration_us: 0 };
    let run = |calls: [Call; 2]| replay(&apps, calls, NoKeepAlive, ANY, Window { from_us: 0, until_us: 9 });
    assert_eq!(run([call(5, 0), call(4, 0)]), Err(ReplayError::OutOfOrder { index: 1, late_us: 1 }));
    assert_eq!(run([call(5, 0), call(6, 1)]), Err(ReplayError::NoApp { index: 1, app: 1, apps: 1 }));
}

#[test]
fn one_who_waits_with_a_starting_instance_is_slow_but_no_second_cold_start() {
    let app = App { start_us: 2 * SECOND_US, ..App::named("a") };
    let call = |at_us| Call { at_us, app: 0, duration_us: SECOND_US };
    let times = [0, 10 * SECOND_US, 11 * SECOND_US, 20 * SECOND_US];
    let window = Window { from_us: 0, until_us: 30 * SECOND_US };
    let score = replay(&[app], times.map(call), NoKeepAlive, ANY, window).unwrap();
    assert_eq!((score.calls(), score.cold(), score.apps[0].first_cold), (3, 2, 1));
    assert!(score.apps[0].slowdowns.p99() > 2.7, "{score:?}");
    assert_eq!(score.wasted_kib_us, 0);
}
