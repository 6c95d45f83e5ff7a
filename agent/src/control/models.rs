//! How well forecasts do, and which model makes them, in words of the interface.

use weft_models::{Scorecard, SegmentScore};

use super::v1;
use crate::learn::succession::{About, Models};
use crate::learn::trainer::View;
use crate::predict::Identities;

/// Scores of the recent past; of segments that are served no more, none.
pub(super) fn accuracy(view: &View, identities: &Identities) -> v1::AccuracyReply {
    let point = |(confidence, came, rows): (f64, f64, usize)| v1::ReliabilityPoint {
        confidence,
        came,
        candidates: rows as u64,
    };
    let named = |(id, score): &(weft_models::SegmentId, SegmentScore)| {
        let segment = identities.name(identities.segment(*id)?).to_owned();
        Some(v1::SegmentScore { segment, score: Some(of_segment(score)) })
    };
    let mut segments: Vec<_> = view.segments.iter().filter_map(named).collect();
    segments.sort_by(|a, b| a.segment.cmp(&b.segment));
    v1::AccuracyReply {
        recent: Some(of_all(&view.recent, view.regret)),
        reliability: view.recent.reliability().map(point).collect(),
        changes: view.changes,
        segments,
    }
}

fn of_all(card: &Scorecard, regret: u64) -> v1::Score {
    v1::Score {
        forecasts: card.moments as u64,
        hit_at_1: card.hit_at_1(),
        hit_at_3: card.hit_at_3(),
        precision: card.precision(),
        recall: card.recall(),
        brier: card.brier(),
        calibration_error: Some(card.calibration_error()),
        regret,
    }
}

fn of_segment(score: &SegmentScore) -> v1::Score {
    v1::Score {
        forecasts: score.rows,
        hit_at_1: score.hit_at_1(),
        hit_at_3: score.hit_at_3(),
        precision: score.precision(),
        recall: score.recall(),
        brier: score.brier(),
        calibration_error: None,
        regret: score.regret,
    }
}

/// The cards of both models.
pub(crate) fn models(models: &Models) -> v1::ModelsReply {
    v1::ModelsReply { current: Some(card(&models.current)), before: models.before.as_ref().map(card) }
}

fn card(About { shipped, card }: &About) -> v1::ModelCard {
    v1::ModelCard {
        rows: card.rows as u64,
        positives: card.positives as u64,
        trees: card.trees as u64,
        leaves: card.leaves as u64,
        depth: card.depth as u64,
        brier: card.score.map(f64::from),
        shipped: *shipped,
    }
}
