//! A log of ten gigabytes is read as a stream: what is kept is its calls, not its bytes. A file of its own, since it looks at the
//! memory of the whole process.

#![expect(clippy::unwrap_used, reason = "what helps tests ends them, too")]

use std::io::{self, BufReader, Read};

use weft_models::trace::{Assumed, Expansion, Format, Limits, Reading, SECOND_US, Trace};

/// Bytes of the log.
const LOG_BYTES: u64 = 10_000_000_000;
/// What reading it may add to the process at most, in MiB. Kept are 16 bytes of a call, and as many calls as may be out of order.
const MEMORY_MIB: u64 = 16;
/// How long the end of a line is: as long as lines may be, nearly, so that there are few calls.
const TAIL_BYTES: usize = 60_000;

/// A log that is made as it is read: a request each second, by turns of three services, every tenth one with a long query.
struct Log {
    tail: Vec<u8>,
    head: Vec<u8>,
    lines: u64,
    /// Of the line at hand: what stands before its tail, and how much of both has been read.
    read: usize,
    bytes: u64,
}

impl Log {
    fn new() -> Self {
        let mut tail = vec![b'a'; TAIL_BYTES];
        tail.extend_from_slice(b"\"\n");
        let read = tail.len();
        Self { tail, head: Vec::new(), lines: 0, read, bytes: 0 }
    }

    /// Begins the next line.
    fn turn(&mut self) {
        let second = self.lines;
        let (day, hour, minute) = (1 + second / 86_400, second / 3_600 % 24, second / 60 % 60);
        let time = format!("{day:02}/Oct/2026:{hour:02}:{minute:02}:{:02} +0000", second % 60);
        let path = ["cart", "pay", "user"][(second % 3) as usize];
        let query = if second.is_multiple_of(10) { "q".repeat(5_000) } else { "1".to_owned() };
        let request = format!("\"GET /{path}/7?id={query} HTTP/1.1\" 200 512");
        self.head = format!("10.0.0.{} - - [{time}] {request} \"-\" \"", second % 251).into_bytes();
        (self.lines, self.read) = (self.lines + 1, 0);
    }
}

impl Read for Log {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.head.len() + self.tail.len() {
            if self.bytes >= LOG_BYTES {
                return Ok(0);
            }
            self.turn();
        }
        let from = match self.head.get(self.read..) {
            Some(head) if !head.is_empty() => head,
            _ => &self.tail[self.read - self.head.len()..],
        };
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.read += count;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// The most memory that this process has had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn a_log_of_ten_gigabytes_takes_the_memory_of_its_calls() {
    let how = Reading {
        limits: Limits::default(),
        assumed: Assumed::default(),
        expansion: Expansion::Even,
        calls_max: 1 << 20,
        path_depth: 1,
    };
    let before = peak_mib();
    let mut log = Log::new();
    let trace = Trace::read(Format::Http, BufReader::with_capacity(128 << 10, &mut log), &how).unwrap();
    let grown = peak_mib() - before;
    println!("{} bytes, {} calls, {grown} MiB more at most", log.bytes, trace.len());
    assert!(log.bytes >= LOG_BYTES, "{}", log.bytes);
    assert_eq!(trace.len(), log.lines);
    assert_eq!(trace.calls().count() as u64, log.lines);
    assert_eq!(
        trace.apps().iter().map(|app| app.name.as_str()).collect::<Vec<_>>(),
        ["/cart", "/pay", "/user"]
    );
    assert!(trace.calls().map(|call| call.at_us).is_sorted());
    assert_eq!(trace.calls().last().unwrap().at_us - trace.begin_us(), (log.lines - 1) * SECOND_US);
    assert!(grown <= MEMORY_MIB, "{grown} MiB");
}
