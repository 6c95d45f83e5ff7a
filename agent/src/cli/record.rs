//! `weft record`. In: what a running agent sees. Out: a recording that `weft replay` reads, in a file of one's own or on standard
//! output. It ends with whole lines when it is stopped, when the agent goes away, and when nobody reads it any more.
//! Refused: a file that is there already.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use weft_models::trace::{RECORDING_VERSION, Record, Request};

use super::client::{connect, said};
use super::{Call, Output, Reader, say_more};
use crate::clock::Clock;
use crate::control::v1::{self, recorded::What};

/// Lines are written at the latest after this ...
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// ... or when so many bytes of them wait.
const WAITING_MAX: usize = 64 << 10;

/// Where a recording goes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The agent's control socket
    #[arg(long, default_value = "/run/weft/weft.sock")]
    socket: PathBuf,
    /// A new file for the recording; standard output if it is not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Records until it is stopped.
pub(super) async fn record(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { socket, out } = arguments;
    let mut stopped = Stopped::listen()?;
    let call = Call { socket, output: Output::Json };
    let mut records = connect(&call).await?.record(v1::RecordRequest {}).await.map_err(said)?.into_inner();
    let mut lines = Lines::begin(out.as_deref())?;
    let mut beat = tokio::time::interval(WRITE_EVERY);
    loop {
        let record = tokio::select! {
            record = records.message() => record,
            _ = beat.tick() => match lines.write()? {
                Reader::There => continue,
                Reader::Gone => return Ok(()),
            },
            () = stopped.wait() => break,
        };
        // A stream that breaks off is the agent's end.
        let Ok(Some(v1::Recorded { what: Some(what) })) = record else { break };
        lines.take(what)?;
        if lines.waiting.len() >= WAITING_MAX && lines.write()? == Reader::Gone {
            return Ok(());
        }
    }
    lines.end()
}

/// What ends a recording from outside.
struct Stopped {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stopped {
    fn listen() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals");
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Lines on their way out.
struct Lines {
    /// The file, and its length up to the last whole line; `None` for standard output.
    file: Option<(File, PathBuf, u64)>,
    waiting: String,
    requests: u64,
    dropped: u64,
}

impl Lines {
    fn begin(out: Option<&Path>) -> anyhow::Result<Self> {
        let file = match out {
            None => None,
            Some(path) => {
                let file = File::options().write(true).create_new(true).mode(0o600).open(path);
                let file = file.with_context(|| {
                    format!(
                        "{}: no recording can be begun there; name a file that is not there yet",
                        path.display()
                    )
                })?;
                Some((file, path.to_owned(), 0))
            }
        };
        let mut lines = Self { file, waiting: String::new(), requests: 0, dropped: 0 };
        lines.add(&Record::Recording { version: RECORDING_VERSION })?;
        lines.write()?;
        Ok(lines)
    }

    fn take(&mut self, what: What) -> anyhow::Result<()> {
        let record = match what {
            What::Segment(v1::RecordedSegment { name, memory_bytes, start_ms }) => {
                Record::Segment { name, memory_bytes, start_ms }
            }
            What::Request(one) => {
                self.requests += 1;
                Record::Request(Request {
                    at_us: one.at_us,
                    segment: one.segment,
                    principal: one.principal,
                    method: one.method,
                    path: one.path,
                    outcome: one.outcome,
                    held_us: Some(one.held_us).filter(|held_us| *held_us > 0),
                    // The agent sees requests, not their answers.
                    duration_us: None,
                })
            }
            What::Dropped(lines) => {
                self.dropped += lines;
                Record::Dropped { lines }
            }
        };
        self.add(&record)
    }

    fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        self.waiting.push_str(&serde_json::to_string(record).context("JSON")?);
        self.waiting.push('\n');
        Ok(())
    }

    /// Writes the lines that wait: all of them, or none.
    fn write(&mut self) -> anyhow::Result<Reader> {
        let text = std::mem::take(&mut self.waiting);
        let Some((file, path, whole)) = &mut self.file else { return say_more(&text) };
        if let Err(error) = file.write_all(text.as_bytes()) {
            // Where even that fails, the last line is told as cut off when it is read.
            let _ = file.set_len(*whole);
            let told = format!("{}: the recording ends here; make room, and record anew", path.display());
            return Err(anyhow::Error::new(error).context(told));
        }
        *whole += text.len() as u64;
        Ok(Reader::There)
    }

    fn end(mut self) -> anyhow::Result<()> {
        let (requests, dropped) = (self.requests, self.dropped);
        self.add(&Record::End { at_us: Clock::start().now_ms() * 1_000, requests, dropped })?;
        self.write()?;
        eprintln!("{requests} requests recorded, {dropped} lines dropped");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use weft_models::trace::{Limits, Recording};

    use super::*;

    fn request(at_us: u64) -> What {
        let text = |text: &str| text.to_owned();
        What::Request(v1::RecordedRequest {
            at_us,
            segment: text("cart"),
            principal: text("u-1"),
            method: text("GET"),
            path: text("0f"),
            outcome: text("cold"),
            held_us: 5,
        })
    }

    #[test]
    fn what_is_recorded_is_what_a_replay_reads_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut lines = Lines::begin(Some(&path)).unwrap();
        assert!(Lines::begin(Some(&path)).is_err(), "a recording is never written over");
        let segment = v1::RecordedSegment { name: "cart".to_owned(), memory_bytes: 64 << 20, start_ms: 60.5 };
        lines.take(What::Segment(segment)).unwrap();
        lines.take(request(7)).unwrap();
        lines.take(What::Dropped(3)).unwrap();
        lines.take(request(9)).unwrap();
        lines.end().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("\"requests\":2,\"dropped\":3}}\n"), "{text}");
        let mut rows = Recording::new(text.as_bytes(), Limits::default(), 0).unwrap();
        let times: Vec<_> = rows.by_ref().map(|row| row.unwrap().1.at_us).collect();
        assert_eq!((times, rows.dropped()), (vec![7, 9], 3));
        let [cart] = rows.apps() else { panic!("{:?}", rows.apps()) };
        assert_eq!((cart.memory_kib, cart.start_us), (64 << 10, 60_500));
    }
}
