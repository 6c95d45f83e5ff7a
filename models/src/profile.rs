//! What uploaded code will need, before anyone has run it, and better once it has. In: what the source says, earlier
//! runs, a model. Out: a profile with intervals for cores, memory, storage and network, the reason in words and a
//! confidence. Nothing is refused: code that could not be read and runs that cannot be true give a wide, unsure forecast.
//!
//! ```text
//! Analysis ─facts─► CodeFacts ─┐
//!      measured Run ─► history ┴─features─► row ─tree─► leaves ─► Forecast
//! recorded Example ─sizing─► Sizing
//! ```
//!
//! Memory is forecast as what the runtime and the libraries weigh, which a table knows, and what the code itself
//! works with, which a tree knows from the runs of other functions. Once there are runs, the limits follow those.

mod facts;
mod features;
mod history;
mod libraries;
pub mod rungs;
mod sizing;
mod tree;
mod walk;
mod words;

use serde::{Deserialize, Serialize};

pub use facts::{CodeFacts, DEPTH_MAX, Effects, MemoryBounds};
pub use history::{Ended, HOLD_MS, MemoryLimit, RUNS_MAX, Run, Usage, after_out_of_memory, follow};
pub use libraries::{Kind as LibraryKind, Runtime, Weight};
pub use sizing::{Example, Sizing, SizingCard, SizingError};

use features::row;
use rungs::{CPU_MILLI, MEMORY_MIB};
use tree::{Node, Tree};

/// Leaves with fewer functions are thin: what they say is rounded up one rung.
const FUNCTIONS_OF_A_FULL_LEAF: u32 = 4;
/// From so many runs on, what they were is known better than a tree tells it.
const RUNS_TO_KNOW: usize = 3;
/// Below this confidence no profile is named after a kind.
const SURE: f32 = 0.35;

/// An interval of a need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// What it takes ordinarily.
    pub low: f32,
    /// What to plan with.
    pub target: f32,
    /// What to limit it to.
    pub high: f32,
}

/// What code is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Waits for networks.
    NetworkBound,
    /// Waits for, or keeps busy, storage.
    IoBound,
    /// A little of everything.
    Balanced,
    /// Keeps a core busy.
    CpuIntensive,
    /// Fills memory.
    MemoryHeavy,
}

impl ProfileKind {
    /// All, in the order of the trees' classes: from waiting to working.
    pub const ALL: [Self; 5] =
        [Self::NetworkBound, Self::IoBound, Self::Balanced, Self::CpuIntensive, Self::MemoryHeavy];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkBound => "network-bound",
            Self::IoBound => "io-bound",
            Self::Balanced => "balanced",
            Self::CpuIntensive => "cpu-intensive",
            Self::MemoryHeavy => "memory-heavy",
        }
    }

    /// The most cores and MiB that one of its kind has, and the least MiB.
    fn bounds(self) -> (f32, f32, f32) {
        match self {
            Self::NetworkBound | Self::IoBound => (1.0, 512.0, 0.0),
            Self::Balanced => (1.0, 512.0, 0.0),
            Self::CpuIntensive => (4.0, 512.0, 0.0),
            Self::MemoryHeavy => (2.0, 8192.0, 256.0),
        }
    }
}

/// Storage that suits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageType {
    /// None but the image: nothing is read or written.
    None,
    /// Any disk.
    Standard,
    /// A fast local one.
    Ssd,
}

/// What some code will need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The profile's name: that of its kind, or its own, as `custom-2c-1024m`, where it fits none.
    pub name: String,
    /// The kind, where it fits one.
    pub kind: Option<ProfileKind>,
    /// Cores.
    pub vcpu: Interval,
    /// Memory in MiB.
    pub memory_mib: Interval,
    /// Which storage.
    pub storage: StorageType,
    /// To and from storage, MiB a second.
    pub storage_mib_per_s: Interval,
    /// To and from networks, Mbit a second.
    pub network_mbit_per_s: Interval,
    /// In `[0, 1]`: how far the model's examples agree, and how many they were.
    pub confidence: f32,
    /// Runs that it rests on.
    pub runs: usize,
    /// Why, a line each.
    pub reason: Vec<String>,
}

impl Forecast {
    /// The memory limit, in MiB.
    pub fn memory_limit_mib(&self) -> u32 {
        self.memory_mib.high as u32
    }

    /// The limit of cores, in thousandths.
    pub fn cpu_limit_milli(&self) -> u32 {
        rungs::up(&CPU_MILLI, self.vcpu.high * 1000.0)
    }
}

/// What code will need.
pub fn forecast(facts: &CodeFacts, runs: &[Run], model: &Sizing) -> Forecast {
    let usage = Usage::of(runs);
    let row = row(facts, usage.as_ref());
    let memory_mib = memory(facts, usage.as_ref(), leaf(&model.memory, &row));
    let rate = |tree: &Tree, seen: Option<Interval>| seen.unwrap_or_else(|| spread(leaf(tree, &row)));
    let vcpu = cores(facts, usage.as_ref(), leaf(&model.vcpu, &row));
    let storage_mib_per_s = rate(&model.storage, usage.map(|usage| usage.storage_mib_per_s));
    let network = rate(&model.network, usage.map(|usage| usage.network_mib_per_s));
    let kind_leaf = leaf(&model.kind, &row);
    let (class, share) = kind_leaf.likeliest();
    let seen = kind_leaf.functions as f32;
    let code_confidence = share * seen / (seen + 2.0);
    let known = usage.filter(|usage| usage.runs >= RUNS_TO_KNOW);
    let kind = match known {
        Some(usage) => ProfileKind::of_usage(&usage),
        None => ProfileKind::ALL[usize::from(class).min(ProfileKind::ALL.len() - 1)],
    };
    let runs = usage.map_or(0, |usage| usage.runs);
    let confidence = 1.0 - (1.0 - code_confidence) / (1.0 + runs as f32);
    let kind = fits(kind, vcpu, memory_mib, confidence).then_some(kind);
    let mut forecast = Forecast {
        name: kind.map_or_else(String::new, |kind| kind.name().to_owned()),
        kind,
        vcpu,
        memory_mib,
        storage: storage_type(facts, storage_mib_per_s, usage.is_some()),
        storage_mib_per_s,
        network_mbit_per_s: scaled(network, 8.388_608),
        confidence,
        runs,
        reason: words::reason(facts, usage.as_ref(), model, &row),
    };
    if kind.is_none() {
        forecast.name = custom_name(&forecast);
    }
    forecast
}

/// Changes when a feature or a step is renamed, moved, added or dropped.
pub(crate) fn mark() -> u32 {
    let steps = format!("{MEMORY_MIB:?}{CPU_MILLI:?}{:?}", sizing::RATES);
    crc32fast::hash((features::NAMES.join("\n") + &steps).as_bytes())
}

fn leaf<'t>(tree: &'t Tree, row: &features::Row) -> &'t Node {
    tree.path(row).last().expect("a tree is only made or read with a root")
}

/// The lower part, most and nearly all of what a leaf has seen. A higher share holds few more of the
/// functions that are left out, and costs slack.
fn spread(leaf: &Node) -> Interval {
    Interval { low: leaf.quantile(0.25), target: leaf.quantile(0.6), high: leaf.quantile(0.85) }
}

fn scaled(one: Interval, by: f32) -> Interval {
    Interval { low: one.low * by, target: one.target * by, high: one.high * by }
}

/// Memory by the code, or by runs where there are some. The limit stays within the steps.
fn memory(facts: &CodeFacts, usage: Option<&Usage>, leaf: &Node) -> Interval {
    if let Some(usage) = usage {
        let seen = usage.memory_limits();
        // What runs took is no multiple of a step, and rounding to one would waste what was measured.
        let high = (seen.high / 4.0).ceil() * 4.0;
        return below(seen, high.clamp(MEMORY_MIB[0] as f32, MEMORY_MIB[MEMORY_MIB.len() - 1] as f32));
    }
    let base = facts.base_mib();
    let work = spread(leaf);
    let (mut low, mut target, mut high) = (base + work.low, base + work.target, base + work.high);
    if let Some(bounds) = facts.memory {
        let least = base + bounds.low_mib;
        let most = bounds.high_mib.map_or(f32::MAX, |most| (base + most).max(least));
        [low, target, high] = [low, target, high].map(|mib| mib.clamp(least, most));
    }
    let mut limit = rungs::up(&MEMORY_MIB, high);
    if leaf.functions < FUNCTIONS_OF_A_FULL_LEAF {
        limit = rungs::above(&MEMORY_MIB, limit);
    }
    below(Interval { low, target, high }, limit as f32)
}

/// An interval with another upper end, in order.
fn below(one: Interval, high: f32) -> Interval {
    let target = one.target.min(high);
    Interval { low: one.low.min(target), target, high }
}

/// Cores by the code, or by runs where there are some.
fn cores(facts: &CodeFacts, usage: Option<&Usage>, leaf: &Node) -> Interval {
    let seen = usage.map_or_else(|| spread(leaf), |usage| usage.vcpu);
    // One thread keeps at most one core busy, however its examples worked.
    let most = if usage.is_none() && facts.threads + facts.effects.process == 0 { 1.0 } else { f32::MAX };
    let high = rungs::up(&CPU_MILLI, (seen.high * 1.1).min(most) * 1000.0) as f32 / 1000.0;
    below(seen, high)
}

fn storage_type(facts: &CodeFacts, rate: Interval, has_run: bool) -> StorageType {
    let touches = facts.effects.file > 0 || facts.runtime.is_none();
    if has_run && rate.high < 0.01 || !has_run && !touches {
        StorageType::None
    } else if rate.target >= 32.0 || facts.effects_in_loops.file > 1 {
        StorageType::Ssd
    } else {
        StorageType::Standard
    }
}

fn fits(kind: ProfileKind, vcpu: Interval, memory: Interval, confidence: f32) -> bool {
    let (cores_max, mib_max, mib_min) = kind.bounds();
    let within = vcpu.target <= cores_max && memory.target <= mib_max && memory.high >= mib_min;
    within && confidence >= SURE
}

fn custom_name(forecast: &Forecast) -> String {
    let cores = forecast.cpu_limit_milli();
    let cores = if cores.is_multiple_of(1000) { format!("{}c", cores / 1000) } else { format!("{cores}mc") };
    format!("custom-{cores}-{}m", forecast.memory_limit_mib())
}
