//! Who decides. In: what the rules say of a program, how sure they are, and its counts. Out: a class, who decided it, how
//! likely it is, and why in words. Refused: bytes of another version or other features.
//!
//! The rules decide where they are sure, and where their class was right often enough on programs of known cost; the
//! forest decides elsewhere. What is often enough is learned, too.

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
    /// The forest, for the rules were not sure.
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

/// The forest, and how far the rules are trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    forest: Forest,
    /// For each class, the share of the lessons in which the rules said it and were sure that were of that class.
    trust: [f32; CLASSES],
    /// For each class, whether the rules decide when they say it and are sure.
    rules_decide: [bool; CLASSES],
    /// Lessons it was trained on.
    pub rows: u32,
}

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

/// Parts of the lessons on which the rules and the forest are compared.
const PARTS: usize = 4;

impl Judge {
    /// Trains. `groups` says which lessons belong together, and are held out together when the rules and the forest are
    /// compared. The same lessons give the same judge.
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
        // In how many lessons that neither has seen the rules were right, and the forest was.
        let (mut said, mut rules, mut trees) = ([0_u32; CLASSES], [0_u32; CLASSES], [0_u32; CLASSES]);
        for part in 0..PARTS as u32 {
            let is_held = |at: usize| groups.get(at).is_some_and(|group| group % PARTS as u32 == part);
            let seen: Vec<Row> =
                (0..rows.len()).filter(|at| !is_held(*at)).map(|at| rows[at].clone()).collect();
            if seen.is_empty() {
                continue;
            }
            let fewer = Options { trees: options.trees.div_ceil(3), ..*options };
            let other = Forest::grow(&seen, &fewer, seed)?;
            for at in (0..rows.len()).filter(|at| is_held(*at) && lessons[*at].observed.sure) {
                let class = lessons[at].observed.rule().rank().min(CLASSES - 1);
                said[class] += 1;
                rules[class] += u32::from(class == rows[at].class);
                trees[class] += u32::from(other.likeliest(&rows[at].features).0 == rows[at].class);
            }
        }
        let mut trust = [0.0; CLASSES];
        let mut rules_decide = [false; CLASSES];
        for class in 0..CLASSES {
            trust[class] = (rules[class] as f32 + 1.0) / (said[class] as f32 + 2.0);
            rules_decide[class] = said[class] > 0 && rules[class] >= trees[class];
        }
        Ok(Self { forest, trust, rules_decide, rows: rows.len() as u32 })
    }

    /// Decides.
    pub fn decide(&self, observed: &Observed) -> Verdict {
        let rule = observed.rule();
        let class = rule.rank().min(CLASSES - 1);
        if observed.sure && self.rules_decide[class] {
            let why = format!("the rules are sure of {}", rule.notation());
            return Verdict { class: rule, by: Decider::Rules, confidence: self.trust[class], why };
        }
        let (best, share) = self.forest.likeliest(&observed.features);
        let names: Vec<&str> = feature_names().collect();
        let asked = self.forest.asked(&observed.features);
        let told: Vec<String> = asked
            .iter()
            .take(4)
            .map(|feature| format!("{} {}", names[*feature].replace('_', " "), observed.features[*feature]))
            .collect();
        let why = format!(
            "the rules {} {}, so {} trees decide, which asked most for: {}",
            if observed.sure { "are known to err on" } else { "are not sure of" },
            rule.notation(),
            self.forest.trees(),
            told.join(", ")
        );
        Verdict { class: Complexity::KNOWN[best], by: Decider::Forest, confidence: share, why }
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

fn row(lesson: &Lesson) -> Row {
    Row { features: lesson.observed.features.clone(), class: lesson.class.rank().min(CLASSES - 1) }
}

/// Changes when a feature is renamed, moved, added or dropped.
fn features_mark() -> u32 {
    crc32fast::hash(feature_names().collect::<Vec<_>>().join("\n").as_bytes())
}
