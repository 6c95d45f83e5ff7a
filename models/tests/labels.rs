//! What calls are like: clocks, bursts, streams, too few; on made segments, and beside what Azure says of its functions.

#![expect(clippy::unwrap_used, reason = "what helps tests ends them, too")]

mod common;

use std::io::BufRead;

use weft_models::timing::{Kind, Label, Rhythm};
use weft_models::trace::{MINUTE_US, SECOND_US};

fn roll(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// The time to the next of Poisson's arrivals, in µs.
fn wait(state: &mut u64, mean_us: u64) -> u64 {
    let share = (roll(state, 1 << 20) + 1) as f64 / f64::from(1 << 20);
    (-share.ln() * mean_us as f64) as u64
}

fn label(mut calls_us: Vec<u64>) -> Label {
    calls_us.sort_unstable();
    let mut calls = calls_us.into_iter();
    let mut rhythm = Rhythm::new(calls.next().unwrap());
    calls.for_each(|call_us| {
        rhythm.called(call_us);
    });
    Label::of(&rhythm)
}

fn poisson(state: &mut u64, mean_us: u64, until_us: u64) -> Vec<u64> {
    let times = std::iter::successors(Some(wait(state, mean_us)), |at| Some(at + wait(state, mean_us)));
    times.take_while(|at| *at < until_us).collect()
}

const HOURS_8: u64 = 480 * MINUTE_US;

#[test]
fn a_timer_is_told_by_its_period_whatever_its_jitter_and_phase() {
    for (seed, period_s) in [(1, 120), (2, 300), (3, 600), (4, 900), (5, 1_800), (6, 3_600)] {
        // Of two minutes each second one is active: a call that is late hides that.
        let jitters = if period_s == 120 { &[1][..] } else { &[1, 20, 45] };
        for jitter_s in jitters.iter().copied() {
            let mut state = seed * 100 + jitter_s;
            let phase_us = roll(&mut state, period_s * SECOND_US);
            let times = (0..HOURS_8 / (period_s * SECOND_US))
                .map(|time| time * period_s * SECOND_US + phase_us + roll(&mut state, jitter_s * SECOND_US));
            let found = label(times.collect());
            assert_eq!(found.kind, Kind::Timer, "{period_s} s, jitter {jitter_s}: {found:?}");
            assert_eq!(found.period_s, period_s as f32, "{found:?}");
            assert!(found.kept > 0.8, "{found:?}");
        }
    }
}

#[test]
fn a_timer_is_told_beside_the_calls_of_others() {
    let mut state = 3;
    let mut calls: Vec<u64> = (0..96).map(|time| time * 5 * MINUTE_US + 7 * SECOND_US).collect();
    calls.extend(poisson(&mut state, 12 * MINUTE_US, HOURS_8));
    let found = label(calls);
    assert_eq!((found.kind, found.period_s), (Kind::Timer, 300.0), "{found:?}");
    assert_eq!(found.words(), "timer 5 min");
}

#[test]
fn minutes_of_the_hour_are_a_period_of_an_hour() {
    let at = |hour: u64, minute: u64| (hour * 60 + minute) * MINUTE_US + SECOND_US;
    let found = label((0..8).flat_map(|hour| [at(hour, 0), at(hour, 10), at(hour, 25)]).collect());
    assert_eq!((found.kind, found.period_s), (Kind::Timer, 3_600.0), "{found:?}");
    assert!(found.kept > 0.99, "{found:?}");
}

#[test]
fn one_that_misses_a_time_now_and_then_is_a_timer_that_is_kept_less_surely() {
    let found = label((0..96).filter(|time| time % 8 != 3).map(|time| time * 5 * MINUTE_US).collect());
    assert_eq!((found.kind, found.period_s), (Kind::Timer, 300.0), "{found:?}");
    assert!((0.85..0.92).contains(&found.kept), "{found:?}");
}

#[test]
fn a_timer_that_drifts_and_one_that_is_slow_are_told_by_their_intervals() {
    let drifting = label((0..90).map(|time| time * 323 * SECOND_US).collect());
    assert_eq!(drifting.kind, Kind::Timer, "{drifting:?}");
    assert!((drifting.period_s - 323.0).abs() < 3.0, "{drifting:?}");
    let slow = label((0..6).map(|time| time * 360 * MINUTE_US).collect());
    assert_eq!((slow.kind, slow.words().as_str()), (Kind::Timer, "timer 6 h"), "{slow:?}");
}

#[test]
fn a_clock_of_seconds_is_a_timer_and_as_many_calls_at_random_are_not() {
    let clock = label((0..2_000).map(|time| time * 20 * SECOND_US).collect());
    assert_eq!((clock.kind, clock.words().as_str()), (Kind::Timer, "timer 20 s"), "{clock:?}");
    let uneven = label((0..400).map(|time| time * 70 * SECOND_US + roll(&mut 5, 20) * SECOND_US).collect());
    assert_eq!((uneven.kind, uneven.words().as_str()), (Kind::Timer, "timer 1 min"), "{uneven:?}");
    let load = label((0..60_000).map(|time| time * 100_000).collect());
    assert_eq!(load.kind, Kind::Steady, "{load:?}");
    for mean_ms in [50, 400, 1_000, 3_000, 20_000, 60_000] {
        let found = label(poisson(&mut 5, mean_ms * 1_000, HOURS_8));
        assert_eq!(found.kind, Kind::Steady, "{mean_ms} ms: {found:?}");
        assert!((0.8..1.2).contains(&found.dispersion), "{found:?}");
    }
}

#[test]
fn arrivals_at_random_are_steady_however_rare_and_have_dispersion_one() {
    let mut wrong = 0;
    for seed in 0..300_u64 {
        let mean_us = [2, 4, 7, 12, 20, 40][seed as usize % 6] * MINUTE_US;
        let found = label(poisson(&mut (seed + 9), mean_us, 2 * HOURS_8));
        wrong += usize::from(found.kind != Kind::Steady);
        assert!((0.6..1.4).contains(&found.dispersion), "{found:?}");
    }
    assert!(wrong <= 6, "{wrong} of 300");
}

/// Calls of `seconds` at a time, one each second or so, with silences of about an hour.
fn bursts(seconds: u64, state: &mut u64) -> Vec<u64> {
    let mut at_us = 0;
    let mut calls = Vec::new();
    for _ in 0..9 {
        at_us += wait(state, 50 * MINUTE_US) + 12 * MINUTE_US;
        let end_us = at_us + seconds * SECOND_US;
        while at_us < end_us {
            calls.push(at_us);
            at_us += wait(state, SECOND_US);
        }
    }
    calls
}

#[test]
fn many_calls_and_then_silence_are_bursts() {
    for (seed, seconds) in [(1, 10), (2, 60), (3, 200), (4, 400)] {
        let found = label(bursts(seconds, &mut (seed + 3)));
        assert_eq!(found.kind, Kind::Burst, "{seconds} s: {found:?}");
        assert!((seconds as f32 * 0.5..seconds as f32 * 1.6).contains(&found.burst_calls), "{found:?}");
        assert!(found.silence_minutes > 20.0, "{found:?}");
    }
}

#[test]
fn of_too_few_calls_nothing_is_said() {
    for calls in [vec![0], vec![0, 5 * MINUTE_US, 10 * MINUTE_US], vec![0; 9]] {
        let found = label(calls);
        assert_eq!((found.kind, found.words().as_str()), (Kind::Rare, "rare"), "{found:?}");
    }
    let scattered = label([3, 14, 90, 97, 200].map(|minute| minute * MINUTE_US).to_vec());
    assert_eq!(scattered.kind, Kind::Rare, "{scattered:?}");
}

/// The trigger of a function, as the trace names it, and its minutes with their calls.
type Function = (String, Vec<(u64, u64)>);

fn functions() -> Option<Vec<Function>> {
    let path = common::calls_folder()?.join("azure2019_500fn_8h_invocations.csv.zst");
    let mut lines = common::open(&path).lines().map(Result::unwrap);
    let header = lines.next().unwrap();
    let minutes: Vec<u64> = header.split(',').skip(4).map(|minute| minute.parse().unwrap()).collect();
    let row = |line: String| {
        let trigger = line.split(',').nth(3).unwrap().to_owned();
        let counts = line.split(',').skip(4).map(|count| count.parse().unwrap());
        let counts = minutes.iter().copied().zip(counts).filter(|(_, count)| *count > 0);
        (trigger, counts.collect())
    };
    Some(lines.map(row).collect())
}

#[test]
fn azures_timers_are_told_from_its_other_functions() {
    let Some(functions) = functions() else { return };
    let (mut all, mut told, mut sure) = (Tally::default(), Tally::default(), Tally::default());
    let mut state = 1;
    for (trigger, counts) in functions.iter().filter(|(_, counts)| !counts.is_empty()) {
        let calls = counts.iter().flat_map(|(minute, count)| {
            // Where in its minute each came is not told.
            (0..*count).map(|_| minute * MINUTE_US + roll(&mut state, MINUTE_US)).collect::<Vec<_>>()
        });
        let found = label(calls.collect());
        let is_timer = trigger == "timer";
        all.add(is_timer, found.kind == Kind::Timer);
        // Of one that was called once in the eight hours nothing can be told.
        if found.intervals >= 4 {
            told.add(is_timer, found.kind == Kind::Timer);
        }
        // Others on a schedule are no timers by name: what keeps its time as surely as a timer does is.
        if found.kind != Kind::Timer || is_timer || found.kept < 0.95 {
            sure.add(is_timer, found.kind == Kind::Timer);
        }
    }
    println!(
        "all functions: {all}; called five times or more: {told}; without clocks by another name: {sure}"
    );
    assert!(all.precision() > 0.7 && all.recall() > 0.8, "{all}");
    assert!(told.recall() > 0.98, "{told}");
    assert!(sure.precision() > 0.93, "{sure}");
}

/// How often a label is right.
#[derive(Default)]
struct Tally {
    right: u32,
    wrong: u32,
    missed: u32,
}

impl Tally {
    fn add(&mut self, is: bool, said: bool) {
        self.right += u32::from(is && said);
        self.wrong += u32::from(said && !is);
        self.missed += u32::from(is && !said);
    }

    fn precision(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.wrong)
    }

    fn recall(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.missed)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, into: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (right, wrong, missed) = (self.right, self.wrong, self.missed);
        let (precision, recall) = (self.precision(), self.recall());
        write!(
            into,
            "{right} right, {wrong} wrong, {missed} missed: precision {precision:.3}, recall {recall:.3}"
        )
    }
}
