//! What a tree is shown of a candidate. In come the counts behind it, out goes a row of [`N`] finite numbers.
//! Refused by design: the identity of a segment or user. Every feature is a share, a count, a time or a rank, so
//! that a segment or user never seen in training is ranked like any other.

use crate::history::{Evidence, Moment, SOURCE_COUNT, Source};

/// Length of a feature row.
pub const N: usize = 25;

/// What each number of a row means, in order. `-1` stands for "not known" in all of them.
pub const NAMES: [&str; N] = [
    "share of what anybody asks for",
    "share after the last segment",
    "share after the last two segments",
    "share after the last three segments",
    "share after the last request in detail",
    "share of what the principal asks for",
    "principal's share after the last segment",
    "principal's share after the last two segments",
    "share of requests during which the caller calls it",
    "principal's share at this hour",
    "blended share",
    "rank by blended share",
    "blended share behind the best",
    "longest sequence matched",
    "evidence for the last segment (log2)",
    "evidence for the last two segments (log2)",
    "evidence from the principal (log2)",
    "evidence from the principal after the last segment (log2)",
    "entropy of the longest known context (bits)",
    "time since the principal last had it (log2 s)",
    "typical delay (log2 ms)",
    "hour of day",
    "repeats the last segment",
    "I/O share of the last segment",
    "network share of the last segment",
];

/// Index of the blended share: it breaks ties between candidates of one leaf.
pub(crate) const BLENDED: usize = 10;

const UNKNOWN: f32 = -1.0;
/// Pseudo-count with which a shorter context stands in for a longer one.
const BACK_OFF: f32 = 1.5;

/// Order in which contexts refine one another, from the vaguest to the most specific.
const REFINEMENT: [Source; 9] = [
    Source::All0,
    Source::Own0,
    Source::Within,
    Source::All1,
    Source::Request,
    Source::All2,
    Source::All3,
    Source::Own1,
    Source::Own2,
];

/// Chance that the candidate comes next by counts alone: each context corrects the vaguer one before it by as much
/// as it has evidence.
pub(crate) fn blended_share(evidence: &Evidence, moment: &Moment) -> f32 {
    REFINEMENT.iter().map(|source| *source as usize).fold(0.0, |share, source| {
        let total = moment.totals[source];
        if total > 0.0 { (evidence.weights[source] + BACK_OFF * share) / (total + BACK_OFF) } else { share }
    })
}

/// The row of one candidate. `best` is the highest blended share at this moment, `rank` counts from 0.
pub(crate) fn row(evidence: &Evidence, moment: &Moment, rank: usize, blended: f32, best: f32) -> [f32; N] {
    let mut row = [UNKNOWN; N];
    for (source, cell) in row.iter_mut().enumerate().take(SOURCE_COUNT) {
        let total = moment.totals[source];
        if total > 0.0 {
            *cell = (evidence.weights[source] / total).min(1.0);
        }
    }
    let known = |value: Option<f32>| value.unwrap_or(UNKNOWN);
    let log2 = |value: f32| (1.0 + value).log2();
    row[BLENDED] = blended;
    row[11] = rank as f32;
    row[12] = best - blended;
    row[13] = matched_order(evidence);
    row[14] = log2(moment.totals[Source::All1 as usize]);
    row[15] = log2(moment.totals[Source::All2 as usize]);
    row[16] = log2(moment.totals[Source::Own0 as usize]);
    row[17] = log2(moment.totals[Source::Own1 as usize]);
    row[18] = moment.entropy_bits;
    row[19] = known(evidence.own_age_ms.map(|age_ms| log2(age_ms as f32 / 1000.0)));
    row[20] = log2(evidence.delay_ms);
    row[21] = moment.hour as f32;
    row[22] = f32::from(u8::from(moment.last == Some(evidence.segment)));
    row[23] = known(moment.syscalls.map(|shares| shares.io));
    row[24] = known(moment.syscalls.map(|shares| shares.network));
    row
}

fn matched_order(evidence: &Evidence) -> f32 {
    let has = |source: Source| evidence.weights[source as usize] > 0.0;
    if has(Source::All3) {
        3.0
    } else if has(Source::All2) || has(Source::Own2) {
        2.0
    } else if has(Source::All1) || has(Source::Own1) {
        1.0
    } else {
        0.0
    }
}
