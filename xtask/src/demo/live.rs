//! Progress. In: stages, and the journal as it grows. Out: a line per stage; while users play, one line that is
//! written over at a terminal, else a line every ten seconds.
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Prints what goes on.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
}

impl Progress {
    /// The time runs from now on.
    pub(super) fn start() -> Self {
        Self { begun: Instant::now() }
    }

    /// A stage begins.
    pub(super) fn stage(&self, text: &str) {
        println!("[{:>3} s] {text}", self.begun.elapsed().as_secs());
    }

    /// Since the start, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

/// The line of one phase.
#[derive(Debug)]
pub(super) struct Live {
    name: &'static str,
    begun: Instant,
    length: Duration,
    printed: Option<Instant>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    warm: u64,
    hit: u64,
    late: u64,
    cold: u64,
    standing: BTreeSet<String>,
}

impl Live {
    /// A phase of about this length begins.
    pub(super) fn start(name: &'static str, length: Duration) -> Self {
        Self { name, begun: Instant::now(), length, printed: None, counts: Counts::default() }
    }

    /// Takes in new lines of the journal, and shows the sums when it is time to.
    pub(super) fn show(&mut self, lines: &[Value]) {
        lines.iter().for_each(|line| self.counts.take(line));
        let terminal = std::io::stdout().is_terminal();
        if terminal {
            print!("\r\x1b[K{}", self.line());
            // A terminal that is gone shows nothing.
            let _ = std::io::stdout().flush();
        } else if self.printed.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            println!("{}", self.line());
            self.printed = Some(Instant::now());
        }
    }

    /// The last words of the phase.
    pub(super) fn end(&self) {
        if std::io::stdout().is_terminal() {
            print!("\r\x1b[K");
        }
        println!("{}", self.line());
    }

    fn line(&self) -> String {
        let Counts { requests, warm, hit, late, cold, standing } = &self.counts;
        format!(
            "        {} {:>3} of {} s: {requests} requests, {cold} cold, {late} late, {hit} hit, {warm} warm; \
             {} instances",
            self.name,
            self.begun.elapsed().as_secs(),
            self.length.as_secs(),
            standing.len(),
        )
    }
}

impl Counts {
    fn take(&mut self, line: &Value) {
        let word = |key: &str| line[key].as_str().unwrap_or_default();
        match (word("kind"), word("outcome"), word("state")) {
            ("request", outcome, _) => {
                self.requests += 1;
                match outcome {
                    "warm" => self.warm += 1,
                    "hit" => self.hit += 1,
                    "late" => self.late += 1,
                    "cold" => self.cold += 1,
                    _ => {}
                }
            }
            ("instance", _, "gone") => drop(self.standing.remove(word("instance"))),
            ("instance", ..) => drop(self.standing.insert(word("instance").to_owned())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_line_counts_requests_and_what_stands() {
        let mut live = Live::start("watching", Duration::from_secs(100));
        for line in [
            json!({ "kind": "request", "outcome": "cold" }),
            json!({ "kind": "request", "outcome": "hit" }),
            json!({ "kind": "instance", "instance": "cart-1", "state": "creating" }),
            json!({ "kind": "instance", "instance": "cart-2", "state": "creating" }),
            json!({ "kind": "instance", "instance": "cart-1", "state": "gone" }),
            json!({ "kind": "graph" }),
        ] {
            live.counts.take(&line);
        }
        let line = live.line();
        assert!(line.contains("2 requests, 1 cold, 0 late, 1 hit, 0 warm; 1 instances"), "{line}");
    }
}
