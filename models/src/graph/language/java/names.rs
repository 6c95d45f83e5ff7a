//! What a bare name means. In: a name of a variable or method. Out: a local variable, a member of a class around, or what
//! the package or an import calls so. Java wants local variables declared before they are used, so that those that were
//! read are all there are.

use super::{Around, F, K, Reader};
use crate::graph::ir::{ExprId, ExprKind};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// Notes the names of all classes of the file.
    pub(super) fn note_classes(&mut self) {
        let mut open: Vec<At> = self.children(self.syntax.root()).collect();
        while let Some(at) = open.pop() {
            if let (true, Some(name)) = (self.is_class(at), self.field(at, F::Name)) {
                let name = self.symbol(name);
                self.own.insert(name);
            }
            if self.is_class(at)
                || matches!(
                    self.kind(at),
                    K::ClassBody | K::InterfaceBody | K::EnumBody | K::EnumBodyDeclarations
                )
            {
                open.extend(self.children(at));
            }
        }
    }

    pub(super) fn is_class(&self, at: At) -> bool {
        matches!(self.kind(at), K::Class | K::Interface | K::Enum | K::Record)
    }

    /// A class around, with the members that stand in its body.
    pub(super) fn around(&mut self, name: Symbol, bodies: &[At], inherits: bool) -> Around {
        let mut around = Around {
            name,
            fields: Default::default(),
            methods: Default::default(),
            inherits,
            locals: self.locals.len(),
            parameters: None,
        };
        let mut open: Vec<At> = bodies.to_vec();
        while let Some(body) = open.pop() {
            for member in self.children(body) {
                let (kind, name) = (self.kind(member), self.field(member, F::Name));
                match (kind, name) {
                    (K::Method, Some(name)) => {
                        let name = self.symbol(name);
                        around.methods.insert(name);
                    }
                    (K::EnumConstant, Some(name)) => {
                        let name = self.symbol(name);
                        around.fields.insert(name);
                    }
                    (K::FormalParameter, Some(name)) => {
                        let name = self.symbol(name);
                        around.fields.insert(name);
                        around.methods.insert(name);
                    }
                    (K::Field | K::ConstantDeclaration, _) => {
                        for one in self.of_kind(member, K::VariableDeclarator) {
                            if let Some(name) = self.field(one, F::Name) {
                                let name = self.symbol(name);
                                around.fields.insert(name);
                            }
                        }
                    }
                    (K::EnumBodyDeclarations, _) => open.push(member),
                    _ => {}
                }
            }
        }
        around
    }

    pub(super) fn variable(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.symbol(at), self.line(at));
        let mut end = self.locals.len();
        for depth in (0..self.around.len()).rev() {
            let around = &self.around[depth];
            if self.locals[around.locals..end].contains(&name) {
                return self.out.name(name, place.scope, line);
            }
            if around.fields.contains(&name) {
                let name = self.field_name(depth + 1, name);
                return self.member_of(depth, name, place, line);
            }
            end = around.locals;
        }
        let small = self.text(at).starts_with(|c: char| c.is_lowercase());
        match self.around.iter().rposition(|around| around.inherits) {
            Some(depth) if small && !self.statics.contains(&name) => self.member_of(depth, name, place, line),
            _ => self.out.name(name, place.scope, line),
        }
    }

    /// A field that is called as a method is has a name that no program can write: both are members of one scope.
    pub(super) fn field_name(&mut self, depth: usize, name: Symbol) -> Symbol {
        let around = depth.checked_sub(1).and_then(|depth| self.around.get(depth));
        if !around.is_some_and(|around| around.fields.contains(&name) && around.methods.contains(&name)) {
            return name;
        }
        let text = format!("<{}>", self.out.names.text(name));
        self.out.names.intern(&text)
    }

    /// What a call without an object calls.
    pub(super) fn method_name(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.symbol(at), self.line(at));
        let declares = self.around.iter().rposition(|around| around.methods.contains(&name));
        if declares.is_none() && self.statics.contains(&name) {
            return self.out.name(name, place.scope, line);
        }
        let inherits = self.around.iter().rposition(|around| around.inherits);
        match declares.or(inherits).or(self.around.len().checked_sub(1)) {
            Some(depth) => self.member_of(depth, name, place, line),
            None => self.out.name(name, place.scope, line),
        }
    }

    fn member_of(&mut self, depth: usize, name: Symbol, place: Place, line: u32) -> ExprId {
        let object = if depth + 1 == self.around.len() {
            self.out.expr(ExprKind::Receiver, line)
        } else {
            let class = self.around[depth].name;
            self.outer(class, place, line)
        };
        self.out.expr(ExprKind::Attr(object, name), line)
    }

    /// The instance of a class around.
    pub(super) fn outer(&mut self, class: Symbol, place: Place, line: u32) -> ExprId {
        let class = self.out.name(class, place.scope, line);
        self.out.expr(ExprKind::InstanceOf(class), line)
    }

    /// Declares a local variable.
    pub(super) fn local(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.symbol(at), self.line(at));
        self.locals.push(name);
        self.declared_name(name, place.scope, line)
    }
}
