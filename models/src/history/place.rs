//! Where a principal stands: its last few segments. In come segments, out go the keys of the contexts that hold here.
//! A place can also be imagined (`after`): that is how a path is looked along before anybody walks it.

use serde::{Deserialize, Serialize};

use crate::observe::{Observation, Principal, SegmentId};

/// Segments that a place remembers one by one.
pub(crate) const TRAIL_MAX: usize = 16;
/// How many contexts hold at a place.
pub(crate) const SOURCE_COUNT: usize = 16;
/// A longer pause ends a burst: what belongs to one click or one command follows at once.
const BURST_GAP_MS: u64 = 5_000;
/// Steps within which one segment is said to come near another.
pub(crate) const NEAR_STEPS: usize = 5;
/// The token before the first segment.
const START: u32 = 0;
const HOUR_MS: u64 = 3_600_000;
/// Bits of the filter that tells what was seen since the start: 256, so that forty segments blur one look in seven.
const SEEN_WORDS: usize = 4;

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
    /// After the last five segments.
    All5,
    /// After the last segment, with the same others before it in whatever order.
    Bag,
    /// After the last segment of a session or request that began with the same one.
    Entry,
    /// After the same segments in whatever order since the last pause.
    Burst,
    /// After the last segment where the first since the last pause was the same.
    Head,
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
    /// What comes within a few steps of one of the last few segments, and has not come since.
    Near,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Source; SOURCE_COUNT] = [
        Source::All0,
        Source::All1,
        Source::All2,
        Source::All3,
        Source::All5,
        Source::Bag,
        Source::Entry,
        Source::Burst,
        Source::Head,
        Source::Request,
        Source::Own0,
        Source::Own1,
        Source::Own2,
        Source::Within,
        Source::OwnHour,
        Source::Near,
    ];
}

/// The hour of the day at `at_ms`, 0 to 23, UTC.
fn hour_of_day(at_ms: u64) -> u64 {
    at_ms / HOUR_MS % 24
}

/// A principal and its last few segments, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) principal: Principal,
    recent: [u32; TRAIL_MAX],
    first: u32,
    bag: u64,
    head: u32,
    burst: u64,
    pub(crate) burst_steps: u32,
    seen: [u64; SEEN_WORDS],
    request: Option<u64>,
    /// When this place was reached.
    pub(crate) at_ms: u64,
    /// How long the last step took.
    pub(crate) gap_ms: u32,
    /// Segments since the start.
    pub(crate) steps: u32,
}

impl Place {
    /// Before the first segment.
    pub(crate) fn start(principal: Principal, at_ms: u64) -> Self {
        Self {
            principal,
            recent: [START; TRAIL_MAX],
            first: START,
            bag: 0,
            head: START,
            burst: 0,
            burst_steps: 0,
            seen: [0; SEEN_WORDS],
            request: None,
            at_ms,
            gap_ms: 0,
            steps: 0,
        }
    }

    /// One segment further, when nothing but the segment is known.
    pub(crate) fn after(mut self, segment: SegmentId, at_ms: u64) -> Self {
        let token = token(segment);
        if !self.has_seen(segment) {
            let (word, bit) = seen_at(segment);
            self.seen[word] |= bit;
            // A sum, so that the order in which they came does not matter.
            self.bag = self.bag.wrapping_add(mix(0, token.into()));
        }
        self.recent.copy_within(..TRAIL_MAX - 1, 1);
        self.recent[0] = token;
        if self.steps == 0 {
            self.first = token;
        }
        if self.steps == 0 || at_ms.saturating_sub(self.at_ms) > BURST_GAP_MS {
            self.head = token;
            self.burst = 0;
            self.burst_steps = 0;
        }
        self.burst_steps = self.burst_steps.saturating_add(1);
        self.burst = self.burst.wrapping_add(mix(0, token.into()));
        self.request = None;
        self.gap_ms = u32::try_from(at_ms.saturating_sub(self.at_ms)).unwrap_or(u32::MAX);
        self.at_ms = at_ms;
        self.steps = self.steps.saturating_add(1);
        self
    }

    /// One request further.
    pub(crate) fn after_request(self, request: &Observation) -> Self {
        let mut place = self.after(request.segment, request.at_ms);
        let parts =
            [token(request.segment).into(), request.method.into(), request.path_pattern, request.parameters];
        place.request = Some(parts.into_iter().fold(0, mix));
        place
    }

    /// The segment asked for last; none at the start.
    pub(crate) fn last(&self) -> Option<SegmentId> {
        self.back(0)
    }

    /// The segment asked for so many steps before the last.
    pub(crate) fn back(&self, steps: usize) -> Option<SegmentId> {
        self.recent.get(steps)?.checked_sub(1).map(SegmentId)
    }

    /// Whether the segment was asked for since the start; now and then a yes that should be a no.
    pub(crate) fn has_seen(&self, segment: SegmentId) -> bool {
        let (word, bit) = seen_at(segment);
        self.seen[word] & bit != 0
    }

    /// How many steps ago the segment came, and how often, among the last [`TRAIL_MAX`].
    pub(crate) fn steps_since(&self, segment: SegmentId) -> (Option<usize>, usize) {
        if !self.has_seen(segment) {
            return (None, 0);
        }
        let token = token(segment);
        let count = self.recent.iter().filter(|recent| **recent == token).count();
        (self.recent.iter().position(|recent| *recent == token), count)
    }

    /// Key of each context that holds here, by [`Source`]; none where the sequence is too short, and none for
    /// [`Source::Near`], which has several.
    pub(crate) fn keys(&self, now_ms: u64) -> [Option<u64>; SOURCE_COUNT] {
        let (kind, own) = match self.principal {
            Principal::User(user) => (1, mix(1, user.0)),
            Principal::Segment(segment) => (2, mix(2, segment.0.into())),
        };
        let steps = self.steps as usize;
        // One token more than there are steps: the start is a token, too.
        let sequence = |scope: u64, source: Source, order: usize| {
            let tokens = self.recent.get(..order).filter(|_| order <= steps + 1)?;
            Some(tokens.iter().fold(mix(scope, source as u64), |key, token| mix(key, (*token).into())))
        };
        let with = |scope: u64, source: Source, value: u64| Some(mix(mix(scope, source as u64), value));
        let last = u64::from(self.recent[0]);
        let since = |source: Source, value: u64, steps_min: usize| {
            with(kind, source, mix(value, last)).filter(|_| steps >= steps_min)
        };
        [
            sequence(kind, Source::All0, 0),
            self.all1_key(0),
            sequence(kind, Source::All2, 2),
            sequence(kind, Source::All3, 3),
            sequence(kind, Source::All5, 5).filter(|_| steps >= 4),
            since(Source::Bag, self.bag, 2),
            since(Source::Entry, self.first.into(), 3),
            with(kind, Source::Burst, self.burst),
            since(Source::Head, self.head.into(), 1),
            self.request.and_then(|request| with(kind, Source::Request, request)),
            sequence(own, Source::Own0, 0),
            sequence(own, Source::Own1, 1),
            sequence(own, Source::Own2, 2),
            self.within_key(),
            with(own, Source::OwnHour, hour_of_day(now_ms)),
            None,
        ]
    }

    /// Key of what anybody asks for after the segment that came so many steps before the last.
    pub(crate) fn all1_key(&self, back: usize) -> Option<u64> {
        let kind = match self.principal {
            Principal::User(_) => 1,
            Principal::Segment(_) => 2,
        };
        let token = self.recent.get(back).filter(|token| back == 0 || **token != START)?;
        Some(mix(mix(kind, Source::All1 as u64), (*token).into()))
    }

    /// Key of what comes near the segment that came so many steps before the last.
    pub(crate) fn near_key(&self, back: usize) -> Option<u64> {
        let kind = match self.principal {
            Principal::User(_) => 1,
            Principal::Segment(_) => 2,
        };
        let token = self.recent.get(back).filter(|token| **token != START)?;
        Some(mix(mix(kind, Source::Near as u64), (*token).into()))
    }

    /// Whether the segment came within the last `steps`.
    pub(crate) fn came_within(&self, segment: SegmentId, steps: usize) -> bool {
        self.recent[..steps.min(TRAIL_MAX)].contains(&token(segment))
    }

    /// Key of the unordered statistics; only calling segments have them.
    pub(crate) fn within_key(&self) -> Option<u64> {
        match self.principal {
            Principal::User(_) => None,
            Principal::Segment(segment) => Some(mix(mix(2, segment.0.into()), Source::Within as u64)),
        }
    }
}

fn token(segment: SegmentId) -> u32 {
    segment.0.saturating_add(1)
}

/// Word and bit of a segment in the filter.
fn seen_at(segment: SegmentId) -> (usize, u64) {
    let hash = mix(3, segment.0.into());
    ((hash >> 8) as usize % SEEN_WORDS, 1 << (hash & 63))
}

/// Folds one value into a key (the finaliser of SplitMix64). Keys need spread, not secrecy: what strangers choose
/// arrives hashed with the node's own key.
fn mix(key: u64, value: u64) -> u64 {
    let mut z = key.rotate_left(23) ^ value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
