//! Functions by number, and in which order they are looked at. In: an analysis. Out: the functions that each calls, groups
//! of functions that call each other with callees before their callers, and what library functions do outside.

use petgraph::graph::DiGraph;
use rustc_hash::FxHashMap;

use super::facts::{self, Facts};
use super::parts::{self, Part};
use crate::graph::Analysis;
use crate::graph::code::{EdgeKind, EffectKind, NodeId, NodeKind};
use crate::graph::ir::{ExprId, ExprKind, FunctionId, Unit, UnitId};

/// All functions of a program, module bodies among them.
pub(super) struct Index {
    firsts: Vec<usize>,
    nodes: Vec<NodeId>,
    by_node: FxHashMap<NodeId, usize>,
    effects: FxHashMap<NodeId, EffectKind>,
    /// The group of each function, and whether its functions call each other or themselves.
    pub(super) group_of: Vec<usize>,
    pub(super) groups: Vec<Vec<usize>>,
    /// What each function calls, in order, none twice.
    pub(super) callees: Vec<Vec<usize>>,
    /// Called by another function of the program.
    pub(super) is_called: Vec<bool>,
}

impl Index {
    pub(super) fn of(analysis: &Analysis, facts: &[Facts], budget: &mut usize) -> Self {
        let mut index = Self {
            firsts: Vec::new(),
            nodes: Vec::new(),
            by_node: FxHashMap::default(),
            effects: effects(analysis),
            group_of: Vec::new(),
            groups: Vec::new(),
            callees: Vec::new(),
            is_called: Vec::new(),
        };
        for (at, unit) in analysis.program.units.iter().enumerate() {
            index.firsts.push(index.nodes.len());
            for function in 0..unit.functions.len() {
                let node = analysis.node_of(UnitId::of(at), FunctionId::of(function));
                index.by_node.insert(node, index.nodes.len());
                index.nodes.push(node);
            }
        }
        for (at, unit) in analysis.program.units.iter().enumerate() {
            for function in 0..unit.functions.len() {
                let callees =
                    index.callees_of(analysis, &facts[at], UnitId::of(at), FunctionId::of(function), budget);
                index.callees.push(callees);
            }
        }
        index.group();
        index
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, number: usize) -> NodeId {
        self.nodes[number]
    }

    pub(super) fn number(&self, unit: UnitId, function: FunctionId) -> usize {
        self.firsts[unit.index()] + function.index()
    }

    pub(super) fn function(&self, number: usize) -> (UnitId, FunctionId) {
        let unit = self.firsts.partition_point(|first| *first <= number) - 1;
        (UnitId::of(unit), FunctionId::of(number - self.firsts[unit]))
    }

    pub(super) fn by_node(&self, node: NodeId) -> Option<usize> {
        self.by_node.get(&node).copied()
    }

    pub(super) fn effect(&self, node: NodeId) -> Option<EffectKind> {
        self.effects.get(&node).copied()
    }

    fn callees_of(
        &self,
        analysis: &Analysis,
        facts: &Facts,
        id: UnitId,
        function: FunctionId,
        budget: &mut usize,
    ) -> Vec<usize> {
        let unit = &analysis.program.units[id.index()];
        let mut callees = Vec::new();
        let open = parts::of_block(unit, unit.functions[function.index()].body).collect();
        parts::each(unit, open, budget, &mut |part| {
            let Part::Expr(expr) = part else { return };
            callees.extend(analysis.reached(id, expr).filter_map(|reached| self.by_node(reached.node)));
            if let ExprKind::Call(_, _, args) = unit.expr(expr).kind {
                let given = unit.args(args).iter().filter_map(|arg| function_given(unit, facts, arg.value));
                callees.extend(given.map(|function| self.number(id, function)));
            }
        });
        callees.sort_unstable();
        callees.dedup();
        callees
    }

    fn group(&mut self) {
        let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(self.nodes.len(), 0);
        for _ in &self.nodes {
            graph.add_node(());
        }
        for (from, callees) in self.callees.iter().enumerate() {
            graph.extend_with_edges(callees.iter().map(|to| (from as u32, *to as u32)));
        }
        self.is_called = vec![false; self.nodes.len()];
        for (from, callees) in self.callees.iter().enumerate() {
            for to in callees.iter().filter(|to| **to != from) {
                self.is_called[*to] = true;
            }
        }
        self.group_of = vec![0; self.nodes.len()];
        // Kosaraju's algorithm gives callees before their callers, and does not recurse as Tarjan's does.
        for (number, group) in petgraph::algo::kosaraju_scc(&graph).into_iter().enumerate() {
            let mut members: Vec<usize> = group.into_iter().map(|node| node.index()).collect();
            members.sort_unstable();
            members.iter().for_each(|member| self.group_of[*member] = number);
            self.groups.push(members);
        }
    }
}

/// A function that is given as an argument.
pub(super) fn function_given(unit: &Unit, facts: &Facts, expr: ExprId) -> Option<FunctionId> {
    if let Some(function) = facts::made(unit, expr) {
        return Some(function);
    }
    match unit.expr(expr).kind {
        ExprKind::Name(..) => facts.function(facts.var(unit, expr)?),
        _ => None,
    }
}

fn effects(analysis: &Analysis) -> FxHashMap<NodeId, EffectKind> {
    let graph = &analysis.graph;
    let kinds =
        [EffectKind::Database, EffectKind::Http, EffectKind::Network, EffectKind::File, EffectKind::Process];
    let mut effects = FxHashMap::default();
    for edge in graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Performs) {
        if graph.node(edge.from).kind != NodeKind::LibraryFunction {
            continue;
        }
        let name = &graph.node(edge.to).name;
        effects.extend(kinds.iter().find(|kind| kind.name() == name).map(|kind| (edge.from, *kind)));
    }
    effects
}
