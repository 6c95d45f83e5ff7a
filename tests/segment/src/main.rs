//! A segment for tests and the demo: a static HTTP/1.1 server without a dependency.
//!
//! In: its behaviour, from the environment. Out: small JSON replies with its name and how many requests it has had;
//! from `/echo` the body of the request. Refuses nothing that has a request line; a request larger than 64 KiB closes the connection.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `PORT` | where it listens, 8080 |
//! | `NAME` | what it calls itself; else its host name |
//! | `EXIT_AT_ONCE` | ends with this status instead of serving |
//! | `NEVER_LISTEN` | set: lives, but never listens |
//! | `LISTEN_AFTER_MS` | waits before it listens |
//! | `WARM_AFTER_MS` | listens at once, answers only after this time |
//! | `STATS_PER_REQUEST` | looks so many times at a file (statx) for every request |
//! | `REPLY_DELAY_MS` | works this long on each request |
//! | `ALLOC_MB` | holds this much memory, touched |
//! | `CALLS` | URLs parted by commas, called in a row for every request, each on a new connection |
//!
//! | target | meaning |
//! | --- | --- |
//! | `/busy/MS` | waits this long |
//! | `/spin/MS` | works this long, with all the processor time that it gets |
//! | `/end/STATUS` | ends with this status, without an answer |
//! | `/hold/MB` | holds this much more memory, touched |
//! | `/tell/PATH` | `told` is the beginning of this file, or what the system says |
mod calls;
mod http;

use std::env;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TOLD_BYTES_MAX: u64 = 16 << 10;

/// What every connection needs.
struct Segment {
    name: String,
    calls: Vec<String>,
    stats: u64,
    reply_delay: Duration,
    warm_at: Instant,
    requests: AtomicU64,
}

fn main() -> ExitCode {
    if let Some(status) = number("EXIT_AT_ONCE") {
        eprintln!("exit at once, as told");
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    let _held = hold_memory(number("ALLOC_MB").unwrap_or(0));
    thread::sleep(duration("LISTEN_AFTER_MS"));
    while env::var_os("NEVER_LISTEN").is_some() {
        thread::sleep(Duration::from_secs(3600));
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let port = number("PORT").and_then(|port| u16::try_from(port).ok()).unwrap_or(8080);
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    let segment = Arc::new(Segment {
        name: env::var("NAME").unwrap_or_else(|_| host_name()),
        calls: env::var("CALLS")
            .map(|calls| calls.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        stats: number("STATS_PER_REQUEST").unwrap_or(0),
        reply_delay: duration("REPLY_DELAY_MS"),
        warm_at: Instant::now() + duration("WARM_AFTER_MS"),
        requests: AtomicU64::new(0),
    });
    for connection in listener.incoming() {
        let segment = Arc::clone(&segment);
        let connection = connection?;
        // Without a thread the connection is closed: the caller sees it.
        let _ = thread::Builder::new().stack_size(128 << 10).spawn(move || segment.converse(connection));
    }
    Ok(())
}

impl Segment {
    /// Answers requests on one connection until the caller closes it.
    fn converse(&self, connection: TcpStream) {
        let _ = connection.set_nodelay(true);
        let mut connection = http::Connection::new(connection);
        while let Ok(Some(request)) = connection.request() {
            for _ in 0..self.stats {
                // The call is what counts, not its answer.
                let _ = std::fs::metadata("/segment");
            }
            let reply = self.answer(&request).into_bytes();
            let reply = if request.target == "/echo" { &request.body } else { &reply };
            if connection.reply(reply, request.keep_alive).is_err()
                || request.keep_alive == http::KeepAlive::No
            {
                return;
            }
        }
    }

    fn answer(&self, request: &http::Request) -> String {
        let count = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        thread::sleep(self.warm_at.saturating_duration_since(Instant::now()) + self.reply_delay);
        let told = obey(&request.target);
        let calls: Vec<_> = self.calls.iter().map(|url| calls::call(url)).collect();
        format!(
            "{{\"name\":{},\"requests\":{count},\"target\":{},\"told\":{},\"calls\":[{}]}}\n",
            quote(&self.name),
            quote(&request.target),
            quote(&told),
            calls.join(",")
        )
    }
}

/// Does what a target asks for; most ask for nothing.
#[expect(clippy::exit, reason = "ending in the middle of its work is what is asked for")]
fn obey(target: &str) -> String {
    let mut words = target.trim_start_matches('/').splitn(2, '/');
    let (verb, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let number = rest.parse().unwrap_or(0);
    match verb {
        "busy" => thread::sleep(Duration::from_millis(number)),
        "spin" => spin(Duration::from_millis(number)),
        "end" => std::process::exit(i32::try_from(number).unwrap_or(1)),
        // Held until the process ends.
        "hold" => drop(hold_memory(number).leak()),
        "tell" => return beginning_of(&format!("/{rest}")),
        _ => {}
    }
    String::new()
}

fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn beginning_of(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(TOLD_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// A JSON string.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn duration(variable: &str) -> Duration {
    Duration::from_millis(number(variable).unwrap_or(0))
}

/// Not zeroes: pages that were never written cost nothing.
fn hold_memory(megabytes: u64) -> Vec<u8> {
    vec![1; usize::try_from(megabytes << 20).unwrap_or(0)]
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
