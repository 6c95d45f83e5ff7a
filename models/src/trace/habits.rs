//! Traces of who asked for what, one after the other: access logs, spans, cases. In: the name of a public data set, and a
//! way to open its file, unpacked. Out: requests in the order of time, and how long a pause ends a session. Refused: names
//! that are no data set's, files that cannot be read or have no request; single rows that cannot be read are left out.

mod line;

use std::io::{self, Read};

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::observe::{Observation, Principal, PrincipalId, SegmentId};

/// Who asked for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Habits {
    /// Name of the data set.
    pub name: &'static str,
    /// Requests in the order of time.
    pub events: Vec<Observation>,
    /// A longer pause ends a session.
    pub gap_ms: u64,
    /// What of the file is not among them, in words.
    pub left_out: Option<&'static str>,
}

/// Why a data set cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HabitsError {
    /// No such data set.
    #[error("{name} is no data set of requests; there are {}", ALL.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Its file cannot be read.
    #[error("{path}: {source}; name the folder that has it, and see whether the file is whole")]
    Read {
        /// Below the folder of the data.
        path: &'static str,
        /// What the reader said.
        source: io::Error,
    },
    /// Larger than any of them is.
    #[error("{path}: more than {BYTES_MAX} bytes unpacked; it is another file than the one that is known")]
    TooLong {
        /// Below the folder of the data.
        path: &'static str,
    },
    /// Nothing in it.
    #[error("{path}: no request that can be read; see whether it is the file that is known by this name")]
    Nothing {
        /// Below the folder of the data.
        path: &'static str,
    },
}

/// Bytes of one file, unpacked: the largest known has a fourth of it.
const BYTES_MAX: u64 = 1 << 30;
const HALF_HOUR_MS: u64 = 30 * 60_000;
/// A case or chain that rests for longer does not go on.
const LONG_MS: u64 = 60 * 24 * 3_600_000;

/// Users of the longest trace that are read; it has 790,000.
const MSNBC_USERS: usize = 150_000;
/// Users of a day with more downloads are mirrors.
const CRAN_DOWNLOADS_MAX: usize = 1_500;

/// Opens a file of the data by its path, unpacked.
pub type Open<'a> = &'a dyn Fn(&str) -> io::Result<Box<dyn Read>>;

/// Reads one data set; blanks in its name may be told as dashes.
///
/// # Errors
/// See [`HabitsError`].
pub fn read(name: &str, open: Open<'_>) -> Result<Habits, HabitsError> {
    type Reader = fn(&str) -> Habits;
    let (path, reader): (_, Reader) = match name.replace('-', " ").as_str() {
        "msnbc" => ("requests/msnbc_790k.seq", msnbc),
        "cran" => ("requests/cran_2012.csv", cran),
        "math" => ("requests/math_access_2009.log", math),
        "nasa" => ("requests/nasa_19950801.tsv", |text| nasa(text, "nasa", |_| true)),
        "nasa pages" => {
            let pages: Reader = |text| Habits {
                left_out: Some("pictures, films and sounds"),
                ..nasa(text, "nasa pages", |path| !line::is_picture(path))
            };
            ("requests/nasa_19950801.tsv", pages)
        }
        "train ticket" => ("chains/train_ticket_2023-01-29.csv", train_ticket),
        "bpi" => ("chains/bpi_2012.csv", bpi),
        _ => return Err(HabitsError::Unknown { name: name.to_owned() }),
    };
    let mut bytes = Vec::new();
    let file = open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    let read = file.map_err(|source| HabitsError::Read { path, source })?;
    if read as u64 > BYTES_MAX {
        return Err(HabitsError::TooLong { path });
    }
    let habits = reader(&String::from_utf8_lossy(&bytes));
    if habits.events.is_empty() { Err(HabitsError::Nothing { path }) } else { Ok(habits) }
}

/// The names of the data sets.
pub const ALL: [&str; 7] = ["math", "cran", "nasa", "nasa pages", "train ticket", "bpi", "msnbc"];

/// Numbers for names, in the order in which they come.
#[derive(Debug, Default)]
struct Names(FxHashMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// Collects requests.
#[derive(Debug, Default)]
pub struct Builder {
    users: Names,
    segments: Names,
    events: Vec<Observation>,
}

impl Builder {
    /// Adds a request by a user for a segment.
    pub fn add(&mut self, at_ms: u64, user: &str, segment: &str, method: u8, parameters: u64) {
        let user = u64::from(self.users.number(user)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let segment = self.segments.number(segment);
        self.events.push(Observation {
            at_ms,
            principal: Principal::User(PrincipalId(user)),
            segment: SegmentId(segment),
            method,
            path_pattern: u64::from(segment),
            parameters,
            syscalls: None,
        });
    }

    /// All of them, in the order of time.
    pub fn done(mut self, name: &'static str, gap_ms: u64) -> Habits {
        self.events.sort_by_key(|event| event.at_ms);
        Habits { name, events: self.events, gap_ms, left_out: None }
    }
}

/// Users one after the other, as the file has them: it has no times.
fn msnbc(text: &str) -> Habits {
    let mut builder = Builder::default();
    let users = text.lines().skip(7).filter(|line| !line.trim().is_empty()).take(MSNBC_USERS);
    for (user, line) in users.enumerate() {
        for (nth, page) in line.split_whitespace().enumerate() {
            let at_ms = 1_000_000_000 + user as u64 * 1_000 + nth as u64 % 1_000;
            builder.add(at_ms, &user.to_string(), page, 0, 0);
        }
    }
    Habits { left_out: Some("users after the first 150,000"), ..builder.done("msnbc", HALF_HOUR_MS) }
}

fn cran(text: &str) -> Habits {
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .filter(|r: &Vec<&str>| r.len() == 11)
        .collect();
    let mut downloads: FxHashMap<(&str, &str), usize> = FxHashMap::default();
    rows.iter().for_each(|row| *downloads.entry((row[0], row[10])).or_default() += 1);
    let mut builder = Builder::default();
    for row in rows.iter().filter(|row| downloads[&(row[0], row[10])] <= CRAN_DOWNLOADS_MAX) {
        let Some(at_ms) = line::instant_ms(row[1], row[2]) else { continue };
        builder.add(at_ms, &format!("{} {}", row[0], row[10]), row[7], 0, 0);
    }
    Habits {
        left_out: Some("users of a day with more than 1,500 downloads"),
        ..builder.done("cran", HALF_HOUR_MS)
    }
}

fn math(text: &str) -> Habits {
    let mut builder = Builder::default();
    for request in text.lines().filter_map(line::common_log) {
        let line::Request { at_ms, host, method, path, parameters } = request;
        if method != "OPTIONS" || path != "/" {
            builder.add(at_ms, host, &format!("{method} {path}"), method.len() as u8, parameters);
        }
    }
    Habits { left_out: Some("`OPTIONS /`"), ..builder.done("math", HALF_HOUR_MS) }
}

fn nasa(text: &str, name: &'static str, keep: fn(&str) -> bool) -> Habits {
    let mut builder = Builder::default();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let [host, _, time, method, path, ..] = row[..] else { continue };
        let Some(second) = time.parse::<u64>().ok() else { continue };
        if keep(path) {
            builder.add(second * 1_000, host, path, method.len() as u8, 0);
        }
    }
    builder.done(name, HALF_HOUR_MS)
}

/// Hops from service to service within a trace: spans by their start, repeats of a service left out.
fn train_ticket(text: &str) -> Habits {
    let mut spans: Vec<line::Span> = text.lines().skip(1).filter_map(line::span).collect();
    spans.sort();
    let mut builder = Builder::default();
    let mut before = ("", "");
    for line::Span { trace, start_ns, service, .. } in &spans {
        if before != (trace.as_str(), service.as_str()) {
            builder.add(start_ns / 1_000_000, trace, service, 0, 0);
        }
        before = (trace, service);
    }
    Habits { left_out: Some("repeats of a service within a trace"), ..builder.done("train ticket", LONG_MS) }
}

/// Cases of applications: activity and life cycle, with the person who acted as parameter.
fn bpi(text: &str) -> Habits {
    let mut people = Names::default();
    let mut builder = Builder::default();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        let [case, _, activity, cycle, person, time] = row[..] else { continue };
        let Some((date, clock)) = time.split_once('T') else { continue };
        let Some(at_ms) = line::instant_ms(date, clock) else { continue };
        let person = people.number(person).into();
        builder.add(at_ms, case, &format!("{activity} {cycle}"), 0, person);
    }
    builder.done("bpi", LONG_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_numbered_as_they_come_and_told_in_the_order_of_time() {
        let mut builder = Builder::default();
        builder.add(20, "a", "x", 0, 0);
        builder.add(10, "b", "y", 0, 0);
        builder.add(30, "a", "y", 0, 0);
        let trace = builder.done("some", 5);
        let told: Vec<_> = trace.events.iter().map(|event| (event.at_ms, event.segment.0)).collect();
        assert_eq!(told, [(10, 1), (20, 0), (30, 1)]);
        assert_eq!(trace.events[1].principal, trace.events[2].principal);
        assert_ne!(trace.events[0].principal, trace.events[1].principal);
    }

    #[test]
    fn unknown_names_missing_files_and_files_of_something_else_are_told() {
        let missing: Open<'_> = &|_| Err(io::ErrorKind::NotFound.into());
        let other: Open<'_> = &|_| Ok(Box::new(&b"nothing that is known\n"[..]));
        let told = |name: &str, open| read(name, open).unwrap_err().to_string();
        assert!(told("pages", missing).contains("pages is no data set of requests; there are math, cran"));
        assert!(
            told("nasa-pages", missing).contains("requests/nasa_19950801.tsv: entity not found; name the")
        );
        assert!(told("bpi", other).contains("chains/bpi_2012.csv: no request that can be read"));
    }
}
