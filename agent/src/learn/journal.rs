//! What happens, line by line, for those who watch. In: outcomes. Out: one JSON object per line. Nobody is waited for:
//! a watcher that lags loses the oldest of [`LINES_MAX`] lines and is told how many.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

/// Lines that are kept for a slow watcher.
pub const LINES_MAX: usize = 8192;

/// One line.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Unix milliseconds.
    pub at_ms: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: What<'a>,
}

/// What a line tells.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What<'a> {
    /// A request came.
    Request {
        /// Its segment; `None` if it is between others' containers.
        segment: Option<&'a str>,
        /// Method as written.
        method: &'a str,
        /// Path without the query.
        path: &'a str,
        /// Names of the query's parameters.
        parameters: &'a [String],
        /// Who asked: `u-` and a keyed hash.
        principal: Option<String>,
        /// The calling container: a segment, or another's name.
        caller: Option<&'a str>,
        /// The container that was asked.
        server: Option<&'a str>,
        /// The client's end of the connection.
        from: SocketAddr,
        /// Its server's end.
        to: SocketAddr,
        /// The instance that took it.
        instance: Option<&'a str>,
        /// What it found; `None` if it is not to a segment.
        outcome: Option<super::Outcome>,
        /// How long the activator held it.
        wait_ms: f64,
    },
    /// A forecast was made.
    Forecast {
        /// Its number.
        id: u64,
        /// The segment whose request gave rise to it.
        trigger: &'a str,
        /// Its steps, likeliest first.
        path: Vec<StepLine<'a>>,
    },
    /// An instance changed.
    Instance {
        /// Its name.
        instance: &'a str,
        /// Its segment.
        segment: &'a str,
        /// A graph that holds it.
        graph: Option<String>,
        /// What it is now.
        state: &'static str,
        /// Why.
        cause: &'static str,
    },
    /// A graph changed.
    Graph {
        /// Its name.
        graph: String,
        /// What it is now.
        state: &'static str,
        /// Why.
        cause: &'static str,
    },
    /// A step of a forecast was judged.
    Lesson {
        /// The forecast.
        forecast: u64,
        /// The step's segment.
        segment: &'a str,
        /// How it ended.
        outcome: &'static str,
        /// Latency saved.
        saved_ms: f64,
        /// Memory-time that stood idle for it.
        wasted_mb_s: f64,
    },
}

/// One step of a forecast.
#[derive(Debug, Clone, Serialize)]
pub struct StepLine<'a> {
    /// The segment.
    pub segment: &'a str,
    /// Probability, 0 to 1.
    pub confidence: f64,
    /// Milliseconds from the forecast.
    pub expected_ms: u64,
    /// Place on the path, from 1.
    pub position: u32,
}

/// Hands lines to whoever watches.
#[derive(Debug, Clone)]
pub struct Journal(broadcast::Sender<Arc<str>>);

impl Journal {
    /// A journal without watchers.
    pub fn new() -> Self {
        Self(broadcast::channel(LINES_MAX).0)
    }

    /// Watches from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.subscribe()
    }

    /// Writes a line, if anybody watches.
    pub fn write(&self, line: &Line<'_>) {
        if self.0.receiver_count() == 0 {
            return;
        }
        if let Ok(text) = serde_json::to_string(line) {
            // The last watcher may have left in between.
            let _ = self.0.send(text.into());
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

/// How a principal is shown: enough of its keyed hash to tell users apart.
pub fn principal(hash: u64) -> String {
    format!("u-{hash:016x}")
}

/// How a graph is shown.
pub fn graph(number: u64, epoch: &str) -> String {
    format!("g-{epoch}-{number}")
}
