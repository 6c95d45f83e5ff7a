//! What a recording is made of. In: the journal. Out: requests to segments, each segment before its first one, and how much was
//! missed. Nothing that a user said leaves: principals are the agent's keyed hashes, paths are hashed under a key that is made
//! for the recording and forgotten with it.
//!
//! Queue: [`RECORDS_MAX`] records; whoever reads too slowly misses lines of the journal, and is told how many.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::v1::{Recorded, RecordedRequest, RecordedSegment, recorded::What};
use crate::capture::pattern;
use crate::segments::Segments;
use crate::weave::driver;

/// Records that wait for the client.
const RECORDS_MAX: usize = 1024;
/// Methods that are told; others might be anything.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// Records as they come.
pub(super) type Records = Pin<Box<dyn Stream<Item = Result<Recorded, Status>> + Send>>;

/// A line of the journal, as far as it is recorded.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    at_ms: f64,
    #[serde(borrow, default)]
    segment: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    principal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    outcome: Option<Cow<'a, str>>,
    #[serde(default)]
    wait_ms: f64,
}

/// Follows the journal for as long as somebody reads and the agent lives.
pub(super) fn record(
    lines: broadcast::Receiver<Arc<str>>,
    segments: Arc<Segments>,
    weave: mpsc::Sender<driver::Message>,
) -> Records {
    let (records, read) = mpsc::channel(RECORDS_MAX);
    tokio::spawn(follow(lines, segments, weave, records));
    Box::pin(ReceiverStream::new(read))
}

async fn follow(
    mut lines: broadcast::Receiver<Arc<str>>,
    segments: Arc<Segments>,
    weave: mpsc::Sender<driver::Message>,
    records: mpsc::Sender<Result<Recorded, Status>>,
) {
    let key = RandomState::new();
    let mut known: HashSet<String> = HashSet::new();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = records.closed() => return,
        };
        let what = match line {
            Ok(line) => match request(&line, &key) {
                Some(request) => request,
                None => continue,
            },
            Err(broadcast::error::RecvError::Lagged(lines)) => What::Dropped(lines),
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if let What::Request(request) = &what
            && !known.contains(&request.segment)
        {
            let Some(segment) = segment(&request.segment, &segments, &weave).await else { continue };
            known.insert(request.segment.clone());
            if send(&records, What::Segment(segment)).await.is_err() {
                return;
            }
        }
        if send(&records, what).await.is_err() {
            return;
        }
    }
}

async fn send(records: &mpsc::Sender<Result<Recorded, Status>>, what: What) -> Result<(), ()> {
    // Nobody reads any more.
    records.send(Ok(Recorded { what: Some(what) })).await.map_err(drop)
}

/// What is known of a segment; `None` while the agent ends.
async fn segment(
    name: &str,
    segments: &Segments,
    weave: &mpsc::Sender<driver::Message>,
) -> Option<RecordedSegment> {
    let index = segments.position(name)?;
    let (reply, answer) = oneshot::channel();
    weave.send(driver::Message::Look(reply)).await.ok()?;
    let start_ms = answer.await.ok()?.cold_ms.get(index).copied().unwrap_or(0.0);
    let memory_bytes = segments.get(index).limits.memory.0;
    Some(RecordedSegment { name: name.to_owned(), memory_bytes, start_ms })
}

/// The request that a line of the journal tells of, if it is one to a segment.
fn request(line: &str, key: &RandomState) -> Option<What> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    let segment = line.segment.filter(|_| line.kind == "request")?.into_owned();
    let method = METHODS.into_iter().find(|method| *method == line.method).unwrap_or("other");
    Some(What::Request(RecordedRequest {
        at_us: (line.at_ms * 1e3) as u64,
        segment,
        principal: line.principal.unwrap_or_default().into_owned(),
        method: method.to_owned(),
        path: format!("{:016x}", key.hash_one(pattern(&line.path))),
        outcome: line.outcome.unwrap_or_default().into_owned(),
        held_us: (line.wait_ms * 1e3) as u64,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::journal::{self, Journal, What as Told};

    fn write(journal: &Journal, segment: Option<&str>, method: &str, path: &str) {
        let (from, to) = ("10.0.0.1:9".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let what = Told::Request {
            segment,
            method,
            path,
            parameters: &["token".to_owned()],
            principal: Some(journal::principal(7)),
            caller: Some("a \"caller\""),
            server: None,
            from,
            to,
            instance: None,
            outcome: Some(crate::learn::Outcome::Cold),
            wait_ms: 1.5,
        };
        journal.write(&journal::Line { at_ms: 12.25, what });
    }

    fn recorded(journal: &Journal, key: &RandomState, path: &str) -> RecordedRequest {
        let mut lines = journal.watch();
        write(journal, Some("cart"), "BREW", path);
        match request(&lines.try_recv().unwrap(), key) {
            Some(What::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_recorded_without_anything_that_a_user_said() {
        let (journal, key) = (Journal::new(), RandomState::new());
        let one = recorded(&journal, &key, "/users/secret/7");
        assert_eq!((one.at_us, one.held_us, one.segment.as_str()), (12_250, 1_500, "cart"));
        assert_eq!((one.method.as_str(), one.outcome.as_str()), ("other", "cold"));
        assert_eq!(one.principal, journal::principal(7));
        assert!(!format!("{one:?}").contains("secret"), "{one:?}");
        // Numbers in a path are any number; another recording has other hashes.
        assert_eq!(recorded(&journal, &key, "/users/secret/8").path, one.path);
        assert_ne!(recorded(&journal, &key, "/users/other/8").path, one.path);
        assert_ne!(recorded(&journal, &RandomState::new(), "/users/secret/7").path, one.path);
    }

    #[test]
    fn what_is_no_request_to_a_segment_is_left_out() {
        let (journal, key) = (Journal::new(), RandomState::new());
        let mut lines = journal.watch();
        write(&journal, None, "GET", "/");
        let what = Told::Graph { graph: "g".to_owned(), state: "ready", cause: "" };
        journal.write(&journal::Line { at_ms: 1.0, what });
        while let Ok(line) = lines.try_recv() {
            assert_eq!(request(&line, &key), None, "{line}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_lags_is_told_how_much_it_missed_and_the_end_of_the_journal_is_the_end() {
        use tokio_stream::StreamExt;
        let journal = Journal::new();
        let lines = journal.watch();
        for _ in 0..journal::LINES_MAX + 5 {
            write(&journal, None, "GET", "/");
        }
        let (weave, _inbox) = mpsc::channel(1);
        let mut records = record(lines, Arc::new(Segments::default()), weave);
        let first = records.next().await.unwrap().unwrap();
        assert_eq!(first.what, Some(What::Dropped(5)));
        drop(journal);
        assert!(records.next().await.is_none());
    }
}
