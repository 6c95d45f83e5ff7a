//! The traces that forecasts are scored on. In: the folder of the data. Out: requests in the order of time, and how long
//! a pause ends a session. Refused: rows that cannot be read; they are counted by the caller's eye, as the number of
//! requests is printed.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use weft_models::{Observation, Principal, PrincipalId, SegmentId};

/// One trace.
pub struct Trace {
    /// Its name.
    pub name: &'static str,
    /// Requests in the order of time.
    pub events: Vec<Observation>,
    /// A longer pause ends a session.
    pub gap_ms: u64,
}

const HALF_HOUR_MS: u64 = 30 * 60_000;
/// A case or chain that rests for longer does not go on.
const LONG_MS: u64 = 60 * 24 * 3_600_000;

/// Reads one trace.
pub fn read(name: &str, data: &Path) -> Result<Trace> {
    match name {
        "msnbc" => msnbc(data),
        "cran" => cran(data),
        "math" => math(data),
        "nasa" => nasa(data, "nasa", |_| true),
        "nasa pages" => nasa(data, "nasa pages", |path| !is_picture(path)),
        "train ticket" => train_ticket(data),
        "bpi" => bpi(data),
        other => bail!("{other} is no trace; there are {ALL:?}"),
    }
}

/// The names of the traces.
pub const ALL: [&str; 7] = ["math", "cran", "nasa", "nasa pages", "train ticket", "bpi", "msnbc"];

fn text(path: &Path) -> Result<String> {
    let output = Command::new("zstd").arg("-dcq").arg(path).output().context("start zstd")?;
    if !output.status.success() {
        bail!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

#[derive(Default)]
struct Builder {
    users: Names,
    segments: Names,
    events: Vec<Observation>,
}

impl Builder {
    fn add(&mut self, at_ms: u64, user: &str, segment: &str, method: u8, parameters: u64) {
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

    fn done(mut self, name: &'static str, gap_ms: u64) -> Trace {
        self.events.sort_by_key(|event| event.at_ms);
        Trace { name, events: self.events, gap_ms }
    }
}

/// Users one after the other, as the file has them: it has no times.
fn msnbc(data: &Path) -> Result<Trace> {
    let text = text(&data.join("requests/msnbc_790k.seq.zst"))?;
    let mut builder = Builder::default();
    let users = text.lines().skip(7).filter(|line| !line.trim().is_empty()).take(150_000);
    for (user, line) in users.enumerate() {
        for (nth, page) in line.split_whitespace().enumerate() {
            let at_ms = 1_000_000_000 + user as u64 * 1_000 + nth as u64 % 1_000;
            builder.add(at_ms, &user.to_string(), page, 0, 0);
        }
    }
    Ok(builder.done("msnbc", HALF_HOUR_MS))
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
    for row in rows.iter().filter(|row| downloads[&(row[0], row[10])] <= 1_500) {
        let Some(at_ms) = instant_ms(row[1], row[2]) else { continue };
        builder.add(at_ms, &format!("{} {}", row[0], row[10]), row[7], 0, 0);
    }
    Ok(builder.done("cran", HALF_HOUR_MS))
}

fn math(data: &Path) -> Result<Trace> {
    let text = text(&data.join("requests/math_access_2009.log.zst"))?;
    let mut builder = Builder::default();
    for line in text.lines() {
        let Some((host, rest)) = line.split_once(" - - [") else { continue };
        let Some((time, rest)) = rest.split_once("] \"") else { continue };
        let mut words = rest.split([' ', '"']);
        let (Some(method), Some(path)) = (words.next(), words.next()) else { continue };
        let Some(at_ms) = common_log_ms(time) else { continue };
        if method == "OPTIONS" && path == "/" {
            continue;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or("")).collect();
        let parameters =
            names.join("&").bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        builder.add(at_ms, host, &format!("{method} {path}"), method.len() as u8, parameters);
    }
    Ok(builder.done("math", HALF_HOUR_MS))
}

/// `13/Sep/2009:04:04:21 +0300`, of one month.
fn common_log_ms(time: &str) -> Option<u64> {
    let mut parts = time.split(['/', ':', ' ']);
    let day: u64 = parts.next()?.parse().ok()?;
    let mut parts = parts.skip(2).take(3).map(|part| part.parse::<u64>());
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some((((day * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

fn is_picture(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path).to_lowercase();
    [".gif", ".jpg", ".jpeg", ".xbm", ".bmp", ".mpg", ".wav", ".au"].iter().any(|end| path.ends_with(end))
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
    let mut spans: Vec<(String, u64, &str, String)> = Vec::new();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        if row.len() < 10 {
            continue;
        }
        let (Some(start), mut pod) =
            (row[row.len() - 3].parse::<u64>().ok(), row[5].split('-').collect::<Vec<_>>())
        else {
            continue;
        };
        pod.truncate(pod.len().saturating_sub(2));
        spans.push((format!("{} {} {}", row[0], row[1], row[2]), start, row[3], pod.join("-")));
    }
    spans.sort_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    let mut builder = Builder::default();
    let mut before = ("", "");
    for (trace, start, _, service) in &spans {
        if before != (trace.as_str(), service.as_str()) {
            builder.add(start / 1_000_000, trace, service, 0, 0);
        }
        before = (trace, service);
    }
    Ok(builder.done("train ticket", LONG_MS))
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
        let Some(at_ms) = instant_ms(date, clock) else { continue };
        let person = people.number(person).into();
        builder.add(at_ms, case, &format!("{activity} {cycle}"), 0, person);
    }
    Ok(builder.done("bpi", LONG_MS))
}

/// `2012-10-06` and `00:14:24`, perhaps with milliseconds and a zone.
fn instant_ms(date: &str, clock: &str) -> Option<u64> {
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, zone) = clock.split_at(clock.find(['+', 'Z']).unwrap_or(clock.len()));
    let mut clock = clock.split([':', '.']).map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let milli = clock.next().flatten().unwrap_or(0);
    let zone_hours = zone.get(1..3).and_then(|hours| hours.parse::<i64>().ok()).unwrap_or(0);
    // Days since the epoch, by the civil calendar.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour - zone_hours) * 60 + minute) * 60 + second;
    u64::try_from(seconds * 1_000 + milli).ok()
}
