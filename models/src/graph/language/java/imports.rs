//! Packages. In: package lines, paths and imports. Out: names of packages, and assignments of what is imported. By custom
//! the first part of a path with a capital is a class.

use super::{K, Reader};
use crate::graph::ir::{ExprId, ExprKind, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// What a package without a name at the root is called.
const ROOT: &str = "default";

/// Files without a package line share that of their folder.
pub(super) fn folder_name(path: &str) -> String {
    match path.trim_start_matches("./").rsplit_once('/') {
        Some((folder, _)) => folder.replace('/', "."),
        None => ROOT.to_owned(),
    }
}

fn is_class(part: &str) -> bool {
    part.starts_with(|c: char| c.is_uppercase())
}

/// The package of a class or member, and the rest.
fn split(path: &str) -> (&str, &str) {
    let mut at = 0;
    for part in path.split('.') {
        if is_class(part) {
            return (path[..at].trim_end_matches('.'), &path[at..]);
        }
        at += part.len() + 1;
    }
    path.rsplit_once('.').unwrap_or((path, ""))
}

/// A package, or that of a class.
pub(super) fn candidates(spec: &str) -> Vec<String> {
    let (package, rest) = split(spec);
    if is_class(rest) { vec![package.to_owned()] } else { vec![spec.to_owned()] }
}

/// The package of what a library has.
pub(super) fn package(path: &str) -> &str {
    let (package, rest) = split(path);
    if is_class(rest) { package } else { path }
}

impl Reader<'_, '_> {
    /// The package line names the module.
    pub(super) fn package(&mut self) {
        let root = self.syntax.root();
        let Some(line) = self.of_kind(root, K::Package).next() else { return };
        let mut names = self
            .children(line)
            .filter(|child| matches!(self.kind(*child), K::ScopedIdentifier | K::Identifier));
        let Some(name) = names.next() else { return };
        let name: String = self.text(name).split_whitespace().collect();
        let name = self.out.names.intern(&name);
        self.out.unit.module = name;
        let module = self.out.function_mut(crate::graph::ir::FunctionId(0));
        (module.name, module.qualified) = (name, name);
    }

    pub(super) fn import(&mut self, at: At, place: Place) {
        let line = self.line(at);
        let path =
            self.children(at).find(|child| matches!(self.kind(*child), K::ScopedIdentifier | K::Identifier));
        let Some(path) = path else { return };
        let path: String = self.text(path).split_whitespace().collect();
        let (all, fixed) = (self.has(at, K::Asterisk), self.has(at, K::StaticToken));
        let spec = self.out.names.intern(&path);
        self.out.unit.imports.push((spec, line));
        if all {
            let module = self.out.expr(ExprKind::Import(spec), line);
            self.all_utilities |= path == "java.util";
            if !fixed {
                self.out.unit.imports_all.push(module);
            }
            return;
        }
        let (package, rest) = split(&path);
        let Some(last) = rest.rsplit('.').next().filter(|last| !last.is_empty()) else { return };
        let last = self.out.names.intern(last);
        if package.starts_with("java.util") {
            self.utilities.insert(last);
        }
        if fixed {
            self.statics.insert(last);
        }
        let value = self.path_in(package, rest, line);
        let target = self.declared_name(last, place.scope, line);
        let stmt = self.out.stmt(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
        self.list.push(stmt);
    }

    /// Classes and members in a package.
    fn path_in(&mut self, package: &str, rest: &str, line: u32) -> ExprId {
        let package = self.out.names.intern(package);
        let mut value = self.out.expr(ExprKind::Import(package), line);
        for part in rest.split('.') {
            let part = self.out.names.intern(part);
            value = self.out.expr(ExprKind::Attr(value, part), line);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_package_up_to_its_first_class() {
        assert_eq!(split("com.shop.Cart.Item"), ("com.shop", "Cart.Item"));
        assert_eq!(candidates("com.shop.Cart"), ["com.shop"]);
        assert_eq!(candidates("com.shop"), ["com.shop"]);
        assert_eq!(package("org.postgresql.Driver.connect"), "org.postgresql");
        assert_eq!(package("com.shop"), "com.shop");
        assert_eq!((folder_name("a/b/C.java"), folder_name("C.java")), ("a.b".into(), "default".into()));
    }
}
