//! Where a principal stands: its last few segments. In come segments, out go the keys of the contexts that hold here.
//! A place can also be imagined (`after`): that is how a path is looked along before anybody walks it.

use serde::{Deserialize, Serialize};

use crate::observe::{Observation, Principal, SegmentId};

/// Longest sequence a context is made of.
pub(crate) const ORDER_MAX: usize = 3;
/// How many contexts hold at a place.
pub(crate) const SOURCE_COUNT: usize = 10;
/// The token before the first segment.
const START: u64 = 0;
const HOUR_MS: u64 = 3_600_000;

/// Which kind of context proposed a candidate. The number is its bit in [`crate::Sources`] and its index in evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Source {
    /// What anybody asks for.
    All0,
    /// What anybody asks for after the last segment.
    All1,
    /// After the last two segments.
    All2,
    /// After the last three segments.
    All3,
    /// After the last request with its method, path pattern and parameters.
    Request,
    /// What this principal asks for.
    Own0,
    /// What this principal asks for after the last segment.
    Own1,
    /// After its last two segments.
    Own2,
    /// What a calling segment calls at some time while it serves a request, in whatever order.
    Within,
    /// What this principal asks for at this hour of the day.
    OwnHour,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Source; SOURCE_COUNT] = [
        Source::All0,
        Source::All1,
        Source::All2,
        Source::All3,
        Source::Request,
        Source::Own0,
        Source::Own1,
        Source::Own2,
        Source::Within,
        Source::OwnHour,
    ];
}

/// The hour of the day at `at_ms`, 0 to 23, UTC.
pub(crate) fn hour_of_day(at_ms: u64) -> u64 {
    at_ms / HOUR_MS % 24
}

/// A principal and its last few segments, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) principal: Principal,
    recent: [u64; ORDER_MAX],
    length: u8,
    request: Option<u64>,
    /// When this place was reached.
    pub(crate) at_ms: u64,
    /// Segments since the start.
    pub(crate) steps: u32,
}

impl Place {
    /// Before the first segment.
    pub(crate) fn start(principal: Principal, at_ms: u64) -> Self {
        Self { principal, recent: [START; ORDER_MAX], length: 1, request: None, at_ms, steps: 0 }
    }

    /// One segment further, when nothing but the segment is known.
    pub(crate) fn after(mut self, segment: SegmentId, at_ms: u64) -> Self {
        self.recent.rotate_right(1);
        self.recent[0] = token(segment);
        self.length = (self.length + 1).min(ORDER_MAX as u8);
        self.request = None;
        self.at_ms = at_ms;
        self.steps = self.steps.saturating_add(1);
        self
    }

    /// One request further.
    pub(crate) fn after_request(self, request: &Observation) -> Self {
        let mut place = self.after(request.segment, request.at_ms);
        let parts = [token(request.segment), request.method.into(), request.path_pattern, request.parameters];
        place.request = Some(parts.into_iter().fold(0, mix));
        place
    }

    /// The segment asked for last; none at the start.
    pub(crate) fn last(&self) -> Option<SegmentId> {
        let raw = self.recent[0].checked_sub(1)?;
        u32::try_from(raw).ok().map(SegmentId)
    }

    /// Key of each context that holds here, by [`Source`]; none where the sequence is too short.
    pub(crate) fn keys(&self, now_ms: u64) -> [Option<u64>; SOURCE_COUNT] {
        let (kind, own) = match self.principal {
            Principal::User(user) => (1, mix(1, user.0)),
            Principal::Segment(segment) => (2, mix(2, segment.0.into())),
        };
        let sequence = |scope: u64, source: Source, order: usize| {
            let tokens = self.recent.get(..order).filter(|_| order <= usize::from(self.length))?;
            Some(tokens.iter().fold(mix(scope, source as u64), |key, token| mix(key, *token)))
        };
        let with = |scope: u64, source: Source, value: u64| Some(mix(mix(scope, source as u64), value));
        [
            sequence(kind, Source::All0, 0),
            sequence(kind, Source::All1, 1),
            sequence(kind, Source::All2, 2),
            sequence(kind, Source::All3, 3),
            self.request.and_then(|request| with(kind, Source::Request, request)),
            sequence(own, Source::Own0, 0),
            sequence(own, Source::Own1, 1),
            sequence(own, Source::Own2, 2),
            self.within_key(),
            with(own, Source::OwnHour, hour_of_day(now_ms)),
        ]
    }

    /// Key of the unordered statistics; only calling segments have them.
    pub(crate) fn within_key(&self) -> Option<u64> {
        match self.principal {
            Principal::User(_) => None,
            Principal::Segment(segment) => Some(mix(mix(2, segment.0.into()), Source::Within as u64)),
        }
    }
}

fn token(segment: SegmentId) -> u64 {
    u64::from(segment.0) + 1
}

/// Folds one value into a key (the finaliser of SplitMix64). Keys need spread, not secrecy: what strangers choose
/// arrives hashed with the node's own key.
fn mix(key: u64, value: u64) -> u64 {
    let mut z = key.rotate_left(23) ^ value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
