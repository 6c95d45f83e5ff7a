//! Chosen policies on one trace. In: a trace of any format, which policies at which parameters, the node. Out: a row of
//! figures for each of them, and which rows no other beats.
//! Refused: a past that teaches nothing, where trees are to be grown.

use serde::{Deserialize, Serialize};

use super::{ContestError, LESSONS_MAX, ORACLE_LEAD_US, Point};
use crate::policy::{Foresight, Rule};
use crate::replay::{
    AlwaysWarm, Clairvoyant, FixedKeepAlive, GreedyDual, HybridHistogram, NoKeepAlive, Node, Policy,
    ReplayError, Score, Window, replay,
};
use crate::timing::{GrowOptions, TimingModel, Tutor};
use crate::trace::{App, Call, MINUTE_US, Trace};

/// After so many calls it is told how far a replay is.
const TOLD_EVERY: u64 = 1 << 14;

/// A policy with its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entrant {
    /// Gone as soon as it is idle.
    None,
    /// Stays for so many minutes.
    Fixed(u64),
    /// The hybrid histogram over so many minutes.
    Hybrid(usize),
    /// Greedy-dual on a node of so much memory, in GB; 0: that of the replay.
    Dual(f64),
    /// All stand at all times.
    Warm,
    /// Knows every call.
    Oracle,
    /// Follows forecasts; a cold start costs so many GB·s.
    Weft(f64),
}

impl Entrant {
    /// How the policy is named.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fixed(_) => "fixed",
            Self::Hybrid(_) => "hybrid",
            Self::Dual(_) => "dual",
            Self::Warm => "warm",
            Self::Oracle => "oracle",
            Self::Weft(_) => "weft",
        }
    }

    /// Its parameter, else 0.
    pub fn parameter(self) -> f64 {
        match self {
            Self::Fixed(minutes) => minutes as f64,
            Self::Hybrid(minutes) => minutes as f64,
            Self::Dual(gigabytes) => gigabytes,
            Self::Weft(price_gb_s) => price_gb_s,
            Self::None | Self::Warm | Self::Oracle => 0.0,
        }
    }
}

/// What came of one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Policy, parameter and figures.
    #[serde(flatten)]
    pub point: Point,
    /// Scored calls but first ones.
    pub calls: u64,
    /// Instances made ahead of demand that went without having served.
    pub churn_unused: u64,
    /// Instances that gave way because memory was short.
    pub evictions: u64,
    /// Calls for which there was no memory.
    pub dropped: u64,
    /// Most memory in use and idle at once, in GB.
    pub memory_gb_max: f64,
    /// Whether no other policy but those that know the future has fewer cold starts at no more waste, or less waste at
    /// no more cold starts.
    pub pareto: bool,
}

/// A trace, and how policies are tried on it.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// The node.
    pub node: Node,
    /// What is scored.
    pub window: Window,
    /// The trees that forecasts come from, where they are followed.
    pub model: Option<&'a TimingModel>,
}

/// The minute that ends the first part of a trace: `share` of its time.
pub fn scored_from_us(trace: &Trace, share: f64) -> u64 {
    let (begin_us, end_us) = (trace.begin_us(), trace.end_us());
    let first_us = ((end_us - begin_us) as f64 * share.clamp(0.0, 1.0)) as u64;
    begin_us + first_us / MINUTE_US * MINUTE_US
}

/// The trees that a trace gives up to a time.
///
/// # Errors
/// See [`ContestError`].
pub fn grown_until(
    trace: &Trace,
    until_us: u64,
    options: &GrowOptions,
    seed: u64,
) -> Result<TimingModel, ContestError> {
    let tutor = taught(trace.apps(), trace.calls(), until_us);
    Ok(TimingModel::grow(&tutor, options, seed)?)
}

/// The lessons of the calls up to a time.
pub(super) fn taught(apps: &[App], calls: impl Iterator<Item = Call>, until_us: u64) -> Tutor {
    let mut tutor = Tutor::new(LESSONS_MAX, apps.len());
    for call in calls.take_while(|call| call.at_us < until_us) {
        tutor.called(call.app, apps[call.app as usize].trigger, call.at_us);
    }
    tutor.finish(until_us);
    tutor
}

impl Trial<'_> {
    /// Replays the trace under one policy; `told` hears after how many calls it is. A policy that follows forecasts is
    /// `None` where there are no trees.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn run(&self, entrant: Entrant, told: &mut dyn FnMut(u64)) -> Result<Option<Row>, ReplayError> {
        let apps = self.trace.apps();
        let policy: Box<dyn Policy + '_> = match entrant {
            Entrant::None => Box::new(NoKeepAlive),
            Entrant::Fixed(minutes) => {
                Box::new(FixedKeepAlive { keep_us: minutes.saturating_mul(MINUTE_US) })
            }
            Entrant::Hybrid(minutes) => Box::new(HybridHistogram::new(apps.len(), minutes)),
            Entrant::Dual(_) => Box::new(GreedyDual::new(apps)),
            Entrant::Warm => Box::new(AlwaysWarm),
            Entrant::Oracle => {
                Box::new(Clairvoyant::new(apps, self.trace.calls(), ORACLE_LEAD_US, f64::INFINITY))
            }
            Entrant::Weft(price_gb_s) => {
                let Some(model) = self.model else { return Ok(None) };
                Box::new(Foresight::new(model, apps, Rule { price_gb_s, ..Rule::default() }))
            }
        };
        let node = match entrant {
            Entrant::Dual(gigabytes) if gigabytes > 0.0 => {
                Node { memory_kib: Some((gigabytes * f64::from(1 << 20)) as u64), ..self.node }
            }
            _ => self.node,
        };
        let mut count = 0;
        let calls = self.trace.calls().inspect(|_| {
            count += 1;
            if u64::is_multiple_of(count, TOLD_EVERY) {
                told(count);
            }
        });
        let score = replay(apps, calls, policy, node, self.window)?;
        Ok(Some(row(entrant, &score)))
    }
}

fn row(entrant: Entrant, score: &Score) -> Row {
    let (policy, parameter) = (entrant.name().to_owned(), entrant.parameter());
    Row {
        point: Point { policy, parameter, figures: score.figures() },
        calls: score.calls(),
        churn_unused: score.prewarms_unused,
        evictions: score.evictions,
        dropped: score.dropped,
        memory_gb_max: score.memory_kib_max as f64 / f64::from(1 << 20),
        pareto: false,
    }
}

/// Marks the rows that no other beats. Who knows the future is not counted.
pub fn mark_front(rows: &mut [Row]) {
    let places: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| match row.point.policy.as_str() {
            "oracle" => (f64::INFINITY, f64::INFINITY),
            _ => (row.point.figures.cold_percent, row.point.figures.wasted_gb_s),
        })
        .collect();
    for (row, (cold, waste)) in rows.iter_mut().zip(&places) {
        let better = |(a, b): &(f64, f64)| a <= cold && b <= waste && (a < cold || b < waste);
        row.pareto = cold.is_finite() && !places.iter().any(better);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Figures;

    fn row(policy: &str, cold_percent: f64, wasted_gb_s: f64) -> Row {
        let figures = Figures { cold_percent, wasted_gb_s, ..Figures::default() };
        let row = super::row(Entrant::None, &Score::default());
        Row { point: Point { policy: policy.to_owned(), parameter: 0.0, figures }, ..row }
    }

    #[test]
    fn the_front_is_what_nobody_beats_and_the_oracle_stands_outside() {
        let mut rows = [
            row("none", 90.0, 0.0),
            row("fixed", 5.0, 10.0),
            row("fixed", 5.0, 11.0),
            row("hybrid", 4.0, 10.0),
            row("warm", 0.0, 99.0),
            row("oracle", 0.0, 1.0),
        ];
        mark_front(&mut rows);
        assert_eq!(rows.map(|row| row.pareto), [true, false, false, true, true, false]);
    }
}
