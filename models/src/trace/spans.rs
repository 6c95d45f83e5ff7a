//! Tables of spans: who called whom within a trace. In: a reader of CSV whose header names trace, span, parent, service,
//! operation, start and end or duration, in any order and among others. Out: spans in the order of the file, or of time.
//! Times without a unit in their name are µs, as in Jaeger; `_ns`/`Nano`, `_us`, `_ms` and `_s` say otherwise.

use std::io::BufRead;

use super::lines::{Header, Lines, Ordered, amount};
use super::{Fault, Limits, TraceError};

const TRACE: &[&str] = &["trace", "trace_id", "TraceID", "traceId"];
const SPAN: &[&str] = &["span", "span_id", "SpanID", "spanId"];
const PARENT: &[&str] = &["parent", "parent_id", "parent_span_id", "ParentID", "parentSpanId"];
const SERVICE: &[&str] = &["service", "service_name", "PodName", "pod", "serviceName"];
const OPERATION: &[&str] = &["operation", "operation_name", "OperationName", "name", "operationName"];
const START: &[&str] = &["start", "start_us", "start_ns", "start_ms", "start_s", "StartTimeUnixNano"];
const END: &[&str] = &["end", "end_us", "end_ns", "end_ms", "end_s", "EndTimeUnixNano"];
const DURATION: &[&str] = &["duration", "duration_us", "duration_ns", "duration_ms", "duration_s"];
/// Largest time that is believed, in µs: the year 2400.
const TIME_US_MAX: f64 = 1.36e16;

/// One call of an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began, in µs since the trace's own beginning of time.
    pub at_us: u64,
    /// How long it took, in µs.
    pub duration_us: u64,
    /// Which trace.
    pub trace: String,
    /// Which span of it.
    pub span: String,
    /// Whose call it was; `None` for the first of a trace.
    pub parent: Option<String>,
    /// Who was called.
    pub service: String,
    /// For what.
    pub operation: String,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    at: usize,
    in_us: f64,
    column: &'static str,
}

/// Rows as spans.
#[derive(Debug)]
pub struct Spans<R> {
    lines: Lines<R>,
    header: Header,
    names: [usize; 5],
    start: Time,
    length: Length,
    limits: Limits,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    End(Time),
    Duration(Time),
}

impl<R: BufRead> Spans<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn new(reader: R, limits: Limits) -> Result<Self, TraceError> {
        let mut lines = Lines::new(reader, &limits);
        let header = Header::read(&mut lines)?;
        let names = [
            header.need("trace", TRACE)?,
            header.need("span", SPAN)?,
            header.need("parent", PARENT)?,
            header.need("service", SERVICE)?,
            header.need("operation", OPERATION)?,
        ];
        let time = |at: usize, column| Time { at, in_us: unit_us(&header.names()[at]), column };
        let start = time(header.need("start", START)?, "start");
        let length = match header.find(END) {
            Some(at) => Length::End(time(at, "end")),
            None => Length::Duration(time(header.need("duration", DURATION)?, "duration")),
        };
        Ok(Self { lines, header, names, start, length, limits, ended: false })
    }

    /// Whether services are told by their pods.
    pub fn are_pods(&self) -> bool {
        let name = &self.header.names()[self.names[3]];
        ["PodName", "pod"].iter().any(|pod| name.eq_ignore_ascii_case(pod))
    }

    /// The spans in the order of time.
    pub fn ordered(self) -> Ordered<Self, Span> {
        let limits = self.limits;
        Ordered::new(self, &limits, |span| span.at_us)
    }

    fn row(&mut self) -> Result<Option<(u64, Span)>, TraceError> {
        let Some((number, line)) = self.lines.next_line()? else { return Ok(None) };
        let read = || {
            let row = self.header.row(line)?;
            let us = |time: Time| {
                let value = amount(&row[time.at], time.column, TIME_US_MAX / time.in_us)?;
                Ok::<_, Fault>((value * time.in_us) as u64)
            };
            let [trace, span, parent, service, operation] = self.names.map(|at| row[at].to_string());
            let at_us = us(self.start)?;
            let duration_us = match self.length {
                Length::Duration(time) => us(time)?,
                Length::End(time) => us(time)?.checked_sub(at_us).ok_or(Fault::OutOfRange {
                    value: us(time)? as f64 - at_us as f64,
                    column: "end minus start",
                    max: TIME_US_MAX,
                })?,
            };
            let parent =
                Some(parent).filter(|parent| !parent.is_empty() && parent != "root" && parent != "0");
            Ok(Span { at_us, duration_us, trace, span, parent, service, operation })
        };
        read().map(|span| Some((number, span))).map_err(|fault: Fault| fault.at(number))
    }
}

/// Whether a header is that of a table of spans.
pub(super) fn fits(header: &Header) -> bool {
    [TRACE, SPAN, PARENT, SERVICE, OPERATION, START].iter().all(|names| header.find(names).is_some())
}

/// Microseconds in a unit, by the name of its column.
fn unit_us(column: &str) -> f64 {
    let ends = |endings: &[&str]| endings.iter().any(|ending| column.ends_with(ending));
    if ends(&["_ns", "Nano"]) {
        1e-3
    } else if ends(&["_ms"]) {
        1e3
    } else if ends(&["_s"]) {
        1e6
    } else {
        1.0
    }
}

impl<R: BufRead> Iterator for Spans<R> {
    type Item = Result<(u64, Span), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row();
        self.ended = super::lines::ends(&row);
        row.transpose()
    }
}
