//! HTTP access logs in the common and the combined format. In: a reader. Out: one access per line, in the order of time.
//!
//! ```text
//! host ident user [13/Sep/2009:04:04:44 +0300] "GET /path?query HTTP/1.1" 200 314 "referer" "agent"
//! ```

use std::io::BufRead;

use super::lines::{Lines, Ordered};
use super::{Fault, Limits, SECOND_US, TraceError};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// When, in µs since 1970.
    pub at_us: u64,
    /// Who: the first field.
    pub host: String,
    /// Authenticated user, if there was one.
    pub user: Option<String>,
    /// `GET` and the like.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Answer's status.
    pub status: u16,
    /// Answer's bytes.
    pub bytes: u64,
}

/// Lines as accesses, in the order of the file.
#[derive(Debug)]
pub struct AccessLog<R> {
    lines: Lines<R>,
    limits: Limits,
    ended: bool,
}

impl<R: BufRead> AccessLog<R> {
    /// A log in either format; they may be mixed.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self { lines: Lines::new(reader, &limits), limits, ended: false }
    }

    /// The accesses in the order of time.
    pub fn ordered(self) -> Ordered<Self, Access> {
        let limits = self.limits;
        Ordered::new(self, &limits, |access| access.at_us)
    }
}

impl<R: BufRead> Iterator for AccessLog<R> {
    type Item = Result<(u64, Access), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = |(number, line): (u64, &str)| {
            let access = access(line).map_err(|part| Fault::NotAnAccess { part }.at(number))?;
            Ok((number, access))
        };
        let row = self.lines.next_line().and_then(|line| line.map(read).transpose());
        self.ended = super::lines::ends(&row);
        row.transpose()
    }
}

/// Whether a line is one of an access log.
pub(super) fn fits(line: &str) -> bool {
    access(line).is_ok()
}

/// The application that a path belongs to: its first `depth` parts, numbers in them being any number.
pub(super) fn place(path: &str, depth: usize) -> String {
    // A proxy is asked for whole addresses.
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let mut place = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()).take(depth) {
        let number = part.bytes().all(|byte| byte.is_ascii_digit());
        place.push('/');
        place.push_str(if number { "*" } else { part });
    }
    if place.is_empty() { "/".to_owned() } else { place }
}

/// Reads a line; the error names the part that cannot be read.
fn access(line: &str) -> Result<Access, &'static str> {
    let (who, rest) = line.split_once(" [").ok_or("the time in brackets")?;
    let (time, rest) = rest.split_once("] \"").ok_or("the time in brackets")?;
    let mut names = who.split(' ');
    let host = names.next().filter(|host| !host.is_empty()).ok_or("the host")?;
    let user = names.nth(1).ok_or("the user")?;
    let (request, rest) = closing_quote(rest).ok_or("the request in quotes")?;
    let mut words = request.split(' ');
    let method = words.next().filter(|method| !method.is_empty()).ok_or("the method")?;
    let target = words.next().ok_or("the path")?;
    let mut numbers = rest.split_ascii_whitespace();
    let status = numbers.next().and_then(|status| status.parse().ok()).ok_or("the status")?;
    let bytes = match numbers.next().ok_or("the number of bytes")? {
        "-" => 0,
        bytes => bytes.parse().map_err(|_| "the number of bytes")?,
    };
    Ok(Access {
        at_us: time_us(time).ok_or("the time")?,
        host: host.to_owned(),
        user: Some(user).filter(|user| *user != "-").map(str::to_owned),
        method: method.to_owned(),
        path: target.split(['?', '#']).next().unwrap_or_default().to_owned(),
        status,
        bytes,
    })
}

/// What stands before a quote that is not escaped, and what comes after it.
fn closing_quote(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return Some((&text[..at], &text[at + 1..])),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `13/Sep/2009:04:04:44 +0300` in µs since 1970.
fn time_us(text: &str) -> Option<u64> {
    let (local, zone) = text.split_once(' ')?;
    let mut parts = local.split([':', '/']);
    let day: i64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = parts.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut below = |bound: i64| parts.next()?.parse().ok().filter(|value| (0..bound).contains(value));
    let (hour, minute, second): (i64, i64, i64) = (below(24)?, below(60)?, below(61)?);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.strip_prefix(['+', '-']).filter(|digits| digits.len() == 4)?;
    let digits: i64 = digits.parse().ok().filter(|digits| *digits >= 0)?;
    let offset_s = sign * (digits / 100 * 3_600 + digits % 100 * 60);
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    u64::try_from(seconds).ok().map(|seconds| seconds * SECOND_US)
}

/// Days from 1970 to a date of the Gregorian calendar. The year is taken to begin in March, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_the_beginning_of_a_path() {
        for (path, depth, expected) in [
            ("/", 1, "/"),
            ("/cart/7/items", 1, "/cart"),
            ("/cart/7/items", 2, "/cart/*"),
            ("//cart/", 3, "/cart"),
            ("*", 1, "/*"),
            ("http://shop/cart/7", 1, "/cart"),
            ("/cart", 0, "/"),
        ] {
            assert_eq!(place(path, depth), expected, "{path}");
        }
    }

    #[test]
    fn times_are_counted_from_1970_in_utc() {
        assert_eq!(time_us("01/Jan/1970:00:00:00 +0000"), Some(0));
        // As `date -d '2009-09-13 04:04:44 +0300' +%s` says.
        assert_eq!(time_us("13/Sep/2009:04:04:44 +0300"), Some(1_252_803_884 * SECOND_US));
        assert_eq!(time_us("29/Feb/2024:23:59:59 -0130"), Some(1_709_256_599 * SECOND_US));
        assert_eq!(time_us("13/Sep/2009:25:04:44 +0300"), None);
    }
}
