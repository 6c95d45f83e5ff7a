//! Where modules are. In: paths of files, and paths in the text. Out: names of modules. A crate is the folder around
//! `src`, or the root; other crates of the upload are known by their manifests.

use crate::graph::language::Importer;
use crate::graph::source::LanguageId;

/// What the crate at the root of an upload is called.
const ROOT: &str = "crate";
const MAIN: &str = "main";

/// Where a file stands.
struct Location<'a> {
    /// The folders around the crate's sources.
    prefix: Vec<&'a str>,
    /// The module within the crate.
    inner: Vec<&'a str>,
    /// It is the crate's root.
    root: bool,
}

fn locate(path: &str) -> Location<'_> {
    let path = path.trim_start_matches("./");
    let mut parts: Vec<&str> = path.strip_suffix(".rs").unwrap_or(path).split('/').collect();
    let inner = match parts.iter().position(|part| *part == "src") {
        Some(at) => {
            let inner = parts.split_off(at + 1);
            parts.pop();
            inner
        }
        None => std::mem::take(&mut parts),
    };
    let root = matches!(inner[..], ["lib" | MAIN]);
    let mut inner = inner;
    if matches!(inner.last(), Some(&"mod")) || matches!(inner[..], ["lib"]) {
        inner.pop();
    }
    Location { prefix: parts, inner, root }
}

fn name_of(parts: &[&str]) -> String {
    if parts.is_empty() { ROOT.to_owned() } else { parts.join(".") }
}

/// `crates/a/src/b/c.rs` is `crates.a.b.c`.
pub(super) fn module_name(path: &str) -> String {
    let Location { prefix, inner, .. } = locate(path);
    name_of(&[prefix, inner].concat())
}

/// The modules that a path may mean, the longest first: what is behind the module is in it.
pub(super) fn candidates(spec: &str, importer: &Importer<'_>) -> Vec<String> {
    let parts: Vec<&str> = spec.split("::").collect();
    let Location { prefix, inner, root } = locate(importer.path);
    let own: Vec<&str> = importer.module.split('.').collect();
    // Modules of a crate's root stand beside it, all others in a folder of their name.
    let children = if root { prefix.clone() } else { own.clone() };
    let mut found = Vec::new();
    match parts[..] {
        [ROOT, ref rest @ ..] => longest(&prefix, rest, &mut found),
        ["self"] => found.push(importer.module.to_owned()),
        ["self", ref rest @ ..] => {
            longest(&children, rest, &mut found);
            longest(&own[..own.len() - 1], rest, &mut found);
        }
        ["super", ..] => {
            let ups = parts.iter().take_while(|part| **part == "super").count();
            let above = inner.len().saturating_sub(ups);
            longest(&[&prefix[..], &inner[..above]].concat(), &parts[ups..], &mut found);
        }
        [first, ref rest @ ..] => {
            let named = |name: &str| name.len() == first.len() && name.replace('-', "_") == first;
            let roots = importer.roots.iter().filter(|root| root.language == LanguageId::Rust);
            for root in roots.filter(|root| named(&root.name)) {
                let folder: Vec<&str> = root.folder.split('/').filter(|part| !part.is_empty()).collect();
                longest(&folder, rest, &mut found);
            }
            for end in (1..=parts.len()).rev() {
                found.push(name_of(&[&children[..], &parts[..end]].concat()));
            }
        }
        [] => {}
    }
    found
}

/// A module of a crate, or the crate itself.
fn longest(base: &[&str], rest: &[&str], found: &mut Vec<String>) {
    for end in (0..=rest.len()).rev() {
        found.push(name_of(&[base, &rest[..end]].concat()));
    }
    found.push([base, &[MAIN]].concat().join("."));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ir::Root;

    #[test]
    fn modules_are_named_by_their_files_within_their_crates() {
        let expected = [
            ("src/lib.rs", "crate"),
            ("src/main.rs", "main"),
            ("src/a/mod.rs", "a"),
            ("crates/a/src/b/c.rs", "crates.a.b.c"),
            ("crates/a/src/lib.rs", "crates.a"),
            ("main.rs", "main"),
        ];
        for (path, name) in expected {
            assert_eq!(module_name(path), name, "{path}");
        }
    }

    #[test]
    fn paths_lead_to_modules_of_the_crate_of_others_and_of_the_file() {
        let roots =
            [Root { language: LanguageId::Rust, folder: "crates/my-core".into(), name: "my-core".into() }];
        let of = |spec: &str, path: &str| {
            let module = module_name(path);
            candidates(spec, &Importer { module: &module, path, roots: &roots })
        };
        assert_eq!(of("crate::a::Item", "src/b.rs")[..2], ["a.Item", "a"]);
        assert_eq!(of("crate", "crates/x/src/b.rs"), ["crates.x", "crates.x.main"]);
        assert_eq!(of("self::a", "src/main.rs")[0], "a");
        assert_eq!(of("self::a", "src/b.rs")[0], "b.a");
        assert_eq!(of("super", "src/b/c.rs")[0], "b");
        assert_eq!(of("super", "src/b.rs"), ["crate", "main"]);
        assert_eq!(of("my_core::store::Disk", "src/b.rs")[1], "crates.my-core.store");
        assert!(!of("serde::Serialize", "src/b.rs").contains(&"crate".to_owned()));
    }
}
