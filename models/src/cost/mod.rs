//! What a program costs. In: an analysis of the code graph, and where requests enter. Out: for each function how its time
//! grows with its input, with the loops and calls that make it so; what may be slow; how much memory it takes. Unknown is
//! an answer. Hostile source is bounded by a number of steps; what lies beyond is unknown, and said.
//!
//! ```text
//! Analysis ─► facts ─► index ─► sizes, loops ─► walk ─► recursion ─► judge ─► Costs
//!          (variables) (order)  (rounds)   (per function)          (rules or trees)
//! ```
//!
//! Functions are looked at callees first. The costliest thing in a function, times the rounds of the loops around it, is
//! what the rules say; where they had to guess, a forest decides over counts and what the rules say.

mod counts;
mod facts;
mod findings;
mod forest;
mod growth;
mod index;
mod judge;
mod library;
mod loops;
mod memory;
mod parts;
mod recursion;
mod sizes;
mod walk;

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use crate::graph::Analysis;
use crate::graph::code::NodeId;
use counts::Counts;
use facts::Facts;
pub use findings::{Finding, Rule, Severity};
pub use forest::{Forest, Options, Row};
pub use growth::Complexity;
use growth::Growth;
use index::Index;
pub use judge::{Decider, Judge, JudgeError, Lesson, Observed, Verdict, feature_names};
pub use loops::Drive;
pub use memory::Interval;
use sizes::Scene;
use walk::{Charge, Summary, Work};

/// Steps of one assessment. A step looks at one expression once.
const STEPS_MAX: usize = 30_000_000;
/// Findings that are kept.
const FINDINGS_MAX: usize = 1_000;
/// Functions below one whose counts are taken together.
const BELOW_MAX: usize = 256;

/// What a program costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Each function, in the order of files and lines.
    pub functions: Vec<FunctionCost>,
    /// The entry point, or the program as a whole.
    pub entry: EntryCost,
    /// What may be slow.
    pub findings: Vec<Finding>,
    /// How much memory it takes.
    pub memory: Interval,
    /// Everything was looked at.
    pub complete: bool,
}

/// What a function costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionCost {
    /// Its node in the code graph.
    pub node: NodeId,
    /// Its name with all that it stands in.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// First and last line.
    pub lines: (u32, u32),
    /// How its time grows.
    pub time: Complexity,
    /// What the rules say, more exactly than a class.
    pub growth: String,
    /// Chance in `[0, 1]` that it is right.
    pub confidence: f32,
    /// Who decided.
    pub decided_by: Decider,
    /// Why, in words.
    pub why: String,
    /// What makes it so.
    pub evidence: Evidence,
}

/// What makes a function cost what it costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The line of the costliest thing.
    pub line: u32,
    /// What is done there.
    pub says: String,
    /// The loops around it, the outermost first.
    pub loops: Vec<LoopEvidence>,
    /// The calls that lead from there to what costs.
    pub callees: Vec<Callee>,
    /// Its recurrence, where it calls itself.
    pub recurrence: Option<String>,
}

/// A loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoopEvidence {
    /// Its line.
    pub line: u32,
    /// How often it runs for each round of the loop around it.
    pub rounds: String,
    /// What drives it.
    pub drive: Drive,
    /// Its rounds are shared by all rounds of a loop around it.
    pub shared: bool,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Callee {
    /// What is called.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// The line of the call.
    pub line: u32,
}

/// What the entry point costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryCost {
    /// The function; none where there is none.
    pub node: Option<NodeId>,
    /// How its time grows.
    pub time: Complexity,
    /// Chance in `[0, 1]` that it is right.
    pub confidence: f32,
    /// Who decided.
    pub decided_by: Decider,
    /// Why, in words.
    pub why: String,
}

/// Assesses a program with the trees that weft is shipped with. Without an entry point, the costliest function that no
/// other one calls stands for the whole.
pub fn assess(analysis: &Analysis, entry: Option<NodeId>) -> Costs {
    assess_with(analysis, entry, Judge::shipped())
}

/// Assesses a program with other trees, or by the rules alone.
pub fn assess_with(analysis: &Analysis, entry: Option<NodeId>, judge: Option<&Judge>) -> Costs {
    let assessed = assessed(analysis);
    let functions: Vec<FunctionCost> = assessed.functions(analysis, judge);
    let chosen = assessed.entry(entry, analysis);
    let entry = assessed.entry_cost(chosen, analysis, judge);
    let chosen = chosen.map(|(number, _)| number);
    let mut findings = Vec::new();
    for (number, function) in functions.iter().enumerate() {
        let slow = assessed.works[number].iter().flat_map(|work| work.slow.iter().cloned());
        findings.extend(slow.map(|one| findings::of(one, &function.name, &function.file)));
    }
    findings.extend(chosen.and_then(|number| findings::heavy_entry(&entry, &functions[number])));
    findings.sort_by(|a, b| (&a.file, a.line, a.rule).cmp(&(&b.file, b.line, b.rule)));
    findings.truncate(FINDINGS_MAX);
    let held = functions.iter().zip(&assessed.works).flat_map(|(function, work)| {
        work.iter().flat_map(|work| &work.held).map(|held| (function.file.as_str(), held))
    });
    let memory = memory::interval(analysis, held);
    Costs { functions, entry, findings, memory, complete: assessed.complete }
}

/// What is seen of a program as a whole, to learn from it or to decide.
pub fn observe(analysis: &Analysis, entry: Option<NodeId>) -> Option<Observed> {
    let assessed = assessed(analysis);
    let (number, scope) = assessed.entry(entry, analysis)?;
    assessed.observed(number, scope, analysis)
}

/// Whose counts are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Those of a function and all that it leads to.
    Below,
    /// Those of all functions.
    Whole,
}

struct Assessed {
    index: Index,
    works: Vec<Option<Work>>,
    summaries: Vec<Option<Summary>>,
    recurrences: Vec<Option<String>>,
    complete: bool,
}

fn assessed(analysis: &Analysis) -> Assessed {
    let mut budget = STEPS_MAX;
    let program = &analysis.program;
    let facts: Vec<Facts> =
        program.units.iter().map(|unit| Facts::of(unit, &program.names, &mut budget)).collect();
    let index = Index::of(analysis, &facts, &mut budget);
    let budget = Cell::new(budget);
    let scenes: Vec<Scene<'_>> = facts
        .iter()
        .enumerate()
        .map(|(at, facts)| Scene::new(analysis, crate::graph::ir::UnitId::of(at), facts, &budget))
        .collect();
    let mut assessed = Assessed {
        works: (0..index.len()).map(|_| None).collect(),
        summaries: vec![None; index.len()],
        recurrences: vec![None; index.len()],
        index,
        complete: true,
    };
    for group in 0..assessed.index.groups.len() {
        if budget.get() == 0 {
            assessed.complete = false;
            break;
        }
        assessed.group(group, &scenes);
    }
    assessed.complete &= budget.get() > 0;
    assessed
}

impl Assessed {
    /// Looks at functions that call each other.
    fn group(&mut self, group: usize, scenes: &[Scene<'_>]) {
        let members = self.index.groups[group].clone();
        let mut solved = Vec::with_capacity(members.len());
        for number in &members {
            let (unit, function) = self.index.function(*number);
            let scene = &scenes[unit.index()];
            let mut work = walk::work(scene, &self.index, &self.summaries, function);
            let recursion = (!work.own_calls.is_empty())
                .then(|| recursion::solve(scene, function, work.growth, &work.own_calls, &work.own_loops));
            if let Some(recursion) = &recursion {
                work.counts.add_recursion(recursion.pattern, work.own_calls.len(), work.own_loops.len());
            }
            solved.push((*number, work, recursion));
        }
        // Whoever calls one of them may come to the costliest.
        let most =
            solved.iter().filter_map(|(_, _, recursion)| recursion.as_ref().map(|one| one.growth)).max();
        let together = members.len() > 1;
        for (number, work, recursion) in solved {
            let own = recursion.as_ref().map_or(work.growth, |one| one.growth);
            let own = if self.reads_a_word(number, scenes) { Growth::ONE } else { own };
            let growth = if together { own.max(most.unwrap_or(own)) } else { own };
            let sure = work.sure && !together && recursion.as_ref().is_none_or(|one| one.sure);
            let shared = recursion.as_ref().is_some_and(|one| one.shared);
            self.recurrences[number] = recursion.map(|one| one.says);
            let (charge, effects) = (work.charge.clone(), work.effects.clone());
            self.summaries[number] = Some(Summary { growth, sure, shared, charge, effects });
            self.works[number] = Some(work);
        }
    }

    /// A function that gives the next word or number of the input: its loops go over that word alone.
    fn reads_a_word(&self, number: usize, scenes: &[Scene<'_>]) -> bool {
        let (unit, function) = self.index.function(number);
        let scene = &scenes[unit.index()];
        let source = &scene.unit.functions[function.index()];
        library::reads_a_word(scene.names.text(source.name)) && scene.unit.params(source.params).len() <= 1
    }

    fn functions(&self, analysis: &Analysis, judge: Option<&Judge>) -> Vec<FunctionCost> {
        (0..self.index.len()).map(|number| self.function(number, analysis, judge)).collect()
    }

    fn function(&self, number: usize, analysis: &Analysis, judge: Option<&Judge>) -> FunctionCost {
        let node = self.index.node(number);
        let (unit, function) = self.index.function(number);
        let unit = &analysis.program.units[unit.index()];
        let source = &unit.functions[function.index()];
        let verdict = self.verdict(number, Scope::Below, analysis, judge);
        let summary = self.summaries[number].as_ref();
        let growth = summary.map_or("unknown".to_owned(), |one| one.growth.notation());
        let Charge { line, says, loops, callees } = summary.map(|one| one.charge.clone()).unwrap_or_default();
        FunctionCost {
            node,
            name: analysis.program.names.text(source.qualified).to_owned(),
            file: unit.path.clone(),
            lines: source.lines,
            time: verdict.class,
            growth,
            confidence: verdict.confidence,
            decided_by: verdict.by,
            why: verdict.why,
            evidence: Evidence { line, says, loops, callees, recurrence: self.recurrences[number].clone() },
        }
    }

    /// The entry point's function. Where none is given: what a program begins with, if it says so; else the costliest
    /// function that no other one calls.
    fn entry(&self, entry: Option<NodeId>, analysis: &Analysis) -> Option<(usize, Scope)> {
        if let Some(entry) = entry {
            return Some((self.index.by_node(entry)?, Scope::Below));
        }
        let growth = |number: &usize| self.summaries[*number].as_ref().map(|summary| summary.growth);
        let begins = |number: &usize| {
            let (unit, function) = self.index.function(*number);
            let unit = &analysis.program.units[unit.index()];
            let name = analysis.program.names.text(unit.functions[function.index()].name);
            let is_body = function.index() == 0;
            (is_body && !self.index.callees[*number].is_empty()) || (!is_body && name == "main")
        };
        let whole = || 0..self.index.len();
        if let Some(number) = whole().filter(begins).first_of_most(growth) {
            return Some((number, Scope::Below));
        }
        let roots = whole().filter(|number| !self.index.is_called[*number]);
        let best = roots.first_of_most(growth).or_else(|| whole().first_of_most(growth));
        best.map(|number| (number, Scope::Whole))
    }

    fn entry_cost(
        &self,
        chosen: Option<(usize, Scope)>,
        analysis: &Analysis,
        judge: Option<&Judge>,
    ) -> EntryCost {
        let Some((number, scope)) = chosen else {
            let why = "there is no such function".to_owned();
            let (time, decided_by) = (Complexity::Unknown, Decider::Nobody);
            return EntryCost { node: None, time, confidence: 0.0, decided_by, why };
        };
        let verdict = self.verdict(number, scope, analysis, judge);
        EntryCost {
            node: Some(self.index.node(number)),
            time: verdict.class,
            confidence: verdict.confidence,
            decided_by: verdict.by,
            why: verdict.why,
        }
    }

    /// Decides on a function, with all that it calls.
    fn verdict(&self, number: usize, scope: Scope, analysis: &Analysis, judge: Option<&Judge>) -> Verdict {
        let Some(observed) = self.observed(number, scope, analysis) else {
            let why = "the program is too large, and this function was not looked at".to_owned();
            return Verdict { class: Complexity::Unknown, by: Decider::Nobody, confidence: 0.0, why };
        };
        if let Some(judge) = judge {
            return judge.decide(&observed);
        }
        let class = observed.rule();
        let (confidence, how) = if observed.sure { (0.8, "are sure of") } else { (0.5, "guess") };
        let why = format!("the rules {how} {}", class.notation());
        Verdict { class, by: Decider::Rules, confidence, why }
    }

    /// What is seen of a function, with the counts of all that it calls, or of the whole program.
    fn observed(&self, number: usize, scope: Scope, analysis: &Analysis) -> Option<Observed> {
        let summary = self.summaries[number].as_ref()?;
        let below = match scope {
            Scope::Below => self.below(number),
            Scope::Whole => (0..self.index.len()).take(BELOW_MAX).collect(),
        };
        let mut counts = Counts::default();
        for function in below {
            counts.add(&self.works[function].as_ref()?.counts);
        }
        let (unit, _) = self.index.function(number);
        let language = analysis.program.units[unit.index()].language;
        Some(Observed::new(summary.growth, summary.sure, &counts, language))
    }

    /// A function and all that it leads to.
    fn below(&self, number: usize) -> Vec<usize> {
        let mut seen = vec![number];
        let mut at = 0;
        while at < seen.len() && seen.len() < BELOW_MAX {
            for callee in &self.index.callees[seen[at]] {
                if !seen.contains(callee) && seen.len() < BELOW_MAX {
                    seen.push(*callee);
                }
            }
            at += 1;
        }
        seen
    }
}

/// The first of the largest.
trait FirstMax: Iterator<Item = usize> + Sized {
    fn first_of_most(self, growth: impl Fn(&usize) -> Option<Growth>) -> Option<usize> {
        let mut best: Option<(usize, Option<Growth>)> = None;
        for number in self {
            let next = growth(&number);
            if best.as_ref().is_none_or(|(_, most)| next > *most) {
                best = Some((number, next));
            }
        }
        best.map(|(number, _)| number)
    }
}

impl<I: Iterator<Item = usize>> FirstMax for I {}
