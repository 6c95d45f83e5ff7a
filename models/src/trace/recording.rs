//! weft's own recordings. In: a reader of JSON lines, or what an agent sees. Out: requests in the order of the file, with
//! what is known of their segments; or the lines.
//! Refused: a first line that is no recording's of this version, segments that were not told of before, times that cannot be.
//!
//! ```text
//! {"recording":{"version":1}}
//! {"segment":{"name":"cart","memory_bytes":268435456,"start_ms":63.0}}
//! {"request":{"at_us":1764160000000000,"segment":"cart","principal":"u-91ab…","method":"GET","path":"5f0c…","outcome":"warm"}}
//! {"dropped":{"lines":3}}
//! {"end":{"at_us":1764160009000000,"requests":1,"dropped":3}}
//! ```

use std::io::BufRead;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::{App, Call, Fault, Limits, TraceError};

/// The version that is written and read.
pub const RECORDING_VERSION: u32 = 1;
/// Largest time that is believed, in µs: the year 2400.
const TIME_US_MAX: u64 = 13_600_000_000_000_000;
/// Longest duration that is believed, in µs: a month.
const DURATION_US_MAX: u64 = 31 * 86_400_000_000;
/// Largest memory that is believed: a pebibyte.
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Longest start that is believed.
const START_MS_MAX: f64 = 3_600_000.0;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The first one.
    Recording {
        /// Version of the lines that follow.
        version: u32,
    },
    /// A segment, before its first request.
    Segment {
        /// Its name.
        name: String,
        /// Memory that one instance may take.
        memory_bytes: u64,
        /// How long making an instance takes.
        start_ms: f64,
    },
    /// A request.
    Request(Request),
    /// The agent was not listened to fast enough.
    Dropped {
        /// Lines that are missing here; not all of them would have been requests.
        lines: u64,
    },
    /// The last one, if the recording was ended.
    End {
        /// When.
        at_us: u64,
        /// Requests recorded.
        requests: u64,
        /// Lines dropped.
        dropped: u64,
    },
}

/// A request as it is recorded: nothing that a user said, only keyed hashes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When it came, in µs since 1970.
    pub at_us: u64,
    /// To whom.
    pub segment: String,
    /// By whom: the agent's keyed hash.
    pub principal: String,
    /// Which of the well-known methods, or `other`.
    pub method: String,
    /// A hash of the path's pattern, under a key of this recording alone.
    pub path: String,
    /// What it found: `warm`, `hit`, `late`, `cold`, `failed` or `pass`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// How long it was held until there was an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_us: Option<u64>,
    /// How long it ran, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
}

/// Lines as calls, in the order of the file.
#[derive(Debug)]
pub struct Recording<R> {
    lines: Lines<R>,
    apps: Vec<App>,
    numbers: FxHashMap<String, u32>,
    limits: Limits,
    assumed_us: u64,
    dropped: u64,
    ended: bool,
}

impl<R: BufRead> Recording<R> {
    /// Reads the first line. A call of unknown length takes `assumed_us`.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn new(reader: R, limits: Limits, assumed_us: u64) -> Result<Self, TraceError> {
        let mut lines = Lines::new(reader, &limits);
        let Some((number, line)) = lines.next_line()? else { return Err(Fault::Empty.at(1)) };
        match record(line).map_err(|fault| fault.at(number))? {
            Record::Recording { version: RECORDING_VERSION } => {}
            Record::Recording { version } => {
                let cause = format!("it has version {version}, this build reads {RECORDING_VERSION}");
                return Err(Fault::NotARecord { cause }.at(number));
            }
            _ => {
                let cause = "the first line does not say that this is one".to_owned();
                return Err(Fault::NotARecord { cause }.at(number));
            }
        }
        let (apps, numbers) = (Vec::new(), FxHashMap::default());
        Ok(Self { lines, apps, numbers, limits, assumed_us, dropped: 0, ended: false })
    }

    /// The segments met so far, by index.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// Lines that the agent could not hand over.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn row(&mut self) -> Result<Option<(u64, Call)>, TraceError> {
        loop {
            let Some((number, line)) = self.lines.next_line()? else { return Ok(None) };
            let read = record(line).map_err(|fault| fault.at(number))?;
            match self.take(read).map_err(|fault| fault.at(number))? {
                Some(call) => return Ok(Some((number, call))),
                None => continue,
            }
        }
    }

    fn take(&mut self, record: Record) -> Result<Option<Call>, Fault> {
        match record {
            Record::Request(request) => {
                let at_us = within(request.at_us, "at_us", TIME_US_MAX)?;
                let duration_us = request.duration_us.unwrap_or(self.assumed_us);
                let duration_us = within(duration_us, "duration_us", DURATION_US_MAX)?;
                let known = self.numbers.get(&request.segment).copied();
                let app = known.ok_or_else(|| Fault::NotARecord {
                    cause: format!("no line tells of segment `{}` before its first request", request.segment),
                })?;
                return Ok(Some(Call { at_us, app, duration_us }));
            }
            Record::Segment { name, memory_bytes, start_ms } => {
                let memory_kib = (within(memory_bytes, "memory_bytes", MEMORY_BYTES_MAX)? >> 10).max(1);
                if !(0.0..=START_MS_MAX).contains(&start_ms) {
                    let (column, max) = ("start_ms", START_MS_MAX);
                    return Err(Fault::OutOfRange { value: start_ms, column, max });
                }
                let start_us = (start_ms * 1e3) as u64;
                let app = App { memory_kib, start_us, ..App::named(&name) };
                // What is told of it again is newer.
                if let Some(at) = self.numbers.get(&name) {
                    self.apps[*at as usize] = app;
                } else if self.apps.len() >= self.limits.names_max {
                    return Err(Fault::TooMany { what: "segments", max: self.limits.names_max as u64 });
                } else {
                    self.numbers.insert(name, self.apps.len() as u32);
                    self.apps.push(app);
                }
            }
            Record::Dropped { lines } => self.dropped = self.dropped.saturating_add(lines),
            Record::Recording { .. } | Record::End { .. } => {}
        }
        Ok(None)
    }
}

fn within(value: u64, column: &'static str, max: u64) -> Result<u64, Fault> {
    if value > max {
        return Err(Fault::OutOfRange { value: value as f64, column, max: max as f64 });
    }
    Ok(value)
}

/// Whether a line is the first of a recording.
pub(super) fn begins(line: &str) -> bool {
    matches!(record(line), Ok(Record::Recording { .. }))
}

fn record(line: &str) -> Result<Record, Fault> {
    serde_json::from_str(line).map_err(|error| {
        let column = error.column();
        let text = error.to_string();
        let told = text.split(" at line ").next().unwrap_or_default();
        Fault::NotARecord { cause: format!("{told} at character {column}") }
    })
}

impl<R: BufRead> Iterator for Recording<R> {
    type Item = Result<(u64, Call), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row();
        self.ended = super::lines::ends(&row);
        row.transpose()
    }
}
