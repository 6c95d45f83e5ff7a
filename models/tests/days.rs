//! Calls that come by the day and by the week, on a virtual clock.

#![expect(clippy::unwrap_used, reason = "what helps tests ends them, too")]

use weft_models::policy::{Foresight, Rule};
use weft_models::replay::{Met, Node, Policy, Window, replay};
use weft_models::seed;
use weft_models::timing::{Kind, Label, Outlook, Rhythm, TimingModel};
use weft_models::trace::{App, Call, MINUTE_US, SECOND_US, Trigger};

const DAY_US: u64 = 24 * 60 * MINUTE_US;

fn roll(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// A time on a day, from midnight on.
fn at(day: u64, hour: u64, minute: u64) -> u64 {
    day * DAY_US + (hour * 60 + minute) * MINUTE_US
}

/// Passes all to another policy, and remembers how calls were met.
struct Watched<'a, P> {
    policy: P,
    met: &'a mut Vec<Met>,
}

impl<P: Policy> Policy for Watched<'_, P> {
    fn called(&mut self, app: u32, now_us: u64, met: Met) {
        self.met.push(met);
        self.policy.called(app, now_us, met);
    }

    fn decide(&mut self, idle: &weft_models::replay::Idle) -> weft_models::replay::Decision {
        self.policy.decide(idle)
    }
}

/// How each call was met under weft's policy with the shipped trees, and the memory that stood idle, in GB·s.
fn met(calls_us: &[u64]) -> (Vec<Met>, f64) {
    let model = seed::timing();
    let apps = [App { start_us: 2 * SECOND_US, ..App::named("a") }];
    let mut met = Vec::new();
    let policy = Watched { policy: Foresight::new(&model, &apps, Rule::default()), met: &mut met };
    let calls = calls_us.iter().map(|at_us| Call { at_us: *at_us, app: 0, duration_us: SECOND_US });
    let window = Window { from_us: 0, until_us: calls_us.last().unwrap() + MINUTE_US };
    let score = replay(&apps, calls, policy, Node::default(), window).unwrap();
    (met, score.wasted_gb_s())
}

#[test]
fn what_comes_once_a_day_is_foreseen_from_the_fourth_day_on() {
    for (seed, hour, minute) in [(1, 3, 17), (2, 0, 0), (3, 23, 59), (4, 12, 30)] {
        let mut state = seed;
        let calls: Vec<u64> =
            (20_000..20_021).map(|day| at(day, hour, minute) + roll(&mut state, 20 * SECOND_US)).collect();
        let (met, wasted) = met(&calls);
        let cold = met.iter().rposition(|met| *met == Met::Cold).unwrap();
        assert!(cold <= 2, "at {hour}:{minute} the call of day {cold} was cold: {met:?}");
        // Plain keep-alive of ten minutes stands for that after each call, and starts cold at each.
        let price_gb_s = Rule::default().price_gb_s;
        let kept = 20.0 * (600.0 * 0.125 + price_gb_s);
        let ours = wasted + price_gb_s * (cold + 1) as f64;
        assert!(ours < 0.5 * kept, "{ours} GB·s, {kept} for plain keep-alive, at {hour}:{minute}");
    }
}

#[test]
fn several_times_of_the_day_are_foreseen_beside_each_other() {
    let mut state = 5;
    let times = [(2, 0), (6, 30), (13, 5), (21, 45)];
    let mut calls: Vec<u64> = (0..12)
        .flat_map(|day| times.map(|(hour, minute)| at(day, hour, minute)))
        .map(|at_us| at_us + roll(&mut state, 20 * SECOND_US))
        .collect();
    calls.sort_unstable();
    let (met, _) = met(&calls);
    let cold = met[4 * 3..].iter().filter(|met| **met == Met::Cold).count();
    assert!(cold <= 1, "{met:?}");
}

/// A rhythm of these calls.
fn rhythm(calls_us: &[u64]) -> Rhythm {
    let mut rhythm = Rhythm::new(calls_us[0]);
    for call_us in &calls_us[1..] {
        rhythm.called(*call_us);
    }
    rhythm
}

/// The chance of a call within three minutes before and after a time, of that none has come since the rhythm's last.
fn chance(model: &TimingModel, rhythm: &Rhythm, at_us: u64) -> f32 {
    let minute = at_us / MINUTE_US;
    let mut outlook = Outlook::default();
    let minutes = (minute - 3)..=(minute + 3);
    1.0 - minutes.map(|minute| 1.0 - outlook.minute(model, rhythm, Trigger::Unknown, minute)).product::<f32>()
}

#[test]
fn a_day_of_the_week_is_told_from_the_others() {
    let model = seed::timing();
    // Five days of seven, for four weeks.
    let calls: Vec<u64> = (0..26).filter(|day| day % 7 < 5).map(|day| at(day, 9, 0)).collect();
    let rhythm = rhythm(&calls);
    let [saturday, sunday, monday] = [26, 27, 28].map(|day| chance(&model, &rhythm, at(day, 9, 0)));
    assert!(monday > 0.7, "{monday}");
    assert!(saturday < 0.45 && sunday < 0.45, "{saturday} and {sunday}");
    let elsewhere = chance(&model, &rhythm, at(28, 10, 0));
    assert!(elsewhere < 0.3, "{elsewhere}");
}

#[test]
fn once_a_week_is_foreseen_in_the_third_week() {
    let model = seed::timing();
    let weekly: Vec<u64> = (0..2).map(|week| at(week * 7, 9, 0)).collect();
    let rhythm = rhythm(&weekly);
    let (then, before) = (chance(&model, &rhythm, at(14, 9, 0)), chance(&model, &rhythm, at(13, 9, 0)));
    assert!(then > before + 0.3, "{then} and {before} the day before");
}

#[test]
fn what_no_longer_comes_is_forgotten() {
    let model = seed::timing();
    let mut calls: Vec<u64> = (0..10).map(|day| at(day, 3, 17)).collect();
    let still = chance(&model, &rhythm(&calls), at(10, 3, 17));
    // It goes on being called at another time.
    calls.extend((10..24).map(|day| at(day, 15, 0)));
    let [old, new] =
        [(3, 17), (15, 0)].map(|(hour, minute)| chance(&model, &rhythm(&calls), at(24, hour, minute)));
    assert!(still > 0.7 && new > 0.7, "{still} and {new}");
    assert!(old < 0.3, "{old}");
}

#[test]
fn times_of_the_day_make_a_timer_of_a_day() {
    let label = |calls: &[u64]| Label::of(&rhythm(calls));
    let once: Vec<u64> = (0..6).map(|day| at(day, 3, 17)).collect();
    let mut twice: Vec<u64> = (0..6).flat_map(|day| [at(day, 9, 0), at(day, 17, 30)]).collect();
    for calls in [&once, &twice] {
        let found = label(calls);
        assert_eq!((found.kind, found.words().as_str()), (Kind::Timer, "timer 24 h"), "{found:?}");
        assert!(found.kept > 0.99, "{found:?}");
    }
    let mut state = 3;
    twice.extend((0..40).map(|_| roll(&mut state, 6 * DAY_US)));
    twice.sort_unstable();
    let drowned = label(&twice);
    assert_ne!(drowned.kind, Kind::Timer, "{drowned:?}");
}
