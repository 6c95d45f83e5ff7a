//! Policies against each other on one trace. In: counts of calls, how they become arrivals, what to sweep. Out: a curve of
//! cold starts and wasted memory per policy, and what is left of the waste and of the cold starts of others at the points of
//! their curves.
//! Refused: a trace whose past teaches nothing.
//!
//! The trees are grown on the first half of the trace, and all policies are scored on the second, with what they remember of
//! the first. Nothing is chosen by the second half: the price for each memory size, too, is the one that did best on the
//! first.

mod compare;
mod curves;
pub mod picture;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use compare::{Comparison, Point, compare};
pub use curves::{Entrant, Row, Trial, grown_until, mark_front, scored_from_us};

use crate::policy::{Foresight, Rule};
use crate::replay::{
    AlwaysWarm, Clairvoyant, Figures, FixedKeepAlive, GreedyDual, HybridHistogram, NoKeepAlive, Node, Policy,
    ReplayError, Window, replay,
};
use crate::timing::{GrowError, GrowOptions, TimingModel, Tutor};
use crate::trace::{Counts, Expansion, MINUTE_US, SECOND_US};

/// Lessons of one kind at most.
const LESSONS_MAX: usize = 400_000;
/// Instances of the oracle are ready this much ahead of a call, or by the start time if that is longer.
const ORACLE_LEAD_US: u64 = SECOND_US;

/// Why a contest cannot be held.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContestError {
    /// The past teaches nothing.
    #[error("nothing can be learned from the first part of the trace; take a longer one")]
    Grow(#[from] GrowError),
    /// The trace cannot be replayed.
    #[error("the trace cannot be replayed")]
    Replay(#[from] ReplayError),
}

/// What is swept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// How counts become arrivals.
    pub expansion: Expansion,
    /// Ranges of the hybrid histogram, in minutes.
    pub ranges_min: Vec<usize>,
    /// Fixed keep-alive, in minutes.
    pub keeps_min: Vec<u64>,
    /// Node memory, as shares of the memory of all applications.
    pub memory_shares: Vec<f64>,
    /// Prices of a cold start, in GB·s.
    pub prices_gb_s: Vec<f64>,
    /// How the trees are grown.
    pub grow: GrowOptions,
    /// Seed of the trees.
    pub seed: u64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            expansion: Expansion::Uniform { seed: 1 },
            ranges_min: vec![5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240],
            keeps_min: vec![1, 2, 5, 10, 20, 30, 60, 120, 240],
            memory_shares: vec![0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8],
            prices_gb_s: (0..32).map(|step| 8.0 * 1.3_f64.powi(step)).collect(),
            grow: GrowOptions { trees: 20, ..GrowOptions::default() },
            seed: 1,
        }
    }
}

/// Cold shares at one memory size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtMemory {
    /// The node's memory, in GB.
    pub memory_gb: f64,
    /// Cold starts of greedy-dual, in percent.
    pub greedy_dual_cold_percent: f64,
    /// Cold starts of the policy that follows forecasts, in percent.
    pub cold_percent: f64,
    /// The price that did best on the first half, in GB·s.
    pub price_gb_s: f64,
}

/// The outcome on one trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// Its name.
    pub name: String,
    /// All curves.
    pub curve: Vec<Point>,
    /// Cold starts with so much memory.
    pub at_memory: Vec<AtMemory>,
    /// The curves compared.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Largest share of greedy-dual's cold starts that is left at any memory size.
    pub cold_over_gd_at_equal_memory_worst: f64,
    /// Trees and leaves.
    pub trees: (usize, usize),
    /// Lessons of coming minutes, and of the rest of minutes.
    pub lessons: (usize, usize),
}

struct Ring<'a> {
    counts: &'a Counts,
    expansion: Expansion,
    window: Window,
    told: &'a mut dyn FnMut(&str),
}

impl Ring<'_> {
    fn run(&self, policy: impl Policy, node: Node, window: Window) -> Result<Figures, ReplayError> {
        let until_us = window.until_us;
        let calls = self.counts.expand(self.expansion).take_while(|call| call.at_us < until_us);
        Ok(replay(self.counts.apps(), calls, policy, node, window)?.figures())
    }

    fn point(&mut self, name: &str, parameter: f64, policy: impl Policy) -> Result<Point, ReplayError> {
        let figures = self.run(policy, Node::default(), self.window)?;
        (self.told)(&format!("{name} {parameter:.0}: {:.4} % cold", figures.cold_percent));
        Ok(Point { policy: name.to_owned(), parameter, figures })
    }
}

/// Grows the trees on the first half of a trace and scores all policies on the second; `told` hears how far it is.
///
/// # Errors
/// See [`ContestError`].
pub fn contest(
    name: &str,
    counts: &Counts,
    sweep: &Sweep,
    told: &mut dyn FnMut(&str),
) -> Result<Contest, ContestError> {
    let (begin_us, end_us) = (counts.begin_us(), counts.end_us());
    let half_us = half_us(counts);
    let tutor = taught(counts, sweep.expansion, half_us);
    let lessons = (tutor.minutes().len(), tutor.rests().len());
    told(&format!("{name}: growing trees on {} and {} lessons", lessons.0, lessons.1));
    let model = TimingModel::grow(&tutor, &sweep.grow, sweep.seed)?;
    let window = Window { from_us: half_us, until_us: end_us };
    let mut ring = Ring { counts, expansion: sweep.expansion, window, told };
    let curve = curves(&mut ring, sweep, &model)?;
    let comparison = compare(&curve);
    let past = Window { from_us: begin_us, until_us: half_us };
    let at_memory = at_memory(&mut ring, sweep, &model, past)?;
    let left = |at: &AtMemory| at.cold_percent / at.greedy_dual_cold_percent.max(f64::MIN_POSITIVE);
    let worst = at_memory.iter().map(left).fold(0.0, f64::max);
    Ok(Contest {
        name: name.to_owned(),
        curve,
        at_memory,
        comparison,
        cold_over_gd_at_equal_memory_worst: worst,
        trees: model.size(),
        lessons,
    })
}

/// The trees that the first half of a trace gives.
///
/// # Errors
/// See [`ContestError`].
pub fn grown(counts: &Counts, sweep: &Sweep) -> Result<TimingModel, ContestError> {
    let tutor = taught(counts, sweep.expansion, half_us(counts));
    Ok(TimingModel::grow(&tutor, &sweep.grow, sweep.seed)?)
}

/// The whole minute in the middle of a trace.
fn half_us(counts: &Counts) -> u64 {
    let (begin_us, end_us) = (counts.begin_us(), counts.end_us());
    begin_us + (end_us - begin_us) / 2 / MINUTE_US * MINUTE_US
}

fn taught(counts: &Counts, expansion: Expansion, until_us: u64) -> Tutor {
    curves::taught(counts.apps(), counts.expand(expansion), until_us)
}

fn curves(ring: &mut Ring, sweep: &Sweep, model: &TimingModel) -> Result<Vec<Point>, ReplayError> {
    let counts = ring.counts;
    let apps = counts.apps();
    let mut curve = vec![ring.point("none", 0.0, NoKeepAlive)?, ring.point("warm", 0.0, AlwaysWarm)?];
    for minutes in &sweep.keeps_min {
        let policy = FixedKeepAlive { keep_us: minutes * MINUTE_US };
        curve.push(ring.point("fixed", *minutes as f64, policy)?);
    }
    for minutes in &sweep.ranges_min {
        curve.push(ring.point("hybrid", *minutes as f64, HybridHistogram::new(apps.len(), *minutes))?);
    }
    let calls = counts.expand(sweep.expansion);
    curve.push(ring.point("oracle", 0.0, Clairvoyant::new(apps, calls, ORACLE_LEAD_US, f64::INFINITY))?);
    for price_gb_s in sweep.prices_gb_s.iter().copied() {
        let rule = Rule { price_gb_s, ..Rule::default() };
        curve.push(ring.point("weft", price_gb_s, Foresight::new(model, apps, rule))?);
    }
    Ok(curve)
}

/// Both policies that can do with a given memory, at each size of it.
fn at_memory(
    ring: &mut Ring,
    sweep: &Sweep,
    model: &TimingModel,
    past: Window,
) -> Result<Vec<AtMemory>, ReplayError> {
    let apps = ring.counts.apps();
    let all_kib: u64 = apps.iter().map(|app| app.memory_kib).sum();
    let mut rows = Vec::new();
    for share in &sweep.memory_shares {
        let memory_kib = (all_kib as f64 * share) as u64;
        let node = Node { memory_kib: Some(memory_kib), idle_kib: None };
        let weft = |price_gb_s| Foresight::new(model, apps, Rule { price_gb_s, ..Rule::default() });
        // Every fourth price tells enough.
        let mut best = (f64::INFINITY, 0.0);
        for price_gb_s in sweep.prices_gb_s.iter().copied().skip(4).step_by(4) {
            let cold = ring.run(weft(price_gb_s), node, past)?.cold_percent;
            if cold < best.0 {
                best = (cold, price_gb_s);
            }
        }
        let dual = ring.run(GreedyDual::new(apps), node, ring.window)?.cold_percent;
        let ours = ring.run(weft(best.1), node, ring.window)?.cold_percent;
        (ring.told)(&format!("memory {share}: {ours:.4} % cold, greedy-dual {dual:.4} %"));
        rows.push(AtMemory {
            memory_gb: memory_kib as f64 / f64::from(1 << 20),
            greedy_dual_cold_percent: dual,
            cold_percent: ours,
            price_gb_s: best.1,
        });
    }
    Ok(rows)
}
