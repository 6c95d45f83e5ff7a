//! Who could come next at a place. In come the contexts that hold there, out go candidates with their features.
//! Bounded: of all that ever followed, only the likeliest by counts are kept.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::context::{Context, ContextTable};
use super::place::{Place, SOURCE_COUNT, Source, hour_of_day};
use crate::features::{self, N};
use crate::observe::{SegmentId, SyscallShares};

/// The contexts whose delay is believed first: the most specific that knows the candidate.
const DELAY_SOURCES: [Source; 7] =
    [Source::Own2, Source::Own1, Source::All3, Source::All2, Source::Request, Source::All1, Source::Within];
/// The contexts whose entropy is shown: the longest that has been met.
const ENTROPY_SOURCES: [Source; 5] = [Source::Own2, Source::Own1, Source::All3, Source::All2, Source::All1];

/// Set of the kinds of context that proposed a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(u16);

impl Sources {
    /// Whether `source` is among them.
    pub fn contains(self, source: Source) -> bool {
        self.0 & (1 << source as u16) != 0
    }

    fn insert(&mut self, source: usize) {
        self.0 |= 1 << source;
    }
}

/// A segment that could come next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which one.
    pub segment: SegmentId,
    /// What the trees are shown; the meanings are [`features::NAMES`].
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
    pub(crate) entropy_bits: f32,
    pub(crate) hour: u64,
    pub(crate) last: Option<SegmentId>,
    pub(crate) syscalls: Option<SyscallShares>,
}

/// The counts behind one candidate.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) segment: SegmentId,
    pub(crate) weights: [f32; SOURCE_COUNT],
    pub(crate) delay_ms: f32,
    pub(crate) own_age_ms: Option<u64>,
    sources: Sources,
}

/// The candidates at `place`, likeliest by counts first, at most `limit`.
pub(crate) fn propose(
    table: &ContextTable,
    place: &Place,
    syscalls: Option<SyscallShares>,
    now_ms: u64,
    limit: usize,
) -> Vec<Candidate> {
    let contexts = place.keys(now_ms).map(|key| key.and_then(|key| table.get(key)));
    let moment = Moment {
        totals: contexts.map(|context| context.map_or(0.0, |context| context.total)),
        entropy_bits: entropy_bits(&contexts),
        hour: hour_of_day(now_ms),
        last: place.last(),
        syscalls,
    };
    let mut ranked: Vec<(f32, Evidence)> = gather(&contexts, now_ms)
        .into_iter()
        .map(|evidence| (features::blended_share(&evidence, &moment), evidence))
        .collect();
    ranked.sort_by(by_share);
    ranked.truncate(limit);
    let best = ranked.first().map_or(0.0, |(share, _)| *share);
    let candidate = |(rank, (share, evidence)): (usize, (f32, Evidence))| Candidate {
        segment: evidence.segment,
        features: features::row(&evidence, &moment, rank, share, best),
        expected_delay_ms: evidence.delay_ms,
        sources: evidence.sources,
    };
    ranked.into_iter().enumerate().map(candidate).collect()
}

fn by_share(a: &(f32, Evidence), b: &(f32, Evidence)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.segment.cmp(&b.1.segment))
}

/// One line of evidence per segment that followed any of the contexts.
fn gather(contexts: &[Option<&Context>; SOURCE_COUNT], now_ms: u64) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = Vec::with_capacity(24);
    for (source, context) in contexts.iter().enumerate() {
        for follower in context.iter().flat_map(|context| &context.followers) {
            let index = all.iter().position(|known| known.segment == follower.segment).unwrap_or_else(|| {
                all.push(Evidence {
                    segment: follower.segment,
                    weights: [0.0; SOURCE_COUNT],
                    delay_ms: 0.0,
                    own_age_ms: None,
                    sources: Sources::default(),
                });
                all.len() - 1
            });
            let evidence = &mut all[index];
            evidence.weights[source] = follower.weight;
            evidence.sources.insert(source);
            if source == Source::Own0 as usize {
                evidence.own_age_ms = Some(now_ms.saturating_sub(follower.last_ms));
            }
        }
    }
    for evidence in &mut all {
        evidence.delay_ms = expected_delay_ms(contexts, evidence.segment);
    }
    all
}

fn expected_delay_ms(contexts: &[Option<&Context>; SOURCE_COUNT], segment: SegmentId) -> f32 {
    DELAY_SOURCES
        .iter()
        .filter_map(|source| contexts[*source as usize])
        .find_map(|context| context.followers.iter().find(|follower| follower.segment == segment))
        .map_or(0.0, |follower| follower.delay_ms)
}

fn entropy_bits(contexts: &[Option<&Context>; SOURCE_COUNT]) -> f32 {
    ENTROPY_SOURCES.iter().find_map(|source| contexts[*source as usize]).map_or(0.0, Context::entropy_bits)
}
