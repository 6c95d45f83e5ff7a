//! What can be wrong with a trace. In: the line and the fault. Out: an error that names line, cause and remedy.

use std::io;

use thiserror::Error;

/// A line that cannot be read.
#[derive(Debug, Error)]
#[error("line {line}: {fault}")]
pub struct TraceError {
    /// Which line, from 1.
    pub line: u64,
    /// Why.
    #[source]
    pub fault: Fault,
}

/// Why a line cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The reader failed.
    #[error("the trace cannot be read; see whether the file is whole and can be unpacked")]
    Read(#[source] io::Error),
    /// There is nothing.
    #[error("the trace is empty; name a file that holds one")]
    Empty,
    /// Too long.
    #[error(
        "the line is longer than {max} bytes; see whether this is a text file of the named format, or raise the limit"
    )]
    TooLong {
        /// Bytes allowed.
        max: usize,
    },
    /// Not text.
    #[error("the line is not UTF-8; see whether the file is packed, and unpack it first")]
    NotText,
    /// Columns are missing at the end of a row.
    #[error(
        "the row has {found} columns, the header has {expected}: it is cut off or damaged; fetch the file again, or remove the line"
    )]
    CutOff {
        /// Columns there.
        found: usize,
        /// Columns needed.
        expected: usize,
    },
    /// A needed column is not in the header.
    #[error(
        "no column `{column}`, there are: {found}; rename the column, or choose the format that the file has"
    )]
    NoColumn {
        /// What is missing.
        column: &'static str,
        /// What is there.
        found: String,
    },
    /// A column that the format does not know, where its meaning matters.
    #[error(
        "unknown column `{column}`; after the names of a table of counts only minutes follow: remove the column"
    )]
    UnknownColumn {
        /// Its name.
        column: String,
    },
    /// Not a number.
    #[error("`{text}` in column `{column}` is not a number; correct or remove the line")]
    NotANumber {
        /// What is there.
        text: String,
        /// Where.
        column: &'static str,
    },
    /// A number that cannot be.
    #[error("{value} in column `{column}` is not between 0 and {max}; correct or remove the line")]
    OutOfRange {
        /// What is there.
        value: f64,
        /// Where.
        column: &'static str,
        /// Largest value allowed.
        max: f64,
    },
    /// Earlier than what was already handed out.
    #[error("the row is {late_us} µs earlier than one that was handed out already; sort the file by time")]
    OutOfOrder {
        /// By how much.
        late_us: u64,
    },
    /// More than is allowed.
    #[error("more than {max} {what}; cut the trace into parts, or raise the limit")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: u64,
    },
    /// Nobody is called.
    #[error("the trace holds no call; name a file that holds some")]
    NoCalls,
    /// Not a line of a recording.
    #[error(
        "not a line of a recording by `weft record`: {cause}; correct or remove the line, or record anew"
    )]
    NotARecord {
        /// Why.
        cause: String,
    },
    /// Not a line of an access log.
    #[error(
        "not a line of the common or combined log format: {part} cannot be read; correct or remove the line"
    )]
    NotAnAccess {
        /// Which part.
        part: &'static str,
    },
}

impl Fault {
    pub(super) fn at(self, line: u64) -> TraceError {
        TraceError { line, fault: self }
    }
}
