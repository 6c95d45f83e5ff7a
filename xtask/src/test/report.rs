//! Reads what `cargo test` prints. In: its lines. Out: a table of test programs, sums, names of what failed.

/// What is known so far.
#[derive(Default)]
pub(super) struct Report {
    programs: Vec<Program>,
    /// Announced, without a result yet.
    current: String,
    failures: Vec<String>,
}

struct Program {
    name: String,
    passed: usize,
    failed: usize,
    ignored: usize,
    seconds: String,
}

impl Report {
    /// Takes a line.
    pub(super) fn line(&mut self, line: &str) {
        let words = line.trim_start();
        if let Some(rest) = words.strip_prefix("Running ") {
            self.current = program_name(rest);
        } else if let Some(rest) = words.strip_prefix("Doc-tests ") {
            self.current = format!("{rest} (examples in its documentation)");
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            let name = std::mem::take(&mut self.current);
            self.programs.push(Program {
                name,
                passed: number_before(rest, " passed"),
                failed: number_before(rest, " failed"),
                ignored: number_before(rest, " ignored"),
                seconds: rest.rsplit_once("finished in ").map_or("", |(_, time)| time).to_owned(),
            });
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(format!("{} in {}", name, self.current));
        }
    }

    /// Tests that passed.
    pub(super) fn passed(&self) -> usize {
        self.programs.iter().map(|program| program.passed).sum()
    }

    /// Tests that failed.
    pub(super) fn failed(&self) -> usize {
        self.programs.iter().map(|program| program.failed).sum()
    }

    /// What failed, by name.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// A line per program that has tests.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for program in self.programs.iter().filter(|p| p.passed + p.failed + p.ignored > 0) {
            let Program { name, passed, failed, ignored, seconds } = program;
            text += &format!("{name:<48} {passed:>5} passed {failed:>3} failed");
            if *ignored > 0 {
                text += &format!(" {ignored} ignored");
            }
            text += &format!(" {seconds:>9}\n");
        }
        text
    }
}

/// From `unittests src/lib.rs (target/debug/deps/weft_models-0123456789abcdef)`: the program, and what it is made of.
fn program_name(rest: &str) -> String {
    let (source, path) = rest.split_once(" (").unwrap_or((rest, ""));
    let file = path.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
    let program = file.rsplit_once('-').map_or(file, |(name, _)| name);
    format!("{program} ({})", source.trim_start_matches("unittests "))
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "
   Compiling weft-models v0.1.0
     Running unittests src/lib.rs (target/debug/deps/weft_models-0a1b2c3d4e5f6071)

running 3 tests
test a::holds ... ok
test b::breaks ... FAILED
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.25s

     Running tests/habits.rs (target/debug/deps/habits-0a1b2c3d4e5f6071)
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
   Doc-tests weft_models
test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn sums_and_failures_are_read_from_what_cargo_prints() {
        let mut report = Report::default();
        PRINTED.lines().for_each(|line| report.line(line));
        assert_eq!((report.passed(), report.failed()), (8, 1));
        assert_eq!(report.failures(), ["b::breaks in weft_models (src/lib.rs)"]);
        let table = report.table();
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("habits (tests/habits.rs)") && table.contains("2 ignored"), "{table}");
    }
}
