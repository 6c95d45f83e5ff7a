//! Source that is no source, or made to hurt: a smaller graph and diagnostics, soon, and never a panic.
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_models::graph::diagnostic::Trouble;
use weft_models::graph::{Bounds, CodeGraph, SourceFile, analyse};

const ENDINGS: [&str; 7] = ["py", "js", "ts", "tsx", "go", "java", "rs"];
/// Far more than any of it takes; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn each_language(text: &[u8]) -> Vec<CodeGraph> {
    let began = Instant::now();
    let read = |ending: &&str| {
        let files = [SourceFile::new(format!("a.{ending}"), text)];
        analyse(&files, &Bounds::default()).graph
    };
    let graphs = ENDINGS.iter().map(read).collect();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    graphs
}

fn tells(graph: &CodeGraph, trouble: Trouble) -> bool {
    graph.diagnostics.iter().any(|one| one.trouble == trouble)
}

/// On a thread with a small stack, so that deep recursion is met.
fn on_small_stack(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(test).expect("a thread starts");
    assert!(thread.join().is_ok(), "the test failed on its thread");
}

#[test]
fn a_line_of_a_megabyte_is_read_or_told() {
    for text in
        ["x = [".to_owned() + &"f(1), ".repeat(160_000) + "]", "a".repeat(1 << 20), "a.".repeat(1 << 19)]
    {
        for graph in each_language(text.as_bytes()) {
            assert!(!graph.files.is_empty() || tells(&graph, Trouble::ParseTooLong));
        }
    }
}

#[test]
fn deep_nesting_is_cut_and_told() {
    on_small_stack(|| {
        let brackets = "(".repeat(10_000) + "f()" + &")".repeat(10_000);
        let lists = "[".repeat(10_000);
        let calls = "f(".repeat(10_000) + &")".repeat(10_000);
        let chain = "a".to_owned() + &".b()".repeat(10_000);
        let sum = "1".to_owned() + &" + f(1)".repeat(10_000);
        for text in [brackets, lists, calls, chain, sum] {
            for graph in each_language(text.as_bytes()) {
                let told = [Trouble::NestedTooDeep, Trouble::ParseTooLong, Trouble::SyntaxError];
                assert!(told.iter().any(|trouble| tells(&graph, *trouble)), "{:?}", graph.diagnostics);
            }
        }
    });
}

#[test]
fn blocks_in_blocks_are_cut_and_told() {
    on_small_stack(|| {
        let nested = |word: &str| {
            let line = |depth: usize| format!("{}{word}:\n", " ".repeat(depth));
            (0..1_000).map(line).collect::<String>() + &" ".repeat(1_000) + "pass\n"
        };
        for word in ["if x", "for x in y", "def f(x)", "class A(A)", "try"] {
            each_language(nested(word).as_bytes());
        }
    });
}

#[test]
fn binary_junk_gives_an_empty_graph_and_a_diagnostic() {
    let junk: Vec<u8> = (0..1_u32 << 18).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for graph in each_language(&junk) {
        assert!(graph.nodes.is_empty() && tells(&graph, Trouble::NotText));
    }
    let without_zeros: Vec<u8> = junk.into_iter().filter(|byte| *byte != 0).collect();
    each_language(&without_zeros);
}

#[test]
fn files_beyond_the_bound_are_left_out_and_told() {
    let began = Instant::now();
    let files: Vec<_> =
        (0..100_000).map(|at| SourceFile::new(format!("m{at:06}.py"), "def f(): pass\nf()\n")).collect();
    let graph = analyse(&files, &Bounds::default()).graph;
    assert_eq!(graph.files.len(), Bounds::default().files);
    assert!(tells(&graph, Trouble::TooManyFiles));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_syntax_error_costs_no_more_than_what_is_broken() {
    let text = "def one():\n    two()\n\ndef two(:\n    pass\n\ndef three():\n    one()\n";
    let graph = analyse(&[SourceFile::new("m.py", text)], &Bounds::default()).graph;
    assert!(tells(&graph, Trouble::SyntaxError));
    let names: Vec<_> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert!(names.contains(&"m.one") && names.contains(&"m.three"), "{names:?}");
}

#[test]
fn chains_of_classes_containers_and_functions_end() {
    on_small_stack(|| {
        let many = |line: fn(usize) -> String| (1..4_000).map(line).collect::<String>();
        let classes = "class A0: pass\n".to_owned()
            + &many(|at| format!("class A{at}(A{}): pass\n", at - 1))
            + "A3999().f()\n";
        let circle =
            "class A(C, B): pass\nclass B(A, C): pass\nclass C(B, A): pass\n".repeat(50) + "A().f()\n";
        let dicts =
            "d0 = {'a': f}\n".to_owned() + &many(|at| format!("d{at} = {{**d{}, 'k{at}': f}}\n", at - 1));
        let closures = many(|at| format!("def f{at}(g): return f{}(lambda: g())\n", at - 1));
        let lists = "x = [f]\n".to_owned() + &"x = [x, x]\n".repeat(4_000) + "x[0][0]()\n";
        for text in [classes, circle, dicts, closures, lists] {
            each_language(text.as_bytes());
        }
    });
}

#[test]
fn resolution_that_takes_too_many_steps_stops_and_is_told() {
    let text = (0..300)
        .map(|at| format!("def f{at}(g): g(f{at}); return g\nf{at}(f{})\n", at / 2))
        .collect::<String>();
    let bounds = Bounds { resolution_steps: 1_000, ..Bounds::default() };
    let graph = analyse(&[SourceFile::new("m.py", text)], &bounds).graph;
    assert!(tells(&graph, Trouble::ResolutionStopped), "{:?}", graph.diagnostics);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_graph(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        each_language(&bytes);
    }

    #[test]
    fn any_words_of_a_language_give_a_graph_whose_edges_lead_to_nodes(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..200),
    ) {
        let text = words.join(" ");
        for graph in each_language(text.as_bytes()) {
            let count = graph.nodes.len() as u32;
            prop_assert!(graph.edges.iter().all(|edge| edge.from.0 < count && edge.to.0 < count));
            prop_assert!(graph.edges.is_sorted_by_key(|edge| (edge.from, edge.to, edge.kind, edge.line)));
        }
    }
}

const WORDS: &[&str] = &[
    "a",
    "b",
    "f",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    ".",
    "=",
    "\n",
    "\n    ",
    "\n        ",
    "def",
    "class",
    "return",
    "lambda",
    "for",
    "in",
    "if",
    "else",
    "while",
    "try",
    "except",
    "finally",
    "with",
    "as",
    "import",
    "from",
    "*",
    "**",
    "yield",
    "await",
    "async",
    "@",
    "self",
    "super",
    "'t'",
    "1",
    "global",
    "nonlocal",
    "del",
    "raise",
    "function",
    "=>",
    "new",
    "this",
    "const",
    "let",
    "var",
    "extends",
    "export",
    "default",
    "require",
    "prototype",
    ";",
    "`",
    "${",
    "switch",
    "case",
    "of",
    "static",
    "get",
    "interface",
    "type",
    "enum",
    "<",
    ">",
    "?",
    "!",
    "|",
    "func",
    "package",
    "range",
    ":=",
    "<-",
    "struct",
    "map",
    "go",
    "defer",
    "select",
    "chan",
    "fn",
    "impl",
    "trait",
    "match",
    "mod",
    "use",
    "::",
    "->",
    "'a",
    "#[x]",
    "dyn",
    "where",
    "public",
    "void",
    "implements",
    "throws",
    "synchronized",
    "record",
    "@A",
];
