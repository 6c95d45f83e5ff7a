//! Paths and imports. In: `use`, `mod` and paths. Out: expressions of what they lead to, and assignments of what is
//! imported.

use super::{F, K, Reader};
use crate::graph::ir::{Entry, ExprId, ExprKind, Literal, MapKind, ScopeKind, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// Names that one import may bring; those beyond are left out.
const NAMES_MAX: usize = 1_000;

impl<'r> Reader<'r, '_> {
    /// Notes the names that items and imports of a file give.
    pub(super) fn note_items(&mut self, root: At) {
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            for child in self.children(at) {
                match self.kind(child) {
                    K::Use => {
                        let mut found = Vec::new();
                        if let Some(argument) = self.field(child, F::Argument) {
                            self.imported(argument, &mut Vec::new(), &mut found);
                        }
                        for (_, alias) in found {
                            let name = self.out.names.intern(alias);
                            self.items.insert(name);
                        }
                    }
                    K::DeclarationList => open.push(child),
                    _ => {
                        if let Some(name) = self.field(child, F::Name) {
                            let name = self.symbol(name);
                            self.items.insert(name);
                        }
                        if self.kind(child) == K::Mod {
                            open.push(child);
                        }
                    }
                }
            }
        }
    }

    /// The paths that an import names, each with what it is called; `*` stands for all.
    fn imported(&self, at: At, before: &mut Vec<&'r str>, found: &mut Vec<(Vec<&'r str>, &'r str)>) {
        if found.len() >= NAMES_MAX {
            return;
        }
        let length = before.len();
        match self.kind(at) {
            K::UseAs => {
                let alias = self.field(at, F::Alias).map(|alias| self.text(alias));
                if let (Some(path), Some(alias)) = (self.field(at, F::Path), alias) {
                    self.segments(path, before);
                    found.push((before.clone(), alias));
                }
            }
            K::UseList => self.children(at).for_each(|child| self.imported(child, before, found)),
            K::ScopedUseList => {
                if let Some(path) = self.field(at, F::Path) {
                    self.segments(path, before);
                }
                if let Some(list) = self.field(at, F::List) {
                    self.imported(list, before, found);
                }
            }
            K::UseWildcard => {
                if let Some(path) = self.children(at).next() {
                    self.segments(path, before);
                }
                found.push((before.clone(), "*"));
            }
            // `use path::{self}`.
            K::SelfToken if length > 0 => found.push((before.clone(), before[length - 1])),
            _ => {
                self.segments(at, before);
                if let Some(last) = before.last().copied() {
                    found.push((before.clone(), last));
                }
            }
        }
        before.truncate(length);
    }

    /// The parts of a path.
    pub(super) fn segments(&self, at: At, parts: &mut Vec<&'r str>) {
        match self.kind(at) {
            K::ScopedIdentifier | K::ScopedType => {
                if let Some(path) = self.field(at, F::Path) {
                    self.segments(path, parts);
                }
                if let Some(name) = self.field(at, F::Name) {
                    parts.push(self.text(name));
                }
            }
            K::GenericType | K::GenericTurbofish => {
                if let Some(inner) = self.field(at, F::Type) {
                    self.segments(inner, parts);
                }
            }
            K::GenericFunction => {
                if let Some(inner) = self.field(at, F::Function) {
                    self.segments(inner, parts);
                }
            }
            K::QualifiedType => {
                if let Some(inner) = self.field(at, F::Type) {
                    self.segments(inner, parts);
                }
            }
            K::Other => {
                // `<Type as Trait>::name` is of the type.
                if let Some(inner) = self.children(at).next() {
                    self.segments(inner, parts);
                }
            }
            _ => parts.push(self.text(at)),
        }
    }

    pub(super) fn import(&mut self, at: At, place: Place) {
        let line = self.line(at);
        let mut found = Vec::new();
        if let Some(argument) = self.field(at, F::Argument) {
            self.imported(argument, &mut Vec::new(), &mut found);
        }
        for (parts, alias) in found {
            let spec = self.out.names.intern(&parts.join("::"));
            self.out.unit.imports.push((spec, line));
            if alias == "*" {
                // Names of a library that nothing names are not known to be there.
                let own = matches!(parts.first(), Some(&("crate" | "self" | "super")));
                if own && self.mods.len() == 1 {
                    let module = self.out.expr(ExprKind::Import(spec), line);
                    self.out.unit.imports_all.push(module);
                }
                continue;
            }
            let value = self.path_of(&parts, place, line);
            // A trait that is only there for its methods, and a name that is there already.
            if alias == "_" || (parts.len() == 1 && alias == parts[0] && self.mods.len() == 1) {
                continue;
            }
            let alias = self.out.names.intern(alias);
            let target = self.declared_name(alias, place.scope, line);
            self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
        }
    }

    /// What a path leads to.
    pub(super) fn path_of(&mut self, parts: &[&str], place: Place, line: u32) -> ExprId {
        let Some((first, mut rest)) = parts.split_first() else { return self.out.unknown(Vec::new(), line) };
        let mut value = match *first {
            "Self" if self.own_type.is_some() => match self.own_type {
                Some(ty) => ty,
                None => self.out.unknown(Vec::new(), line),
            },
            "self" | "super" if !rest.is_empty() => {
                let ups = parts.iter().take_while(|part| **part == "super").count();
                rest = &parts[ups.max(1)..];
                match (self.mods.len().checked_sub(ups + 1), rest.split_first()) {
                    // A module within the file, or the file itself.
                    (Some(depth), Some((name, behind))) => {
                        rest = behind;
                        let name = self.out.names.intern(name);
                        // As seen from here: whoever reads it is not who declares it.
                        let around = Some(self.mods[depth]);
                        let scope = self.out.scope(around, ScopeKind::Block, place.function);
                        self.out.name(name, scope, line)
                    }
                    _ => {
                        let outside = ups + 1 - self.mods.len().min(ups);
                        self.import_of(&vec!["super"; outside].join("::"), line)
                    }
                }
            }
            "crate" => self.import_of("crate", line),
            name => {
                let symbol = self.out.names.intern(name);
                let small = name.starts_with(|c: char| c.is_lowercase());
                if small && !rest.is_empty() && !self.items.contains(&symbol) {
                    self.import_of(name, line)
                } else {
                    self.out.name(symbol, place.scope, line)
                }
            }
        };
        for part in rest {
            let part = self.out.names.intern(part);
            value = self.out.expr(ExprKind::Attr(value, part), line);
        }
        value
    }

    /// A module that is looked up without being noted as an import.
    fn import_of(&mut self, spec: &str, line: u32) -> ExprId {
        let spec = self.out.names.intern(spec);
        self.out.expr(ExprKind::Import(spec), line)
    }

    /// `mod name;` is a file, `mod name { … }` an object of its items.
    pub(super) fn module(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let target = self.declared_name(name, place.scope, line);
        let Some(body) = self.field(at, F::Body) else {
            let spec = format!("self::{}", self.text(name_at));
            let module = self.out.import(&spec, line);
            return self.add(StmtKind::Assign { target, value: Some(module), op: None, ty: None }, line);
        };
        let scope = self.out.scope(Some(place.scope), ScopeKind::Block, place.function);
        let qualified = self.out.qualify(place, name);
        let first = self.out.unit.declared.len();
        self.mods.push(scope);
        self.items(body, Place { scope, qualified, ..place });
        self.mods.pop();
        let own: Vec<_> =
            self.out.unit.declared[first..].iter().filter(|(of, _)| *of == scope).copied().collect();
        let mut entries = Vec::new();
        for (_, name) in own {
            let key = Some(self.out.expr(ExprKind::Literal(Literal::Text(name)), line));
            entries.push(Entry { key, value: self.out.name(name, scope, line) });
        }
        let entries = self.out.entries(entries);
        let value = self.out.expr(ExprKind::Map(MapKind::Object, entries), line);
        self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
    }
}
