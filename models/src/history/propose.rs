//! Who could come next at a place. In come the contexts that hold there, out go candidates with their features.
//! Bounded: of all that ever followed, only the likeliest by counts are kept.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::context::{Context, ContextTable};
use super::place::{NEAR_STEPS, Place, SOURCE_COUNT, Source};
use crate::features::{self, Blend, N, Standing};
use crate::observe::{SegmentId, SyscallShares};

/// From the most specific context to the vaguest: the first that knows a candidate says how long it takes.
const SPECIFIC_FIRST: [Source; 14] = [
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
    Source::Skip,
    Source::All0,
];
/// The contexts whose entropy is shown: the longest that has been met.
const SEQUENCES: [Source; 6] =
    [Source::Own2, Source::Own1, Source::All5, Source::All3, Source::All2, Source::All1];
/// Of anybody, the longest that has been met.
const ANYBODY: [Source; 4] = [Source::All5, Source::All3, Source::All2, Source::All1];
/// Candidates gathered, at most, before the likeliest are chosen.
const GATHERED_MAX: usize = 96;

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
    pub(crate) totals: [f32; SOURCE_COUNT],
    pub(crate) inverses: [f32; SOURCE_COUNT],
    pub(crate) evidence: [f32; 5],
    pub(crate) followers: f32,
    pub(crate) entropy_bits: f32,
    pub(crate) latest: Option<SegmentId>,
    pub(crate) own_latest: Option<SegmentId>,
    pub(crate) steps: f32,
    pub(crate) gap: f32,
    pub(crate) burst: f32,
    pub(crate) last: Option<SegmentId>,
    pub(crate) syscalls: Option<SyscallShares>,
}

/// The counts behind one candidate.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) segment: SegmentId,
    pub(crate) weights: [f32; SOURCE_COUNT],
    pub(crate) delay_ms: f32,
    /// Seconds since it last followed the most specific context that knows it.
    pub(crate) here_age_s: Option<f32>,
    pub(crate) own_age_s: Option<f32>,
    pub(crate) all_age_s: Option<f32>,
    pub(crate) steps_since: Option<usize>,
    pub(crate) times: usize,
    pub(crate) seen: bool,
    /// Its share near the last segment, the one before, and whichever of the last few it is highest for.
    pub(crate) near: [f32; 3],
    sources: Sources,
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
    let mut moment = moment(&contexts, place, syscalls, now_ms);
    moment.totals[Source::Near as usize] = near.iter().flatten().count() as f32;
    moment.inverses[Source::Near as usize] = 1.0 / moment.totals[Source::Near as usize].max(1.0);
    let mut followers = contexts.map(|context| context.map_or(0, |context| context.followers.len() as u8));
    followers[Source::Near as usize] = 1;
    let blend = Blend::of(&moment.totals, &followers);
    let mut gathered = gather(&contexts);
    add_near(&mut gathered, place, &near);
    let mut ranked: Vec<(f32, usize)> =
        gathered.iter().enumerate().map(|(index, (_, weights))| (blend.share(weights), index)).collect();
    let by_share = |a: &(f32, usize), b: &(f32, usize)| -> Ordering {
        b.0.total_cmp(&a.0).then_with(|| gathered[a.1].0.cmp(&gathered[b.1].0))
    };
    if ranked.len() > limit {
        ranked.select_nth_unstable_by(limit, by_share);
        ranked.truncate(limit);
    }
    ranked.sort_unstable_by(by_share);
    let best = ranked.first().map_or(0.0, |(share, _)| *share);
    let sum = ranked.iter().map(|(share, _)| share).sum();
    let candidate = |(rank, (blended, index)): (usize, (f32, usize))| {
        let (segment, weights) = gathered[index];
        let evidence = evidence(segment, weights, &contexts, &near, place, now_ms);
        Candidate {
            segment,
            features: features::row(&evidence, &moment, Standing { rank, blended, best, sum }),
            expected_delay_ms: evidence.delay_ms,
            sources: evidence.sources,
        }
    };
    ranked.into_iter().enumerate().map(candidate).collect()
}

fn moment(contexts: &Contexts<'_>, place: &Place, syscalls: Option<SyscallShares>, now_ms: u64) -> Moment {
    let first =
        |sources: &[Source]| sources.iter().find_map(|source| contexts[*source as usize]).and_then(Context::latest);
    let totals = contexts.map(|context| context.map_or(0.0, |context| context.total));
    let total = |source: Source| features::log2(totals[source as usize]);
    let after_last = contexts[Source::All1 as usize];
    Moment {
        totals,
        inverses: totals.map(|total| if total > 0.0 { 1.0 / total } else { 0.0 }),
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
        last: place.last(),
        syscalls,
    }
}

/// One line of counts per segment that followed any of the contexts.
fn gather(contexts: &Contexts<'_>) -> Vec<(SegmentId, [f32; SOURCE_COUNT])> {
    let mut segments: Vec<SegmentId> = Vec::with_capacity(GATHERED_MAX);
    let mut all: Vec<(SegmentId, [f32; SOURCE_COUNT])> = Vec::with_capacity(GATHERED_MAX);
    // From the longest sequences on, so that a full list lacks the vaguest.
    for (source, context) in contexts.iter().enumerate().rev() {
        for follower in context.iter().flat_map(|context| &context.followers) {
            let known = segments.iter().position(|known| *known == follower.segment);
            let index = match known {
                Some(index) => index,
                None if all.len() == GATHERED_MAX => continue,
                None => {
                    segments.push(follower.segment);
                    all.push((follower.segment, [0.0; SOURCE_COUNT]));
                    all.len() - 1
                }
            };
            all[index].1[source] = follower.weight;
        }
    }
    all
}

/// Adds, for each segment that comes near one of the last few and has not come since, how often it does: the shares
/// after each of them, added up.
fn add_near(
    all: &mut Vec<(SegmentId, [f32; SOURCE_COUNT])>,
    place: &Place,
    near: &[Option<&Context>; NEAR_STEPS],
) {
    for (back, context) in near.iter().enumerate() {
        let Some(context) = context else { continue };
        let inverse = 1.0 / context.total.max(1.0);
        for follower in &context.followers {
            if place.came_within(follower.segment, back + 1) {
                continue;
            }
            let index = match all.iter().position(|(known, _)| *known == follower.segment) {
                Some(index) => index,
                None if all.len() == GATHERED_MAX => continue,
                None => {
                    all.push((follower.segment, [0.0; SOURCE_COUNT]));
                    all.len() - 1
                }
            };
            all[index].1[Source::Near as usize] += (follower.weight * inverse).min(1.0);
        }
    }
}

/// What is known of one candidate beyond its counts.
fn evidence(
    segment: SegmentId,
    weights: [f32; SOURCE_COUNT],
    contexts: &Contexts<'_>,
    near: &[Option<&Context>; NEAR_STEPS],
    place: &Place,
    now_ms: u64,
) -> Evidence {
    let now_s = (now_ms / 1000) as u32;
    let follower = |context: Option<&'_ Context>| {
        context.and_then(|context| context.followers.iter().find(|follower| follower.segment == segment).copied())
    };
    let known = |source: Source| {
        let counted = weights[source as usize] > 0.0;
        if counted { follower(contexts[source as usize]) } else { None }
    };
    let age_s = |last_s: u32| now_s.saturating_sub(last_s) as f32;
    let here = SPECIFIC_FIRST.iter().find_map(|source| known(*source));
    let (steps_since, times) = place.steps_since(segment);
    let mut shares = [-1.0; NEAR_STEPS];
    let counted = near.iter().enumerate().filter(|(back, _)| !place.came_within(segment, back + 1));
    for (back, context) in counted.filter_map(|(back, context)| Some((back, (*context)?))) {
        let found = context.followers.iter().find(|follower| follower.segment == segment);
        shares[back] = found.map_or(0.0, |found| (found.weight / context.total.max(1.0)).min(1.0));
    }
    let bit = |source: usize| u32::from(weights[source] > 0.0) << source;
    Evidence {
        segment,
        weights,
        delay_ms: here.map_or(0.0, |follower| follower.delay_ms),
        here_age_s: here.map(|follower| age_s(follower.last_s)),
        own_age_s: known(Source::Own0).map(|follower| age_s(follower.last_s)),
        all_age_s: known(Source::All0).map(|follower| age_s(follower.last_s)),
        steps_since,
        times,
        seen: place.has_seen(segment),
        near: [shares[0], shares[1], shares.into_iter().fold(-1.0, f32::max)],
        sources: Sources((0..SOURCE_COUNT).map(bit).sum()),
    }
}
