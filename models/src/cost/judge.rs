//! Who decides. In: what the rules say of a program, how sure they are, and its counts. Out: a class, who decided it, how
//! likely it is, and why in words. Refused: bytes of another version or other features.
//!
//! The forest gives each class a share. The class of the rules is given a weight beside it: one where they are sure, one
//! where they guess. Both are learned, on lessons that the forest has not seen: rules hold for programs of any kind, a
//! forest only for those like its lessons.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::counts::{Counts, RULE_NAMES, rule_values};
use super::forest::{CLASSES, Forest, Options, Row};
use super::growth::{Complexity, Growth};
use crate::graph::LanguageId;

/// What is known of a program before anybody decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub(super) growth: Growth,
    /// The rules met nothing that they had to guess.
    pub sure: bool,
    /// Every feature that the forest asks for.
    pub features: Vec<f32>,
}

impl Observed {
    pub(super) fn new(growth: Growth, sure: bool, counts: &Counts, language: LanguageId) -> Self {
        let mut features = rule_values(growth, sure, language).to_vec();
        features.extend(counts.values());
        Self { growth, sure, features }
    }

    /// What the rules say.
    pub fn rule(&self) -> Complexity {
        self.growth.class()
    }

    /// Those features that any counter of lines and words sees.
    pub fn plain(&self) -> Vec<f32> {
        let counts = &self.features[RULE_NAMES.len()..];
        Counts::NAMES.iter().zip(counts).filter(|((_, plain), _)| *plain).map(|(_, value)| *value).collect()
    }
}

/// Names of the features, in their order.
pub fn feature_names() -> impl Iterator<Item = &'static str> {
    RULE_NAMES.into_iter().chain(Counts::NAMES.iter().map(|(name, _)| *name))
}

/// A program whose cost is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// What is seen of it.
    pub observed: Observed,
    /// What it is.
    pub class: Complexity,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// The rules alone.
    Rules,
    /// The forest, for the rules were not sure, or are known to err there.
    Forest,
    /// Nobody.
    Nobody,
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The class.
    pub class: Complexity,
    /// Who decided.
    pub by: Decider,
    /// Chance in `[0, 1]` that it is right, as seen on programs of known cost.
    pub confidence: f32,
    /// Why, in words.
    pub why: String,
}

/// The forest, and how much the rules weigh against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    forest: Forest,
    /// What the class of the rules is given beside the shares of the forest: where the rules guess, and where they are
    /// sure. From 1 on, no share overrules them.
    weights: [f32; 2],
    /// How often decisions were right on lessons that were held out, by [`case`].
    trust: [f32; CASES],
    /// Lessons it was trained on.
    pub rows: u32,
}

/// How a decision came about: whether the rules were sure, and whether they were overruled.
fn case(sure: bool, overruled: bool) -> usize {
    usize::from(sure) + 2 * usize::from(overruled)
}
const CASES: usize = 4;

/// Why bytes are no judge.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// They cannot be decoded.
    #[error("the trees of the cost analysis cannot be decoded; train them again")]
    Decode(#[from] postcard::Error),
    /// They were made for other features.
    #[error("the trees of the cost analysis were trained on other features; train them again")]
    Features,
    /// A walk could leave them.
    #[error("the trees of the cost analysis are not consistent; train them again")]
    Unsound,
}

/// Parts of the lessons, of which each is held out once to weigh the rules.
const PARTS: u32 = 4;
/// Weights that are tried.
const WEIGHTS: [f32; 8] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 1.0];

impl Judge {
    /// Trains. `groups` says which lessons belong together: they are held out together when the rules are weighed against
    /// the forest. The same lessons give the same judge.
    ///
    /// # Errors
    /// When the tree learner refuses the lessons.
    pub fn train(
        lessons: &[Lesson],
        groups: &[u32],
        options: &Options,
        seed: u64,
    ) -> Result<Self, linfa::Error> {
        let rows: Vec<Row> = lessons.iter().map(row).collect();
        let forest = Forest::grow(&rows, options, seed)?;
        let unseen = shares_unseen(&rows, groups, options, seed)?;
        let mut weights = [0.0; 2];
        for (sure, weight) in weights.iter_mut().enumerate() {
            let here = || (0..rows.len()).filter(|at| usize::from(lessons[*at].observed.sure) == sure);
            let right = |weight: f32| {
                here()
                    .filter(|at| blend(&unseen[*at], &lessons[*at].observed, weight).0 == rows[*at].class)
                    .count()
            };
            let rights = WEIGHTS.map(right);
            let most = rights.iter().copied().max().unwrap_or(0) as f32;
            // The largest weight that is as good as the best one, as far as so few problems can tell: rules hold
            // for problems of any kind, and can be explained.
            let problems: BTreeSet<u32> = here().filter_map(|at| groups.get(at).copied()).collect();
            let all = here().count().max(1) as f32;
            let share = most / all;
            let slack = all * 0.5 * (share * (1.0 - share) / problems.len().max(1) as f32).sqrt();
            let good = |(_, right): &(f32, usize)| *right as f32 >= most - slack;
            let weights = WEIGHTS.into_iter().zip(rights).filter(good).map(|(weight, _)| weight);
            *weight = weights.fold(0.0, f32::max);
        }
        let (mut right, mut all) = ([1.0_f32; CASES], [2.0_f32; CASES]);
        for (at, lesson) in lessons.iter().enumerate() {
            let sure = lesson.observed.sure;
            let (class, overruled) = blend(&unseen[at], &lesson.observed, weights[usize::from(sure)]);
            all[case(sure, overruled)] += 1.0;
            right[case(sure, overruled)] += f32::from(u8::from(class == rows[at].class));
        }
        let trust = std::array::from_fn(|case| right[case] / all[case]);
        Ok(Self { forest, weights, trust, rows: rows.len() as u32 })
    }

    /// The trees that weft is shipped with; `None` for a build with features that they were not trained on, whose
    /// rules decide alone.
    pub fn shipped() -> Option<&'static Self> {
        static SHIPPED: OnceLock<Option<Judge>> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::from_bytes(include_bytes!("../../seed/cost.bin")).ok()).as_ref()
    }

    /// Decides.
    pub fn decide(&self, observed: &Observed) -> Verdict {
        let rule = observed.rule();
        let shares = self.forest.shares(&observed.features);
        let (class, overruled) = blend(&shares, observed, self.weights[usize::from(observed.sure)]);
        let confidence = self.trust[case(observed.sure, overruled)];
        let (class, share) = (Complexity::KNOWN[class], 100.0 * shares[class]);
        let how = if observed.sure { "are sure of" } else { "guess" };
        if observed.sure && !overruled {
            let why = format!("the rules are sure of {}; the trees give it {share:.0} %", rule.notation());
            return Verdict { class, by: Decider::Rules, confidence, why };
        }
        let names: Vec<&str> = feature_names().collect();
        let asked = self.forest.asked(&observed.features);
        let told = |feature: &usize| {
            format!("{} {}", names[*feature].replace('_', " "), observed.features[*feature])
        };
        let told: Vec<String> = asked.iter().take(4).map(told).collect();
        let why = format!(
            "the rules {how} {}; {} trees give {} {share:.0} %, and asked most for {}",
            rule.notation(),
            self.forest.trees(),
            class.notation(),
            told.join(", ")
        );
        Verdict { class, by: Decider::Forest, confidence, why }
    }

    /// How likely each class is to the forest alone.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The judge as bytes.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JudgeError> {
        Ok(postcard::to_allocvec(&(features_mark(), self))?)
    }

    /// The judge in some bytes.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JudgeError> {
        let (mark, judge): (u32, Self) = postcard::from_bytes(bytes)?;
        if mark != features_mark() || judge.forest.width() != feature_names().count() {
            return Err(JudgeError::Features);
        }
        if judge.forest.is_sound() { Ok(judge) } else { Err(JudgeError::Unsound) }
    }
}

/// The class with the largest share once that of the rules has been given its weight, and whether it is another than theirs.
fn blend(shares: &[f32; CLASSES], observed: &Observed, weight: f32) -> (usize, bool) {
    let rule = observed.rule().rank().min(CLASSES - 1);
    let mut best = (rule, shares[rule] + weight);
    for (class, share) in shares.iter().enumerate() {
        if class != rule && *share > best.1 {
            best = (class, *share);
        }
    }
    (best.0, best.0 != rule)
}

/// What forests say of lessons that they have not seen.
fn shares_unseen(
    rows: &[Row],
    groups: &[u32],
    options: &Options,
    seed: u64,
) -> Result<Vec<[f32; CLASSES]>, linfa::Error> {
    let mut unseen = vec![[0.0; CLASSES]; rows.len()];
    let fewer = Options { trees: options.trees.div_ceil(2), ..*options };
    for part in 0..PARTS {
        let is_held = |at: &usize| groups.get(*at).is_some_and(|group| group % PARTS == part);
        let seen: Vec<Row> = (0..rows.len()).filter(|at| !is_held(at)).map(|at| rows[at].clone()).collect();
        if seen.is_empty() {
            continue;
        }
        let forest = Forest::grow(&seen, &fewer, seed)?;
        for at in (0..rows.len()).filter(is_held) {
            unseen[at] = forest.shares(&rows[at].features);
        }
    }
    Ok(unseen)
}

fn row(lesson: &Lesson) -> Row {
    Row { features: lesson.observed.features.clone(), class: lesson.class.rank().min(CLASSES - 1) }
}

/// Changes when a feature is renamed, moved, added or dropped.
fn features_mark() -> u32 {
    crc32fast::hash(feature_names().collect::<Vec<_>>().join("\n").as_bytes())
}
