//! Documents that lead somewhere. In: the tree. Out: links of Markdown files to files that are not there, and a change log
//! without a place for what is new.

use super::Violation;
use super::tree::Tree;

/// Every link into the repository leads to a file or folder of it.
pub(super) fn resolve(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let mut block = false;
        for (index, line) in file.text.lines().enumerate() {
            // What stands in a block of code is shown, not linked.
            block ^= line.trim_start().starts_with("```");
            if block {
                continue;
            }
            for target in targets(line).filter(|target| is_inner(target)) {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !leads_somewhere(tree, &file.path, path) {
                    let cause = format!("`{target}` leads nowhere");
                    violations.push(Violation::new(
                        &file.path,
                        index + 1,
                        cause,
                        "Name a file of the repository",
                    ));
                }
            }
        }
    }
    violations
}

/// What follows `](` up to the closing parenthesis.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.trim())
}

fn is_inner(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

fn leads_somewhere(tree: &Tree, from: &str, path: &str) -> bool {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            name => parts.push(name),
        }
    }
    parts.is_empty() || tree.has(&parts.join("/"))
}

/// The change log has a place for the version that is worked on.
pub(super) fn changelog(tree: &Tree) -> Vec<Violation> {
    const LOG: &str = "CHANGELOG.md";
    let version = tree.text("Cargo.toml").and_then(version).unwrap_or_default();
    let heading = |line: &str| {
        let is =
            |name: &str| line.starts_with(&format!("## [{name}]")) || line.starts_with(&format!("## {name}"));
        is("Unreleased") || is(version)
    };
    if tree.text(LOG).unwrap_or_default().lines().any(heading) {
        return Vec::new();
    }
    let cause = format!("no section for {version} and none for what is unreleased");
    vec![Violation::new(LOG, 1, cause, "Add a section `## [Unreleased]`")]
}

fn version(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""))?;
    line.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let text = "[a](b.md) [c](../README.md#part) [d](https://e.example/f) [g](#h)\n[i](j.md)\n```\n[k](l.md)\n```\n";
        let tree =
            Tree::of(&[("README.md", "# A\n[docs](docs/)\n"), ("docs/a.md", text), ("docs/b.md", "# B\n")]);
        let [one] = &resolve(&tree)[..] else { panic!("not one violation: {:?}", resolve(&tree)) };
        assert_eq!((one.path.as_str(), one.line), ("docs/a.md", 2));
    }

    #[test]
    fn a_link_out_of_the_repository_is_told() {
        assert!(!leads_somewhere(&Tree::of(&[("a", "")]), "docs/a.md", "../../a"));
    }

    #[test]
    fn a_change_log_needs_a_place_for_what_is_new() {
        let log = |text| {
            changelog(&Tree::of(&[("Cargo.toml", "version = \"0.2.0\"\n"), ("CHANGELOG.md", text)])).len()
        };
        assert_eq!((log("## [Unreleased]\n"), log("## [0.2.0] - soon\n"), log("## [0.1.0]\n")), (0, 0, 1));
    }
}
