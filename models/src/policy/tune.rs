//! Which price suits which class of segments. In: what each arm would have lost in each interval between two calls. Out: the
//! arm in charge of a class.
//!
//! An arm is the rule at a multiple of the price, or plain keep-alive. After each interval it is known for every arm, not only
//! for the one that was followed, whether its instance would have stood when the call came and how long it would have waited:
//! the forecasts do not depend on the arm. So this bandit is told the rewards of all arms of a context (an expert
//! problem with full information) and needs no exploration: no call pays for what it learns. It follows the arm with the least
//! discounted loss, as long as that is clearly less than that of the arm in charge. (For steps of forecasts the last arm acts upon none.)
//!
//! Source: Cesa-Bianchi and Lugosi, "Prediction, Learning, and Games", 2006, chapters 2 (experts) and 4 (follow the leader).

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::trace::Trigger;

/// Multiples of the price that are tried; the last arm is plain keep-alive.
pub const MULTIPLES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
/// Number of arms.
pub const ARMS: usize = MULTIPLES.len() + 1;
/// The arm of plain keep-alive.
pub const KEEP: usize = ARMS - 1;
/// The arm that is in charge at first.
pub(super) const PLAIN: usize = 2;
/// A loss counts for so many intervals.
const MEMORY: f64 = 2_000.0;
/// Another arm takes over when its loss is below this share of the loss of the one in charge...
const CLEARLY: f64 = 0.97;
/// ... and by at least the price of so many cold starts.
const CLEARLY_COLD: f64 = 4.0;
/// Classes remembered at most; beyond that all share one.
const CLASSES_MAX: usize = 256;

/// What is learned of together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Class {
    /// What starts its calls.
    pub trigger: Trigger,
    /// How surely it keeps to a period, or a step's place on its path: 0 to 2.
    pub regular: u8,
    /// How often it is called: 0 to 3.
    pub rate: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Standing {
    losses: [f64; ARMS],
    in_charge: usize,
}

impl Default for Standing {
    fn default() -> Self {
        Self { losses: [0.0; ARMS], in_charge: PLAIN }
    }
}

/// What was learned of all classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tuner {
    classes: FxHashMap<Class, Standing>,
}

impl Tuner {
    /// The arm in charge of a class.
    pub fn arm(&self, class: Class) -> usize {
        self.classes.get(&class).map_or(PLAIN, |standing| standing.in_charge)
    }

    /// Learns what each arm lost in one interval, in GB·s, where a cold start counts `price_gb_s`.
    pub fn learn(&mut self, class: Class, losses: &[f64; ARMS], price_gb_s: f64) {
        let full = self.classes.len() >= CLASSES_MAX && !self.classes.contains_key(&class);
        let class = if full { Class::default() } else { class };
        let standing = self.classes.entry(class).or_default();
        for (sum, loss) in standing.losses.iter_mut().zip(losses) {
            *sum += loss - *sum / MEMORY;
        }
        let mut best = standing.in_charge;
        for arm in 0..ARMS {
            if standing.losses[arm] < standing.losses[best] {
                best = arm;
            }
        }
        let bar = standing.losses[standing.in_charge] * CLEARLY - CLEARLY_COLD * price_gb_s;
        if standing.losses[best] < bar {
            standing.in_charge = best;
        }
    }

    /// Whether learning can have made it.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |one: &Standing| one.in_charge < ARMS && one.losses.iter().all(|loss| loss.is_finite());
        self.classes.len() <= CLASSES_MAX && self.classes.values().all(sound)
    }

    /// Classes with the arm in charge of each.
    pub fn in_charge(&self) -> impl Iterator<Item = (Class, usize)> {
        self.classes.iter().map(|(class, standing)| (*class, standing.in_charge))
    }
}
