//! What may be slow, told. In: what the walk met, and the cost of the entry point. Out: findings, each with its rule, how
//! bad it is, where it is, the loops and calls that lead there, and how sure it is.

use serde::{Deserialize, Serialize};

use super::growth::Complexity;
use super::walk::{Slow, What};
use super::{Callee, EntryCost, FunctionCost, LoopEvidence};
use crate::graph::code::EffectKind;

/// Which rule found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A database is asked in each round of a loop.
    DatabaseInLoop,
    /// Another service is asked in each round of a loop.
    HttpInLoop,
    /// Something is sent or received in each round of a loop.
    NetworkInLoop,
    /// A file is touched in each round of a loop.
    FileInLoop,
    /// A process is started in each round of a loop.
    ProcessInLoop,
    /// A text is copied in each round.
    QuadraticText,
    /// All elements of a list are moved in each round.
    QuadraticList,
    /// A list is searched in each round.
    SearchInLoop,
    /// Something is sorted in each round.
    SortInLoop,
    /// The entry point itself costs much.
    HeavyEntry,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Seldom matters.
    Low,
    /// Matters for large inputs.
    Medium,
    /// Matters soon.
    High,
}

/// Something that may be slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule found it.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What it is and what helps.
    pub message: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function that it stands in.
    pub function: String,
    /// The loops around it, the outermost first.
    pub loops: Vec<LoopEvidence>,
    /// The calls that lead from there to what is slow.
    pub callees: Vec<Callee>,
    /// Chance in `[0, 1]` that it is so.
    pub confidence: f32,
}

pub(super) fn of(slow: Slow, function: &str, file: &str) -> Finding {
    let (rule, severity, message) = told(&slow);
    Finding {
        rule,
        severity,
        message,
        file: file.to_owned(),
        line: slow.line,
        function: function.to_owned(),
        loops: slow.loops,
        callees: slow.callees,
        confidence: if slow.sure { 0.9 } else { 0.6 },
    }
}

fn told(slow: &Slow) -> (Rule, Severity, String) {
    let through = slow.callees.last().map_or(String::new(), |callee| format!(" (through {})", callee.name));
    match &slow.what {
        What::Outside(kind, name) => {
            let (rule, severity, remedy) = match kind {
                EffectKind::Database => (
                    Rule::DatabaseInLoop,
                    Severity::High,
                    "ask once for all of them, with IN or a join, or write them in one batch",
                ),
                EffectKind::Http => (
                    Rule::HttpInLoop,
                    Severity::High,
                    "ask once for all of them, or send the requests side by side",
                ),
                EffectKind::Network => (Rule::NetworkInLoop, Severity::High, "send them together"),
                EffectKind::File => (
                    Rule::FileInLoop,
                    Severity::Medium,
                    "open it once before the loop, or read it as a whole",
                ),
                EffectKind::Process => {
                    (Rule::ProcessInLoop, Severity::High, "start it once, and give it all of them")
                }
            };
            let what = kind.name();
            (
                rule,
                severity,
                format!(
                    "{name} is called in each round of a loop{through}: a {what} call per element; {remedy}"
                ),
            )
        }
        What::Text(name) => (
            Rule::QuadraticText,
            Severity::Medium,
            format!(
                "{name} is copied each time something is added to it; collect the parts in a list, and join them behind the loop"
            ),
        ),
        What::Front(name) => (
            Rule::QuadraticList,
            Severity::Medium,
            format!(
                "all elements of {name} are moved in each round; use a queue with two ends, or work at the end of the list"
            ),
        ),
        What::Search(name) => (
            Rule::SearchInLoop,
            Severity::Medium,
            format!(
                "{name} is searched element by element in each round; keep a set or a map of what is searched"
            ),
        ),
        What::Sort => (
            Rule::SortInLoop,
            Severity::Medium,
            "something is sorted in each round; sort once before the loop, or keep a heap".to_owned(),
        ),
    }
}

/// The entry point itself.
pub(super) fn heavy_entry(entry: &EntryCost, function: &FunctionCost) -> Option<Finding> {
    let severity = match entry.time {
        Complexity::Quadratic => Severity::Low,
        Complexity::Cubic => Severity::Medium,
        Complexity::Exponential => Severity::High,
        _ => return None,
    };
    Some(Finding {
        rule: Rule::HeavyEntry,
        severity,
        message: format!(
            "each call of {} costs {}: {}; bound its input, or compute ahead and keep the result",
            function.name,
            entry.time.notation(),
            function.evidence.says
        ),
        file: function.file.clone(),
        line: function.evidence.line.max(function.lines.0),
        function: function.name.clone(),
        loops: function.evidence.loops.clone(),
        callees: function.evidence.callees.clone(),
        confidence: entry.confidence,
    })
}
