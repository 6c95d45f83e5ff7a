//! The shape of files. In: the tree. Out: Rust files that do not say what they are for, files that are too long, lines
//! and files that end badly.

use super::Violation;
use super::tree::{File, Tree};

/// Lines of one file without its tests.
const LINES_MAX: usize = 800;

/// Every Rust file opens by saying what enters, what leaves, what it refuses.
pub(super) fn headers(tree: &Tree) -> Vec<Violation> {
    let without = tree.rust().filter(|file| !file.text.starts_with("//!"));
    let remedy = "Say in `//!` what enters, what leaves, what it refuses";
    without
        .map(|file| Violation::new(&file.path, 1, "the file does not say what it is for", remedy))
        .collect()
}

/// No file is longer than one reads.
pub(super) fn sizes(tree: &Tree) -> Vec<Violation> {
    let source = |file: &&File| [".rs", ".c", ".h"].iter().any(|ending| file.path.ends_with(ending));
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(source) {
        let count = file.lines().filter(|line| !line.test).count();
        if count > LINES_MAX {
            let cause = format!("{count} lines without tests, {LINES_MAX} are the most");
            violations.push(Violation::new(&file.path, LINES_MAX + 1, cause, "Split it by what it does"));
        }
    }
    violations
}

/// No blanks at the end of a line; one line break at the end of a file.
pub(super) fn endings(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                let cause = "blanks at the end of the line";
                violations.push(Violation::new(&file.path, index + 1, cause, "Remove them"));
            }
        }
        let ends_well = file.text.is_empty() || (file.text.ends_with('\n') && !file.text.ends_with("\n\n"));
        if !ends_well {
            let cause = "the file does not end with one line break";
            let line = file.text.lines().count();
            violations.push(Violation::new(&file.path, line, cause, "Let it end after its last line"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_without_a_heading_is_told() {
        let tree = Tree::of(&[("a.rs", "use b;\n"), ("c.rs", "//! C.\n"), ("d.md", "# D\n")]);
        let [one] = &headers(&tree)[..] else { panic!("not one violation") };
        assert!(one.to_string().starts_with("a.rs:1: "), "{one}");
    }

    #[test]
    fn a_long_file_is_told_and_tests_do_not_count() {
        let code = "//! A.\n".to_owned() + &"fn a() {}\n".repeat(LINES_MAX - 1);
        let tested = code.clone() + "#[cfg(test)]\nmod tests {\n}\n";
        let tree =
            Tree::of(&[("a.rs", &tested), ("b/tests/c.rs", &code.repeat(2)), ("d.c", &code.repeat(2))]);
        let paths: Vec<_> = sizes(&tree).into_iter().map(|violation| violation.path).collect();
        assert_eq!(paths, ["d.c"]);
    }

    #[test]
    fn blanks_and_a_missing_line_break_at_the_end_are_told() {
        let tree =
            Tree::of(&[("a", "one \ntwo\n"), ("b", "one"), ("c", "one\n\n"), ("d", "one\n"), ("e", "")]);
        let places: Vec<_> =
            endings(&tree).into_iter().map(|violation| (violation.path, violation.line)).collect();
        assert_eq!(places, [("a".into(), 1), ("b".into(), 1), ("c".into(), 2)]);
    }
}
