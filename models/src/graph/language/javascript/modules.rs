//! Modules. In: paths, imports and exports of both kinds. Out: names of modules, and assignments of what is imported and
//! exported.

use super::{F, K, Reader};
use crate::graph::ir::{ExprId, ExprKind, StmtId, StmtKind};
use crate::graph::language::Importer;
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

const ENDINGS: [&str; 9] = [".js", ".ts", ".jsx", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".json"];

/// `a/b.js` is `a.b`, `a/b/index.ts` is `a.b`.
pub(super) fn module_name(path: &str) -> String {
    let stem = without_ending(path.trim_start_matches("./"));
    let stem = stem.strip_suffix(".d").unwrap_or(stem);
    stem.strip_suffix("/index").unwrap_or(stem).replace('/', ".")
}

fn without_ending(path: &str) -> &str {
    ENDINGS.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path)
}

/// A relative import is a file beside the importer; all others are libraries.
pub(super) fn candidates(spec: &str, importer: &Importer<'_>) -> Vec<String> {
    if !spec.starts_with('.') {
        return Vec::new();
    }
    let mut folders: Vec<&str> = importer.path.split('/').collect();
    folders.pop();
    for part in without_ending(spec).split('/') {
        match part {
            "." | "" => {}
            ".." => {
                folders.pop();
            }
            part => folders.push(part),
        }
    }
    let name = folders.join(".");
    let folder = name.strip_suffix(".index").map(str::to_owned);
    let root = if name.is_empty() { Some("index".to_owned()) } else { None };
    [Some(name), folder, root].into_iter().flatten().filter(|name| !name.is_empty()).collect()
}

/// The package of a library path: `@scope/name/part` is of `@scope/name`.
pub(super) fn package(path: &str) -> &str {
    let parts = if path.starts_with('@') { 2 } else { 1 };
    let end = path.match_indices('/').nth(parts - 1).map_or(path.len(), |(at, _)| at);
    &path[..end]
}

impl Reader<'_, '_> {
    pub(super) fn import(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        if let Some(required) = self.of_kind(at, K::ImportRequireClause).next() {
            // `import name = require('module')`.
            let name = self.of_kind(required, K::Identifier).next();
            if let (Some(name), Some(source)) = (name, self.field(required, F::Source)) {
                let (name, module) = (self.symbol(name), self.module(source));
                self.bind_import(name, module, place, line, list);
            }
            return;
        }
        let Some(source) = self.field(at, F::Source) else { return };
        let module = self.module(source);
        let clause = self.of_kind(at, K::ImportClause).next().map(|clause| self.children(clause));
        if clause.is_none() {
            list.push(self.out.stmt(StmtKind::Expr(module), line));
        }
        for part in clause.into_iter().flatten() {
            match self.kind(part) {
                K::Identifier => {
                    let name = self.symbol(part);
                    let value = self.exported(module, "default", line);
                    self.bind_import(name, value, place, line, list);
                }
                K::NamespaceImport => {
                    if let Some(name) = self.first(part).map(|name| self.symbol(name)) {
                        self.bind_import(name, module, place, line, list);
                    }
                }
                _ => self.named_imports(part, module, place, list),
            }
        }
    }

    fn named_imports(&mut self, at: At, module: ExprId, place: Place, list: &mut Vec<StmtId>) {
        for specifier in self.of_kind(at, K::ImportSpecifier) {
            let Some(name) = self.field(specifier, F::Name) else { continue };
            let (alias, line) = (self.field(specifier, F::Alias).unwrap_or(name), self.line(specifier));
            let text = self.text_of(name);
            let value = self.exported(module, text, line);
            let alias = self.symbol(alias);
            self.bind_import(alias, value, place, line, list);
        }
    }

    fn bind_import(&mut self, name: Symbol, value: ExprId, place: Place, line: u32, list: &mut Vec<StmtId>) {
        let target = self.declared_name(name, place.outer, line);
        list.push(self.out.assign(target, value, line));
    }

    fn module(&mut self, source: At) -> ExprId {
        let (spec, line) = (self.text_of(source), self.line(source));
        self.out.import(spec, line)
    }

    fn exported(&mut self, module: ExprId, name: &str, line: u32) -> ExprId {
        let name = self.out.names.intern(name);
        self.out.expr(ExprKind::Attr(module, name), line)
    }

    /// `require('module')` and `import('module')`.
    pub(super) fn required(&mut self, at: At) -> Option<ExprId> {
        let function = self.field(at, F::Function)?;
        let dynamic = self.kind(function) == K::ImportKeyword;
        if !dynamic && self.syntax.text(function) != "require" {
            return None;
        }
        let argument = self.field(at, F::Arguments).and_then(|list| self.first(list))?;
        (self.kind(argument) == K::String).then(|| self.module(argument))
    }

    /// `module.exports`.
    pub(super) fn is_module_exports(&self, at: At) -> bool {
        let is = |field, text| self.field(at, field).is_some_and(|part| self.syntax.text(part) == text);
        self.kind(at) == K::Member && is(F::Object, "module") && is(F::Property, "exports")
    }

    pub(super) fn export(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        let default = self.has(at, K::DefaultToken);
        if let Some(declaration) = self.field(at, F::Declaration) {
            self.export_declaration(declaration, default, place, list);
        } else if let Some(value) = self.field(at, F::Value) {
            let name = self.out.names.intern("default");
            let value = self.named(value, Some(name), place);
            self.put_export(name, value, line, list);
        } else if let Some(source) = self.field(at, F::Source) {
            self.export_from(at, source, list);
        } else if let Some(clause) = self.of_kind(at, K::ExportClause).next() {
            for (name, alias) in self.specifiers(clause) {
                let name = self.symbol(name);
                let value = self.out.name(name, place.scope, line);
                let alias = self.text_of(alias);
                let alias = self.out.names.intern(alias);
                self.put_export(alias, value, line, list);
            }
        } else if self.has(at, K::Equals) {
            // `export = value`.
            let value = self.inside(at, place);
            self.push(StmtKind::ExportsAre(value), at, list);
        }
    }

    fn export_declaration(&mut self, at: At, default: bool, place: Place, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        let mut names = Vec::new();
        self.declared_names(at, &mut names);
        if names.is_empty() && default {
            // A class or function without a name.
            let name = self.out.names.intern("default");
            let value = match self.kind(at) {
                K::ClassDeclaration | K::Class | K::AbstractClass => self.class(at, Some(name), place),
                _ => {
                    let function = self.function(at, Some(name), None, place);
                    self.out.expr(ExprKind::Function(function), line)
                }
            };
            return self.put_export(name, value, line, list);
        }
        self.statement(at, place, list);
        for name in names {
            let value = self.out.name(name, place.scope, line);
            let exported = if default { self.out.names.intern("default") } else { name };
            self.put_export(exported, value, line, list);
        }
    }

    fn put_export(&mut self, name: Symbol, value: ExprId, line: u32, list: &mut Vec<StmtId>) {
        self.out.unit.has_default |= self.out.names.text(name) == "default";
        let module = self.out.expr(ExprKind::Exports, line);
        let target = self.out.expr(ExprKind::Attr(module, name), line);
        list.push(self.out.assign(target, value, line));
    }

    fn export_from(&mut self, at: At, source: At, list: &mut Vec<StmtId>) {
        let (module, line) = (self.module(source), self.line(at));
        if let Some(clause) = self.of_kind(at, K::ExportClause).next() {
            for (name, alias) in self.specifiers(clause) {
                let (name, alias) = (self.text_of(name), self.text_of(alias));
                let (value, alias) = (self.exported(module, name, line), self.out.names.intern(alias));
                self.put_export(alias, value, line, list);
            }
        } else if let Some(namespace) = self.of_kind(at, K::NamespaceExport).next() {
            if let Some(name) = self.first(namespace).map(|name| self.symbol(name)) {
                self.put_export(name, module, line, list);
            }
        } else {
            self.out.unit.imports_all.push(module);
            list.push(self.out.stmt(StmtKind::Expr(module), line));
        }
    }

    fn specifiers(&self, clause: At) -> Vec<(At, At)> {
        let specifiers = self.of_kind(clause, K::ExportSpecifier);
        let pair = |specifier| {
            let name = self.field(specifier, F::Name)?;
            Some((name, self.field(specifier, F::Alias).unwrap_or(name)))
        };
        specifiers.filter_map(pair).collect()
    }

    /// The names that a declaration gives.
    pub(super) fn declared_names(&mut self, at: At, names: &mut Vec<Symbol>) {
        if let Some(name) = self.field(at, F::Name) {
            match self.kind(name) {
                K::Identifier | K::TypeIdentifier => names.push(self.symbol(name)),
                _ => self.pattern_names(name, names),
            }
            return;
        }
        for one in self.of_kind(at, K::VariableDeclarator) {
            self.declared_names(one, names);
        }
    }

    fn pattern_names(&mut self, at: At, names: &mut Vec<Symbol>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::Identifier | K::ShorthandPattern => names.push(self.symbol(child)),
                K::PairPattern | K::AssignmentPattern | K::ObjectAssignmentPattern => {
                    let inner = self.field(child, F::Value).or(self.field(child, F::Left));
                    match inner
                        .filter(|inner| matches!(self.kind(*inner), K::Identifier | K::ShorthandPattern))
                    {
                        Some(name) => names.push(self.symbol(name)),
                        None => inner.into_iter().for_each(|inner| self.pattern_names(inner, names)),
                    }
                }
                _ => self.pattern_names(child, names),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_their_paths_without_endings_and_index() {
        assert_eq!(module_name("src/cart.js"), "src.cart");
        assert_eq!(module_name("src/cart/index.ts"), "src.cart");
        assert_eq!(module_name("src/cart.service.ts"), "src.cart.service");
        assert_eq!(module_name("index.js"), "index");
    }

    #[test]
    fn relative_imports_are_files_and_others_are_libraries() {
        let importer = Importer { module: "src.a.b", path: "src/a/b.js", roots: &[] };
        assert_eq!(candidates("./c.js", &importer), ["src.a.c"]);
        assert_eq!(candidates("../c/index", &importer), ["src.c.index", "src.c"]);
        assert_eq!(candidates("../..", &importer), ["index"]);
        assert!(candidates("lodash", &importer).is_empty());
    }

    #[test]
    fn packages_may_have_a_scope() {
        assert_eq!(package("@aws/s3/client"), "@aws/s3");
        assert_eq!(package("lodash/fp"), "lodash");
    }
}
