//! Traces of who was called when. In: lines of text in one of the known formats, through any buffered reader. Out:
//! applications and their calls in the order of time, for replay and training.
//! Refused, with line, cause and remedy: text that is cut off, out of order, without a needed column, with numbers that are
//! negative or too large, and more applications or cells than the [`Limits`] allow. Memory is bounded by these limits,
//! however long a trace is.

mod alibaba;
mod azure2019;
mod azure2021;
mod counts;
mod fault;
pub mod habits;
mod http;
mod lines;
mod packed;
mod recording;
mod services;
mod spans;
mod whole;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use alibaba::SecondCounts;
pub use azure2019::MinuteCounts;
pub use azure2021::PerCall;
pub use counts::{Counts, Expanded, Expansion};
pub use fault::{Fault, TraceError};
pub use http::{Access, AccessLog};
pub use lines::Ordered;
pub use packed::Packed;
pub use recording::{RECORDING_VERSION, Record, Recording, Request};
pub use spans::{Span, Spans};
pub use whole::{Assumed, Format, Reading, Trace};

/// One microsecond is the unit of all times; a second has this many.
pub const SECOND_US: u64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE_US: u64 = 60 * SECOND_US;

/// What starts the calls of an application, as far as the trace tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trigger {
    /// Not told.
    #[default]
    Unknown,
    /// A schedule.
    Timer,
    /// Somebody's request.
    Http,
    /// A message.
    Queue,
    /// Another function.
    Orchestration,
    /// An event or a change of stored data.
    Event,
}

impl Trigger {
    /// The trigger that Azure's traces name so.
    pub fn of(name: &str) -> Self {
        match name {
            "timer" => Self::Timer,
            "http" => Self::Http,
            "queue" => Self::Queue,
            "orchestration" => Self::Orchestration,
            "event" | "storage" => Self::Event,
            _ => Self::Unknown,
        }
    }
}

/// What is loaded and dropped as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name in the trace.
    pub name: String,
    /// Memory of one instance while it is loaded, in KiB.
    pub memory_kib: u64,
    /// Time from the decision to load until it can serve, in µs.
    pub start_us: u64,
    /// What starts its calls.
    pub trigger: Trigger,
    /// Calls that one instance serves at once; 0: any number.
    pub concurrency: u32,
}

impl App {
    /// An application of which only the name is known: no start time, 128 MiB, any number of calls at once.
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, memory_kib: 128 << 10, start_us: 0, trigger: Trigger::Unknown, concurrency: 0 }
    }
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// When it arrives, in µs since the trace's own beginning of time.
    pub at_us: u64,
    /// Index of its application.
    pub app: u32,
    /// How long it runs on an instance that stands, in µs.
    pub duration_us: u64,
}

/// What reading may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest line, in bytes.
    pub line_len_max: usize,
    /// Most applications or functions.
    pub names_max: usize,
    /// Most counts above zero in a table of counts.
    pub cells_max: usize,
    /// Most calls in one minute or second of a table of counts.
    pub calls_per_unit_max: u64,
    /// Rows held back to bring them into the order of time.
    pub reorder_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_len_max: 64 << 10,
            names_max: 1 << 20,
            cells_max: 32 << 20,
            calls_per_unit_max: 4 << 20,
            reorder_max: 64 << 10,
        }
    }
}

/// Names and their numbers, in the order in which they were met.
#[derive(Debug, Default)]
struct Names {
    numbers: FxHashMap<Box<str>, u32>,
}

impl Names {
    /// The number of a name, and whether it is new.
    fn number(&mut self, name: &str, names_max: usize) -> Result<(u32, bool), Fault> {
        if let Some(number) = self.numbers.get(name) {
            return Ok((*number, false));
        }
        if self.numbers.len() >= names_max {
            return Err(Fault::TooMany { what: "names", max: names_max as u64 });
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(name.into(), number);
        Ok((number, true))
    }
}
