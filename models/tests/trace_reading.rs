//! What readers of traces make of good and of bad lines.

use std::io::{self, BufRead, BufReader, Read};

use weft_models::trace::{
    AccessLog, App, Counts, Expansion, Fault, Limits, MINUTE_US, MinuteCounts, PerCall, SECOND_US,
    SecondCounts, Spans, TraceError, Trigger,
};

const DURATIONS: &str = "HashOwner,HashApp,HashFunction,Average,Count\no,a,f,250,3\no,a,g,1000,1\n";
const MEMORY: &str = "HashFunction,HashOwner,HashApp,SampleCount,AverageAllocatedMb\nf,o,a,9,64.5\n";
const INVOCATIONS: &str = "HashOwner,HashApp,HashFunction,Trigger,480,481,482\no,a,f,timer,2,0,1\no,a,g,http,0,1,0\no,b,h,odd,1,0,0\n";

fn azure(durations: &str, memory: &str, invocations: &str) -> Result<Counts, TraceError> {
    let mut tables = MinuteCounts::new(Limits::default());
    tables.durations(durations.as_bytes())?;
    tables.memory(memory.as_bytes())?;
    tables.invocations(invocations.as_bytes())
}

fn told<T>(result: Result<T, TraceError>) -> String {
    match result {
        Ok(_) => panic!("nothing is told"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn azures_tables_are_joined_by_owner_application_and_function() {
    let counts = azure(DURATIONS, MEMORY, INVOCATIONS).unwrap();
    let [a, b] = counts.apps() else { panic!("not two applications") };
    assert_eq!((a.name.as_str(), a.memory_kib, a.trigger), ("o/a", 66_048, Trigger::Timer));
    // Where no memory is told it is the median of what is told.
    assert_eq!((b.name.as_str(), b.memory_kib, b.trigger), ("o/b", 66_048, Trigger::Unknown));
    assert_eq!((counts.calls(), counts.begin_us(), counts.end_us()), (5, 480 * MINUTE_US, 483 * MINUTE_US));
    let calls: Vec<_> = counts.expand(Expansion::Even).collect();
    let times: Vec<_> =
        calls.iter().map(|call| (call.at_us / SECOND_US, call.app, call.duration_us)).collect();
    let (first, second, third) = (480 * 60, 481 * 60, 482 * 60);
    let expected = [
        (first + 15, 0, 250_000),
        (first + 30, 1, 0),
        (first + 45, 0, 250_000),
        (second + 30, 0, 1_000_000),
        (third + 30, 0, 250_000),
    ];
    assert_eq!(times, expected);
}

#[test]
fn uniform_arrivals_depend_on_the_seed_alone_and_stay_in_their_minute() {
    let counts = azure(DURATIONS, MEMORY, &INVOCATIONS.replace("timer,2", "timer,900")).unwrap();
    let calls = |seed| counts.expand(Expansion::Uniform { seed }).collect::<Vec<_>>();
    assert_eq!(calls(7), calls(7));
    assert_ne!(calls(7), calls(8));
    let calls = calls(7);
    assert!(calls.is_sorted_by_key(|call| call.at_us));
    let first: Vec<_> = calls.iter().filter(|call| call.at_us < 481 * MINUTE_US).collect();
    assert_eq!(first.len(), 901);
    let mean_s = first.iter().map(|call| call.at_us - 480 * MINUTE_US).sum::<u64>() / 901 / SECOND_US;
    assert!((28..=32).contains(&mean_s), "{mean_s}");
}

#[test]
fn a_table_that_is_cut_off_is_told_with_its_line_and_a_remedy() {
    let cut = &INVOCATIONS[..INVOCATIONS.len() - 5];
    let text = told(azure(DURATIONS, MEMORY, cut));
    assert!(
        text.contains("line 4") && text.contains("cut off") && text.contains("fetch the file again"),
        "{text}"
    );
    let text = told(azure(&DURATIONS[..DURATIONS.len() - 4], MEMORY, INVOCATIONS));
    assert!(text.contains("line 3: the row has 4 columns, the header has 5"), "{text}");
}

#[test]
fn columns_that_are_unknown_or_missing_are_named() {
    let text = told(azure(DURATIONS, MEMORY, &INVOCATIONS.replace("481", "Average")));
    assert!(text.contains("line 1: unknown column `Average`"), "{text}");
    let text = told(azure(DURATIONS, &MEMORY.replace("AverageAllocatedMb", "Mb"), INVOCATIONS));
    assert!(text.contains("no column `AverageAllocatedMb`, there are: HashFunction"), "{text}");
    let text = told(azure(DURATIONS, MEMORY, &INVOCATIONS.replace("Trigger", "Kind")));
    assert!(text.contains("no column `Trigger`"), "{text}");
}

#[test]
fn numbers_that_cannot_be_are_told_with_their_column() {
    for (bad, expected) in [
        ("-250", "-250 in column `Average`"),
        ("1e300", "in column `Average` is not between 0 and"),
        ("NaN", "`NaN` in column `Average` is not a number"),
        ("inf", "inf in column `Average`"),
        ("soon", "`soon` in column `Average` is not a number"),
    ] {
        let text = told(azure(&DURATIONS.replace("250", bad), MEMORY, INVOCATIONS));
        assert!(text.starts_with("line 2: ") && text.contains(expected), "{text}");
    }
    for bad in ["-1", "99999999999", "1.5e9"] {
        let text = told(azure(DURATIONS, MEMORY, &INVOCATIONS.replace("timer,2", &format!("timer,{bad}"))));
        assert!(text.contains("line 2: ") && text.contains("in column `count`"), "{text}");
    }
    let text = told(azure(DURATIONS, &MEMORY.replace("64.5", "-64.5"), INVOCATIONS));
    assert!(text.contains("line 2: -64.5"), "{text}");
}

#[test]
fn more_than_the_limits_allow_is_refused_before_it_is_kept() {
    let limits = Limits { names_max: 2, ..Limits::default() };
    let refused = MinuteCounts::new(limits).invocations(INVOCATIONS.as_bytes());
    assert!(matches!(refused.unwrap_err().fault, Fault::TooMany { what: "functions", max: 2 }));
    let limits = Limits { calls_per_unit_max: 2, ..Limits::default() };
    let text = told(MinuteCounts::new(limits).invocations(INVOCATIONS.as_bytes()));
    assert!(text.contains("more than 2 calls in one unit of time"), "{text}");
    let limits = Limits { line_len_max: 20, ..Limits::default() };
    let text = told(MinuteCounts::new(limits).invocations(INVOCATIONS.as_bytes()));
    assert!(text.contains("line 1: the line is longer than 20 bytes"), "{text}");
}

/// Rows of one text, repeated up to a length, made while they are read.
#[derive(Debug)]
struct Endless {
    row: &'static [u8],
    at: usize,
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() && self.left > 0 {
            let part = &self.row[self.at..];
            let size = part.len().min(into.len() - done).min(self.left as usize);
            into[done..done + size].copy_from_slice(&part[..size]);
            (done, self.left) = (done + size, self.left - size as u64);
            self.at = (self.at + size) % self.row.len();
        }
        Ok(done)
    }
}

#[test]
fn a_long_file_streams_through_rows_held_back_in_bounded_number() {
    let row: &[u8] = b"host - - [13/Sep/2009:04:04:21 +0300] \"GET /a HTTP/1.1\" 200 13511\n";
    let left = row.len() as u64 * 300_000;
    let reader = BufReader::new(Endless { row, at: 0, left });
    let limits = Limits { reorder_max: 16, ..Limits::default() };
    assert_eq!(AccessLog::new(reader, limits).ordered().filter(Result::is_ok).count(), 300_000);
}

#[test]
fn one_line_without_end_is_refused_after_the_longest_that_is_allowed() {
    let reader = BufReader::new(Endless { row: b"a,", at: 0, left: 10 << 30 });
    let error = PerCall::new(reader, Limits::default()).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLong { max: 65_536 }), "{error}");
}

#[test]
fn a_reader_that_fails_and_bytes_that_are_no_text_are_told() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unexpected end of frame"))
        }
    }
    let broken = BufReader::new(b"app,func,end_timestamp,duration\n".chain(Broken));
    let mut rows = PerCall::new(broken, Limits::default()).unwrap();
    let mut calls = rows.ordered();
    let error = calls.next().unwrap().unwrap_err();
    assert!(error.line == 2 && matches!(error.fault, Fault::Read(_)), "{error}");
    assert!(calls.next().is_none());
    let error = PerCall::new(&b"\xff\xfe\n"[..], Limits::default()).unwrap_err();
    assert!(matches!(error.fault, Fault::NotText), "{error}");
    let error = PerCall::new(&b""[..], Limits::default()).unwrap_err();
    assert!(matches!(error.fault, Fault::Empty), "{error}");
}

const PER_CALL: &str = "app,func,end_timestamp,duration\na,f,10.5,0.5\nb,g,11,9\na,f,12,1\n";

#[test]
fn calls_written_at_their_end_come_in_the_order_of_their_beginning() {
    let mut rows = PerCall::new(PER_CALL.as_bytes(), Limits::default()).unwrap();
    let calls: Vec<_> = rows.ordered().map(Result::unwrap).collect();
    let seen: Vec<_> =
        calls.iter().map(|call| (call.at_us / SECOND_US, call.app, call.duration_us)).collect();
    assert_eq!(seen, [(2, 1, 9_000_000), (10, 0, 500_000), (11, 0, 1_000_000)]);
    assert_eq!(rows.apps().iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_call_out_of_order_beyond_what_is_held_back_is_told_and_the_rest_is_read() {
    let limits = Limits { reorder_max: 1, ..Limits::default() };
    let mut rows = PerCall::new(PER_CALL.as_bytes(), limits).unwrap();
    let calls: Vec<_> = rows.ordered().collect();
    let text = calls[1].as_ref().unwrap_err().to_string();
    assert!(
        text.contains("line 3") && text.contains("8000000 µs earlier") && text.contains("sort"),
        "{text}"
    );
    assert_eq!(calls.iter().filter(|call| call.is_ok()).count(), 2);
}

#[test]
fn a_bad_row_is_told_and_those_after_it_are_read() {
    let text = PER_CALL.replace("11,9", "11,-9").replace("12,1", "12,1\nb,g");
    let mut rows = PerCall::new(text.as_bytes(), Limits::default()).unwrap();
    let calls: Vec<_> = rows.ordered().collect();
    let lines: Vec<_> = calls.iter().filter_map(|call| Some(call.as_ref().err()?.line)).collect();
    assert_eq!((calls.len(), lines), (4, vec![3, 5]));
}

const FUNCTIONS: &str = "{\"key\": \"k\", \"runtime\": \"python\", \"memoryInMb\": 512, \"timeoutInSecs\": 60, \"initDurationInMs\": 135}\n";
const SECONDS: &str = "unix_s,metaKey,count\n1687124134,k,2\n1687124117,k,1\n1687124117,other,1\n";

fn seconds(functions: &str, table: &str) -> Result<Counts, TraceError> {
    let mut tables = SecondCounts::new(Limits::default());
    tables.functions(functions.as_bytes())?;
    tables.table(table.as_bytes())
}

#[test]
fn counts_per_second_know_memory_and_start_of_their_functions() {
    let counts = seconds(FUNCTIONS, SECONDS).unwrap();
    let [k, other] = counts.apps() else { panic!("not two applications") };
    assert_eq!((k.memory_kib, k.start_us), (512 << 10, 135_000));
    assert_eq!((other.memory_kib, other.start_us), (App::named("").memory_kib, 0));
    let times: Vec<_> = counts.expand(Expansion::Even).map(|call| (call.at_us, call.app)).collect();
    // 1687124117 is 2,117 s after a full hour.
    assert_eq!(times, [(2_117_500_000, 0), (2_117_500_000, 1), (2_134_250_000, 0), (2_134_750_000, 0)]);
}

#[test]
fn functions_that_cannot_be_are_told() {
    for (from, to) in
        [("512", "-512"), ("512", "1048577"), ("135", "3600001"), ("\"memoryInMb\": 512", "\"a\": 1")]
    {
        let text = told(seconds(&FUNCTIONS.replace(from, to), SECONDS));
        assert!(
            text.starts_with("line 1: ") && text.contains("memoryInMb") || text.contains("initDuration"),
            "{text}"
        );
    }
    let text = told(seconds(FUNCTIONS, &SECONDS.replace("k,2", "k")));
    assert!(text.contains("line 2: the row has 2 columns"), "{text}");
}

#[test]
fn access_logs_are_read_in_both_formats() {
    let log = "10.0.0.7 - ada [13/Sep/2009:04:04:44 +0300] \"GET /a/b?q=1 HTTP/1.1\" 302 314\n\
        h - - [13/Sep/2009:04:04:21 +0300] \"POST /c\" 200 - \"http://from/\" \"agent \\\"x\\\"\"\n";
    let rows: Vec<_> =
        AccessLog::new(log.as_bytes(), Limits::default()).ordered().map(Result::unwrap).collect();
    let [first, second] = &rows[..] else { panic!("not two rows") };
    assert_eq!((first.host.as_str(), first.method.as_str(), first.path.as_str()), ("h", "POST", "/c"));
    assert_eq!((first.status, first.bytes, &first.user), (200, 0, &None));
    assert_eq!((second.path.as_str(), second.user.as_deref(), second.bytes), ("/a/b", Some("ada"), 314));
    assert_eq!(second.at_us - first.at_us, 23 * SECOND_US);
}

#[test]
fn a_line_that_is_no_access_names_the_part_that_is_wrong() {
    let good = "h - - [13/Sep/2009:04:04:21 +0300] \"GET / HTTP/1.1\" 200 1";
    for (from, to, part) in [
        ("[13", "13", "the time in brackets"),
        ("Sep", "Sop", "the time cannot"),
        ("\" 200", " 200", "the request in quotes"),
        ("200", "20x", "the status"),
        (" 1", " -1", "the number of bytes"),
        ("HTTP/1.1\" 200 1", "HTTP/1.1\" 200", "the number of bytes"),
    ] {
        let at = good.rfind(from).unwrap();
        let bad = format!("{}{to}{}", &good[..at], &good[at + from.len()..]);
        let text = told(AccessLog::new(bad.as_bytes(), Limits::default()).next().unwrap());
        assert!(text.starts_with("line 1: ") && text.contains(part), "{bad}: {text}");
    }
}

#[test]
fn spans_are_found_under_the_names_of_several_tools_and_in_their_units() {
    let jaeger = "load,trace_id,span_id,parent_span_id,service,operation,span_kind,start_us,duration_us\n\
        x,t,s,,front,\"GET /a,b\",server,1655760362581506,5796\n";
    let nano = "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n\
        t,s,root,front,\"GET /a,b\",1655760362581506000,1655760362587302000,5796\n";
    for text in [jaeger, nano] {
        let spans: Vec<_> =
            Spans::new(text.as_bytes(), Limits::default()).unwrap().map(Result::unwrap).collect();
        let [(2, span)] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.parent.as_deref(), span.operation.as_str()), (None, "GET /a,b"));
        assert!(
            span.at_us.abs_diff(1_655_760_362_581_506) <= 1 && span.duration_us.abs_diff(5_796) <= 1,
            "{span:?}"
        );
    }
}

#[test]
fn spans_that_end_before_they_begin_and_tables_without_a_parent_are_told() {
    let text = "trace,span,parent,service,operation,start,end\nt,s,,a,o,9,5\n";
    let error = Spans::new(text.as_bytes(), Limits::default()).unwrap().next().unwrap();
    assert!(told(error).contains("line 2: -4 in column `end minus start`"));
    let without = text.replace("parent", "elder");
    let error = Spans::new(without.as_bytes(), Limits::default());
    assert!(told(error).contains("no column `parent`"));
    let text = "trace,span,parent,service,operation,start,duration\nt,s,,a,o,-9,5\n";
    let error = Spans::new(text.as_bytes(), Limits::default()).unwrap().next().unwrap();
    assert!(told(error).contains("line 2: -9 in column `start`"));
}

#[test]
fn a_quote_that_is_never_closed_ends_with_its_line() {
    let text = "trace,span,parent,service,operation,start,duration\nt,s,\"a,b,c,1,2\nt,s,,a,o,1,2\n";
    let rows: Vec<_> = Spans::new(text.as_bytes(), Limits::default()).unwrap().collect();
    assert!(rows[0].is_err() && rows[1].is_ok(), "{rows:?}");
    assert!(BufReader::new(text.as_bytes()).lines().count() == 3);
}
