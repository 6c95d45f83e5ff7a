//! Who may use what. In: the tree. Out: uses of a library outside its one door, impurities of `models`, names of metrics
//! typed outside their list.

use super::Violation;
use super::tree::{Tree, has_word};

/// A library as Rust names it, and the only paths that use it.
type Door = (&'static str, &'static [&'static str]);

/// One door per library.
const DOORS: &[Door] = &[
    ("aya", &["agent/src/kernel/"]),
    ("libbpf_rs", &["agent/src/kernel/"]),
    ("libbpf_cargo", &["agent/build.rs"]),
    ("containerd_client", &["agent/src/runtime/containerd"]),
    ("qapi", &["agent/src/runtime/qemu/qmp"]),
    ("rtnetlink", &["agent/src/weave/network", "agent/src/intake/egress", "agent/init/src/link"]),
    ("zip", &["agent/src/intake/archive"]),
    ("tar", &["agent/src/intake/archive", "agent/src/intake/layer", "agent/src/cli/deploy"]),
    ("flate2", &["agent/src/intake/archive", "agent/src/cli/deploy", "agent/src/replay/packed"]),
    ("ruzstd", &["agent/src/replay/packed", "models/examples/"]),
    ("indicatif", &["agent/src/replay/progress"]),
    ("object", &["agent/src/intake/project"]),
    ("s3s", &["agent/src/intake/s3"]),
    ("linfa", &["models/"]),
    ("linfa_trees", &["models/"]),
    ("redb", &["agent/src/learn/store", "agent/src/intake/graphs"]),
    (
        "hyper",
        &[
            "agent/src/dispatch/",
            "agent/src/scrape",
            "agent/src/control/",
            "agent/src/cli/client",
            "agent/src/intake/s3",
        ],
    ),
    (
        "hyper_util",
        &[
            "agent/src/dispatch/",
            "agent/src/scrape",
            "agent/src/control/",
            "agent/src/cli/client",
            "agent/src/intake/s3",
        ],
    ),
    ("tonic", &["agent/src/control/", "agent/src/cli/", "agent/src/runtime/containerd"]),
    ("httparse", &["agent/src/capture/http"]),
    ("metrics_exporter_prometheus", &["agent/src/metrics.rs", "agent/src/scrape"]),
    ("toml", &["agent/src/config", "agent/src/intake/project", "models/src/graph/manifest/"]),
    ("tree_sitter", &["models/src/graph/"]),
    ("tree_sitter_go", &["models/src/graph/language/"]),
    ("tree_sitter_java", &["models/src/graph/language/"]),
    ("tree_sitter_javascript", &["models/src/graph/language/"]),
    ("tree_sitter_python", &["models/src/graph/language/"]),
    ("tree_sitter_rust", &["models/src/graph/language/"]),
    ("tree_sitter_typescript", &["models/src/graph/language/"]),
    ("petgraph", &["models/src/graph/", "models/src/cost/index"]),
    ("quick_xml", &["models/src/graph/manifest/"]),
];
/// System tests and the developer's commands talk to the agent from outside, with what suits them.
const OUTSIDE: &[&str] = &["ebpf/", "tests/", "xtask/", "agent/tests/", "models/tests/"];

/// What a pure crate cannot use: files, the network, the clock, threads, the environment.
const IMPURE: &[&str] =
    &["std::fs", "std::net", "std::env", "std::process", "std::thread", "std::time", "Instant", "SystemTime"];
/// Crates that would make it impure; their names may stand in texts.
const IMPURE_CRATES: &[&str] = &["tokio", "rand"];
const PURE: &str = "models/src/";

const METRICS: &str = "agent/src/metrics.rs";
/// How the text of a metric's name begins.
const METRIC: &str = "\"weft_";

/// Each library is used behind its door alone.
pub(super) fn libraries(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust().filter(|file| !OUTSIDE.iter().any(|start| file.path.starts_with(start))) {
        for line in file.lines() {
            for (library, doors) in DOORS.iter().filter(|(library, _)| uses(line.code, library)) {
                if !doors.iter().any(|door| file.path.starts_with(door)) {
                    let cause = format!("`{library}` is used outside its door");
                    let remedy = format!("Go through {}", doors.join(" or "));
                    violations.push(Violation::new(&file.path, line.number, cause, remedy));
                }
            }
        }
    }
    violations
}

/// A path that begins with the library, or a `use` of it. A path inside of another crate that goes by the same name
/// (`containerd_client::tonic`) is that crate's.
fn uses(code: &str, library: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let path = code.match_indices(&format!("{library}::")).any(|(at, _)| {
        let before = code[..at].trim_end_matches("::");
        // `::library::` is the crate's absolute path; `other::library::` is not ours.
        !before.chars().next_back().is_some_and(part)
    });
    path || code.trim() == format!("use {library};")
}

/// The models read no clock and touch nothing.
pub(super) fn purity(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with(PURE)) {
        for line in file.lines().filter(|line| !line.test) {
            let words = IMPURE.iter().filter(|word| has_word(line.code, word));
            let crates = IMPURE_CRATES.iter().filter(|name| uses(line.code, name));
            if let Some(found) = words.chain(crates).next() {
                let cause = format!("`{found}` makes the models impure");
                let remedy = "Let the caller pass in what is read";
                violations.push(Violation::new(&file.path, line.number, cause, remedy));
            }
        }
    }
    violations
}

/// Stages call functions; names of metrics stand in one file.
pub(super) fn metric_names(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let stage = |path: &str| path.starts_with("agent/src/") && path != METRICS;
    for file in tree.rust().filter(|file| stage(&file.path)) {
        for line in file.lines().filter(|line| line.code.contains(METRIC) && !line.test) {
            let remedy = format!("Call a function of {METRICS}");
            violations.push(Violation::new(
                &file.path,
                line.number,
                "the name of a metric is typed here",
                remedy,
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(violations: &[Violation]) -> Vec<(&str, usize)> {
        violations.iter().map(|violation| (violation.path.as_str(), violation.line)).collect()
    }

    #[test]
    fn a_library_outside_its_door_is_told() {
        let text =
            "//! A.\nuse aya::maps::Map;\n// aya::maps\nlet a = ::redb::Database::open();\nuse aya_log::x;\n";
        let tree = Tree::of(&[
            ("agent/src/kernel/a.rs", text),
            ("agent/src/learn/b.rs", text),
            ("tests/tests/c.rs", text),
            ("ebpf/probes/src/d.rs", text),
        ]);
        let expected =
            [("agent/src/kernel/a.rs", 4), ("agent/src/learn/b.rs", 2), ("agent/src/learn/b.rs", 4)];
        assert_eq!(lines(&libraries(&tree)), expected);
    }

    #[test]
    fn a_crate_inside_of_another_is_the_other_s() {
        assert!(!uses("use containerd_client::tonic::Code;", "tonic") && uses("use tonic::Code;", "tonic"));
        assert!(uses("use ::metrics::counter;", "metrics") && uses("use redb;", "redb"));
    }

    #[test]
    fn a_clock_or_a_file_in_the_models_is_told_and_their_tests_are_free() {
        let text = "//! A.\nuse std::time::Instant;\nlet a = b;\nstd::fs::read(a);\n";
        let tested = "//! A.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        let tree =
            Tree::of(&[("models/src/a.rs", text), ("models/src/b.rs", tested), ("agent/src/c.rs", text)]);
        assert_eq!(lines(&purity(&tree)), [("models/src/a.rs", 2), ("models/src/a.rs", 4)]);
    }

    #[test]
    fn a_metric_s_name_is_told_wherever_it_is_not_listed() {
        let text = format!("//! A.\ncounter!({METRIC}x_total\");\n");
        let tree = Tree::of(&[(METRICS, &text), ("agent/src/a.rs", &text), ("xtask/src/b.rs", &text)]);
        assert_eq!(lines(&metric_names(&tree)), [("agent/src/a.rs", 2)]);
    }
}
