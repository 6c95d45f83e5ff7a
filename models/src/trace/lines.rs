//! Lines, columns, numbers and order: what all formats share. In: a buffered reader. Out: lines of bounded length, their
//! columns, numbers in range, rows in the order of time.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufRead, Read};

use super::{Fault, Limits, TraceError};

/// Lines of a reader, one at a time in one buffer.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
    len_max: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, limits: &Limits) -> Self {
        Self { reader, buffer: Vec::new(), number: 0, len_max: limits.line_len_max }
    }

    /// Number of the line read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not empty, with its number.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, &str)>, TraceError> {
        loop {
            self.buffer.clear();
            self.number += 1;
            let most = self.len_max as u64 + 1;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer);
            if read.map_err(|error| Fault::Read(error).at(self.number))? == 0 {
                return Ok(None);
            }
            if self.buffer.len() > self.len_max && self.buffer.last() != Some(&b'\n') {
                return Err(Fault::TooLong { max: self.len_max }.at(self.number));
            }
            while self.buffer.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                self.buffer.pop();
            }
            if !self.buffer.is_empty() {
                break;
            }
        }
        let number = self.number;
        let text = std::str::from_utf8(&self.buffer).map_err(|_| Fault::NotText.at(number))?;
        Ok(Some((number, text)))
    }
}

/// The columns of a line; a quoted one may hold commas, and quotes as two.
pub(super) fn columns(line: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(quoted) = text.strip_prefix('"') else {
            let (column, after) = text.split_once(',').map_or((text, None), |(one, two)| (one, Some(two)));
            rest = after;
            return Some(Cow::Borrowed(column));
        };
        let mut end = quoted.len();
        let mut marks = quoted.match_indices('"').peekable();
        while let Some((at, _)) = marks.next() {
            if marks.peek().is_some_and(|(next, _)| *next == at + 1) {
                marks.next();
                continue;
            }
            end = at;
            break;
        }
        let after = quoted.get(end + 1..).unwrap_or("");
        rest = after.find(',').map(|comma| &after[comma + 1..]);
        Some(Cow::Owned(quoted[..end].replace("\"\"", "\"")))
    })
}

/// The header's columns.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(super) fn read<R: BufRead>(lines: &mut Lines<R>) -> Result<Self, TraceError> {
        match lines.next_line()? {
            Some((_, line)) => Ok(Self::of(line)),
            None => Err(Fault::Empty.at(1)),
        }
    }

    /// The header that this line is.
    pub(super) fn of(line: &str) -> Self {
        let line = line.trim_start_matches('\u{feff}');
        Self { names: columns(line).map(|name| name.trim().to_owned()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the first of `names` stands.
    pub(super) fn find(&self, names: &[&str]) -> Option<usize> {
        let same = |name: &&str| self.names.iter().position(|here| here.eq_ignore_ascii_case(name));
        names.iter().find_map(same)
    }

    /// Where `column` stands, under one of its names.
    pub(super) fn need(&self, column: &'static str, names: &[&str]) -> Result<usize, TraceError> {
        let found = || Fault::NoColumn { column, found: self.names.join(", ").chars().take(400).collect() };
        self.find(names).ok_or_else(|| found().at(1))
    }

    /// The row's columns, as many as the header has.
    pub(super) fn row<'a>(&self, line: &'a str) -> Result<Vec<Cow<'a, str>>, Fault> {
        let row: Vec<_> = columns(line).collect();
        if row.len() != self.len() {
            return Err(Fault::CutOff { found: row.len(), expected: self.len() });
        }
        Ok(row)
    }
}

/// A number from 0 to `max`.
pub(super) fn amount(text: &str, column: &'static str, max: f64) -> Result<f64, Fault> {
    let number = || Fault::NotANumber { text: text.chars().take(40).collect(), column };
    let value: f64 = text.trim().parse().map_err(|_| number())?;
    if value.is_nan() {
        return Err(number());
    }
    if !(0.0..=max).contains(&value) {
        return Err(Fault::OutOfRange { value, column, max });
    }
    Ok(value)
}

/// Rows brought into the order of time, as far as a bounded number held back can.
#[derive(Debug)]
pub struct Ordered<I, T: Ord> {
    rows: I,
    held: BinaryHeap<Reverse<T>>,
    held_max: usize,
    handed_out_us: u64,
    time_us: fn(&T) -> u64,
}

impl<I, T> Ordered<I, T>
where
    I: Iterator<Item = Result<(u64, T), TraceError>>,
    T: Ord,
{
    pub(super) fn new(rows: I, limits: &Limits, time_us: fn(&T) -> u64) -> Self {
        Self { rows, held: BinaryHeap::new(), held_max: limits.reorder_max.max(1), handed_out_us: 0, time_us }
    }
}

impl<I, T> Iterator for Ordered<I, T>
where
    I: Iterator<Item = Result<(u64, T), TraceError>>,
    T: Ord,
{
    type Item = Result<T, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.held.len() < self.held_max {
            match self.rows.next() {
                Some(Ok((line, row))) => {
                    let at_us = (self.time_us)(&row);
                    if at_us < self.handed_out_us {
                        let late_us = self.handed_out_us - at_us;
                        return Some(Err(Fault::OutOfOrder { late_us }.at(line)));
                    }
                    self.held.push(Reverse(row));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        let Reverse(row) = self.held.pop()?;
        self.handed_out_us = (self.time_us)(&row);
        Some(Ok(row))
    }
}

/// Whether nothing can be read after this: the end, or a reader that failed. After a bad row the next one is read.
pub(super) fn ends<T>(row: &Result<Option<T>, TraceError>) -> bool {
    match row {
        Ok(row) => row.is_none(),
        Err(error) => matches!(error.fault, Fault::Read(_) | Fault::TooLong { .. }),
    }
}
