//! What forecasts keep to, and what strangers cannot spoil.

use crate::worlds::{Dice, Town, request, user};
use proptest::prelude::*;
use weft_models::*;

const SECOND_MS: u64 = 1_000;

/// Memory is small enough that a few thousand strangers fill it.
fn tight() -> Limits {
    Limits { principals: 2_000, contexts: 8_000, session_gap_ms: 600 * SECOND_MS, ..Limits::default() }
}

#[test]
fn a_storm_of_one_off_users_does_not_make_the_node_forget_its_regulars() {
    let mut town = Town::new(40, tight());
    (0..4_000).for_each(|_| town.step());
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let before = town.known_habits(&model);
    assert!(before > 0.9, "{before}");
    for stranger in 0..50_000_u64 {
        let segment = 100 + (stranger % 700) as u32;
        town.now_ms += 1;
        let _ = town.history.observe(&request(user(1_000 + stranger), segment, town.now_ms));
        let _ = town.history.observe(&request(user(1_000 + stranger), segment + 1, town.now_ms));
        if stranger % 25 == 0 {
            town.step();
        }
    }
    let after = town.known_habits(&model);
    assert!(town.history.principal_count() <= 2_000 && town.history.context_count() <= 8_000);
    assert!(after > before - 0.05, "{before} before the storm, {after} after it");
}

#[test]
fn an_adversary_who_plays_random_sequences_does_not_lower_the_accuracy_of_others() {
    let mut town = Town::new(40, Limits { session_gap_ms: 600 * SECOND_MS, ..Limits::default() });
    (0..4_000).for_each(|_| town.step());
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    let before = town.known_habits(&model);
    // Two of three requests are the adversary's, and the model is trained on them, too.
    let mut dice = Dice(11);
    for _ in 0..10_000 {
        town.step();
        for _ in 0..2 {
            let segment = dice.below(12) as u32;
            town.asks(user(9_999), segment);
        }
    }
    assert!(town.known_habits(&model) > before - 0.05, "{} with the old model", town.known_habits(&model));
    let retrained = Model::train(&town.lessons, Options::default(), 2).unwrap();
    let after = town.known_habits(&retrained);
    assert!(after > before - 0.05, "{before} before, {after} trained on the adversary, too");
    let ranked = retrained.rank(&town.history.candidates(user(9_999), town.now_ms));
    assert!(ranked[0].confidence < 0.4, "nobody knows what the adversary does next: {:?}", ranked[0]);
}

#[test]
fn changed_behaviour_is_picked_up_within_a_minute_without_training() {
    let mut town = Town::new(40, Limits { session_gap_ms: 600 * SECOND_MS, ..Limits::default() });
    (0..10_000).for_each(|_| town.step());
    let model = Model::train(&town.lessons, Options::default(), 1).unwrap();
    town.stride = 5;
    assert!(town.known_habits(&model) < 0.1, "nobody has walked like that yet");
    let began_ms = town.now_ms;
    while town.known_habits(&model) < 0.8 {
        town.step();
        let forty_each_ms = 40 * 40 * 40;
        assert!(town.now_ms - began_ms < forty_each_ms, "{} is too slow", town.known_habits(&model));
    }
}

#[test]
fn a_new_segment_is_forecast_within_a_minute_without_training() {
    let mut town = Town::new(40, Limits { session_gap_ms: 600 * SECOND_MS, ..Limits::default() });
    (0..4_000).for_each(|_| town.step());
    // What a node begins with: it has seen segments come and go. One of this town alone, where nothing new ever came, knows no
    // better than chance what to make of it.
    let model = weft_models::seed::forecast();
    // Everybody who was at 3 now goes to a new segment, and comes back.
    for walker in 0..40 {
        for segment in [3, 777, 3] {
            town.asks(user(walker), segment);
        }
    }
    town.asks(user(5_000), 3);
    let ranked = model.rank(&town.history.candidates(user(5_000), town.now_ms));
    let place = ranked.iter().position(|one| one.segment == SegmentId(777));
    assert!(place.is_some_and(|place| place < 3), "{ranked:?}");
}

#[test]
fn more_open_forecasts_than_are_waited_for_teach_nothing_and_cost_nothing() {
    let mut history = History::new(Limits { open: 10, ..Limits::default() });
    let mut lessons = Vec::new();
    for number in 0..200 {
        lessons.extend(history.observe(&request(user(number), 1, 5_000)));
        lessons.extend(history.observe(&request(user(number), 2, 5_000)));
    }
    for tick in 0..100 {
        lessons.extend(history.advance(500_000 + tick));
    }
    let moments = lessons.chunk_by(|a, b| a.moment == b.moment).count();
    assert!((10..=220).contains(&moments), "{moments}");
    let ends = lessons.iter().filter(|lesson| lesson.outcome == Outcome::NothingCame);
    assert!(ends.map(|lesson| lesson.moment).collect::<std::collections::BTreeSet<_>>().len() <= 10);
}

/// A model to ask, trained once.
fn model() -> &'static Model {
    static MODEL: std::sync::OnceLock<Model> = std::sync::OnceLock::new();
    MODEL.get_or_init(|| {
        let mut town = Town::new(5, Limits::default());
        (0..300).for_each(|_| town.step());
        Model::train(&town.lessons, Options { trees: 4, ..Options::default() }, 1).expect("they are enough")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_forecasts_are_finite_ranked_and_leave_room_for_none(
        asked in prop::collection::vec((0_u64..20, 0_u32..30, 0_u64..100_000), 1..400),
    ) {
        let limits = Limits { contexts: 150, principals: 7, followers: 3, candidates: 5, open: 6, ..Limits::default() };
        let mut history = History::new(limits);
        let model = model();
        let mut at_ms = 0;
        for (who, segment, pause_ms) in asked {
            at_ms += pause_ms;
            for lesson in history.observe(&request(user(who), segment, at_ms)) {
                prop_assert!(lesson.features.iter().all(|value| value.is_finite()));
                prop_assert_eq!(lesson.outcome == Outcome::Came, lesson.came == Some(lesson.segment));
            }
            let candidates = history.candidates(user(who), at_ms);
            let ranked = model.rank(&candidates);
            prop_assert!(candidates.len() <= 5 && ranked.len() == candidates.len());
            prop_assert!(ranked.windows(2).all(|pair| pair[0].confidence >= pair[1].confidence));
            prop_assert!(ranked.iter().map(|one| one.confidence).sum::<f32>() < 1.0);
            prop_assert!(history.context_count() <= 150 && history.principal_count() <= 7);
        }
        let read = History::from_bytes(&history.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(read.candidates(user(3), at_ms), history.candidates(user(3), at_ms));
    }

    #[test]
    fn a_damaged_model_is_refused_and_never_walked(at in 0_usize..4_000, bit in 0_u8..8) {
        let model = model();
        let mut bytes = model.to_bytes().unwrap();
        prop_assert_eq!(&Model::from_bytes(&bytes).unwrap(), model);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Model::from_bytes(&bytes).is_err());
        prop_assert!(Model::from_bytes(&bytes[..at]).is_err());
    }
}
