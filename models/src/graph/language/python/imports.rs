//! Modules and imports. In: paths and import statements. Out: names of modules, and assignments of what is imported.

use super::{F, K, Reader};
use crate::graph::ir::{ExprId, ExprKind, StmtId, StmtKind};
use crate::graph::language::Importer;
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// `a/b/c.py` is `a.b.c`, `a/b/__init__.py` is `a.b`.
pub(super) fn module_name(path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let stem = stem.trim_start_matches("./");
    let package = stem.strip_suffix("/__init__").unwrap_or(stem);
    package.replace('/', ".")
}

/// An absolute import is looked for at the root and in every package around the importer, the innermost first; a
/// relative one in the package that its dots name.
pub(super) fn candidates(spec: &str, importer: &Importer<'_>) -> Vec<String> {
    let name = spec.trim_start_matches('.');
    let dots = spec.len() - name.len();
    let join = |package: &str| match (package, name) {
        ("", name) => name.to_owned(),
        (package, "") => package.to_owned(),
        (package, name) => format!("{package}.{name}"),
    };
    let mut package = package_of(importer);
    if dots > 0 {
        for _ in 1..dots {
            package = package.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        return vec![join(package)];
    }
    let mut names = vec![name.to_owned()];
    while !package.is_empty() {
        names.push(join(package));
        package = package.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
    names
}

/// The package whose modules stand beside the importer.
fn package_of<'a>(importer: &Importer<'a>) -> &'a str {
    let is_package = importer.path.rsplit('/').next().is_some_and(|file| file.starts_with("__init__."));
    if is_package {
        return if importer.path.contains('/') { importer.module } else { "" };
    }
    importer.module.rsplit_once('.').map_or("", |(package, _)| package)
}

impl Reader<'_, '_> {
    /// `import a.b.c` gives the name `a`, `import a.b.c as d` the module itself.
    pub(super) fn import(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.called(at, F::Name) {
            let line = self.line(child);
            let (name, alias) = self.aliased(child);
            let module = self.syntax.text(name);
            let value = self.out.import(module, line);
            if let Some(alias) = alias {
                let target = self.target_name(alias, place);
                list.push(self.out.assign(target, value, line));
                continue;
            }
            let root = module.split('.').next().unwrap_or(module);
            let mut first = value;
            if root.len() < module.len() {
                list.push(self.out.stmt(StmtKind::Expr(value), line));
                let spec = self.out.names.intern(root);
                first = self.out.expr(ExprKind::Import(spec), line);
            }
            let name = self.out.names.intern(root);
            let target = self.declared_name(name, place.scope, line);
            list.push(self.out.assign(target, first, line));
        }
    }

    pub(super) fn import_from(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(module_at) = self.field(at, F::ModuleName) else { return };
        let line = self.line(at);
        let spec: String = self.syntax.text(module_at).split_whitespace().collect();
        let module = self.out.import(&spec, line);
        if self.has(at, K::WildcardImport) {
            self.out.unit.imports_all.push(module);
            list.push(self.out.stmt(StmtKind::Expr(module), line));
            return;
        }
        for child in self.called(at, F::Name) {
            let (name, alias) = self.aliased(child);
            let value = self.imported(module, name);
            let target = self.target_name(alias.unwrap_or(name), place);
            list.push(self.out.assign(target, value, line));
        }
    }

    fn imported(&mut self, module: ExprId, name: At) -> ExprId {
        let (symbol, line) = (self.symbol(name), self.line(name));
        self.out.expr(ExprKind::Attr(module, symbol), line)
    }

    fn aliased(&self, at: At) -> (At, Option<At>) {
        if self.kind(at) != K::AliasedImport {
            return (at, None);
        }
        (self.field(at, F::Name).unwrap_or(at), self.field(at, F::Alias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_their_paths() {
        assert_eq!(module_name("a/b/c.py"), "a.b.c");
        assert_eq!(module_name("a/b/__init__.py"), "a.b");
        assert_eq!(module_name("main.py"), "main");
    }

    #[test]
    fn imports_are_looked_for_in_the_packages_around_the_importer() {
        let module = Importer { module: "a.b.c", path: "a/b/c.py", roots: &[] };
        assert_eq!(candidates("x", &module), ["x", "a.b.x", "a.x"]);
        assert_eq!(candidates(".x", &module), ["a.b.x"]);
        assert_eq!(candidates("..x.y", &module), ["a.x.y"]);
        let package = Importer { module: "a.b", path: "a/b/__init__.py", roots: &[] };
        assert_eq!(candidates(".", &package), ["a.b"]);
        assert_eq!(candidates("..x", &package), ["a.x"]);
    }
}
