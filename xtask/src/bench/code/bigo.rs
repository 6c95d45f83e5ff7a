//! How right the analysis of cost is. In: sets of programs whose time complexity people wrote down. Out: for each set and
//! language the share that is told right, how far off the others are, and what a forest over plain counts of lines, loops
//! and calls reaches on the same parts. Rows in languages that weft does not read, and rows of no single class, are left
//! out and counted.
//!
//! Each set is cut into five parts by problem; each part is told by trees that were trained on the other four. The trees
//! that weft is shipped with are not used: some of these rows are what they were trained on.
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use weft_models::cost::{Complexity, Decider, Forest, Judge, Lesson, Options, Row};

pub(crate) use rows::{Program, read};

/// Sets, and the names of their files.
const SETS: [(&str, &str); 4] = [
    ("codecomplex_dev", "codecomplex_dev.jsonl.gz"),
    ("corcod", "corcod.jsonl.gz"),
    ("doocs", "doocs_bigo.jsonl.gz"),
    ("kamyu", "kamyu_bigo.jsonl.gz"),
];
/// Parts that a set is cut into.
const PARTS: u32 = 5;
const SEED: u64 = 11;
/// Ranks apart that the hierarchy counts as wholly wrong.
const RANKS: f64 = 7.0;

/// How right one language of one set is told.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Score {
    pub(crate) set: &'static str,
    pub(crate) lang: String,
    /// Rows that are told.
    pub(crate) n: usize,
    /// Groups of rows that are held out together.
    pub(crate) problems: usize,
    /// Per cent.
    pub(crate) accuracy: f64,
    /// 100 for all right, and less the farther off the ranks are.
    pub(crate) hierarchy: f64,
    /// Per cent that the forest over plain counts tells right.
    pub(crate) forest_accuracy: f64,
    /// Per cent that the rules alone tell right.
    pub(crate) rules_accuracy: f64,
    /// Per cent that the rules decided.
    pub(crate) by_rules: f64,
}

/// Scores every set below a folder that is there.
///
/// # Errors
/// What cannot be read, or learned from.
pub(crate) fn score(folder: &Path) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    for (set, file) in SETS {
        let path = folder.join(file);
        if !path.is_file() {
            eprintln!("skipped: {}; it is not there", path.display());
            continue;
        }
        let read = read(&path)?;
        for (lang, count) in &read.unread {
            eprintln!("skipped: {count} rows of {set} in {lang}; weft does not read it");
        }
        if read.other > 0 {
            eprintln!("skipped: {} rows of {set} of no single class", read.other);
        }
        if !read.programs.is_empty() {
            scores.extend(score_set(set, &read.programs)?);
        }
    }
    Ok(scores)
}

/// What is told of one row.
struct Told {
    right: Complexity,
    told: Complexity,
    plain: Complexity,
    rule: Complexity,
    by: Decider,
}

/// Scores one set: all its languages together, then each.
///
/// # Errors
/// What cannot be learned from.
pub(crate) fn score_set(set: &'static str, programs: &[Program]) -> Result<Vec<Score>> {
    let mut told: Vec<(usize, Told)> = Vec::with_capacity(programs.len());
    for part in 0..PARTS {
        let is_held = |program: &&Program| program.group % PARTS == part;
        let seen: Vec<&Program> = programs.iter().filter(|program| !is_held(program)).collect();
        if seen.is_empty() || programs.iter().all(|program| !is_held(&program)) {
            continue;
        }
        let lessons: Vec<Lesson> = seen.iter().map(|program| program.lesson()).collect();
        let groups: Vec<u32> = seen.iter().map(|program| program.group / PARTS).collect();
        let judge = Judge::train(&lessons, &groups, &Options::default(), SEED)?;
        let rows: Vec<Row> = seen.iter().map(|program| plain(program)).collect();
        let forest = Forest::grow(&rows, &Options::default(), SEED)?;
        for (at, program) in programs.iter().enumerate().filter(|(_, program)| is_held(program)) {
            let verdict = judge.decide(&program.observed);
            let plain = Complexity::KNOWN[forest.likeliest(&program.observed.plain()).0];
            let (right, rule) = (program.class, program.observed.rule());
            told.push((at, Told { right, told: verdict.class, plain, rule, by: verdict.by }));
        }
    }
    let mut by_lang: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (row, _)) in told.iter().enumerate() {
        by_lang.entry("all").or_default().push(at);
        by_lang.entry(&programs[*row].lang).or_default().push(at);
    }
    // Of a set in one language, all and that one are the same.
    if by_lang.len() == 2 {
        by_lang.remove("all");
    }
    let score = |(lang, rows): (&str, Vec<usize>)| {
        let groups: std::collections::BTreeSet<u32> =
            rows.iter().map(|at| programs[told[*at].0].group).collect();
        let rows: Vec<&Told> = rows.iter().map(|at| &told[*at].1).collect();
        Score { set, lang: lang.to_owned(), problems: groups.len(), ..figures(&rows) }
    };
    Ok(by_lang.into_iter().map(score).collect())
}

fn plain(program: &Program) -> Row {
    Row { features: program.observed.plain(), class: program.class.rank() }
}

fn figures(rows: &[&Told]) -> Score {
    let share = |is: &dyn Fn(&Told) -> bool| {
        let count = rows.iter().filter(|row| is(row)).count();
        100.0 * count as f64 / rows.len().max(1) as f64
    };
    let apart: f64 = rows.iter().map(|row| row.right.rank().abs_diff(row.told.rank()) as f64).sum();
    Score {
        n: rows.len(),
        accuracy: share(&|row| row.told == row.right),
        hierarchy: 100.0 * (1.0 - apart / rows.len().max(1) as f64 / RANKS),
        forest_accuracy: share(&|row| row.plain == row.right),
        rules_accuracy: share(&|row| row.rule == row.right),
        by_rules: share(&|row| row.by == Decider::Rules),
        ..Score::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(right: Complexity, told: Complexity) -> Told {
        Told { right, told, plain: told, rule: right, by: Decider::Rules }
    }

    #[test]
    fn the_hierarchy_takes_off_a_seventh_for_each_rank() {
        let rows = [
            row(Complexity::Linear, Complexity::Linear),
            row(Complexity::Constant, Complexity::Exponential),
            row(Complexity::Linear, Complexity::Linearithmic),
            row(Complexity::Cubic, Complexity::Cubic),
        ];
        let score = figures(&rows.iter().collect::<Vec<_>>());
        assert_eq!((score.n, score.accuracy, score.rules_accuracy), (4, 50.0, 100.0));
        assert!((score.hierarchy - 75.0).abs() < 1e-9, "{}", score.hierarchy);
    }

    #[test]
    fn a_set_is_told_by_what_was_learned_from_other_problems() {
        let loops = ["", "for x in a:\n  f(x)\n", "for x in a:\n  for y in a:\n    f(x)\n"];
        let classes = [Complexity::Constant, Complexity::Linear, Complexity::Quadratic];
        let programs: Vec<Program> = (0..60)
            .filter_map(|at| Program::new("python", loops[at % 3], classes[at % 3], at as u32))
            .collect();
        let scores = score_set("codecomplex_dev", &programs).unwrap();
        assert_eq!(scores.len(), 1);
        assert_eq!((scores[0].lang.as_str(), scores[0].n, scores[0].problems), ("python", 60, 60));
        assert_eq!((scores[0].accuracy, scores[0].rules_accuracy), (100.0, 100.0));
    }
}
