//! The traces that forecasts are scored on. In: the folder of the data, its files packed with zstd. Out: requests in the
//! order of time, and how long a pause ends a session. Refused: names that are no trace's, files without one request
//! that can be read; single rows that cannot be read are left out.

mod line;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ruzstd::decoding::StreamingDecoder;
use weft_models::{Observation, Principal, PrincipalId, SegmentId};

/// One trace.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) name: &'static str,
    /// Requests in the order of time.
    pub(super) events: Vec<Observation>,
    /// A longer pause ends a session.
    pub(super) gap_ms: u64,
    /// What of the file is not among them, in words.
    pub(super) left_out: Option<&'static str>,
}

const HALF_HOUR_MS: u64 = 30 * 60_000;
/// A case or chain that rests for longer does not go on.
const LONG_MS: u64 = 60 * 24 * 3_600_000;

/// Users of the longest trace that are read; it has 790,000.
const MSNBC_USERS: usize = 150_000;
/// Users of a day with more downloads are mirrors.
const CRAN_DOWNLOADS_MAX: usize = 1_500;

/// Reads one trace; blanks in its name may be told as dashes.
///
/// # Errors
/// When there is no such trace, or its file cannot be read.
pub(super) fn read(name: &str, data: &Path) -> Result<Trace> {
    let trace = match name.replace('-', " ").as_str() {
        "msnbc" => msnbc(data),
        "cran" => cran(data),
        "math" => math(data),
        "nasa" => nasa(data, "nasa", |_| true),
        "nasa pages" => {
            let left_out = Some("pictures, films and sounds");
            nasa(data, "nasa pages", |path| !line::is_picture(path)).map(|trace| Trace { left_out, ..trace })
        }
        "train ticket" => train_ticket(data),
        "bpi" => bpi(data),
        other => bail!("{other} is no trace; there are {}", ALL.join(", ")),
    }?;
    ensure!(
        !trace.events.is_empty(),
        "{name}: its file in {} has no request that can be read",
        data.display()
    );
    Ok(trace)
}

/// The names of the traces.
pub(super) const ALL: [&str; 7] = ["math", "cran", "nasa", "nasa pages", "train ticket", "bpi", "msnbc"];

fn text(path: &Path) -> Result<String> {
    let told = || format!("read {}", path.display());
    let packed = BufReader::new(File::open(path).with_context(told)?);
    let mut bytes = Vec::new();
    StreamingDecoder::new(packed).with_context(told)?.read_to_end(&mut bytes).with_context(told)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Numbers for names, in the order in which they come.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// Collects requests.
#[derive(Default)]
pub(super) struct Builder {
    users: Names,
    segments: Names,
    events: Vec<Observation>,
}

impl Builder {
    /// A request.
    pub(super) fn add(&mut self, at_ms: u64, user: &str, segment: &str, method: u8, parameters: u64) {
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
    pub(super) fn done(mut self, name: &'static str, gap_ms: u64) -> Trace {
        self.events.sort_by_key(|event| event.at_ms);
        Trace { name, events: self.events, gap_ms, left_out: None }
    }
}

/// Users one after the other, as the file has them: it has no times.
fn msnbc(data: &Path) -> Result<Trace> {
    let text = text(&data.join("requests/msnbc_790k.seq.zst"))?;
    let mut builder = Builder::default();
    let users = text.lines().skip(7).filter(|line| !line.trim().is_empty()).take(MSNBC_USERS);
    for (user, line) in users.enumerate() {
        for (nth, page) in line.split_whitespace().enumerate() {
            let at_ms = 1_000_000_000 + user as u64 * 1_000 + nth as u64 % 1_000;
            builder.add(at_ms, &user.to_string(), page, 0, 0);
        }
    }
    Ok(Trace { left_out: Some("users after the first 150,000"), ..builder.done("msnbc", HALF_HOUR_MS) })
}

fn cran(data: &Path) -> Result<Trace> {
    let text = text(&data.join("requests/cran_2012.csv.zst"))?;
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .filter(|r: &Vec<&str>| r.len() == 11)
        .collect();
    let mut downloads: HashMap<(&str, &str), usize> = HashMap::new();
    rows.iter().for_each(|row| *downloads.entry((row[0], row[10])).or_default() += 1);
    let mut builder = Builder::default();
    for row in rows.iter().filter(|row| downloads[&(row[0], row[10])] <= CRAN_DOWNLOADS_MAX) {
        let Some(at_ms) = line::instant_ms(row[1], row[2]) else { continue };
        builder.add(at_ms, &format!("{} {}", row[0], row[10]), row[7], 0, 0);
    }
    Ok(Trace {
        left_out: Some("users of a day with more than 1,500 downloads"),
        ..builder.done("cran", HALF_HOUR_MS)
    })
}

fn math(data: &Path) -> Result<Trace> {
    let text = text(&data.join("requests/math_access_2009.log.zst"))?;
    let mut builder = Builder::default();
    for request in text.lines().filter_map(line::common_log) {
        let line::Request { at_ms, host, method, path, parameters } = request;
        if method != "OPTIONS" || path != "/" {
            builder.add(at_ms, host, &format!("{method} {path}"), method.len() as u8, parameters);
        }
    }
    Ok(Trace { left_out: Some("`OPTIONS /`"), ..builder.done("math", HALF_HOUR_MS) })
}

fn nasa(data: &Path, name: &'static str, keep: fn(&str) -> bool) -> Result<Trace> {
    let text = text(&data.join("requests/nasa_19950801.tsv.zst"))?;
    let mut builder = Builder::default();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let [host, _, time, method, path, ..] = row[..] else { continue };
        let Some(second) = time.parse::<u64>().ok() else { continue };
        if keep(path) {
            builder.add(second * 1_000, host, path, method.len() as u8, 0);
        }
    }
    Ok(builder.done(name, HALF_HOUR_MS))
}

/// Hops from service to service within a trace: spans by their start, repeats of a service left out.
fn train_ticket(data: &Path) -> Result<Trace> {
    let text = text(&data.join("chains/train_ticket_2023-01-29.csv.zst"))?;
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
    Ok(Trace {
        left_out: Some("repeats of a service within a trace"),
        ..builder.done("train ticket", LONG_MS)
    })
}

/// Cases of applications: activity and life cycle, with the person who acted as parameter.
fn bpi(data: &Path) -> Result<Trace> {
    let text = text(&data.join("chains/bpi_2012.csv.zst"))?;
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
    Ok(builder.done("bpi", LONG_MS))
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
    fn an_unknown_trace_and_a_missing_file_are_told() {
        let error = read("pages", Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.contains("pages is no trace; there are math, cran"), "{error}");
        let error = read("nasa-pages", Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere/requests/nasa_19950801.tsv.zst"), "{error}");
    }
}
