//! The model of what code needs. In: examples, each some runs of one function. Out: [`Sizing`], five trees, and its card.
//! Refused: too few functions, examples without runs. The same examples give the same model.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::facts::CodeFacts;
use super::features::row;
use super::history::{Run, Usage};
use super::rungs::{self, CPU_MILLI, MEMORY_MIB};
use super::tree::{Growing, Lesson, Tree};
use super::{Interval, ProfileKind};

/// MiB a second, for storage and networks.
pub(super) const RATES: [u32; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// Fewer functions teach nothing.
const FUNCTIONS_MIN: usize = 6;
/// Memory from which a function is heavy.
const HEAVY_MIB: f32 = 256.0;
const GROWING: Growing = Growing { depth_max: 2, functions_min: 3 };

/// Why there is no model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SizingError {
    /// Not enough to learn from.
    #[error("{functions} functions are too few to train on, {FUNCTIONS_MIN} are needed; measure more")]
    TooFew {
        /// Functions given.
        functions: usize,
    },
    /// An example with nothing in it.
    #[error("{function}: an example without a run of a measured length and memory; measure it again")]
    NoRuns {
        /// Whose example.
        function: String,
    },
    /// The tree learner refused.
    #[error("the tree learner failed")]
    Learner(#[from] linfa::Error),
}

/// Runs of one function with inputs of one size.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its name; examples of one name count as one function.
    pub function: String,
    /// What its source says.
    pub facts: CodeFacts,
    /// What was measured.
    pub runs: Vec<Run>,
}

/// Trees that say what code needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// MiB beyond what the runtime and the libraries weigh.
    pub(super) memory: Tree,
    /// Cores.
    pub(super) vcpu: Tree,
    /// MiB a second.
    pub(super) storage: Tree,
    /// MiB a second.
    pub(super) network: Tree,
    /// Which profile.
    pub(super) kind: Tree,
    card: SizingCard,
}

/// What a model is, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizingCard {
    /// Functions it was trained on.
    pub functions: usize,
    /// Examples of them.
    pub examples: usize,
    /// Runs in those.
    pub runs: usize,
    /// Leaves of the tree for memory.
    pub memory_leaves: usize,
}

impl Sizing {
    /// Learns from examples.
    ///
    /// # Errors
    /// See [`SizingError`].
    pub fn train(examples: &[Example]) -> Result<Self, SizingError> {
        let mut names: Vec<&str> = examples.iter().map(|example| example.function.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < FUNCTIONS_MIN {
            return Err(SizingError::TooFew { functions: names.len() });
        }
        let mut seen = Vec::with_capacity(examples.len());
        for example in examples {
            let usage = Usage::of(&example.runs);
            let usage = usage.ok_or_else(|| SizingError::NoRuns { function: example.function.clone() })?;
            let function = names.partition_point(|name| *name < example.function.as_str()) as u32;
            seen.push((example, usage, function));
        }
        let grow = |class: &dyn Fn(f32) -> usize, value: &dyn Fn(&CodeFacts, &Usage) -> f32| {
            let lessons = seen.iter().flat_map(|(example, usage, function)| {
                let value = value(&example.facts, usage);
                let class = class(value) as u8;
                // Each twice: as it is before the first run, and with its runs known.
                [None, Some(usage)].map(|known| Lesson {
                    row: row(&example.facts, known),
                    function: *function,
                    class,
                    value,
                })
            });
            Tree::grow(&lessons.collect::<Vec<_>>(), GROWING)
        };
        let rate = |value: f32| rungs::rung(&RATES, value);
        let memory = grow(&|mib| rungs::rung(&MEMORY_MIB, mib), &working_mib)?;
        let card = SizingCard {
            functions: names.len(),
            examples: examples.len(),
            runs: examples.iter().map(|example| example.runs.len()).sum(),
            memory_leaves: memory.leaves(),
        };
        Ok(Self {
            memory,
            vcpu: grow(&|cores| rungs::rung(&CPU_MILLI, cores * 1000.0), &|_, usage| usage.vcpu.target)?,
            storage: grow(&rate, &|_, usage| usage.storage_mib_per_s.target)?,
            network: grow(&rate, &|_, usage| usage.network_mib_per_s.target)?,
            kind: grow(&|kind| kind as usize, &|_, usage| f32::from(ProfileKind::of_usage(usage) as u8))?,
            card,
        })
    }

    /// What the model is, in numbers.
    pub fn card(&self) -> &SizingCard {
        &self.card
    }

    /// The model that comes with weft, trained on runs of the functions in `models/seed/functions`.
    pub fn shipped() -> Self {
        const BYTES: &[u8] = include_bytes!("../../seed/sizing.weft");
        Self::from_bytes(BYTES).expect("a test reads the very bytes that are built in")
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.memory.is_sound(MEMORY_MIB.len())
            && self.vcpu.is_sound(CPU_MILLI.len())
            && self.storage.is_sound(RATES.len())
            && self.network.is_sound(RATES.len())
            && self.kind.is_sound(ProfileKind::ALL.len())
    }
}

/// Peak memory beyond what is there before anything is done.
fn working_mib(facts: &CodeFacts, usage: &Usage) -> f32 {
    let Interval { high, .. } = usage.memory_mib;
    (high - facts.base_mib()).max(0.0)
}

impl ProfileKind {
    /// The profile of what was measured: who fills memory is heavy on it, who waits is bound by what it waits for, who
    /// keeps a core busy is intensive on it.
    pub fn of_usage(usage: &Usage) -> Self {
        let (storage, network) = (usage.storage_mib_per_s.target, usage.network_mib_per_s.target);
        if usage.memory_mib.target >= HEAVY_MIB {
            Self::MemoryHeavy
        } else if usage.vcpu.target < 0.6 && network.max(storage) > 0.1 {
            if network >= storage { Self::NetworkBound } else { Self::IoBound }
        } else if storage >= 32.0 {
            Self::IoBound
        } else if network >= 32.0 {
            Self::NetworkBound
        } else if usage.vcpu.target >= 0.8 {
            Self::CpuIntensive
        } else {
            Self::Balanced
        }
    }
}
