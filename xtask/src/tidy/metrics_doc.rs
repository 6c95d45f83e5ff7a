//! `docs/metrics.md`, written from `agent/src/metrics.rs`. In: the table `ALL` and the functions that set the metrics.
//! Out: the document, or what cannot be read: a metric without help, one that no function sets, one that is set without
//! being listed.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{Generated, Violation, compare};

const SOURCE: &str = "agent/src/metrics.rs";
const TARGET: &str = "docs/metrics.md";
const TABLE: &str = "pub const ALL: &[(&str, &str)] = &[";

const HEAD: &str = "# Metrics

What the agent tells Prometheus at `/metrics` of the address `[agent] metrics`. Written by `cargo xtask tidy --fix` from
`agent/src/metrics.rs`; `cargo xtask tidy` fails when the two differ.

Labels are bounded: segments of the configuration, and words of the closed lists named here. Nothing from a request
becomes a label. Histograms have buckets from 0.5 ms to 10 s.

| metric | kind | labels | what it tells |
| --- | --- | --- | --- |
";

struct Metric<'a> {
    name: &'a str,
    help: &'a str,
    line: usize,
}

/// The document says what the source says.
pub(super) fn is_current(tree: &Tree) -> Vec<Violation> {
    compare(tree, generated(tree), SOURCE)
}

/// Documents and the chart speak of no metric that is not there.
pub(super) fn names_exist(tree: &Tree) -> Vec<Violation> {
    let metrics = tree.text(SOURCE).map(listed).and_then(Result::ok).unwrap_or_default();
    let speaks = |path: &str| [".md", ".yaml", ".txt", ".tpl"].iter().any(|ending| path.ends_with(ending));
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| speaks(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            for name in metrics_in(line).filter(|name| !metrics.iter().any(|metric| metric.name == *name)) {
                let cause = format!("there is no metric `{name}`");
                violations.push(Violation::new(
                    &file.path,
                    index + 1,
                    cause,
                    format!("See `ALL` in {SOURCE}"),
                ));
            }
        }
    }
    violations
}

/// Words that can only be names of metrics, by how they begin and end; what a histogram adds is taken off.
fn metrics_in(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let plain = words.map(|word| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word)
    });
    let ends = |word: &&str| ["_total", "_seconds", "_bytes"].iter().any(|end| word.ends_with(end));
    plain.filter(|word| word.starts_with("weft_")).filter(ends)
}

/// The document.
pub(super) fn generated(tree: &Tree) -> Generated {
    Generated { path: TARGET, text: written(tree.text(SOURCE).unwrap_or_default()) }
}

fn written(source: &str) -> Result<String, Violation> {
    let metrics = listed(source)?;
    let labels = labels(source);
    if let Some(name) = labels.keys().find(|name| !metrics.iter().any(|metric| metric.name == **name)) {
        return Err(unlisted(source, name));
    }
    let mut text = HEAD.to_owned();
    for Metric { name, help, line } in &metrics {
        let Some(labels) = labels.get(name) else {
            let cause = format!("no function sets `{name}`");
            return Err(Violation::new(SOURCE, *line, cause, "Write one, or take the metric out"));
        };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{name}` | {} | {} | {help} |\n", kind(name), labels.join(", "));
    }
    Ok(text)
}

/// By the ending, as the recorder describes them too.
fn kind(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_total") => "counter",
        _ if name.ends_with("_seconds") => "histogram",
        _ => "gauge",
    }
}

/// The rows of the table: pairs of texts, however rustfmt breaks them into lines.
fn listed(source: &str) -> Result<Vec<Metric<'_>>, Violation> {
    let missing =
        || Violation::new(SOURCE, 1, format!("there is no `{TABLE}`"), "Keep the list of all metrics there");
    let from = source.find(TABLE).ok_or_else(missing)? + TABLE.len();
    let table = source[from..].split("\n];").next().unwrap_or_default();
    let mut metrics: Vec<Metric<'_>> = Vec::new();
    let mut line = source[..from].lines().count();
    let mut name = None;
    // Between quotes, every second part is a text.
    for (index, part) in table.split('"').enumerate() {
        match (index % 2, name) {
            (1, None) => name = Some((part, line)),
            (1, Some((name, line))) => metrics.push(Metric { name, help: part, line }),
            (_, Some(_)) if part.contains(')') => name = None,
            _ => {}
        }
        line += part.matches('\n').count();
    }
    let unhelpful =
        metrics.iter().find(|metric| !metric.name.starts_with("weft_") || metric.help.contains('\\'));
    if let Some(metric) = unhelpful {
        let cause = format!("`{}` is no row of the list", metric.name);
        let remedy = "Write `(\"weft_name\", \"help\")`, without escapes";
        return Err(Violation::new(SOURCE, metric.line, cause, remedy));
    }
    Ok(metrics)
}

/// Labels of each metric that is set somewhere below the table.
fn labels(source: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for call in ["counter!(", "gauge!(", "histogram!("] {
        for (at, _) in source.match_indices(call) {
            let rest = &source[at + call.len()..];
            // Names are texts: in `describe_counter!(*name, …)` there is none.
            let Some((name, rest)) =
                rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'))
            else {
                continue;
            };
            let known = labels.entry(name).or_default();
            for label in of_call(rest) {
                if !known.contains(&label) {
                    known.push(label);
                }
            }
        }
    }
    labels
}

/// The labels in a call's arguments, up to its end: `, "label" => value`.
fn of_call(rest: &str) -> Vec<&str> {
    let end = rest.find(';').unwrap_or(rest.len());
    let pairs = rest[..end].split(" => ").collect::<Vec<_>>();
    let before_arrow = &pairs[..pairs.len() - 1];
    before_arrow
        .iter()
        .filter_map(|part| part.strip_suffix('"')?.rsplit_once('"'))
        .map(|(_, label)| label)
        .collect()
}

fn unlisted(source: &str, name: &str) -> Violation {
    let quoted = format!("\"{name}\"");
    let line = source.lines().position(|line| line.contains(&quoted)).unwrap_or(0) + 1;
    Violation::new(
        SOURCE,
        line,
        format!("`{name}` is set and stands in no list"),
        "Add it to `ALL` with its help",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(functions: &str) -> String {
        format!(
            "//! A.\n{TABLE}\n    (\"weft_a_total\", \"How many, of: x, y\"),\n    (\"weft_b\", \"Now\"),\n];\n{functions}"
        )
    }

    const FUNCTIONS: &str = "fn a() {
    counter!(\"weft_a_total\", \"segment\" => s.to_owned(),
        \"outcome\" => o).increment(1);
    gauge!(\"weft_b\").set(1.0);
    describe_counter!(*name, *help);
}
";

    #[test]
    fn each_metric_gets_a_row_with_its_kind_and_labels() {
        let text = written(&source(FUNCTIONS)).unwrap();
        assert!(text.ends_with(
            "| `weft_a_total` | counter | `segment`, `outcome` | How many, of: x, y |\n| `weft_b` | gauge |  | Now |\n"
        ));
    }

    #[test]
    fn a_metric_that_nobody_sets_and_one_that_nobody_lists_are_told() {
        let error = written(&source("counter!(\"weft_a_total\").increment(1);")).unwrap_err();
        assert!(error.cause.contains("weft_b") && error.line == 4, "{error}");
        let error = written(&source(&FUNCTIONS.replace("weft_b", "weft_c"))).unwrap_err();
        assert!(error.cause.contains("weft_c"), "{error}");
    }

    #[test]
    fn a_row_may_be_broken_into_lines() {
        let broken =
            source(FUNCTIONS).replace("(\"weft_a", "(\n        \"weft_a").replace(" y\"),", " y\",\n    ),");
        assert_eq!(written(&broken).unwrap(), written(&source(FUNCTIONS)).unwrap());
    }

    #[test]
    fn a_document_that_speaks_of_no_metric_s_name_is_told() {
        let source = source(FUNCTIONS);
        let text = "rate(weft_a_total[5m])\n`weft_c_seconds_bucket`, the crate weft_models\n";
        let tree = Tree::of(&[(SOURCE, &source), ("docs/a.md", text), ("agent/src/b.rs", text)]);
        let [one] = &names_exist(&tree)[..] else { panic!("{:?}", names_exist(&tree)) };
        assert_eq!((one.path.as_str(), one.line), ("docs/a.md", 2));
    }

    #[test]
    fn a_document_that_differs_is_told_at_the_line() {
        let source = source(FUNCTIONS);
        let text = written(&source).unwrap();
        let check = |text: &str| is_current(&Tree::of(&[(SOURCE, &source), (TARGET, text)]));
        assert_eq!(check(&text), []);
        let [one] = &check(&text.replace("Now", "Then"))[..] else { panic!("not one violation") };
        assert_eq!(one.line, text.lines().count());
    }
}
