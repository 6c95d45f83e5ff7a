//! What steps of forecasts are worth, on a clock of the tests' own. In: forecasts that keep their word, and ones that do not. Out: bars,
//! and what was acted upon. Refused: nothing.

use super::*;
use crate::dice::Dice;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const USER: u32 = 7;

/// A node whose instances stay for a minute.
fn steps() -> Steps<u32> {
    Steps::new(Rule::of_keep_alive(MINUTE))
}

/// An instance of 64 MiB that starts in a fifth of a second and is waited for for two.
fn stake(since_us: u64) -> Stake {
    let until_us = since_us + 2 * SECOND;
    let (made_us, start_us) = (since_us, SECOND / 5);
    Stake { gigabytes: 1.0 / 16.0, start_us, since_us, made_us, until_us, position: 1, stands: false }
}

/// Forecasts of `said`, of which `come` do, every ten minutes; the share of the last tenth that was acted upon.
fn play(steps: &mut Steps<u32>, rounds: u64, said: f64, come: f64) -> f64 {
    let mut dice = Dice::new(5);
    let mut acted = 0;
    for round in 0..rounds {
        let now_us = round * 10 * MINUTE;
        let stake = stake(now_us);
        let acts = said >= steps.weigh(0, &stake).bar;
        steps.follow(0, USER, said, stake, acts);
        acted += u64::from(acts && round >= rounds - rounds / 10);
        if (dice.below(1_000) as f64) < come * 1_000.0 {
            steps.called(0, USER, now_us + SECOND);
        }
        steps.pass(now_us + 5 * SECOND);
    }
    acted as f64 / (rounds / 10) as f64
}

#[test]
fn the_bar_is_where_hope_and_fear_are_equal() {
    let Weighed { bar, waste_gb_s, gain_gb_s } = steps().weigh(0, &stake(0));
    // Two seconds of its memory and a fifth of a core's second; a minute of its memory and that fifth of a second.
    assert!((waste_gb_s - (2.0 / 16.0 + 1.8)).abs() < 1e-9, "{waste_gb_s}");
    assert!((gain_gb_s - (60.0 / 16.0 + 1.8)).abs() < 1e-9, "{gain_gb_s}");
    assert!((bar * gain_gb_s - (1.0 - bar) * waste_gb_s).abs() < 1e-9, "{bar}");
}

#[test]
fn a_step_that_is_waited_for_longer_needs_more_confidence() {
    let bar = |seconds: u64| steps().weigh(0, &Stake { until_us: seconds * SECOND, ..stake(0) }).bar;
    assert!(bar(40) > bar(2) * 1.5, "{} {}", bar(40), bar(2));
}

#[test]
fn forecasts_that_keep_their_word_are_acted_upon_by_the_rule_as_it_stands() {
    let mut steps = steps();
    assert_eq!(play(&mut steps, 400, 0.6, 0.6), 1.0);
    assert_eq!(play(&mut self::steps(), 400, 0.1, 0.1), 0.0);
}

#[test]
fn of_forecasts_that_come_more_often_than_they_say_less_confidence_is_asked() {
    assert_eq!(play(&mut steps(), 400, 0.1, 0.9), 1.0);
}

#[test]
fn of_forecasts_that_come_less_often_than_they_say_more_confidence_is_asked() {
    assert_eq!(play(&mut steps(), 400, 0.35, 0.02), 0.0);
}

#[test]
fn whatever_a_liar_says_a_segment_loses_no_more_in_any_hour_than_was_promised() {
    let (mut steps, mut dice) = (steps(), Dice::new(3));
    let mut lost = VecDeque::new();
    let mut most = 0.0_f64;
    let promised = |weighed: &Weighed| LOST_MAX * weighed.gain_gb_s + 2.0 * weighed.waste_gb_s;
    for round in 0..20_000_u64 {
        let now_us = round * SECOND;
        steps.pass(now_us);
        let stake = stake(now_us);
        let weighed = steps.weigh(0, &stake);
        let said = dice.below(1_000) as f64 / 1_000.0;
        let acts = said >= weighed.bar;
        steps.follow(0, dice.below(1_000) as u32, said, stake, acts);
        if acts {
            lost.push_back((now_us, weighed.waste_gb_s));
        }
        while lost.front().is_some_and(|(at_us, _)| at_us + 60 * MINUTE < now_us) {
            lost.pop_front();
        }
        most = most.max(lost.iter().map(|(_, waste)| waste).sum());
        assert!(most <= promised(&weighed), "{most} GB·s within an hour");
    }
    assert!(most > 0.0, "it was believed at first");
}

#[test]
fn what_would_have_been_warm_anyway_teaches_nothing() {
    let mut steps = steps();
    for round in 0..200 {
        // A call every ten seconds: it never goes cold.
        let now_us = round * 10 * SECOND;
        steps.follow(0, USER, 0.1, stake(now_us), false);
        steps.called(0, USER, now_us + SECOND);
    }
    let arms: Vec<usize> = steps.tuner().in_charge().map(|(_, arm)| arm).collect();
    assert!(arms.iter().all(|arm| *arm == 2), "{arms:?}");
}

#[test]
fn what_is_followed_is_bounded() {
    let mut steps = steps();
    for user in 0..10_000 {
        steps.follow(0, user, 0.9, stake(0), true);
    }
    assert_eq!(steps.segments[0].followed.len(), FOLLOWED_MAX);
}
