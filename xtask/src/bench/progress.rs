//! Progress, on standard error. In: stages and counted rounds. Out: a line per stage; of rounds one line that is written
//! over at a terminal, else a line now and then.
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Tells what goes on.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    told: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// The time runs from now on.
    pub(super) fn start() -> Self {
        Self { begun: Instant::now(), told: None, terminal: std::io::stderr().is_terminal() }
    }

    /// A stage begins.
    pub(super) fn stage(&mut self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}[{:>4.0} s] {text}", self.begun.elapsed().as_secs_f64());
        self.told = Some(Instant::now());
    }

    /// A round is over.
    pub(super) fn round(&mut self, text: &str) {
        if self.terminal {
            eprint!("\r\x1b[K         {text}");
            // A terminal that is gone shows nothing.
            let _ = std::io::stderr().flush();
        } else if self.told.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            eprintln!("[{:>4.0} s]   {text}", self.begun.elapsed().as_secs_f64());
            self.told = Some(Instant::now());
        }
    }

    /// Since the start, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}
