//! Counts of what a program holds. In: loops, calls and operators, as they are met. Out: the features that the trees ask
//! for. The plain ones (lines, loops, calls, …) are what any counter of lines sees; the others need the rules.

use super::growth::{Complexity, Growth};
use super::loops::{Drive, Trips};
use super::recursion::Pattern;
use super::sizes::Scene;
use crate::graph::LanguageId;
use crate::graph::ir::{ExprId, ExprKind, Literal, Loop, LoopKind, Op};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident: $plain:expr),* $(,)?) => {
        /// Counts of one function, or of several.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub(crate) struct Counts { $($(#[$doc])* pub(crate) $name: f32),* }

        impl Counts {
            /// The name of each count, and whether it is a plain one.
            pub(crate) const NAMES: &[(&str, bool)] = &[$((stringify!($name), $plain)),*];

            /// The counts in the order of their names.
            pub(crate) fn values(&self) -> Vec<f32> {
                vec![$(self.$name),*]
            }

            fn pairs(&mut self, other: &Self) -> Vec<(&mut f32, f32)> {
                vec![$((&mut self.$name, other.$name)),*]
            }
        }
    };
}

counts! {
    lines: true,
    functions: true,
    params: true,
    stmts: true,
    assigns: true,
    ifs: true,
    returns: true,
    jumps: true,
    calls: true,
    loops: true,
    nested_max: true,
    whiles: true,
    sorts: true,
    recursive: true,
    maps: true,
    indexes: true,
    operators: true,
    comprehensions: true,
    heaps: true,
    emits: false,
    growing_loops: false,
    growing_nested_max: false,
    constant_loops: false,
    walks: false,
    counters: false,
    halvings: false,
    harmonics: false,
    worklists: false,
    chains: false,
    subsets: false,
    conditions: false,
    shared_loops: false,
    unsure_loops: false,
    reading_loops: false,
    quadratic_loops: false,
    cubic_loops: false,
    searches_by_halving: false,
    searches: false,
    slices: false,
    walking_calls: false,
    reads: false,
    tables: false,
    indexes_two_deep: false,
    indexes_three_deep: false,
    halves: false,
    divisions: false,
    products: false,
    powers: false,
    remainders: false,
    shifts: false,
    comparisons: false,
    memoised: false,
    marked: false,
    halving_calls: false,
    tree_calls: false,
    step_calls: false,
    branching_calls: false,
    own_calls: false,
    own_loops: false,
    large_numbers: false,
}

impl Counts {
    /// Takes in those of another function.
    pub(crate) fn add(&mut self, other: &Self) {
        let deepest =
            (self.nested_max.max(other.nested_max), self.growing_nested_max.max(other.growing_nested_max));
        for (own, others) in self.pairs(other) {
            *own += others;
        }
        (self.nested_max, self.growing_nested_max) = deepest;
    }

    pub(super) fn add_loop(
        &mut self,
        one: &Loop,
        trips: &Trips,
        depth: usize,
        growing_depth: usize,
        total: Growth,
    ) {
        self.loops += 1.0;
        self.nested_max = self.nested_max.max(depth as f32 + 1.0);
        if matches!(one.kind, LoopKind::While(_) | LoopKind::DoWhile(_) | LoopKind::Forever) {
            self.whiles += 1.0;
        }
        match trips.drive {
            Drive::Constant => self.constant_loops += 1.0,
            Drive::Walk => self.walks += 1.0,
            Drive::Counter => self.counters += 1.0,
            Drive::Halving => self.halvings += 1.0,
            Drive::Harmonic => self.harmonics += 1.0,
            Drive::Worklist => self.worklists += 1.0,
            Drive::Chain => self.chains += 1.0,
            Drive::Subsets => self.subsets += 1.0,
            Drive::Condition => self.conditions += 1.0,
        }
        if !trips.growth.is_constant() {
            self.growing_loops += 1.0;
            let shared = trips.shared_from.is_some();
            let depth = growing_depth as f32 + if shared { 0.0 } else { 1.0 };
            self.growing_nested_max = self.growing_nested_max.max(depth);
            self.shared_loops += f32::from(u8::from(shared));
        }
        self.unsure_loops += f32::from(u8::from(!trips.sure));
        match total.class() {
            Complexity::Quadratic => self.quadratic_loops += 1.0,
            Complexity::Cubic => self.cubic_loops += 1.0,
            _ => {}
        }
    }

    pub(super) fn add_recursion(&mut self, pattern: Pattern, calls: usize, loops: usize) {
        self.recursive += 1.0;
        self.own_calls += calls as f32;
        self.own_loops += loops as f32;
        match pattern {
            Pattern::Memoised => self.memoised += 1.0,
            Pattern::Marked => self.marked += 1.0,
            Pattern::Halving => self.halving_calls += 1.0,
            Pattern::Tree => self.tree_calls += 1.0,
            Pattern::Step => self.step_calls += 1.0,
            Pattern::Branching => self.branching_calls += 1.0,
            Pattern::Unknown => {}
        }
    }

    pub(super) fn add_operator(&mut self, scene: &Scene<'_>, op: Op, left: ExprId, right: ExprId) {
        self.operators += 1.0;
        let two = matches!(scene.kind(right), ExprKind::Literal(Literal::Int(2)));
        match op {
            Op::Divide | Op::FloorDivide if two => self.halves += 1.0,
            Op::Divide | Op::FloorDivide => self.divisions += 1.0,
            Op::Multiply => {
                self.products += 1.0;
                if matches!(scene.kind(left), ExprKind::Collection(..)) {
                    self.tables += 1.0;
                }
            }
            Op::Power => self.powers += 1.0,
            Op::Modulo => self.remainders += 1.0,
            Op::ShiftLeft | Op::ShiftRight => self.shifts += 1.0,
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => self.comparisons += 1.0,
            _ => {}
        }
    }

    pub(super) fn add_index(&mut self, scene: &Scene<'_>, inner: ExprId) {
        self.indexes += 1.0;
        if let ExprKind::Index(deeper, _) = scene.kind(inner) {
            self.indexes_two_deep += 1.0;
            if matches!(scene.kind(deeper), ExprKind::Index(..)) {
                self.indexes_three_deep += 1.0;
            }
        }
    }

    pub(super) fn add_call(&mut self, name: &str, made_by: Option<&str>) {
        match name {
            "sort"
            | "sorted"
            | "Sort"
            | "Ints"
            | "Slice"
            | "sort_unstable"
            | "sort_by"
            | "sort_by_key"
            | "sort_unstable_by"
            | "sort_unstable_by_key"
            | "parallelSort"
            | "Strings" => self.sorts += 1.0,
            "heappush" | "heappop" | "heapify" | "Push" | "Pop" | "PriorityQueue" | "BinaryHeap"
            | "heapreplace" | "heappushpop" => self.heaps += 1.0,
            "bisect" | "bisect_left" | "bisect_right" | "binary_search" | "binarySearch" | "SearchInts"
            | "Search" | "insort" | "TreeMap" | "TreeSet" | "SortedList" | "BTreeMap" | "BTreeSet" => {
                self.searches_by_halving += 1.0;
            }
            "set" | "dict" | "Map" | "Set" | "HashMap" | "HashSet" | "Counter" | "defaultdict" => {
                self.maps += 1.0;
            }
            "sum" | "max" | "min" | "join" | "index" | "count" | "indexOf" | "includes" | "reverse"
            | "list" | "map" | "filter" => self.walking_calls += 1.0,
            _ => {}
        }
        if made_by.is_some_and(|name| name == "PriorityQueue" || name == "BinaryHeap") {
            self.heaps += 1.0;
        }
        if super::library::reads_input(name) {
            self.reads += 1.0;
        }
    }
}

/// What the rules say, as features beside the counts.
pub(crate) const RULE_NAMES: [&str; 8] = [
    "rule_class",
    "rule_powers",
    "rule_logs",
    "rule_exponential",
    "rule_sure",
    "is_python",
    "is_javascript",
    "is_other_language",
];

/// What the rules say of a program.
pub(crate) fn rule_values(growth: Growth, sure: bool, language: LanguageId) -> [f32; RULE_NAMES.len()] {
    let flag = |is: bool| f32::from(u8::from(is));
    let family = language.family();
    [
        growth.class().rank() as f32,
        f32::from(growth.half_powers()),
        f32::from(growth.logs()),
        flag(growth.is_exponential()),
        flag(sure),
        flag(family == LanguageId::Python),
        flag(family == LanguageId::JavaScript),
        flag(!matches!(family, LanguageId::Python | LanguageId::JavaScript)),
    ]
}
