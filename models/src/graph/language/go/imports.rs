//! Packages. In: paths and imports. Out: names of packages, and names by which a file calls what it imports.

use super::{F, K, Reader};
use crate::graph::ir::{StmtId, StmtKind};
use crate::graph::language::Importer;
use crate::graph::lower::Place;
use crate::graph::source::LanguageId;
use crate::graph::syntax::At;

/// What the package at the root is called.
const ROOT: &str = "main";

/// The first parts of the paths of Go's own packages.
const STANDARD: &[&str] = &[
    "archive",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "weak",
];

/// The folder with dots.
pub(super) fn module_name(path: &str) -> String {
    let folder = path.trim_start_matches("./").rsplit_once('/').map_or("", |(folder, _)| folder);
    of_folder(folder)
}

fn of_folder(folder: &str) -> String {
    if folder.is_empty() { ROOT.to_owned() } else { folder.replace('/', ".") }
}

/// The folder that a module line gives the path to. Without such a line the path's end is tried, unless it is of Go itself.
pub(super) fn candidates(spec: &str, importer: &Importer<'_>) -> Vec<String> {
    let roots = importer.roots.iter().filter(|root| root.language == LanguageId::Go);
    let mut known = false;
    let mut found: Vec<String> = Vec::new();
    for root in roots {
        known = true;
        let Some(rest) = spec.strip_prefix(root.name.as_str()) else { continue };
        let folder = match rest.strip_prefix('/') {
            Some(rest) if root.folder.is_empty() => rest.to_owned(),
            Some(rest) => format!("{}/{rest}", root.folder),
            None if rest.is_empty() => root.folder.clone(),
            None => continue,
        };
        found.push(of_folder(&folder));
    }
    let (first, rest) = spec.split_once('/').unwrap_or((spec, ""));
    if known || STANDARD.binary_search(&first).is_ok() {
        return found;
    }
    // A host's name is followed by an owner's and a repository's.
    let rest = if first.contains('.') { rest.splitn(3, '/').nth(2).unwrap_or("") } else { rest };
    if rest.is_empty() { Vec::new() } else { vec![of_folder(rest)] }
}

/// The import path of what a library has.
pub(super) fn package(path: &str) -> &str {
    let last = path.rfind('/').map_or(0, |at| at + 1);
    path[last..].find('.').map_or(path, |dot| &path[..last + dot])
}

/// The names by which a package is likely to call itself.
fn own_names(spec: &str) -> Vec<&str> {
    let version = |part: &&str| part.len() > 1 && part[1..].bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = spec.rsplit('/');
    let last = parts.next().unwrap_or(spec);
    let last = match last.starts_with('v').then_some(last).filter(version) {
        Some(_) => parts.next().unwrap_or(last),
        None => last,
    };
    let last = last.split_once(".v").map_or(last, |(name, _)| name);
    let short = last.trim_start_matches("go-").trim_end_matches("-go").trim_end_matches(".go");
    let end = short.rsplit(['-', '.']).next().unwrap_or(short);
    let mut names = vec![last, short, end];
    names.dedup();
    names
}

impl Reader<'_, '_> {
    pub(super) fn imports(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::ImportSpecList => self.imports(child, place, list),
                K::ImportSpec => self.import(child, place, list),
                _ => {}
            }
        }
    }

    fn import(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(path) = self.field(at, F::Path) else { return };
        let (spec, line) = (self.text(path).trim_matches(['"', '`']), self.line(at));
        let module = self.out.import(spec, line);
        let names: Vec<&str> = match self.field(at, F::Name) {
            Some(name) if self.kind(name) == K::Dot => {
                self.out.unit.imports_all.push(module);
                Vec::new()
            }
            Some(name) if self.kind(name) == K::BlankIdentifier => Vec::new(),
            Some(name) => vec![self.text(name)],
            None => own_names(spec),
        };
        if names.is_empty() {
            self.push(StmtKind::Expr(module), at, list);
        }
        for name in names {
            let name = self.out.names.intern(name);
            let target = self.declared_name(name, place.scope, line);
            list.push(self.out.assign(target, module, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ir::Root;

    #[test]
    fn packages_are_their_folders_by_the_module_line_or_by_their_ends() {
        let root = |folder: &str| Root {
            language: LanguageId::Go,
            folder: folder.into(),
            name: "example.com/shop".into(),
        };
        let of = |spec: &str, roots: &[Root]| {
            candidates(spec, &Importer { module: "main", path: "main.go", roots })
        };
        assert_eq!(of("example.com/shop/internal/store", &[root("")]), ["internal.store"]);
        assert_eq!(of("example.com/shop", &[root("shop")]), ["shop"]);
        assert!(of("example.com/shopping", &[root("")]).is_empty());
        assert!(of("github.com/me/other/store", &[root("")]).is_empty());
        assert_eq!(of("github.com/me/shop/store", &[]), ["store"]);
        assert_eq!(of("shop/store", &[]), ["store"]);
        assert!(of("net/http", &[]).is_empty() && STANDARD.is_sorted());
        assert_eq!((module_name("a/b/c.go"), module_name("c.go")), ("a.b".into(), "main".into()));
    }

    #[test]
    fn a_package_is_called_by_the_end_of_its_path_without_its_version() {
        assert_eq!(own_names("net/http"), ["http"]);
        assert!(own_names("github.com/redis/go-redis/v9").contains(&"redis"));
        assert!(own_names("gopkg.in/yaml.v3").contains(&"yaml"));
        assert_eq!(package("github.com/redis/go-redis.Client.Get"), "github.com/redis/go-redis");
    }
}
