//! A trace of any format, ready to be replayed again and again. In: readers of its files. Out: applications and calls in the
//! order of time. Tables of counts are kept as they are, calls in 16 bytes each, up to a bound.
//! Refused, with line, cause and remedy: what the readers refuse, more calls than the bound allows, a trace without a call.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::lines::{Header, Ordered};
use super::packed::{APPS_MAX, Packed};
use super::services::{self, Hop, Services};
use super::{
    AccessLog, App, Call, Counts, Expansion, Fault, Limits, MinuteCounts, Names, PerCall, Recording,
    SecondCounts, Spans, TraceError, http, recording,
};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Azure Functions 2019: three tables, counts per minute.
    Azure2019,
    /// Azure Functions 2021: a row per call.
    Azure2021,
    /// An HTTP access log, common or combined.
    Http,
    /// A table of spans.
    Spans,
    /// A recording of weft's own.
    Weft,
    /// Function Compute's scaler challenge: counts per second.
    Alibaba,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Azure2019, Self::Azure2021, Self::Http, Self::Spans, Self::Weft, Self::Alibaba];

    /// How it is named.
    pub fn name(self) -> &'static str {
        match self {
            Self::Azure2019 => "azure2019",
            Self::Azure2021 => "azure2021",
            Self::Http => "http",
            Self::Spans => "spans",
            Self::Weft => "weft",
            Self::Alibaba => "alibaba",
        }
    }

    /// What begins with this line; `None` if it is no known format.
    pub fn of(first_line: &str) -> Option<Self> {
        let line = first_line.trim_end_matches(['\r', '\n']);
        let header = Header::of(line);
        let has = |names: &[&str]| names.iter().all(|name| header.find(&[name]).is_some());
        if recording::begins(line) {
            Some(Self::Weft)
        } else if has(&["HashOwner", "HashApp"]) {
            Some(Self::Azure2019)
        } else if has(&["app", "func", "end_timestamp", "duration"]) {
            Some(Self::Azure2021)
        } else if has(&["unix_s", "metaKey", "count"]) {
            Some(Self::Alibaba)
        } else if super::spans::fits(&header) {
            Some(Self::Spans)
        } else {
            http::fits(line).then_some(Self::Http)
        }
    }
}

/// What is taken to hold where a trace does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumed {
    /// Memory of an instance, in KiB; else 128 MiB, or the median of those that are told.
    pub memory_kib: Option<u64>,
    /// Start time, in µs.
    pub start_us: u64,
    /// Duration of a call, in µs.
    pub duration_us: u64,
}

/// How calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What lines may be like.
    pub limits: Limits,
    /// What is not told.
    pub assumed: Assumed,
    /// How counts become arrivals.
    pub expansion: Expansion,
    /// Most calls that are kept.
    pub calls_max: u64,
    /// Parts of a path that make an application of an access log.
    pub path_depth: usize,
}

/// A trace.
#[derive(Clone, Debug)]
pub struct Trace {
    apps: Vec<App>,
    body: Body,
    dropped: u64,
}

#[derive(Clone, Debug)]
enum Body {
    Counts(Counts, Expansion),
    Calls(Packed),
}

impl Trace {
    /// Reads a format that has one file; of those that have several, the table of counts without the others.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn read(format: Format, reader: impl BufRead, how: &Reading) -> Result<Self, TraceError> {
        let limits = Limits { names_max: how.limits.names_max.min(APPS_MAX), ..how.limits };
        match format {
            Format::Azure2021 => {
                let mut rows = PerCall::new(reader, limits)?;
                let calls = collected(&mut rows, how)?;
                Self::of_calls(rows.apps().to_vec(), calls, how)
            }
            Format::Http => {
                let mut naming = Naming::new(limits);
                let rows = AccessLog::new(reader, limits).map(|row| {
                    let (line, access) = row?;
                    let app = naming.number(&http::place(&access.path, how.path_depth));
                    let app = app.map_err(|fault| fault.at(line))?;
                    Ok((line, Call { at_us: access.at_us, app, duration_us: how.assumed.duration_us }))
                });
                let calls = collected(rows, how)?;
                Self::of_calls(naming.apps, calls, how)
            }
            Format::Spans => {
                let mut naming = Naming::new(limits);
                let spans = Spans::new(reader, limits)?;
                let pods = spans.are_pods();
                let hops = bounded(spans, how.calls_max).map(|row| {
                    let (line, span) = row?;
                    let name = if pods { services::of_pod(&span.service) } else { &span.service };
                    let service = naming.number(name).map_err(|fault| fault.at(line))?;
                    Ok((line, Hop::new(&span, service)))
                });
                let (mut services, mut calls) = (Services::default(), Packed::default());
                for hop in Ordered::new(hops, &limits, |hop: &Hop| hop.at_us) {
                    services.call(hop?).into_iter().for_each(|call| calls.push(call));
                }
                Self::of_calls(naming.apps, calls, how)
            }
            Format::Weft => {
                let mut rows = Recording::new(reader, limits, how.assumed.duration_us)?;
                let calls = collected(&mut rows, how)?;
                let (apps, dropped) = (rows.apps().to_vec(), rows.dropped());
                Ok(Self { apps, body: Body::Calls(kept(calls)?), dropped }.started(how))
            }
            Format::Azure2019 => Self::minutes(MinuteCounts::new(limits).assuming(how.assumed), reader, how),
            Format::Alibaba => Self::seconds(SecondCounts::new(limits).assuming(how.assumed), reader, how),
        }
    }

    /// Azure's tables per minute. `durations` and `memory` were read before.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn minutes(
        tables: MinuteCounts,
        invocations: impl BufRead,
        how: &Reading,
    ) -> Result<Self, TraceError> {
        Self::of_counts(tables.invocations(invocations)?, how)
    }

    /// Counts per second. The functions were read before.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn seconds(functions: SecondCounts, table: impl BufRead, how: &Reading) -> Result<Self, TraceError> {
        Self::of_counts(functions.table(table)?, how)
    }

    fn of_counts(counts: Counts, how: &Reading) -> Result<Self, TraceError> {
        if counts.calls() == 0 {
            return Err(Fault::NoCalls.at(1));
        }
        let apps = counts.apps().to_vec();
        Ok(Self { apps, body: Body::Counts(counts, how.expansion), dropped: 0 }.started(how))
    }

    /// Formats that tell neither memory nor start times.
    fn of_calls(mut apps: Vec<App>, calls: Packed, how: &Reading) -> Result<Self, TraceError> {
        if let Some(memory_kib) = how.assumed.memory_kib {
            apps.iter_mut().for_each(|app| app.memory_kib = memory_kib.max(1));
        }
        Ok(Self { apps, body: Body::Calls(kept(calls)?), dropped: 0 }.started(how))
    }

    fn started(mut self, how: &Reading) -> Self {
        let untold = self.apps.iter_mut().filter(|app| app.start_us == 0);
        untold.for_each(|app| app.start_us = how.assumed.start_us);
        self
    }

    /// The applications, by index.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// Lines that are missing from a recording.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Number of calls.
    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Counts(counts, _) => counts.calls(),
            Body::Calls(calls) => calls.len(),
        }
    }

    /// Never: a trace without calls is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When its first minute or second begins, in µs.
    pub fn begin_us(&self) -> u64 {
        match &self.body {
            Body::Counts(counts, _) => counts.begin_us(),
            Body::Calls(calls) => calls.begin_us(),
        }
    }

    /// When its last one ends, in µs.
    pub fn end_us(&self) -> u64 {
        match &self.body {
            Body::Counts(counts, _) => counts.end_us(),
            Body::Calls(calls) => calls.end_us(),
        }
    }

    /// The calls in the order of time.
    pub fn calls(&self) -> Box<dyn Iterator<Item = Call> + '_> {
        match &self.body {
            Body::Counts(counts, expansion) => Box::new(counts.expand(*expansion)),
            Body::Calls(calls) => Box::new(calls.iter()),
        }
    }
}

fn kept(calls: Packed) -> Result<Packed, TraceError> {
    if calls.is_empty() { Err(Fault::NoCalls.at(1)) } else { Ok(calls) }
}

/// Rows, the first of too many being refused.
fn bounded<T>(
    rows: impl Iterator<Item = Result<(u64, T), TraceError>>,
    calls_max: u64,
) -> impl Iterator<Item = Result<(u64, T), TraceError>> {
    let mut count = 0;
    rows.map(move |row| {
        let (line, row) = row?;
        count += 1;
        if count > calls_max {
            return Err(Fault::TooMany { what: "calls", max: calls_max }.at(line));
        }
        Ok((line, row))
    })
}

fn collected(
    rows: impl Iterator<Item = Result<(u64, Call), TraceError>>,
    how: &Reading,
) -> Result<Packed, TraceError> {
    let mut calls = Packed::default();
    for call in Ordered::new(bounded(rows, how.calls_max), &how.limits, |call: &Call| call.at_us) {
        calls.push(call?);
    }
    Ok(calls)
}

/// Applications by name.
struct Naming {
    names: Names,
    apps: Vec<App>,
    limits: Limits,
}

impl Naming {
    fn new(limits: Limits) -> Self {
        Self { names: Names::default(), apps: Vec::new(), limits }
    }

    fn number(&mut self, name: &str) -> Result<u32, Fault> {
        let (number, new) = self.names.number(name, self.limits.names_max)?;
        if new {
            self.apps.push(App::named(name));
        }
        Ok(number)
    }
}
