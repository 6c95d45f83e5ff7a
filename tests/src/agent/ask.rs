//! What an agent says, through its own command line. In: a question. Out: JSON.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Agent;
use crate::command::Piped;
use crate::containerd::run;
use crate::http::http_get;
use crate::wait::{wait_for, wait_for_some};

/// Lines that a watch keeps; what comes after is dropped and counted.
const LINES_MAX: usize = 500_000;
/// An agent greets whoever watches; one that does not is taken to have begun by then.
const GREETING: Duration = Duration::from_millis(500);
/// A request is seen as soon as the agent gets to it; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

impl Agent {
    /// `weft status`.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn status(&self) -> Result<Value> {
        self.json(&["status"])
    }

    /// `weft graphs`.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn graphs(&self) -> Result<Value> {
        self.json(&["graphs"])
    }

    /// `weft forecasts --explain`.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn forecasts(&self) -> Result<Value> {
        self.json(&["forecasts", "--explain"])
    }

    /// `weft profile`, of all segments.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn profile(&self) -> Result<Value> {
        self.json(&["profile"])
    }

    /// Where Prometheus would scrape.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// What Prometheus would scrape.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn metrics(&self) -> Result<String> {
        Ok(http_get(self.metrics, "/metrics", &[])?.body)
    }

    /// Runs `weft` against this agent and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message holds what it said.
    pub fn weft(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        run(command.args(arguments).arg("--socket").arg(self.place.socket()))
    }

    /// Starts `weft` against this agent and leaves its output to the caller.
    ///
    /// # Errors
    /// When it does not start.
    pub fn weft_piped(&self, arguments: &[&str]) -> Result<Piped> {
        let mut command = Command::new(&self.binary);
        Piped::start(command.args(arguments).arg("--socket").arg(self.place.socket()))
    }

    /// Follows what happens, from now on.
    ///
    /// # Errors
    /// When `weft watch` does not start.
    pub fn watch(&self) -> Result<Watch> {
        let mut command = Command::new(&self.binary);
        command.args(["watch", "-o", "json", "--socket"]).arg(self.place.socket());
        Watch::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0))
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.weft(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("weft {}: no JSON", arguments.join(" ")))
    }
}

/// One line of the journal.
pub type Line = Value;

/// Collects the agent's journal from the moment of its making on.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<Line>,
    lost: u64,
    ended: bool,
}

impl Watch {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().context("start weft watch")?;
        let output = BufReader::new(child.stdout.take().context("weft watch has an output")?);
        let kept = Arc::<Mutex<Kept>>::default();
        let keeper = Arc::clone(&kept);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { continue };
                lock(&keeper).keep(line);
            }
            lock(&keeper).ended = true;
        });
        let watch = Self { child, kept };
        // The end of the wait is no failure: see GREETING.
        let _ = wait_for("the agent's greeting", GREETING, || !lock(&watch.kept).lines.is_empty());
        Ok(watch)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.kept).lines.clone()
    }

    /// The requests so far, in the order in which they were seen.
    pub fn requests(&self) -> Vec<Line> {
        let mut lines = self.lines();
        lines.retain(|line| line["kind"] == "request");
        lines
    }

    /// Waits until a request for this path was seen, which is then its first.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn request(&self, path: &str) -> Result<Line> {
        let is_it = |line: &Line| line["kind"] == "request" && line["path"] == path;
        self.wait_for(&format!("a request for {path}"), PATIENCE, is_it)
    }

    /// Lines after the first `count`.
    pub fn lines_after(&self, count: usize) -> Vec<Line> {
        lock(&self.kept).lines.get(count..).unwrap_or_default().to_vec()
    }

    /// Lines that were not kept, here or by the agent.
    pub fn lost(&self) -> u64 {
        lock(&self.kept).lost
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// When none comes within `limit`, or the journal has ended.
    pub fn wait_for(&self, what: &str, limit: Duration, is_it: impl Fn(&Line) -> bool) -> Result<Line> {
        let found = wait_for_some(what, limit, || {
            let kept = lock(&self.kept);
            kept.lines.iter().find(|line| is_it(line)).cloned().map(Some).or(kept.ended.then_some(None))
        })?;
        found.with_context(|| format!("the journal ended without {what}"))
    }

    /// Waits until the agent has ended and every line is in, then returns all.
    ///
    /// # Errors
    /// When the agent goes on.
    pub fn rest(self, limit: Duration) -> Result<Vec<Line>> {
        wait_for("the end of the journal", limit, || lock(&self.kept).ended)?;
        Ok(std::mem::take(&mut lock(&self.kept).lines))
    }
}

impl Kept {
    fn keep(&mut self, line: Line) {
        if line["kind"] == "lagged" {
            self.lost += line["lines"].as_u64().unwrap_or(1);
        } else if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        } else {
            self.lost += 1;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended with the agent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
