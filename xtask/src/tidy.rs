//! The repository's own rules, which no compiler checks. In: the tree of files. Out: a line per violation, with what is
//! wrong and what to do, or nothing. References that are written from the sources are rewritten with `--fix`.

mod config_doc;
mod doors;
mod links;
mod metrics_doc;
mod shape;
mod tree;
mod words;

use anyhow::{Context, Result, bail};

use crate::repository;
use tree::Tree;

/// What to do about violations
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write docs/metrics.md and docs/config.md anew from the sources
    #[arg(long)]
    fix: bool,
}

impl Arguments {
    /// Changes nothing.
    pub(crate) fn check() -> Self {
        Self { fix: false }
    }
}

/// Something against a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// From 1.
    line: usize,
    cause: String,
    remedy: String,
}

impl Violation {
    fn new(path: &str, line: usize, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, cause: cause.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}. {}", self.path, self.line, self.cause, self.remedy)
    }
}

/// A rule: the tree, and where it breaks it.
type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: &[Rule] = &[
    shape::headers,
    shape::sizes,
    shape::endings,
    words::unfinished,
    words::sleeps,
    words::places,
    doors::libraries,
    doors::purity,
    doors::metric_names,
    metrics_doc::is_current,
    metrics_doc::names_exist,
    config_doc::is_current,
    links::resolve,
    links::changelog,
];

/// A document that is written from the sources.
struct Generated {
    path: &'static str,
    text: Result<String, Violation>,
}

/// Checks all rules.
///
/// # Errors
/// If any is broken.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = repository::root();
    let mut tree = Tree::read(&root)?;
    if arguments.fix {
        for Generated { path, text } in [metrics_doc::generated(&tree), config_doc::generated(&tree)] {
            // What cannot be written is a violation below.
            let Ok(text) = text else { continue };
            if tree.text(path) != Some(text.as_str()) {
                std::fs::write(root.join(path), &text).with_context(|| path.to_owned())?;
                println!("tidy: {path} is written anew");
            }
        }
        tree = Tree::read(&root)?;
    }
    let mut violations: Vec<_> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    violations.sort();
    violations.iter().for_each(|violation| println!("{violation}"));
    match violations.len() {
        0 => println!("tidy: {} files, nothing against the rules", tree.files.len()),
        count => bail!("{count} violations of the repository's rules"),
    }
    Ok(())
}

/// Where a document differs from what the sources say.
fn compare(tree: &Tree, generated: Generated, source: &str) -> Vec<Violation> {
    let wanted = match generated.text {
        Ok(text) => text,
        Err(violation) => return vec![violation],
    };
    let have = tree.text(generated.path).unwrap_or_default();
    if have == wanted {
        return Vec::new();
    }
    let same = have.lines().zip(wanted.lines()).take_while(|(one, other)| one == other).count();
    let cause = format!("differs from what {source} says");
    vec![Violation::new(generated.path, same + 1, cause, "Run `cargo xtask tidy --fix`")]
}
