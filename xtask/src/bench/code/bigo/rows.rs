//! Programs of known cost. In: a file of JSON lines, packed with gzip. Out: what is seen of each program that weft reads,
//! with its class and the group of rows that it belongs to; counts of the others. Refused: lines that are no such rows.
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;
use weft_models::cost::{Complexity, Lesson, Observed, observe};
use weft_models::graph::code::NodeKind;
use weft_models::graph::{Bounds, LanguageId, SourceFile, analyse};

/// Languages as the sets call them, and the endings of their files.
const ENDINGS: [(&str, &str); 7] = [
    ("cpp", "cpp"),
    ("go", "go"),
    ("java", "java"),
    ("javascript", "js"),
    ("python", "py"),
    ("rust", "rs"),
    ("typescript", "ts"),
];
/// Of rows without a problem, those that share this much of their words are one group.
const ALIKE: f64 = 0.6;

/// A row as it is written.
#[derive(Debug, Deserialize)]
struct Line {
    lang: String,
    #[serde(alias = "complexity")]
    time: Option<String>,
    problem: Option<serde_json::Value>,
    src: String,
}

/// A program of known cost.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) lang: String,
    pub(crate) class: Complexity,
    /// Rows of one problem have the same.
    pub(crate) group: u32,
    pub(crate) observed: Observed,
    /// Something in it was found to be a function.
    has_function: bool,
}

impl Program {
    /// Reads a program; `None` if weft does not read its language, or finds nothing in it.
    pub(crate) fn new(lang: &str, source: &str, class: Complexity, group: u32) -> Option<Self> {
        let path = path(lang)?;
        let analysis = analyse(&[SourceFile::new(path, source)], &Bounds::default());
        let observed = observe(&analysis, None)?;
        let has_function = analysis.graph.nodes.iter().any(|node| node.kind == NodeKind::Function);
        Some(Self { lang: lang.to_owned(), class, group, observed, has_function })
    }

    /// What is to be learned from it.
    pub(crate) fn lesson(&self) -> Lesson {
        Lesson { observed: self.observed.clone(), class: self.class }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) programs: Vec<Program>,
    /// Rows in languages that weft does not read.
    pub(crate) unread: BTreeMap<String, usize>,
    /// Rows that have no class, or one of its own.
    pub(crate) other: usize,
}

/// Reads a file.
///
/// # Errors
/// What cannot be read.
pub(crate) fn read(file: &Path) -> Result<Read> {
    let packed = File::open(file).with_context(|| file.display().to_string())?;
    let mut lines = Vec::new();
    for (at, line) in BufReader::new(GzDecoder::new(packed)).lines().enumerate() {
        let place = || format!("{} line {}", file.display(), at + 1);
        lines.push(serde_json::from_str::<Line>(&line.with_context(place)?).with_context(place)?);
    }
    let groups = groups(&lines);
    let mut read = Read::default();
    for (line, group) in lines.iter().zip(groups) {
        if path(&line.lang).is_none() {
            *read.unread.entry(line.lang.clone()).or_default() += 1;
            continue;
        }
        let program = line
            .time
            .as_deref()
            .and_then(class)
            .and_then(|class| Program::new(&line.lang, &line.src, class, group));
        match program {
            Some(program) => read.programs.push(program),
            None => read.other += 1,
        }
    }
    read.leave_out_unread();
    Ok(read)
}

impl Read {
    /// A language in whose programs there is not one function has a grammar here, and no front end yet.
    fn leave_out_unread(&mut self) {
        let with: HashSet<String> =
            self.programs.iter().filter(|one| one.has_function).map(|one| one.lang.clone()).collect();
        for program in self.programs.iter().filter(|one| !with.contains(&one.lang)) {
            *self.unread.entry(program.lang.clone()).or_default() += 1;
        }
        self.programs.retain(|one| with.contains(&one.lang));
    }
}

fn path(lang: &str) -> Option<String> {
    let (_, ending) = ENDINGS.iter().find(|(name, _)| *name == lang)?;
    let path = format!("solution.{ending}");
    LanguageId::of_path(&path).is_some().then_some(path)
}

fn class(name: &str) -> Option<Complexity> {
    Some(match name {
        "constant" => Complexity::Constant,
        "logn" => Complexity::Logarithmic,
        "linear" => Complexity::Linear,
        "nlogn" => Complexity::Linearithmic,
        "quadratic" => Complexity::Quadratic,
        "cubic" => Complexity::Cubic,
        "exponential" => Complexity::Exponential,
        _ => return None,
    })
}

/// A number for each problem. Rows that name none are grouped by their words, so that copies are held out together.
fn groups(lines: &[Line]) -> Vec<u32> {
    let mut problems: BTreeMap<String, u32> = BTreeMap::new();
    let mut without: Vec<(HashSet<&str>, u32)> = Vec::new();
    let mut next = 0;
    let mut groups = Vec::with_capacity(lines.len());
    for line in lines {
        let group = match &line.problem {
            Some(problem) => *problems.entry(problem.to_string()).or_insert(next),
            None => {
                let words = words(&line.src);
                let like = without.iter().find(|(other, _)| are_alike(other, &words));
                let group = like.map_or(next, |(_, group)| *group);
                without.push((words, group));
                group
            }
        };
        next = next.max(group + 1);
        groups.push(group);
    }
    groups
}

fn words(source: &str) -> HashSet<&str> {
    source.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

fn are_alike(one: &HashSet<&str>, other: &HashSet<&str>) -> bool {
    let shared = one.intersection(other).count();
    let all = one.len() + other.len() - shared;
    all > 0 && shared as f64 >= ALIKE * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(problem: Option<&str>, source: &str) -> Line {
        let problem = problem.map(|problem| problem.into());
        Line { lang: "python".into(), time: None, problem, src: source.into() }
    }

    #[test]
    fn rows_of_one_problem_and_copies_are_held_out_together() {
        let named = [line(Some("a"), "x"), line(Some("b"), "x"), line(Some("a"), "y")];
        assert_eq!(groups(&named), [0, 1, 0]);
        let unnamed =
            [line(None, "class A int x y z"), line(None, "for i in w"), line(None, "class B int x y z")];
        assert_eq!(groups(&unnamed), [0, 1, 0]);
    }

    #[test]
    fn languages_that_are_not_read_have_no_path() {
        assert_eq!(path("python").as_deref(), Some("solution.py"));
        assert_eq!((path("cpp"), path("cobol")), (None, None));
        let program = |lang: &str, has_function| {
            let program = Program::new("python", "def f(): pass", Complexity::Constant, 0);
            Program { lang: lang.into(), has_function, ..program.expect("it is read") }
        };
        let programs = vec![program("python", true), program("later", false), program("python", false)];
        let mut read = Read { programs, ..Read::default() };
        read.leave_out_unread();
        assert_eq!((read.programs.len(), read.unread.get("later")), (2, Some(&1)));
    }
}
