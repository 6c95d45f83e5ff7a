//! What small programs cost: how their time grows and why, what in them may be slow, and how much memory they take.
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_models::cost::{
    Complexity, Costs, Decider, Drive, Finding, FunctionCost, Judge, Lesson, Options, Rule, Severity, assess,
    assess_with, observe,
};
use weft_models::graph::code::NodeKind;
use weft_models::graph::{Analysis, Bounds, SourceFile, analyse};

fn analysis(files: &[(&str, &str)]) -> Analysis {
    let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
    analyse(&files, &Bounds::default())
}

/// By the rules alone.
fn costs(path: &str, text: &str) -> Costs {
    assess_with(&analysis(&[(path, text)]), None, None)
}

fn python(text: &str) -> Costs {
    costs("m.py", text)
}

fn javascript(text: &str) -> Costs {
    costs("m.js", text)
}

fn function<'c>(costs: &'c Costs, name: &str) -> &'c FunctionCost {
    let found = costs.functions.iter().find(|function| function.name == name);
    found.unwrap_or_else(|| panic!("no function {name}"))
}

fn found(costs: &Costs, rule: Rule) -> &Finding {
    let found = costs.findings.iter().find(|finding| finding.rule == rule);
    found.unwrap_or_else(|| panic!("no {rule:?} in {:?}", costs.findings))
}

/// Growth by the rules, lines of the loops and what drives them.
fn seen(function: &FunctionCost) -> (&str, Vec<(u32, Drive)>) {
    let loops = function.evidence.loops.iter().map(|one| (one.line, one.drive)).collect();
    (&function.growth, loops)
}

#[test]
fn loops_with_constant_bounds_are_constant() {
    let costs = python("def f(a):\n    for i in range(26):\n        a[0] += i\n    return a[1]\n");
    assert_eq!(function(&costs, "m.f").time, Complexity::Constant);
    let costs = javascript("function f(a) { for (let i = 0; i < 10; i++) { a[0] += i; } return a[1]; }");
    assert_eq!(function(&costs, "m.f").growth, "1");
}

#[test]
fn a_loop_over_the_input_is_linear_and_told_by_its_line() {
    let costs = python(
        "def f(items):\n    total = 0\n    for item in items:\n        total += item\n    return total\n",
    );
    let f = function(&costs, "m.f");
    assert_eq!(f.time, Complexity::Linear);
    assert_eq!(seen(f), ("n", vec![(3, Drive::Walk)]));
    assert_eq!((f.evidence.line, f.file.as_str(), f.lines), (3, "m.py", (1, 5)));
}

#[test]
fn counters_that_double_or_halve_are_logarithmic() {
    let costs =
        python("def f(n):\n    i = 1\n    while i < n:\n        i *= 2\n    while n:\n        n //= 10\n");
    assert_eq!(seen(function(&costs, "m.f")), ("log n", vec![(3, Drive::Halving)]));
    let costs = javascript("function f(n) { for (let i = n; i > 0; i >>= 1) { g(i); } }");
    assert_eq!(seen(function(&costs, "m.f")), ("log n", vec![(1, Drive::Halving)]));
}

#[test]
fn a_binary_search_is_logarithmic() {
    let text = "
def find(a, x):
    low, high = 0, len(a) - 1
    while low <= high:
        mid = (low + high) // 2
        if a[mid] == x:
            return mid
        if a[mid] < x:
            low = mid + 1
        else:
            high = mid - 1
    return -1
";
    let costs = python(text);
    let find = function(&costs, "m.find");
    assert_eq!(find.time, Complexity::Logarithmic);
    assert_eq!(seen(find), ("log n", vec![(4, Drive::Halving)]));
}

#[test]
fn two_pointers_that_meet_are_linear() {
    let text = "
def pair(a, x):
    i, j = 0, len(a) - 1
    while i < j:
        if a[i] + a[j] < x:
            i += 1
        else:
            j -= 1
";
    assert_eq!(seen(function(&python(text), "m.pair")), ("n", vec![(4, Drive::Counter)]));
}

#[test]
fn a_pointer_that_never_goes_back_shares_its_rounds() {
    let text = "
def window(a, k):
    j = 0
    for i in range(len(a)):
        while j < len(a) and a[j] - a[i] <= k:
            j += 1
";
    assert_eq!(function(&python(text), "m.window").time, Complexity::Linear);
    let goes_back = text.replace("        while", "        j = 0\n        while");
    let costs = python(&goes_back);
    let window = function(&costs, "m.window");
    assert_eq!(seen(window), ("n^2", vec![(4, Drive::Counter), (6, Drive::Counter)]));
}

#[test]
fn a_stack_that_is_emptied_shares_its_rounds() {
    let text = "
def greater(a):
    stack = []
    for i, x in enumerate(a):
        while stack and a[stack[-1]] < x:
            stack.pop()
        stack.append(i)
";
    assert_eq!(function(&python(text), "m.greater").growth, "n");
}

#[test]
fn nested_loops_multiply_and_comprehensions_are_loops() {
    let costs = python("def f(a):\n    return [x * y for x in a for y in a]\n");
    let f = function(&costs, "m.f");
    assert_eq!(f.time, Complexity::Quadratic);
    assert_eq!(seen(f).1.len(), 2);
    let text = "function f(a) {\n for (const x of a)\n  for (const y of a)\n   for (const z of a)\n    g(x, y, z);\n}";
    let costs = javascript(text);
    let f = function(&costs, "m.f");
    assert_eq!(f.time, Complexity::Cubic);
    assert_eq!(seen(f), ("n^3", vec![(2, Drive::Walk), (3, Drive::Walk), (4, Drive::Walk)]));
}

#[test]
fn steps_as_long_as_the_round_are_harmonic() {
    let text = "
def sieve(n):
    for i in range(2, n):
        for j in range(i * i, n, i):
            mark(j)
";
    assert_eq!(
        seen(function(&python(text), "m.sieve")),
        ("n log n", vec![(3, Drive::Counter), (4, Drive::Harmonic)])
    );
}

#[test]
fn sorting_is_linearithmic_and_searching_by_halves_logarithmic() {
    let costs = python("def f(a):\n    a.sort()\n    return a[0]\n");
    let f = function(&costs, "m.f");
    assert_eq!(f.time, Complexity::Linearithmic);
    assert_eq!((f.evidence.line, f.evidence.says.as_str()), (2, "sort sorts"));
    let costs = python("import bisect\ndef f(a, x):\n    return bisect.bisect_left(a, x)\n");
    assert_eq!(function(&costs, "m.f").time, Complexity::Logarithmic);
    let costs = javascript("function f(a) { a.sort((x, y) => x - y); return a[0]; }");
    assert_eq!(function(&costs, "m.f").growth, "n log n");
}

#[test]
fn callees_count_with_the_chain_that_leads_to_them() {
    let text = "
def inner(a):
    for x in a:
        g(x)

def middle(a):
    inner(a)

def outer(a):
    for x in a:
        middle(a)
";
    let costs = python(text);
    let outer = function(&costs, "m.outer");
    assert_eq!(outer.time, Complexity::Quadratic);
    let chain: Vec<_> =
        outer.evidence.callees.iter().map(|callee| (callee.name.as_str(), callee.line)).collect();
    assert_eq!(chain, [("m.middle", 11), ("m.inner", 7)]);
    assert_eq!(seen(outer).1, [(10, Drive::Walk)]);
    assert_eq!(costs.entry.time, Complexity::Quadratic);
}

#[test]
fn a_chain_of_callees_crosses_files() {
    let files = [
        ("shop/__init__.py", ""),
        (
            "shop/cart.py",
            "from .stock import check\n\ndef total(items):\n    for item in items:\n        check(items)\n",
        ),
        ("shop/stock.py", "def check(items):\n    for item in items:\n        print(item)\n"),
    ];
    let costs = assess_with(&analysis(&files), None, None);
    let total = function(&costs, "shop.cart.total");
    assert_eq!(total.time, Complexity::Quadratic);
    assert_eq!(total.evidence.callees[0].file, "shop/stock.py");
}

#[test]
fn recurrences_are_solved_and_told() {
    let says =
        |costs: &Costs, name: &str| function(costs, name).evidence.recurrence.clone().unwrap_or_default();
    let costs = python("def f(n):\n    if n == 0:\n        return 1\n    return n * f(n - 1)\n");
    assert_eq!(function(&costs, "m.f").time, Complexity::Linear);
    assert!(says(&costs, "m.f").contains("T(n) = T(n-1) + 1"), "{}", says(&costs, "m.f"));
    let fib = "def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)\n";
    let costs = python(fib);
    assert_eq!(function(&costs, "m.f").time, Complexity::Exponential);
    assert!(says(&costs, "m.f").contains("T(n) = 2 T(n-1)"));
    let costs = python(&format!("from functools import lru_cache\n@lru_cache(None)\n{fib}"));
    assert_eq!(function(&costs, "m.f").time, Complexity::Linear);
    assert!(says(&costs, "m.f").contains("remembers"));
    let costs = python("def f(n):\n    if n < 2:\n        return 0\n    return 1 + f(n // 2)\n");
    assert_eq!(function(&costs, "m.f").time, Complexity::Logarithmic);
    let merge = "
def sort(a):
    if len(a) < 2:
        return a
    mid = len(a) // 2
    return merge(sort(a[:mid]), sort(a[mid:]))

def merge(a, b):
    out = []
    while a and b:
        out.append(a.pop())
        b.pop()
    return out
";
    let costs = python(merge);
    assert_eq!(function(&costs, "m.sort").time, Complexity::Linearithmic);
    assert!(says(&costs, "m.sort").contains("T(n) = 2 T(n/2) + n"), "{}", says(&costs, "m.sort"));
}

#[test]
fn trees_and_marked_graphs_are_walked_once() {
    let text = "
def depth(node):
    if node is None:
        return 0
    return 1 + max(depth(node.left), depth(node.right))

def reach(graph, node, seen):
    if node in seen:
        return
    seen.add(node)
    for other in graph[node]:
        reach(graph, other, seen)
";
    let costs = python(text);
    assert_eq!(function(&costs, "m.depth").time, Complexity::Linear);
    assert_eq!(function(&costs, "m.reach").time, Complexity::Linear);
    let text = "
const walk = (graph, start) => {
  const queue = [start];
  const seen = new Set(queue);
  while (queue.length) {
    const node = queue.pop();
    for (const other of graph[node]) {
      if (!seen.has(other)) { seen.add(other); queue.push(other); }
    }
  }
};
";
    assert_eq!(function(&javascript(text), "m.walk").growth, "n");
}

#[test]
fn every_order_is_exponential() {
    let text = "
def orders(a, path, used):
    if len(path) == len(a):
        print(path)
    for i in range(len(a)):
        if not used[i]:
            used[i] = True
            path.append(a[i])
            orders(a, path, used)
            path.pop()
            used[i] = False
";
    let costs = python(text);
    assert_eq!(function(&costs, "m.orders").time, Complexity::Exponential);
    assert_eq!(found(&costs, Rule::HeavyEntry).severity, Severity::High);
    let costs = python(
        "from itertools import permutations\ndef f(a):\n    for p in permutations(a):\n        print(p)\n",
    );
    assert_eq!(seen(function(&costs, "m.f")), ("2^n", vec![(3, Drive::Subsets)]));
}

#[test]
fn a_loop_of_which_nothing_is_known_is_not_sure() {
    let costs = python("def f(a):\n    while a.more():\n        a.go()\n");
    let f = function(&costs, "m.f");
    assert_eq!(seen(f), ("n", vec![(2, Drive::Condition)]));
    let sure = python("def f(a):\n    for x in a:\n        print(x)\n");
    assert!(f.confidence < function(&sure, "m.f").confidence || f.why != function(&sure, "m.f").why);
    assert!(f.why.contains("guess") || f.why.contains("not sure"), "{}", f.why);
}

#[test]
fn a_query_per_element_is_found_also_through_callees() {
    let text = "
import sqlite3
db = sqlite3.connect('shop.db')

def price(item):
    return sqlite3.connect('shop.db').execute('select price from item where id = ?', (item,)).fetchone()

def total(items):
    total = 0
    for item in items:
        total += price(item)
    return total
";
    let costs = python(text);
    let finding = found(&costs, Rule::DatabaseInLoop);
    assert_eq!((finding.function.as_str(), finding.line, finding.severity), ("m.total", 11, Severity::High));
    assert_eq!((finding.loops[0].line, finding.callees[0].name.as_str()), (10, "m.price"));
    assert!(finding.message.contains("through m.price"), "{}", finding.message);
    let once =
        text.replace("    for item in items:\n        total += price(item)", "    total = price(items)");
    assert!(python(&once).findings.iter().all(|one| one.rule != Rule::DatabaseInLoop));
}

#[test]
fn requests_and_files_in_loops_are_found() {
    let costs = python("import requests\ndef f(urls):\n    return [requests.get(url) for url in urls]\n");
    let finding = found(&costs, Rule::HttpInLoop);
    assert_eq!((finding.line, finding.file.as_str(), finding.loops[0].line), (3, "m.py", 3));
    let costs = python(
        "def f(paths):\n    for path in paths:\n        with open(path) as file:\n            print(file)\n",
    );
    assert_eq!(found(&costs, Rule::FileInLoop).severity, Severity::Medium);
    let text = "import fs from 'fs';\nexport function f(paths) {\n  for (const path of paths) {\n    fs.readFileSync(path);\n  }\n}";
    assert_eq!(found(&costs_of_module(text), Rule::FileInLoop).line, 4);
}

fn costs_of_module(text: &str) -> Costs {
    costs("m.mjs", text)
}

#[test]
fn texts_and_lists_that_are_copied_in_each_round_are_found() {
    let text = "
def f(items):
    text = ''
    seen = []
    for item in items:
        text += str(item)
        if item in seen:
            continue
        seen.append(item)
        seen.insert(0, item)
    return text
";
    let costs = python(text);
    let lines: Vec<_> = costs.findings.iter().map(|one| (one.rule, one.line)).collect();
    for expected in [(Rule::QuadraticText, 6), (Rule::SearchInLoop, 7), (Rule::QuadraticList, 10)] {
        assert!(lines.contains(&expected), "{lines:?}");
    }
    assert!(found(&costs, Rule::SearchInLoop).message.contains("seen"));
    assert_eq!(function(&costs, "m.f").time, Complexity::Quadratic);
    let with_set = text.replace("seen = []", "seen = set()").replace("seen.append", "seen.add");
    let with_set = python(&with_set.replace("        seen.insert(0, item)\n", ""));
    assert_eq!(function(&with_set, "m.f").time, Complexity::Linear);
    assert!(with_set.findings.iter().all(|one| one.rule != Rule::SearchInLoop));
    let costs =
        javascript("function f(queue) {\n  while (queue.length) {\n    const one = queue.shift();\n  }\n}");
    assert_eq!(found(&costs, Rule::QuadraticList).line, 3);
}

#[test]
fn the_entry_point_may_be_named() {
    let text = "def small(a):\n    return a[0]\n\ndef large(a):\n    return [x + y for x in a for y in a]\n";
    let analysis = analysis(&[("m.py", text)]);
    let small = analysis.graph.find(NodeKind::Function, "m.small");
    assert_eq!(assess_with(&analysis, small, None).entry.time, Complexity::Constant);
    let whole = assess_with(&analysis, None, None);
    assert_eq!(whole.entry.node, analysis.graph.find(NodeKind::Function, "m.large"));
    assert_eq!(whole.entry.time, Complexity::Quadratic);
}

#[test]
fn memory_is_an_interval_with_its_reasons() {
    let bare = python("def f(a):\n    return a[0]\n").memory;
    let text = "import pandas\n\ndef f(path):\n    rows = open(path).read()\n    kept = []\n    for row in rows:\n        kept.append([x for x in rows])\n    return pandas.DataFrame(kept)\n";
    let loaded = python(text).memory;
    assert!(bare.low > 0 && bare.low < bare.high && loaded.low > bare.low && loaded.high > bare.high);
    let told = loaded.reasons.join("\n");
    for expected in
        ["runtime of python", "library pandas", "read reads all at once, m.py line 4", "m.py line 7"]
    {
        assert!(told.contains(expected), "{told}");
    }
    let node = javascript("function f() {}").memory;
    assert!(node.low > bare.low, "Node.js takes more than Python");
}

#[test]
fn go_and_java_are_counted_by_the_same_rules() {
    let text = "
package m

import \"sort\"

func Pairs(a []int) int {
	sort.Ints(a)
	best := 0
	for i := 0; i < len(a); i++ {
		for j := i + 1; j < len(a); j++ {
			best = best + a[j]
		}
	}
	return best
}

func Bits(n int) int {
	count := 0
	for n > 0 {
		n /= 2
		count++
	}
	return count
}
";
    let costs = costs_by_end(text, "Pairs", "m.go");
    assert_eq!(seen(&costs[0]), ("n^2", vec![(9, Drive::Counter), (10, Drive::Counter)]));
    let costs = costs_by_end(text, "Bits", "m.go");
    assert_eq!(seen(&costs[0]), ("log n", vec![(19, Drive::Halving)]));
    let text = "
class Solution {
    int fib(int n) {
        if (n < 2) return n;
        return fib(n - 1) + fib(n - 2);
    }
    int sorted(int[] a) {
        java.util.Arrays.sort(a);
        return a[0];
    }
}
";
    let growth = |name| costs_by_end(text, name, "Solution.java")[0].growth.clone();
    assert_eq!((growth("fib"), growth("sorted")), ("2^n".into(), "n log n".into()));
}

/// Functions whose names end like this.
fn costs_by_end(text: &str, name: &str, path: &str) -> Vec<FunctionCost> {
    let functions = costs(path, text).functions;
    functions.into_iter().filter(|one| one.name.split(['.', '(']).any(|part| part == name)).collect()
}

#[test]
fn trees_are_the_same_from_the_same_lessons_and_tell_who_decided() {
    let loops =
        ["return a", "for x in a: f(x)", "while a.more(): a.go()", "for x in a:\n    for y in a: f(x)"];
    let classes = [Complexity::Constant, Complexity::Linear, Complexity::Cubic, Complexity::Quadratic];
    let lesson = |at: usize| {
        let analysis = analysis(&[("m.py", &format!("def f(a):\n  {}\n", loops[at % 4]))]);
        let observed = observe(&analysis, None).expect("there is a function");
        Lesson { observed, class: classes[at % 4] }
    };
    let lessons: Vec<Lesson> = (0..200).map(lesson).collect();
    let groups: Vec<u32> = (0..200).map(|at| at / 4).collect();
    let train = || {
        Judge::train(&lessons, &groups, &Options { trees: 8, ..Options::default() }, 3).expect("it learns")
    };
    let judge = train();
    assert_eq!(judge, train());
    let bytes = judge.to_bytes().expect("it is written");
    assert_eq!(Judge::from_bytes(&bytes).expect("it is read"), judge);
    assert!(Judge::from_bytes(&bytes[..bytes.len() / 2]).is_err() && Judge::from_bytes(&[]).is_err());
    let decided = |text: &str| assess_with(&analysis(&[("m.py", text)]), None, Some(&judge)).entry;
    let sure = decided("def f(a):\n  for x in a: f(x)\n".replace("f(x)", "g(x)").as_str());
    assert_eq!((sure.time, sure.decided_by), (Complexity::Linear, Decider::Rules));
    // The rules guess linear there; the lessons say otherwise.
    let guessed = decided("def f(a):\n  while a.more(): a.go()\n");
    assert_eq!((guessed.time, guessed.decided_by), (Complexity::Cubic, Decider::Forest));
    assert!(
        guessed.why.contains("rules guess O(n)") && guessed.why.contains("trees give O(n³)"),
        "{}",
        guessed.why
    );
}

#[test]
fn the_shipped_trees_are_read_and_decide() {
    let shipped =
        Judge::shipped().expect("models/seed/cost.bin was trained on other features: cargo xtask train cost");
    assert!(shipped.rows > 1_000 && shipped.forest().trees() > 10);
    let analysis = analysis(&[("m.py", "def f(a):\n    a.sort()\n    return a[0]\n")]);
    let f = assess(&analysis, None).entry;
    assert_eq!((f.time, f.decided_by), (Complexity::Linearithmic, Decider::Rules), "{}", f.why);
}

#[test]
fn empty_and_broken_programs_have_costs() {
    assert_eq!(assess(&analysis(&[]), None).entry.time, Complexity::Unknown);
    let costs = python("def f(:\n    for x in\n\ndef g(a):\n    for x in a:\n        pass\n");
    assert_eq!(function(&costs, "m.g").growth, "n");
}

/// Far more than any of it takes; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn hostile_source_is_assessed_soon_and_told_where_it_is_not() {
    let nested =
        (0..150).map(|depth| format!("{}for x{depth} in a:\n", " ".repeat(depth))).collect::<String>()
            + &" ".repeat(150)
            + "x0 in a\n";
    let many = (0..20_000).map(|at| format!("def f{at}(a):\n  for x in a: f{}(a)\n", (at + 1) % 20_000));
    let chain = (0..3_000).map(|at| format!("x{} = x{at} + x{at} * x{at}\n", at + 1)).collect::<String>();
    let loops = "x = []\n".to_owned() + &"while x: x.pop(); y = x in x\n".repeat(20_000);
    let all = "def f(a):\n".to_owned() + &"  f(a[1:]) + f(a[:1])\n".repeat(5_000);
    for text in [nested, many.collect(), chain, loops, all] {
        let began = Instant::now();
        let costs = on_small_stack(text);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert!(costs.complete || costs.functions.iter().any(|one| one.time == Complexity::Unknown));
    }
}

fn on_small_stack(text: String) -> Costs {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || python(&text));
    thread.expect("a thread starts").join().expect("the assessment ends")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_words_have_costs_and_the_same_ones_each_time(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..150),
    ) {
        let text = words.join(" ");
        for ending in ["py", "js", "ts"] {
            let path = format!("m.{ending}");
            let first = costs(&path, &text);
            prop_assert_eq!(&first, &costs(&path, &text));
            prop_assert!(first.functions.iter().all(|one| (0.0..=1.0).contains(&one.confidence)));
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
    "\n  ",
    "\n    ",
    "def",
    "return",
    "lambda",
    "for",
    "in",
    "if",
    "else",
    "while",
    "f(",
    "range(",
    "a.pop()",
    "a.append(b)",
    "+= 1",
    "//= 2",
    "let",
    "function",
    "=>",
    ";",
    "of",
    "a[b]",
    "a.left",
    "1",
    "'t'",
    "not",
    "break",
    "len(",
    "<",
    "* 2",
    "sort()",
];
