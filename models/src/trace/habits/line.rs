//! Lines of the traces. In: a line, or a part of it. Out: what it says. Refused with `None`: what has another form.

/// A request of a web server's log.
#[derive(Debug, PartialEq)]
pub(super) struct Request<'a> {
    /// From the begin of the month before the log's.
    pub(super) at_ms: u64,
    pub(super) host: &'a str,
    pub(super) method: &'a str,
    /// Without its query.
    pub(super) path: &'a str,
    /// Hash of the names of the query's parameters.
    pub(super) parameters: u64,
}

/// A line of the common log format.
pub(super) fn common_log(line: &str) -> Option<Request<'_>> {
    let (host, rest) = line.split_once(" - - [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let mut words = rest.split([' ', '"']);
    let (method, path) = (words.next()?, words.next()?);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or("")).collect();
    let parameters =
        names.join("&").bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Some(Request { at_ms: common_log_ms(time)?, host, method, path, parameters })
}

/// `13/Sep/2009:04:04:21 +0300`, of one month.
fn common_log_ms(time: &str) -> Option<u64> {
    let mut parts = time.split(['/', ':', ' ']);
    let day: u64 = parts.next()?.parse().ok()?;
    let mut parts = parts.skip(2).take(3).map(|part| part.parse::<u64>());
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some((((day * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// Whether a path is that of a picture, a film or a sound, which a page brings along.
pub(super) fn is_picture(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path).to_lowercase();
    [".gif", ".jpg", ".jpeg", ".xbm", ".bmp", ".mpg", ".wav", ".au"].iter().any(|end| path.ends_with(end))
}

/// A call within a distributed trace, in the order in which they are told.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// Minute, scenario and trace.
    pub(super) trace: String,
    pub(super) start_ns: u64,
    pub(super) id: String,
    /// The pod's name without its last two parts.
    pub(super) service: String,
}

/// A row of the table of spans; what it says in words may hold commas, so the start is counted from the end.
pub(super) fn span(line: &str) -> Option<Span> {
    let row: Vec<&str> = line.split(',').collect();
    if row.len() < 10 {
        return None;
    }
    let start_ns = row[row.len() - 3].parse().ok()?;
    let mut pod: Vec<&str> = row[5].split('-').collect();
    pod.truncate(pod.len().saturating_sub(2));
    let trace = format!("{} {} {}", row[0], row[1], row[2]);
    Some(Span { trace, start_ns, id: row[3].to_owned(), service: pod.join("-") })
}

/// `2012-10-06` and `00:14:24`, perhaps with milliseconds and a zone.
pub(super) fn instant_ms(date: &str, clock: &str) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_s_line_tells_who_asked_for_what_and_leaves_values_out() {
        let line = r#"h1.example - - [13/Sep/2009:04:04:21 +0300] "GET /a/b?x=1&y=2 HTTP/1.1" 200 5"#;
        let request = common_log(line).unwrap();
        assert_eq!((request.host, request.method, request.path), ("h1.example", "GET", "/a/b"));
        assert_eq!(request.at_ms, ((13 * 24 + 4) * 3_600 + 4 * 60 + 21) * 1_000);
        let other = line.replace("x=1", "x=2");
        assert_eq!(common_log(&other), Some(request));
        let named = line.replace("x=1", "z=1");
        assert_ne!(common_log(&named).unwrap().parameters, common_log(line).unwrap().parameters);
    }

    #[test]
    fn lines_of_another_form_are_refused() {
        assert_eq!(common_log("nothing"), None);
        assert_eq!(common_log("h - - [13/Sep/2009:04 +0300] \"GET / HTTP/1.1\" 200 5"), None);
        assert_eq!(span("a,b,c"), None);
        assert_eq!(span("m,s,t,id,p,ts-order-1-2,op,late,5,6"), None);
        assert_eq!(instant_ms("2012-10", "00:14:24"), None);
    }

    #[test]
    fn pictures_are_told_from_pages() {
        assert!(is_picture("/images/NASA-logo.GIF") && is_picture("/a.xbm?size=2"));
        assert!(!is_picture("/shuttle/gif.html") && !is_picture("/"));
    }

    #[test]
    fn a_span_tells_its_service_and_begin_whatever_commas_its_words_hold() {
        let span = span("m,s,t,id,p,ts-order-service-6f-x2,op,some, words,17,18,1").unwrap();
        let Span { trace, start_ns, id, service } = span;
        assert_eq!((trace.as_str(), start_ns), ("m s t", 17));
        assert_eq!((id.as_str(), service.as_str()), ("id", "ts-order-service"));
    }

    #[test]
    fn instants_are_counted_from_the_epoch_in_their_zone() {
        assert_eq!(instant_ms("1970-01-02", "00:00:01"), Some(86_401_000));
        assert_eq!(instant_ms("2012-02-29", "12:00:00.250"), Some(1_330_516_800_250));
        assert_eq!(instant_ms("2012-02-29", "12:00:00.250+02:00"), Some(1_330_509_600_250));
    }
}
