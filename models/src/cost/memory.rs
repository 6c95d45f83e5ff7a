//! How much memory a program takes. In: its language, the libraries that it imports, and what it reads or builds as a
//! whole. Out: an interval in bytes, and in words what makes it. The lower end is what it takes before its first
//! request; the upper end supposes inputs of usual size.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::growth::Complexity;
use super::walk::Held;
use crate::graph::code::NodeKind;
use crate::graph::{Analysis, LanguageId};

const MIB: u64 = 1 << 20;
/// A file or a result that is read as a whole.
const READ_MAX: u64 = 32 * MIB;
/// What grows with the input: a hundred thousand elements of about a hundred bytes.
const LINEAR_MAX: u64 = 10 * MIB;
/// A table of all pairs of a thousand elements.
const QUADRATIC_MAX: u64 = 32 * MIB;
const CUBIC_MAX: u64 = 128 * MIB;
/// Reasons that are told.
const REASONS_MAX: usize = 24;

/// How much memory, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Bytes, at least.
    pub low: u64,
    /// Bytes, at most.
    pub high: u64,
    /// What makes it so.
    pub reasons: Vec<String>,
}

impl Interval {
    fn add(&mut self, low: u64, high: u64, reason: String) {
        self.low = self.low.saturating_add(low);
        self.high = self.high.saturating_add(high);
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(format!("{} to {} MiB: {reason}", low / MIB, high.div_ceil(MIB)));
        }
    }
}

/// What an interpreter or a runtime takes by itself, in MiB.
fn runtime(language: LanguageId) -> (u64, u64) {
    match language.family().name() {
        "python" => (8, 16),
        "javascript" => (36, 64),
        "java" => (40, 120),
        "go" => (2, 12),
        "rust" => (1, 6),
        _ => (8, 64),
    }
}

/// What well-known libraries take when they are loaded, in MiB.
const LIBRARIES: &[(&str, u64, u64)] = &[
    ("numpy", 20, 35),
    ("scipy", 30, 60),
    ("pandas", 45, 80),
    ("sklearn", 60, 120),
    ("matplotlib", 35, 70),
    ("PIL", 8, 60),
    ("cv2", 40, 120),
    ("torch", 150, 400),
    ("torchvision", 60, 150),
    ("tensorflow", 250, 600),
    ("keras", 60, 200),
    ("transformers", 80, 400),
    ("spacy", 60, 200),
    ("nltk", 20, 60),
    ("igraph", 10, 40),
    ("networkx", 15, 40),
    ("pyarrow", 40, 80),
    ("boto3", 20, 40),
    ("botocore", 15, 30),
    ("sqlalchemy", 15, 30),
    ("django", 20, 50),
    ("flask", 10, 20),
    ("fastapi", 20, 40),
    ("requests", 6, 12),
    ("aiohttp", 10, 20),
    ("httpx", 8, 16),
    ("jinja2", 4, 10),
    ("lxml", 8, 30),
    ("psycopg2", 4, 10),
    ("pymongo", 10, 20),
    ("redis", 4, 10),
    ("grpc", 12, 30),
    ("express", 8, 20),
    ("sharp", 20, 120),
    ("aws-sdk", 25, 60),
    ("@tensorflow/tfjs", 80, 250),
    ("puppeteer", 30, 80),
    ("mongoose", 15, 30),
    ("mongodb", 10, 20),
    ("sequelize", 12, 25),
    ("axios", 3, 8),
    ("lodash", 2, 5),
    ("jsdom", 30, 80),
    ("jimp", 15, 80),
    ("typeorm", 15, 30),
    ("org.springframework", 60, 160),
    ("org.hibernate", 40, 90),
    ("com.fasterxml.jackson", 8, 20),
    ("com.amazonaws", 30, 70),
];

pub(super) fn interval<'h>(analysis: &Analysis, held: impl Iterator<Item = (&'h str, &'h Held)>) -> Interval {
    let mut interval = Interval::default();
    let families: BTreeSet<LanguageId> =
        analysis.graph.languages.iter().map(|language| language.family()).collect();
    for family in families {
        let (low, high) = runtime(family);
        interval.add(low * MIB, high * MIB, format!("the runtime of {}", family.name()));
    }
    let libraries: BTreeSet<&str> = analysis
        .graph
        .nodes
        .iter()
        .filter(|node| node.kind == NodeKind::Library)
        .map(|node| node.name.as_str())
        .collect();
    for (name, low, high) in LIBRARIES {
        let is = |library: &&str| {
            library.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if libraries.iter().any(is) {
            interval.add(low * MIB, high * MIB, format!("the library {name}"));
        }
    }
    for (file, one) in held.take(64) {
        match &one.read_by {
            Some(name) => {
                let reason = format!("{name} reads all at once, {file} line {}", one.line);
                interval.add(0, READ_MAX, reason);
            }
            None => {
                let high = match one.growth.class() {
                    Complexity::Quadratic => QUADRATIC_MAX,
                    Complexity::Cubic | Complexity::Exponential => CUBIC_MAX,
                    _ => LINEAR_MAX,
                };
                let reason = format!(
                    "a collection that grows with the input ({}), {file} line {}",
                    one.growth.notation(),
                    one.line
                );
                interval.add(0, high, reason);
            }
        }
    }
    interval
}
