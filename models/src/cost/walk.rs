//! What one function does. In: a function, with what its callees cost. Out: the costliest thing in it with the loops and
//! calls that lead there, its calls to itself, what it does outside the program, and counts for the tree.
//!
//! Every loop has a number of rounds in all: that of the loop around it times its own, or less where it shares rounds
//! with loops around it. What stands in a loop costs its own cost times that number; the largest of these is the
//! function's cost.

mod library_calls;

use super::counts::Counts;
use super::facts;
use super::growth::Growth;
use super::index::Index;
use super::loops::{self, Around, Trips};
use super::parts::{self, Part};
use super::recursion::{self, OwnCall, OwnLoop};
use super::sizes::{Scene, Size};
use super::{Callee, LoopEvidence};
use crate::graph::code::{EffectKind, NodeId};
use crate::graph::ir::{
    Arg, CallKind, Collection, ExprId, ExprKind, FunctionId, Literal, LoopId, LoopKind, Op, Run, StmtKind,
};

/// What is kept of each list of findings and effects of one function.
const KEPT_MAX: usize = 32;
/// Calls that lead to what is costly, which are told.
const CHAIN_MAX: usize = 16;

/// What a function costs, for those that call it.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) growth: Growth,
    pub(super) sure: bool,
    /// Calls in loops do no more together than one call does.
    pub(super) shared: bool,
    pub(super) charge: Charge,
    pub(super) effects: Vec<Effect>,
}

/// The costliest thing in a function.
#[derive(Clone, Debug, Default)]
pub(super) struct Charge {
    pub(super) line: u32,
    pub(super) says: String,
    pub(super) loops: Vec<LoopEvidence>,
    pub(super) callees: Vec<Callee>,
}

/// Something done outside the program.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) kind: EffectKind,
    pub(super) name: String,
    pub(super) callees: Vec<Callee>,
}

/// Something that may be slow.
#[derive(Clone, Debug)]
pub(super) struct Slow {
    pub(super) what: What,
    pub(super) line: u32,
    pub(super) loops: Vec<LoopEvidence>,
    pub(super) callees: Vec<Callee>,
    pub(super) sure: bool,
}

/// What may be slow.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Something outside, in each round of a loop.
    Outside(EffectKind, String),
    /// A text that is copied in each round.
    Text(String),
    /// A list whose elements are all moved in each round.
    Front(String),
    /// A list that is searched in each round.
    Search(String),
    /// Something that is sorted in each round.
    Sort,
}

/// Something that takes memory.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) line: u32,
    pub(super) growth: Growth,
    /// Read from a file or a database as a whole, by what is named.
    pub(super) read_by: Option<String>,
}

/// All that a function does.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) growth: Growth,
    pub(super) sure: bool,
    pub(super) charge: Charge,
    pub(super) own_calls: Vec<OwnCall>,
    pub(super) own_loops: Vec<OwnLoop>,
    pub(super) effects: Vec<Effect>,
    pub(super) slow: Vec<Slow>,
    pub(super) held: Vec<Held>,
    pub(super) counts: Counts,
}

struct Frame {
    around: Around,
    line: u32,
    total: Growth,
}

pub(super) struct Walker<'s, 'a> {
    scene: &'s Scene<'a>,
    index: &'s Index,
    summaries: &'s [Option<Summary>],
    group: usize,
    frames: Vec<Frame>,
    /// What is assigned at the moment: it is written, not read.
    target: Option<ExprId>,
    work: Work,
}

/// What a function does.
pub(super) fn work(
    scene: &Scene<'_>,
    index: &Index,
    summaries: &[Option<Summary>],
    function: FunctionId,
) -> Work {
    let number = index.number(scene.id, function);
    let group = index.group_of[number];
    let work = Work { sure: true, ..Work::default() };
    let mut walker = Walker { scene, index, summaries, group, frames: Vec::new(), target: None, work };
    let source = &scene.unit.functions[function.index()];
    for part in parts::of_block(scene.unit, source.body) {
        walker.part(part);
    }
    let counts = &mut walker.work.counts;
    counts.functions = 1.0;
    counts.lines =
        f32::from(u16::try_from(source.lines.1.saturating_sub(source.lines.0) + 1).unwrap_or(u16::MAX));
    counts.params = scene.unit.params(source.params).len() as f32;
    walker.work
}

impl Walker<'_, '_> {
    fn total(&self) -> Growth {
        self.frames.last().map_or(Growth::ONE, |frame| frame.total)
    }

    fn part(&mut self, part: Part) {
        if !self.scene.step() {
            self.work.sure = false;
            return;
        }
        if let Some(id) = facts::loop_of(self.scene.unit, part) {
            self.looped(id);
            return;
        }
        match part {
            Part::Stmt(id) => self.stmt(self.scene.unit.stmt(id).kind, self.scene.unit.stmt(id).line),
            Part::Expr(id) => self.expr(id),
        }
        let mut inner = Vec::new();
        parts::of(self.scene.unit, part, &mut inner);
        for part in inner {
            self.part(part);
        }
    }

    fn looped(&mut self, id: LoopId) {
        let one = self.scene.unit.loops[id.index()];
        let mut inner = Vec::new();
        parts::head(self.scene.unit, id, &mut inner);
        for part in inner.drain(..) {
            self.part(part);
        }
        let around: Vec<Around> = self.frames.iter().map(|frame| frame.around).collect();
        let mut trips = loops::trips(self.scene, id, &around);
        let own = self.spawns(id);
        if own {
            self.own_loop(one.kind, trips);
            // Solved with the recurrence.
            trips.growth = Growth::ONE;
        }
        let below = match trips.shared_from {
            Some(0) => Growth::ONE,
            Some(at) => self.frames[at - 1].total,
            None => self.total(),
        };
        let shared = below.times(trips.growth);
        // Rounds that are shared still happen at least once for each round around them.
        let total = if trips.shared_from.is_some() { shared.max(self.total()) } else { shared };
        self.work.sure &= trips.sure || trips.growth.is_constant();
        let depth = self.frames.iter().filter(|frame| !frame.around.trips.growth.is_constant()).count();
        self.work.counts.add_loop(&one, &trips, self.frames.len(), depth, total);
        if loops::reads_input(self.scene, id) {
            self.work.counts.reading_loops += 1.0;
        }
        self.frames.push(Frame { around: Around { id, trips }, line: one.line, total });
        self.charge(Growth::ONE, one.line, || "the rounds of the loop".to_owned());
        parts::rounds(self.scene.unit, id, &mut inner);
        for part in inner {
            self.part(part);
        }
        self.frames.pop();
        for part in parts::of_block(self.scene.unit, one.otherwise) {
            self.part(part);
        }
    }

    /// Whether the function calls itself in the loop.
    fn spawns(&self, id: LoopId) -> bool {
        let scene = self.scene;
        let mut found = false;
        let mut budget = scene.budget.get().min(20_000);
        let before = budget;
        parts::each(scene.unit, parts::of_loop(scene.unit, id), &mut budget, &mut |part| {
            if let Part::Expr(expr) = part
                && matches!(scene.kind(expr), ExprKind::Call(..))
            {
                found |= self.own(expr);
            }
        });
        scene.budget.set(scene.budget.get().saturating_sub(before - budget));
        found
    }

    fn own(&self, expr: ExprId) -> bool {
        let reached = self.scene.analysis.reached(self.scene.id, expr);
        let mut numbers = reached.filter_map(|one| self.index.by_node(one.node));
        let own = numbers.any(|number| self.index.group_of[number] == self.group);
        own && (self.index.groups[self.group].len() > 1
            || self.index.callees[self.index.groups[self.group][0]]
                .contains(&self.index.groups[self.group][0]))
    }

    fn own_loop(&mut self, kind: LoopKind, trips: Trips) {
        let over_children = match kind {
            LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } => {
                recursion::is_over_children(self.scene, iterated)
            }
            _ => false,
        };
        self.work.own_loops.push(OwnLoop { growth: trips.growth, over_children });
    }

    fn loops(&self) -> Vec<LoopEvidence> {
        let evidence = |frame: &Frame| LoopEvidence {
            line: frame.line,
            rounds: frame.around.trips.growth.notation(),
            drive: frame.around.trips.drive,
            shared: frame.around.trips.shared_from.is_some(),
        };
        self.frames.iter().map(evidence).collect()
    }

    fn charge(&mut self, cost: Growth, line: u32, says: impl FnOnce() -> String) {
        let growth = self.total().times(cost);
        if growth > self.work.growth || (self.work.charge.line == 0 && !growth.is_constant()) {
            let charge = Charge { line, says: says(), loops: self.loops(), callees: Vec::new() };
            (self.work.growth, self.work.charge) = (growth, charge);
        }
    }

    fn stmt(&mut self, kind: StmtKind, line: u32) {
        let counts = &mut self.work.counts;
        counts.stmts += 1.0;
        match kind {
            StmtKind::Assign { target, value: Some(value), op, .. } => {
                counts.assigns += 1.0;
                self.assigned(target, value, op, line);
            }
            StmtKind::Branch(branches) => counts.ifs += branches.len() as f32,
            StmtKind::Return(_) => counts.returns += 1.0,
            StmtKind::Break | StmtKind::Continue => counts.jumps += 1.0,
            StmtKind::Emit(..) => counts.emits += 1.0,
            _ => {}
        }
    }

    fn assigned(&mut self, target: ExprId, value: ExprId, op: Option<Op>, line: u32) {
        self.target = Some(target);
        let scene = self.scene;
        let Some(var) = scene.var(target) else { return };
        let adds = op == Some(Op::Add)
            || matches!(scene.kind(value), ExprKind::Binary(Op::Add, left, _) if scene.var(left) == Some(var));
        if adds && self.total().is_linear_or_more() && self.is_text(target) {
            let name = scene.facts.name(scene.names, var).to_owned();
            self.slow(What::Text(name), line, Vec::new(), true);
        }
    }

    /// A variable that holds a text.
    fn is_text(&self, expr: ExprId) -> bool {
        let Some(var) = self.scene.var(expr) else { return false };
        self.scene.facts.given(var).iter().take(16).any(|one| match one.source {
            facts::Source::Value(value) => {
                matches!(self.scene.kind(value), ExprKind::Literal(Literal::Text(_) | Literal::SomeText(_)))
            }
            _ => false,
        })
    }

    fn expr(&mut self, id: ExprId) {
        let scene = self.scene;
        let line = scene.unit.expr(id).line;
        match scene.kind(id) {
            ExprKind::Call(kind, callee, args) if kind != CallKind::Decorator => {
                self.call(id, callee, args, line);
            }
            ExprKind::Binary(op, left, right) => {
                self.work.counts.add_operator(scene, op, left, right);
                if op == Op::In {
                    self.searched(right, line);
                }
            }
            ExprKind::Slice(..) if self.target != Some(id) => {
                self.work.counts.slices += 1.0;
                let Size { growth, .. } = scene.length(id);
                self.charge(growth, line, || "copies a slice".to_owned());
            }
            ExprKind::Index(inner, _) => {
                self.work.counts.add_index(scene, inner);
            }
            ExprKind::Assign(target, value) => {
                self.work.counts.assigns += 1.0;
                self.assigned(target, value, None, line);
            }
            ExprKind::Comprehension(kind, _) => {
                self.work.counts.comprehensions += 1.0;
                if kind != Collection::Iterator {
                    self.held(scene.length(id).growth, line);
                }
            }
            ExprKind::Conditional(..) => self.work.counts.ifs += 1.0,
            ExprKind::Map(..) => self.work.counts.maps += 1.0,
            ExprKind::Literal(Literal::Int(number)) if number.unsigned_abs() >= 500 => {
                self.work.counts.large_numbers += 1.0;
            }
            _ => {}
        }
        let is_call = matches!(scene.kind(id), ExprKind::Call(..));
        if !is_call {
            self.callees(id, Run::EMPTY, line, false);
        }
    }

    fn held(&mut self, growth: Growth, line: u32) {
        let growth = growth.times(Growth::ONE);
        if !growth.is_constant() && self.work.held.len() < KEPT_MAX {
            self.work.held.push(Held { line, growth, read_by: None });
        }
    }

    fn call(&mut self, id: ExprId, callee: ExprId, args: Run<Arg>, line: u32) {
        self.work.counts.calls += 1.0;
        if self.own(id) {
            self.work.own_calls.push(OwnCall { expr: id, args });
            return;
        }
        let list = self.scene.unit.args(args);
        let constant = |arg: &Arg| {
            self.scene.value(arg.value).growth.is_constant()
                && self.scene.length(arg.value).growth.is_constant()
        };
        let plain = matches!(self.scene.kind(callee), ExprKind::Name(..));
        let constant = plain && !list.is_empty() && list.iter().all(constant);
        if !self.callees(id, args, line, constant) {
            self.library(callee, args, line);
        }
    }

    /// Functions of the program that an expression calls.
    fn callees(&mut self, id: ExprId, args: Run<Arg>, line: u32, constant: bool) -> bool {
        let scene = self.scene;
        let mut found = false;
        let reached: Vec<_> = scene.analysis.reached(scene.id, id).take(16).collect();
        for one in reached {
            match self.index.by_node(one.node) {
                Some(number) if self.index.group_of[number] == self.group => {}
                Some(number) => {
                    found = true;
                    let constant = constant && self.sees_only_arguments(number);
                    self.callee(number, line, Growth::ONE, constant);
                }
                None => self.outside(one.node, line),
            }
        }
        let _ = args;
        found
    }

    /// A function of a module, which has no variables of a function around it.
    fn sees_only_arguments(&self, number: usize) -> bool {
        let (unit, function) = self.index.function(number);
        let unit = &self.scene.analysis.program.units[unit.index()];
        let scope = unit.functions[function.index()].scope;
        unit.scopes[scope.index()].parent.is_some_and(|parent| parent.index() == 0)
    }

    fn callee(&mut self, number: usize, line: u32, times: Growth, constant: bool) {
        let Some(summary) = self.summaries[number].as_ref() else { return };
        let node = self.scene.analysis.graph.node(self.index.node(number));
        let files = &self.scene.analysis.graph.files;
        let own = Callee {
            name: node.name.clone(),
            file: node.file.and_then(|file| files.get(file as usize)).cloned().unwrap_or_default(),
            line,
        };
        let chain = |rest: &[Callee]| {
            std::iter::once(own.clone()).chain(rest.iter().cloned()).take(CHAIN_MAX).collect::<Vec<_>>()
        };
        let cost = if constant { Growth::ONE } else { summary.growth };
        let total = self.total().times(times);
        let growth = if summary.shared { total.max(cost) } else { total.times(cost) };
        if !cost.is_constant() {
            self.work.sure &= summary.sure;
        }
        if growth > self.work.growth {
            let callees = chain(&summary.charge.callees);
            let says = format!("calls {}, which is {}", node.name, summary.growth.class().notation());
            self.work.charge = Charge { line, says, loops: self.loops(), callees };
            self.work.growth = growth;
        }
        let seen: Vec<Effect> = summary.effects.clone();
        for effect in seen {
            let callees = chain(&effect.callees);
            if total.is_linear_or_more() {
                self.slow(What::Outside(effect.kind, effect.name.clone()), line, callees.clone(), true);
            }
            self.effect(Effect { callees, ..effect });
        }
    }

    fn effect(&mut self, effect: Effect) {
        let known = self.work.effects.iter().any(|one| one.kind == effect.kind && one.name == effect.name);
        if !known && self.work.effects.len() < KEPT_MAX {
            self.work.effects.push(effect);
        }
    }

    fn outside(&mut self, node: NodeId, line: u32) {
        let Some(kind) = self.index.effect(node) else { return };
        let name = self.scene.analysis.graph.node(node).name.clone();
        if self.total().is_linear_or_more() {
            self.slow(What::Outside(kind, name.clone()), line, Vec::new(), true);
        }
        self.effect(Effect { kind, name, callees: Vec::new() });
    }

    fn slow(&mut self, what: What, line: u32, callees: Vec<Callee>, sure: bool) {
        let same = |one: &Slow| {
            one.line == line
                && match (&one.what, &what) {
                    (What::Outside(kind, _), What::Outside(other, _)) => kind == other,
                    (one, other) => one == other,
                }
        };
        if self.work.slow.len() < KEPT_MAX && !self.work.slow.iter().any(same) {
            let loops = self.loops();
            let sure = sure && self.frames.iter().all(|frame| frame.around.trips.sure);
            self.work.slow.push(Slow { what, line, loops, callees, sure });
        }
    }
}
