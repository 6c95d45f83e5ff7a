//! What a tree is shown of a candidate. In come the counts behind it, out goes a row of [`N`] finite numbers.
//! Refused by design: the identity of a segment or user. Every feature is a share, a count, a time or a rank, so
//! that a segment or user never seen in training is ranked like any other.

use crate::history::{Evidence, Follower, Moment, Place, SOURCE_COUNT, Source};

/// Length of a feature row.
pub const N: usize = 49;

/// What each number of a row means, in order. `-1` stands for "not known" in all of them.
pub const NAMES: [&str; N] = [
    "share of what anybody asks for",
    "share after the last segment",
    "share after the last two segments",
    "share after the last three segments",
    "share after the last five segments",
    "share after the last segment and the same others before it",
    "share after the last segment where the first was the same",
    "share after the same segments since the last pause",
    "share after the last segment where the burst began alike",
    "share after the last request in detail",
    "share of what the principal asks for",
    "principal's share after the last segment",
    "principal's share after the last two segments",
    "share of requests during which the caller calls it",
    "principal's share at this hour",
    "share near the last few segments",
    "blended share",
    "rank by blended share",
    "blended share behind the best",
    "part of all blended shares",
    "longest sequence matched",
    "evidence for the last segment (log2)",
    "evidence for the last two segments (log2)",
    "evidence for the last three segments (log2)",
    "evidence from the principal (log2)",
    "evidence from the principal after the last segment (log2)",
    "times it followed the last segment (log2)",
    "times it followed the principal's last segment (log2)",
    "different followers of the last segment (log2)",
    "entropy of the longest known context (bits)",
    "time since the principal last had it (log2 s)",
    "time since it last came here (log2 s)",
    "came last time here",
    "came last time for the principal",
    "steps since it came in the session",
    "times it came lately in the session",
    "came in the session",
    "steps since the session began (log2)",
    "time that the last step took (log2 ms)",
    "share near the last segment",
    "share near the last but one",
    "typical delay (log2 ms)",
    "repeats the last segment",
    "I/O share of the last segment",
    "network share of the last segment",
    "blended share of the best",
    "time since anybody had it (log2 s)",
    "steps since the last pause (log2)",
    "highest share near one of the last few",
];

/// Index of the blended share: it breaks ties between candidates of one leaf.
pub(crate) const BLENDED: usize = 16;

pub(crate) const UNKNOWN: f32 = -1.0;
/// Pseudo-count with which a shorter context stands in for a longer one, at least, and for each of its followers.
const BACK_OFF: f32 = 0.5;
const BACK_OFF_PER_FOLLOWER: f32 = 0.5;

/// Order in which contexts refine one another, from the vaguest to the most specific.
const REFINEMENT: [Source; 15] = [
    Source::All0,
    Source::Own0,
    Source::Within,
    Source::Near,
    Source::All1,
    Source::Request,
    Source::Entry,
    Source::Head,
    Source::All2,
    Source::All3,
    Source::Burst,
    Source::Bag,
    Source::All5,
    Source::Own1,
    Source::Own2,
];

/// How much each context has to say, worked out once for all candidates of a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blend {
    /// What a count of each context adds to a share.
    parts: [f32; SOURCE_COUNT],
}

impl Blend {
    /// Each context corrects the vaguer ones before it by as much as it has evidence, and is corrected by those after it.
    pub(crate) fn of(totals: &[f32; SOURCE_COUNT], followers: &[u8; SOURCE_COUNT]) -> Self {
        let mut parts = [0.0; SOURCE_COUNT];
        let mut left = 1.0;
        for source in REFINEMENT.iter().rev().map(|source| *source as usize) {
            if totals[source] > 0.0 {
                let back_off = BACK_OFF + BACK_OFF_PER_FOLLOWER * f32::from(followers[source]);
                let inverse = 1.0 / (totals[source] + back_off);
                parts[source] = left * inverse;
                left *= back_off * inverse;
            }
        }
        Self { parts }
    }

    /// Chance that the candidate comes next by counts alone.
    pub(crate) fn share(&self, weights: &[f32; SOURCE_COUNT]) -> f32 {
        // Four sums side by side, as the processor adds them.
        let mut sums = [0.0; 4];
        for (weights, parts) in weights.chunks_exact(4).zip(self.parts.chunks_exact(4)) {
            sums.iter_mut().zip(weights).zip(parts).for_each(|((sum, weight), part)| *sum += weight * part);
        }
        (sums[0] + sums[1]) + (sums[2] + sums[3])
    }
}

/// Where a candidate stands among the others of its moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Counted from 0.
    pub(crate) rank: usize,
    pub(crate) blended: f32,
    /// The highest blended share of the moment.
    pub(crate) best: f32,
    /// The sum of all.
    pub(crate) sum: f32,
}

/// The row of one candidate.
pub(crate) fn row(evidence: &Evidence<'_>, moment: &Moment, place: &Place, standing: Standing) -> [f32; N] {
    let mut row = [UNKNOWN; N];
    let shares = row.iter_mut().zip(&evidence.weights).zip(&moment.inverses).zip(&moment.unknown);
    shares.for_each(|(((cell, weight), inverse), unknown)| *cell = (weight * inverse).min(1.0) + unknown);
    let known = |value: Option<f32>| value.unwrap_or(UNKNOWN);
    let age = |seen: Option<&Follower>| {
        seen.map_or(UNKNOWN, |follower| log2(moment.now_s.saturating_sub(follower.last_s) as f32))
    };
    let (steps_since, times) = place.steps_since(evidence.segment);
    let flag = |value: bool| f32::from(u8::from(value));
    row[BLENDED] = standing.blended;
    row[17] = standing.rank as f32;
    row[18] = standing.best - standing.blended;
    row[19] = standing.blended / standing.sum.max(f32::MIN_POSITIVE);
    row[20] = matched_order(evidence);
    row[21..26].copy_from_slice(&moment.evidence);
    row[26] = log2(evidence.weights[Source::All1 as usize]);
    row[27] = log2(evidence.weights[Source::Own1 as usize]);
    row[28] = moment.followers;
    row[29] = moment.entropy_bits;
    row[30] = age(evidence.own);
    row[31] = age(evidence.here);
    row[32] = flag(moment.latest == Some(evidence.segment));
    row[33] = flag(moment.own_latest == Some(evidence.segment));
    row[34] = known(steps_since.map(|steps| steps as f32));
    row[35] = times as f32;
    row[36] = flag(place.has_seen(evidence.segment));
    row[37] = moment.steps;
    row[38] = moment.gap;
    row[39] = evidence.near[0];
    row[40] = evidence.near[1];
    row[41] = log2(evidence.here.map_or(0.0, |follower| follower.delay_ms));
    row[42] = flag(moment.last == Some(evidence.segment));
    row[43] = known(moment.syscalls.map(|shares| shares.io));
    row[44] = known(moment.syscalls.map(|shares| shares.network));
    row[45] = standing.best;
    row[46] = age(evidence.all);
    row[47] = moment.burst;
    row[48] = evidence.near[2];
    row
}

/// Logarithm to the base of two of a number that is not below zero, plus one.
pub(crate) fn log2(value: f32) -> f32 {
    log2_of(1.0 + value)
}

/// Logarithm to the base of two of a number above zero. Exact enough to be compared with thresholds, and several times
/// faster than the library's: the exponent, and a quadratic for the mantissa.
pub(crate) fn log2_of(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as f32 - 127.0;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    exponent + mantissa * (1.346 - 0.346 * mantissa)
}

fn matched_order(evidence: &Evidence<'_>) -> f32 {
    let has = |source: Source| evidence.weights[source as usize] > 0.0;
    if has(Source::All5) {
        5.0
    } else if has(Source::All3) {
        3.0
    } else if has(Source::All2) || has(Source::Own2) {
        2.0
    } else if has(Source::All1) || has(Source::Own1) {
        1.0
    } else {
        0.0
    }
}

/// Rows are longer than the arrays that serde writes by itself.
pub(crate) mod serde_row {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::ser::SerializeTuple;
    use serde::{Deserializer, Serializer};

    use super::N;

    pub(crate) fn serialize<S: Serializer>(row: &[f32; N], serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        row.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }

    struct Row;

    impl<'de> Visitor<'de> for Row {
        type Value = [f32; N];

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "{N} numbers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<[f32; N], A::Error> {
            let mut row = [0.0; N];
            for (index, cell) in row.iter_mut().enumerate() {
                *cell = sequence.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
            }
            Ok(row)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f32; N], D::Error> {
        deserializer.deserialize_tuple(N, Row)
    }
}
