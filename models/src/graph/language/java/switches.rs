//! Switches and patterns. In: switches as statements and as values. Out: branches; as a value, a variable that each way
//! assigns. That a case falls through to the next is not followed.

use super::{F, K, Reader};
use crate::graph::ir::{Branch, ExprId, ExprKind, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// A switch whose ways give a value.
    pub(super) fn switch_value(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        // A name that no program can write.
        let name = self.out.names.intern(&format!("<switch{}>", self.out.unit.exprs.len()));
        let target = self.declared_name(name, place.scope, line);
        self.switch(at, Some(target), place);
        self.out.name(name, place.scope, line)
    }

    pub(super) fn switch(&mut self, at: At, target: Option<ExprId>, place: Place) {
        let (value, line) = (self.part(at, F::Condition, place), self.line(at));
        self.add(StmtKind::Expr(value), line);
        let (mut branches, mut default) = (Vec::new(), None);
        let cases = self.field(at, F::Body).map(|body| self.children(body));
        for case in cases.into_iter().flatten() {
            if !matches!(self.kind(case), K::SwitchGroup | K::SwitchRule) {
                continue;
            }
            let labels: Vec<At> = self.of_kind(case, K::SwitchLabel).collect();
            let otherwise = labels.iter().any(|label| self.has(*label, K::DefaultToken));
            let mut conditions = Vec::new();
            let body = self.block_with(place, |reader, inner| {
                for label in &labels {
                    reader.label(*label, inner, &mut conditions);
                }
                for child in reader.children(case).filter(|child| !labels.contains(child)).collect::<Vec<_>>()
                {
                    reader.way(child, target, inner);
                }
            });
            let condition = if otherwise { None } else { Some(self.out.unknown(conditions, line)) };
            let branch = Branch { condition, body };
            if otherwise { default = Some(branch) } else { branches.push(branch) }
        }
        branches.extend(default);
        let branches = self.out.branches(branches);
        self.add(StmtKind::Branch(branches), line);
    }

    fn label(&mut self, at: At, place: Place, conditions: &mut Vec<ExprId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::Pattern => self.pattern(child, place),
                _ => conditions.push(self.expr(child, place)),
            }
        }
    }

    /// What a way does. What its expression gives, or a `yield`, is the switch's value.
    fn way(&mut self, at: At, target: Option<ExprId>, place: Place) {
        match (self.kind(at), target) {
            (K::Yield, Some(target)) => self.give(at, target, place),
            (K::ExpressionStatement, Some(target)) => {
                if let Some(inner) = self.first(at) {
                    let (value, line) = (self.expr(inner, place), self.line(at));
                    self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
                }
            }
            (K::Block, Some(target)) => {
                for child in self.children(at) {
                    match self.kind(child) {
                        K::Yield => self.give(child, target, place),
                        _ => self.statement(child, place),
                    }
                }
            }
            _ => self.statement(at, place),
        }
    }

    fn give(&mut self, at: At, target: ExprId, place: Place) {
        let (value, line) = (self.inside(at, place), self.line(at));
        self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
    }

    /// Names in a pattern are of the types that stand before them.
    pub(super) fn pattern(&mut self, at: At, place: Place) {
        let children: Vec<At> = self.children(at).collect();
        match (self.kind(at), &children[..]) {
            (K::TypePattern | K::RecordPatternComponent, [ty, name]) if self.kind(*name) == K::Identifier => {
                let (ty, line) = (self.ty(*ty, place), self.line(at));
                let target = self.local(*name, place);
                let value = ty.map(|ty| self.out.expr(ExprKind::InstanceOf(ty), line));
                self.add(StmtKind::Assign { target, value, op: None, ty: None }, line);
            }
            _ => children.into_iter().for_each(|child| self.pattern(child, place)),
        }
    }
}
