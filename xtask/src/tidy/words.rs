//! Words that do not belong. In: the tree. Out: marks of unfinished work, pauses of a fixed length in tests, places that
//! exist on one machine only and hosts of package registries. The words are put together from parts, so that this file
//! does not hold them.

use super::Violation;
use super::tree::{File, Tree, has_word};

/// Code that stands for code, and tests that do not run.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
    concat!("#[ig", "nore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("place", "holder"),
];
/// Endings of files that hold code.
const CODE: &[&str] = &[".rs", ".c", ".h", ".sh", ".py", ".go", ".yaml", ".toml"];

/// A pause of a fixed length.
const PAUSE: &str = concat!("sle", "ep(");
/// Where a test may pause: in what waits for a condition, and in the server under test, whose delays are its point.
/// The user's own pauses in `habit.rs` are what is played; the floor asks as often as it can.
const PAUSES_ALLOWED: &[&str] = &[
    "tests/src/containerd.rs",
    "tests/src/wait.rs",
    "tests/src/habit.rs",
    "tests/segment/src/",
    "tests/floor/src/",
];

/// Paths of one machine, and hosts that only its owner knows to be reachable.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("/wo", "rk/."),
    concat!("/ro", "ot/.cargo"),
    concat!("/fa", "rm"),
    concat!("/tm", "p/w/"),
    concat!("crates", ".io"),
    concat!("deb.deb", "ian.org"),
    concat!("security.deb", "ian.org"),
    concat!("py", "pi.org"),
    concat!("pythonho", "sted.org"),
    concat!("npm", "js.org"),
    concat!("proxy.gol", "ang.org"),
];
/// cargo writes its registry's host itself.
const LOCK: &str = "Cargo.lock";

/// Nothing is left half done.
pub(super) fn unfinished(tree: &Tree) -> Vec<Violation> {
    let code = tree.files.iter().filter(|file| CODE.iter().any(|ending| file.path.ends_with(ending)));
    each_line(code, |text| {
        // A macro or an attribute is followed by anything.
        let is_word = |word: &str| word.chars().all(char::is_alphanumeric);
        let stands = |word: &&&str| if is_word(word) { has_word(text, word) } else { text.contains(**word) };
        let found = UNFINISHED.iter().find(stands)?;
        Some((format!("`{found}` marks what is not done"), "Do it, or take it out".to_owned()))
    })
}

/// A test waits for a condition.
pub(super) fn sleeps(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let allowed = |file: &File| PAUSES_ALLOWED.iter().any(|start| file.path.starts_with(start));
    for file in tree.rust().filter(|file| !allowed(file)) {
        for line in file.lines().filter(|line| line.test && line.code.contains(PAUSE)) {
            let cause = "a test waits for a fixed time";
            let remedy = "Wait for the condition that it means, with a limit";
            violations.push(Violation::new(&file.path, line.number, cause, remedy));
        }
    }
    violations
}

/// The project speaks of no machine but the user's.
pub(super) fn places(tree: &Tree) -> Vec<Violation> {
    let files = tree.files.iter().filter(|file| !file.path.ends_with(LOCK));
    each_line(files, |text| {
        let found = PLACES.iter().find(|place| stands_alone(text, place))?;
        Some((format!("`{found}` is a place of one machine or a registry"), "Name none".to_owned()))
    })
}

/// Whether the place is not just the end of a longer path or name.
fn stands_alone(text: &str, place: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}');
    let path = place.starts_with('/');
    text.match_indices(place).any(|(at, _)| !path || !text[..at].chars().next_back().is_some_and(part))
}

fn each_line<'a>(
    files: impl Iterator<Item = &'a File>,
    find: impl Fn(&str) -> Option<(String, String)>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some((cause, remedy)) = find(line) {
                violations.push(Violation::new(&file.path, index + 1, cause, remedy));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(violations: &[Violation]) -> Vec<usize> {
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn marks_of_unfinished_work_are_told_and_longer_words_are_not() {
        let [done, mark, cross] = [UNFINISHED[0], UNFINISHED[4], UNFINISHED[6]];
        let text = format!("//! A.\n{done}()\nmktemp {cross}{cross}\n// {mark}: later\nmas{mark}n\n");
        let tree = Tree::of(&[("a.rs", &text), ("b.md", &text)]);
        assert_eq!(lines(&unfinished(&tree)), [2, 4]);
    }

    #[test]
    fn a_pause_is_told_in_tests_alone_and_not_where_conditions_are_waited_for() {
        let pause = format!("//! A.\nfn a() {{ {PAUSE}ONE) }}\n");
        let inside =
            format!("//! A.\nfn a() {{ {PAUSE}ONE) }}\n#[cfg(test)]\nmod tests {{\n  {PAUSE}ONE);\n}}\n");
        let tree = Tree::of(&[
            ("agent/src/a.rs", &pause),
            ("agent/src/b.rs", &inside),
            ("tests/src/wait.rs", &pause),
            ("tests/tests/c.rs", &pause),
        ]);
        let places: Vec<_> =
            sleeps(&tree).into_iter().map(|violation| (violation.path, violation.line)).collect();
        assert_eq!(places, [("agent/src/b.rs".to_owned(), 5), ("tests/tests/c.rs".to_owned(), 2)]);
    }

    #[test]
    fn places_of_one_machine_are_told_in_every_file_but_cargo_s_own() {
        let text = format!("cd {}\nhttp://host.example/{}\nsee {}\n", PLACES[0], &PLACES[4][1..], PLACES[6]);
        let inner = format!("/home/me{}\n", PLACES[0]);
        let tree = Tree::of(&[("a.md", &text), ("Cargo.lock", &text), ("b.md", &inner)]);
        let places: Vec<_> =
            places(&tree).into_iter().map(|violation| (violation.path, violation.line)).collect();
        assert_eq!(places, [("a.md".to_owned(), 1), ("a.md".to_owned(), 3)]);
    }
}
