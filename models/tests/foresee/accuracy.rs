//! How forecasts are judged while they are made.

use crate::worlds::Town;
use weft_models::*;

fn town(steps: usize) -> Town {
    let mut town = Town::new(20, Limits { session_gap_ms: 600_000, ..Limits::default() });
    (0..steps).for_each(|_| town.step());
    town
}

#[test]
fn habits_that_are_kept_nine_times_of_ten_are_hit_nine_times_of_ten_and_held_for_so_likely() {
    let mut town = town(4_000);
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    town.lessons.clear();
    (0..4_000).for_each(|_| town.step());
    let mut accuracy = Accuracy::new(AccuracyLimits::default());
    assert_eq!(accuracy.note(&model, &town.lessons), Weather::Steady);
    let card = accuracy.recent();
    assert!((0.86..0.96).contains(&card.hit_at_1()), "{card:?}");
    assert!(card.hit_at_3() > card.hit_at_1() && card.precision() > 0.85 && card.recall() > 0.85, "{card:?}");
    assert!(card.calibration_error() < 0.02, "{}", card.calibration_error());
    for (sure, came, rows) in card.reliability().filter(|(.., rows)| *rows > 1_000) {
        assert!((sure - came).abs() < 0.1, "of {rows} held for {sure} likely {came} came");
    }
    // Which way a user walks, no rule that looks at one context alone knows better.
    assert!(accuracy.regret() < 80, "{}", accuracy.regret());
    let (_, one) = accuracy.segments().next().unwrap();
    assert!(one.recall() > 0.8 && one.precision() > 0.8 && one.brier() < 0.2 && one.came > 100, "{one:?}");
}

#[test]
fn a_changed_world_is_noticed_soon_and_a_steady_one_never() {
    let mut town = town(4_000);
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let mut accuracy = Accuracy::new(AccuracyLimits::default());
    town.lessons.clear();
    (0..8_000).for_each(|_| town.step());
    assert_eq!(accuracy.note(&model, &town.lessons), Weather::Steady);
    town.lessons.clear();
    // From now on everybody goes anywhere.
    let (mut alarm, mut steps) = (None, 0);
    while alarm.is_none() && steps < 600 {
        steps += 1;
        let (walker, to) = (town.dice.below(20), town.dice.below(12) as u32);
        town.asks(crate::worlds::user(walker), to);
        if let Weather::Changed { forecasts } = accuracy.note(&model, &std::mem::take(&mut town.lessons)) {
            alarm = Some(forecasts);
        }
    }
    let forecasts = alarm.expect("the change is noticed");
    assert!(
        (forecasts as usize) < steps + 40,
        "{forecasts} forecasts since the change, {steps} steps after it"
    );
}

#[test]
fn segments_with_scores_of_their_own_are_bounded_and_the_busiest_stay() {
    let mut town = town(3_000);
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let mut accuracy = Accuracy::new(AccuracyLimits { segments: 14, ..AccuracyLimits::default() });
    accuracy.note(&model, &town.lessons);
    town.lessons.clear();
    (0..500).for_each(|number| town.asks(crate::worlds::user(1), 100 + number));
    accuracy.note(&model, &town.lessons);
    assert_eq!(accuracy.segments().count(), 14);
    let busy = (0..12).filter(|segment| accuracy.segment(SegmentId(*segment)).is_some()).count();
    assert_eq!(busy, 12);
}

#[test]
fn an_explanation_adds_up_to_the_confidence_it_explains() {
    let town = town(3_000);
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let candidates = town.history.candidates(crate::worlds::user(1), town.now_ms);
    let explanations = model.explain(&candidates);
    let weight = |explanation: &Explanation| {
        (explanation.base + explanation.trees.iter().map(|tree| tree.push).sum::<f32>()).exp()
    };
    let all: f32 = 1.0 + explanations.iter().map(weight).sum::<f32>();
    for (explanation, candidate) in explanations.iter().zip(&candidates) {
        assert!((weight(explanation) / all - explanation.confidence).abs() < 1e-4, "{explanation:?}");
        assert_eq!(explanation.segment, candidate.segment);
        assert!(explanation.trees.iter().all(|tree| tree.leaf_positives <= tree.leaf_rows));
        for split in explanation.trees.iter().flat_map(|tree| &tree.splits) {
            let above = split.value > split.threshold;
            assert_eq!(split.branch == weft_models::forecast::Branch::Above, above, "{split:?}");
        }
    }
    let strongest = explanations[0].strongest(3);
    assert!(strongest.len() == 3 && strongest[0].push.abs() >= strongest[2].push.abs());
}

#[test]
fn a_candidate_is_explained_with_the_confidence_it_is_ranked_by() {
    let town = town(3_000);
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let candidates = town.history.candidates(crate::worlds::user(1), town.now_ms);
    let explanations = model.explain(&candidates);
    let ranked = model.rank(&candidates);
    for explanation in &explanations {
        let one = ranked.iter().find(|one| one.segment == explanation.segment).unwrap();
        assert_eq!(one.confidence, explanation.confidence);
    }
    assert!(ranked.len() > 2 && ranked.len() == explanations.len(), "{}", ranked.len());
}
