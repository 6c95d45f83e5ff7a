//! From segments to requests. In: TCP segments of the client's side, as the kernel program copied them. Out: each
//! request once. The kernel only guesses which segments belong to a head; sequence numbers decide here: what lies
//! inside a body, was sent twice or came after a gap is left out, and a head cut into pieces is put together. Where a
//! body ends whose length is not told, the client's acknowledgements tell: the next request comes after an answer. A
//! client that sends it without having heard any is seen one request later, and a server that answers in the middle
//! of such a body lets a piece of it that reads as a whole request pass for one.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use weft_abi::{HEAD_BYTES, METHODS};

use super::http::{Body, Head, Parsed, parse, parse_cut};
use super::identity::NodeKey;

/// Connections that are followed at a time; past that the one unused for longest is forgotten.
const FLOWS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// Bytes of a head that are waited for: the kernel hands over no more.
const HEAD_LEN_MAX: usize = HEAD_BYTES as usize;

/// A connection, named by who opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// One TCP segment from client to server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) seq: u32,
    /// How far the client has heard the server.
    pub(super) ack: u32,
    /// Bytes of the segment on the wire; `bytes` may hold less.
    pub(super) len: u32,
    pub(super) bytes: &'a [u8],
}

/// What became of the segments so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowCounts {
    /// Heads that began like HTTP and were not.
    pub(super) malformed: u64,
    /// Heads of which a piece was missing.
    pub(super) gaps: u64,
}

/// All connections that are followed.
pub(super) struct Flows {
    flows: LruCache<FlowKey, Flow>,
    pub(super) counts: FlowCounts,
}

/// A request and its number on its connection, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) head: Head,
    pub(super) index: u32,
}

#[derive(Default)]
struct Flow {
    /// Sequence number from which on the next request can begin.
    next: Option<u32>,
    /// A head that has begun, and where.
    head: Vec<u8>,
    head_at: u32,
    /// What the client had heard when it began a body whose end is not known: nothing begins before it hears more.
    unanswered: Option<u32>,
    requests: u32,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { flows: LruCache::new(FLOWS_MAX), counts: FlowCounts::default() }
    }

    /// Takes one segment; calls `emit` for each request that it completes.
    pub(super) fn take(&mut self, key: FlowKey, piece: Piece<'_>, node: &NodeKey, emit: impl FnMut(Seen)) {
        let flow = self.flows.get_or_insert_mut(key, Flow::default);
        flow.take(piece, node, &mut self.counts, emit);
    }
}

impl Flow {
    fn take(
        &mut self,
        piece: Piece<'_>,
        node: &NodeKey,
        counts: &mut FlowCounts,
        mut emit: impl FnMut(Seen),
    ) {
        if self.misses_bytes_before(&piece) {
            counts.gaps += 1;
            self.cut_short(&piece, node, &mut emit);
        }
        let Some(bytes) = self.place(&piece) else { return };
        self.head.extend_from_slice(bytes);
        // Bytes of the segment that were not copied follow the buffer directly.
        let cut = piece.len as usize > piece.bytes.len();
        while !self.head.is_empty() {
            match parse(&self.head, node) {
                Parsed::Whole { head, head_len, body } => {
                    emit(self.seen(head));
                    self.skip(head_len, body, &piece);
                }
                Parsed::Partial if !cut && self.head.len() < HEAD_LEN_MAX => return,
                Parsed::Partial => return self.cut_short(&piece, node, &mut emit),
                Parsed::NotHttp => {
                    counts.malformed += 1;
                    return self.lose();
                }
            }
        }
    }

    /// Whether a head has begun and `piece` does not continue it.
    fn misses_bytes_before(&self, piece: &Piece<'_>) -> bool {
        !self.head.is_empty() && (self.head_end().wrapping_sub(piece.seq) as i32) < 0
    }

    fn head_end(&self) -> u32 {
        self.head_at.wrapping_add(self.head.len() as u32)
    }

    /// The bytes of `piece` that continue this flow, if any; sets where a new head begins.
    fn place<'a>(&mut self, piece: &Piece<'a>) -> Option<&'a [u8]> {
        if !self.head.is_empty() {
            let behind = self.head_end().wrapping_sub(piece.seq);
            return piece.bytes.get(behind as usize..).filter(|rest| !rest.is_empty());
        }
        if self.unanswered.is_some_and(|ack| (piece.ack.wrapping_sub(ack) as i32) <= 0) {
            return None;
        }
        let skip = match self.next {
            Some(next) => (next.wrapping_sub(piece.seq) as i32).max(0) as usize,
            None => 0,
        };
        let rest = piece.bytes.get(skip..).filter(|rest| begins_like_a_request(rest))?;
        self.head_at = piece.seq.wrapping_add(skip as u32);
        self.unanswered = None;
        Some(rest)
    }

    /// The rest of a head will not come: its first lines must do, and it ends where nobody has seen it.
    fn cut_short(&mut self, piece: &Piece<'_>, node: &NodeKey, emit: &mut impl FnMut(Seen)) {
        if let Some(head) = parse_cut(&self.head, node) {
            emit(self.seen(head));
            self.unanswered = Some(piece.ack);
        }
        self.lose();
    }

    fn seen(&mut self, head: Head) -> Seen {
        let index = self.requests;
        self.requests += 1;
        Seen { head, index }
    }

    /// Steps over a head and its body; what is already here of the next request stays.
    fn skip(&mut self, head_len: usize, body: Body, piece: &Piece<'_>) {
        let Body::Sized(body_len) = body else {
            self.unanswered = Some(piece.ack);
            return self.lose();
        };
        let step = head_len.saturating_add(body_len as usize);
        self.next = Some(self.head_at.wrapping_add(step as u32));
        self.head.drain(..step.min(self.head.len()));
        self.head_at = self.head_at.wrapping_add(step as u32);
    }

    /// Forgets where it is: the next segment that looks like a request begins one.
    fn lose(&mut self) {
        // Only what was seen is known to be over; a retransmit of it must not count again.
        self.next = Some(self.head_end());
        self.head.clear();
    }
}

/// As the kernel has it: whether these bytes begin with a method, or are so few that they may.
fn begins_like_a_request(bytes: &[u8]) -> bool {
    let begins = |(method, len): &([u8; 8], u32)| {
        let compared = bytes.len().min(*len as usize);
        compared > 0 && bytes[..compared] == method[..compared]
    };
    METHODS.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "GET /a?x=1 HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer t\r\n\r\n";
    const TWO: &str = "POST /b HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET /c HTTP/1.1\r\n\n";

    fn key() -> FlowKey {
        FlowKey { client: ([10, 0, 0, 1], 4000).into(), server: ([10, 0, 0, 2], 80).into() }
    }

    fn paths(pieces: &[(u32, &[u8])]) -> (Vec<String>, FlowCounts) {
        let (mut flows, mut paths) = (Flows::new(), Vec::new());
        for (seq, bytes) in pieces {
            let piece = Piece { seq: *seq, ack: 1, len: bytes.len() as u32, bytes };
            flows.take(key(), piece, &NodeKey::from_bytes([1; 16]), |seen| {
                assert_eq!(seen.index as usize, paths.len());
                paths.push(seen.head.path);
            });
        }
        (paths, flows.counts)
    }

    #[test]
    fn pipelined_requests_and_a_body_that_looks_like_one_are_each_counted_once() {
        let text = format!("{ONE}{TWO}{ONE}");
        assert_eq!(paths(&[(5, text.as_bytes())]).0, ["/a", "/b", "/a"]);
    }

    #[test]
    fn a_retransmitted_segment_counts_once() {
        let (paths, counts) = paths(&[(5, ONE.as_bytes()), (5, ONE.as_bytes())]);
        assert_eq!((paths, counts), (vec!["/a".to_owned()], FlowCounts::default()));
    }

    #[test]
    fn a_missing_piece_is_counted_and_the_next_request_is_seen() {
        let (first, rest) = ONE.as_bytes().split_at(9);
        let gap = 5 + 9 + 4;
        let (paths, counts) = paths(&[(5, first), (gap, &rest[4..]), (500, ONE.as_bytes())]);
        assert_eq!(paths, ["/a"]);
        assert_eq!(counts.gaps, 1);
    }

    #[test]
    fn a_head_longer_than_what_is_copied_still_tells_its_first_line() {
        let mut flows = Flows::new();
        let bytes = &ONE.as_bytes()[..40];
        let mut seen = Vec::new();
        let piece = Piece { seq: 1, ack: 1, len: 9000, bytes };
        flows.take(key(), piece, &NodeKey::from_bytes([1; 16]), |s| seen.push(s.head.path));
        assert_eq!(seen, ["/a"]);
    }

    #[test]
    fn after_a_body_without_a_length_nothing_begins_before_the_server_was_heard() {
        let chunked = "POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (mut flows, mut seen) = (Flows::new(), Vec::new());
        for (seq, ack, text) in
            [(100, 7, chunked), (200, 7, ONE), (300, 7, ONE), (400, 9, ONE), (500, 9, ONE)]
        {
            let piece = Piece { seq, ack, len: text.len() as u32, bytes: text.as_bytes() };
            flows.take(key(), piece, &NodeKey::from_bytes([1; 16]), |s| seen.push((seq, s.head.path)));
        }
        assert_eq!(seen, [(100, "/d".into()), (400, "/a".into()), (500, "/a".into())]);
    }

    #[test]
    fn what_does_not_begin_like_a_request_is_passed_over_and_not_counted() {
        let (paths, counts) =
            paths(&[(5, b"\x16\x03\x01"), (8, b"HTTP/1.1 200 OK\r\n\r\n"), (40, ONE.as_bytes())]);
        assert_eq!((paths, counts), (vec!["/a".to_owned()], FlowCounts::default()));
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_requests(cuts in prop::collection::vec(1usize..40, 1..40), start: u32) {
            let text = format!("{ONE}{TWO}{ONE}{ONE}");
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(text.len());
                pieces.push((start.wrapping_add(at as u32), &text.as_bytes()[at..end]));
                at = end;
                if at == text.len() { break }
            }
            prop_assert_eq!(paths(&pieces).0, ["/a", "/b", "/a", "/a"]);
        }

        #[test]
        fn hostile_segments_never_panic(pieces in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..64)), 0..64)) {
            let pieces: Vec<(u32, &[u8])> = pieces.iter().map(|(seq, bytes)| (*seq, bytes.as_slice())).collect();
            paths(&pieces);
        }
    }
}
