//! Who could come next at a place. In come the contexts that hold there, out go candidates with their features.
//! Bounded: of all that ever followed, only the likeliest by counts are kept.

use serde::{Deserialize, Serialize};

use super::context::{Context, ContextTable, Follower};
use super::place::{NEAR_STEPS, Place, SOURCE_COUNT, Source};
use crate::features::{self, Blend, N, Standing};
use crate::observe::{SegmentId, SyscallShares};

/// From the most specific context to the vaguest: the first that knows a candidate says how long it takes.
const SPECIFIC_FIRST: [Source; SOURCE_COUNT - 1] = [
    Source::Own2,
    Source::Own1,
    Source::All5,
    Source::Bag,
    Source::Burst,
    Source::All3,
    Source::All2,
    Source::Head,
    Source::Entry,
    Source::Request,
    Source::All1,
    Source::Within,
    Source::OwnHour,
    Source::Own0,
    Source::All0,
];
/// The contexts whose entropy is shown: the longest that has been met.
const SEQUENCES: [Source; 6] =
    [Source::Own2, Source::Own1, Source::All5, Source::All3, Source::All2, Source::All1];
/// Of anybody, the longest that has been met.
const ANYBODY: [Source; 4] = [Source::All5, Source::All3, Source::All2, Source::All1];
/// Candidates gathered, at most, before the likeliest are chosen.
const GATHERED_MAX: usize = 96;
/// Slots by which they are found: a power of two, never more than three quarters full.
const SLOT_COUNT: usize = 128;

/// Set of the kinds of context that proposed a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(u32);

impl Sources {
    /// Whether `source` is among them.
    pub fn contains(self, source: Source) -> bool {
        self.0 & (1 << source as u16) != 0
    }
}

/// A segment that could come next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which one.
    pub segment: SegmentId,
    /// What the trees are shown; the meanings are [`features::NAMES`].
    #[serde(with = "crate::features::serde_row")]
    pub features: [f32; N],
    /// How long it usually takes until it comes.
    pub expected_delay_ms: f32,
    /// Which contexts proposed it.
    pub sources: Sources,
}

/// What all candidates of one place share.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// By context, one through how often it was met, and what is added where it was not.
    pub(crate) inverses: [f32; SOURCE_COUNT],
    pub(crate) unknown: [f32; SOURCE_COUNT],
    pub(crate) evidence: [f32; 5],
    pub(crate) followers: f32,
    pub(crate) entropy_bits: f32,
    pub(crate) latest: Option<SegmentId>,
    pub(crate) own_latest: Option<SegmentId>,
    pub(crate) steps: f32,
    pub(crate) gap: f32,
    pub(crate) burst: f32,
    pub(crate) now_s: u32,
    pub(crate) last: Option<SegmentId>,
    pub(crate) syscalls: Option<SyscallShares>,
}

/// The counts behind one candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) segment: SegmentId,
    pub(crate) weights: [f32; SOURCE_COUNT],
    /// By the most specific context that knows it: how long it takes, and when it came last.
    pub(crate) here: Option<&'a Follower>,
    pub(crate) own: Option<&'a Follower>,
    pub(crate) all: Option<&'a Follower>,
    /// Its share near the last segment, the one before, and whichever of the last few it is highest for.
    pub(crate) near: [f32; 3],
}

/// Candidates as they are gathered, found by a small open table.
struct Gathered<'a> {
    all: Vec<Evidence<'a>>,
    /// The segments of these, side by side: they are all that a search looks at.
    segments: [u32; GATHERED_MAX],
    slots: [u8; SLOT_COUNT],
}

impl<'a> Gathered<'a> {
    const EMPTY: u8 = u8::MAX;

    fn new() -> Self {
        let all = Vec::with_capacity(GATHERED_MAX);
        Self { all, segments: [0; GATHERED_MAX], slots: [Self::EMPTY; SLOT_COUNT] }
    }

    /// The evidence of a segment; none if it is not known yet and there is no more room.
    fn of(&mut self, segment: SegmentId) -> Option<&mut Evidence<'a>> {
        let mut slot = (segment.0.wrapping_mul(0x9e37_79b9) >> 25) as usize;
        loop {
            let index = usize::from(self.slots[slot % SLOT_COUNT]);
            let Some(known) = self.segments.get(index) else { break };
            if *known == segment.0 {
                return self.all.get_mut(index);
            }
            slot += 1;
        }
        let index = self.all.len();
        *self.segments.get_mut(index)? = segment.0;
        self.slots[slot % SLOT_COUNT] = index as u8;
        let weights = [0.0; SOURCE_COUNT];
        self.all.push(Evidence { segment, weights, here: None, own: None, all: None, near: [-1.0; 3] });
        self.all.last_mut()
    }
}

/// The likeliest by their blended shares so far, and of equal ones those of the lowest number, the best first.
struct Best {
    /// Share, number and place of each, so that the greater whole number is the better one.
    keys: Vec<(u64, u8)>,
    limit: usize,
}

impl Best {
    fn offer(&mut self, share: f32, segment: SegmentId, index: usize) {
        // Shares are not below zero: their bits are in their order.
        let key = u64::from(share.to_bits()) << 32 | u64::from(!segment.0);
        if self.keys.len() == self.limit {
            if self.keys.last().is_none_or(|last| last.0 > key) {
                return;
            }
            self.keys.pop();
        }
        let worse = self.keys.iter().rev().take_while(|other| other.0 < key).count();
        self.keys.insert(self.keys.len() - worse, (key, index as u8));
    }

    /// Shares and places, the best first.
    fn ranked(&self) -> impl ExactSizeIterator<Item = (f32, usize)> {
        self.keys.iter().map(|(key, index)| (f32::from_bits((key >> 32) as u32), usize::from(*index)))
    }
}

type Contexts<'a> = [Option<&'a Context>; SOURCE_COUNT];

/// The candidates at `place`, likeliest by counts first, at most `limit`.
pub(crate) fn propose(
    table: &ContextTable,
    place: &Place,
    syscalls: Option<SyscallShares>,
    now_ms: u64,
    limit: usize,
) -> Vec<Candidate> {
    let contexts = place.keys(now_ms).map(|key| key.and_then(|key| table.get(key)));
    let near: [Option<&Context>; NEAR_STEPS] =
        std::array::from_fn(|back| place.near_key(back).and_then(|key| table.get(key)));
    let mut totals = contexts.map(|context| context.map_or(0.0, |context| context.total));
    totals[Source::Near as usize] = near.iter().flatten().count() as f32;
    let moment = moment(&contexts, &totals, place, syscalls, now_ms);
    let mut followers = contexts.map(|context| context.map_or(0, |context| context.followers.len() as u8));
    followers[Source::Near as usize] = 1;
    let blend = Blend::of(&totals, &followers);
    let mut gathered = Gathered::new();
    gather(&mut gathered, &contexts, &near, place);
    let gathered = gathered.all;
    let mut best = Best { keys: Vec::with_capacity(limit.min(GATHERED_MAX)), limit };
    for (index, evidence) in gathered.iter().enumerate() {
        best.offer(blend.share(&evidence.weights), evidence.segment, index);
    }
    let sum = best.ranked().map(|(share, _)| share).sum();
    let highest = best.ranked().next().map_or(0.0, |(share, _)| share);
    let candidate = |(rank, (blended, index)): (usize, (f32, usize))| {
        let evidence = &gathered[index];
        let bit = |source: usize| u32::from(evidence.weights[source] > 0.0) << source;
        Candidate {
            segment: evidence.segment,
            features: features::row(evidence, &moment, place, Standing { rank, blended, best: highest, sum }),
            expected_delay_ms: evidence.here.map_or(0.0, |follower| follower.delay_ms),
            sources: Sources((0..SOURCE_COUNT).map(bit).sum()),
        }
    };
    best.ranked().enumerate().map(candidate).collect()
}

fn moment(
    contexts: &Contexts<'_>,
    totals: &[f32; SOURCE_COUNT],
    place: &Place,
    syscalls: Option<SyscallShares>,
    now_ms: u64,
) -> Moment {
    let first = |sources: &[Source]| {
        sources.iter().find_map(|source| contexts[*source as usize]).and_then(Context::latest)
    };
    let total = |source: Source| features::log2(totals[source as usize]);
    let after_last = contexts[Source::All1 as usize];
    Moment {
        inverses: totals.map(|total| if total > 0.0 { 1.0 / total } else { 0.0 }),
        unknown: totals.map(|total| if total > 0.0 { 0.0 } else { features::UNKNOWN }),
        evidence: [Source::All1, Source::All2, Source::All3, Source::Own0, Source::Own1].map(total),
        followers: features::log2(after_last.map_or(0.0, |context| context.followers.len() as f32)),
        entropy_bits: SEQUENCES
            .iter()
            .find_map(|source| contexts[*source as usize])
            .map_or(0.0, Context::entropy_bits),
        latest: first(&ANYBODY),
        own_latest: first(&[Source::Own2, Source::Own1]),
        steps: features::log2(place.steps as f32),
        burst: features::log2(place.burst_steps as f32),
        gap: features::log2(place.gap_ms as f32),
        now_s: (now_ms / 1000) as u32,
        last: place.last(),
        syscalls,
    }
}

/// One line of evidence per segment that followed any of the contexts, or comes near one of the last few segments and
/// has not come since: then its shares after each of them are added up.
fn gather<'a>(
    gathered: &mut Gathered<'a>,
    contexts: &Contexts<'a>,
    near: &[Option<&'a Context>; NEAR_STEPS],
    place: &Place,
) {
    // From the most specific on, so that a full list lacks the vaguest.
    for source in SPECIFIC_FIRST {
        let Some(context) = contexts[source as usize] else { continue };
        for follower in &context.followers {
            let Some(evidence) = gathered.of(follower.segment) else { continue };
            evidence.weights[source as usize] = follower.weight;
            evidence.here.get_or_insert(follower);
            match source {
                Source::Own0 => evidence.own = Some(follower),
                Source::All0 => evidence.all = Some(follower),
                _ => {}
            }
        }
    }
    for (back, context) in near.iter().enumerate() {
        let Some(context) = context else { continue };
        let inverse = 1.0 / context.total.max(1.0);
        for follower in &context.followers {
            if place.came_within(follower.segment, back + 1) {
                continue;
            }
            let Some(evidence) = gathered.of(follower.segment) else { continue };
            let share = (follower.weight * inverse).min(1.0);
            evidence.weights[Source::Near as usize] += share;
            evidence.near[2] = evidence.near[2].max(share);
            if let Some(cell) = evidence.near[..2].get_mut(back) {
                *cell = share;
            }
        }
    }
}
