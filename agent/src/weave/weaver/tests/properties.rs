//! What holds whatever comes, in whatever order: checked by [`Model`] after every input.

use proptest::prelude::*;

use super::model::{Fate, Model};
use super::*;

/// Something that happens to the node.
#[derive(Debug, Clone)]
enum Happening {
    Forecast(Vec<Step>),
    Demand(usize),
    Dial(usize, usize, Asker),
    Withdraw(usize),
    Close(usize),
    Wait(u64),
    /// Readings out of turn.
    Tick,
    Adopt(usize),
    Deploy(usize),
    /// What may be heard of an instance that is or is not, when it should not be.
    Stray(usize, Word),
    Drain,
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Listening,
    Failed,
    Lost,
    Served,
    Reading,
}

fn asker() -> impl Strategy<Value = Asker> {
    prop_oneof![(0_u64..4).prop_map(Asker::Principal), (0_usize..4).prop_map(Asker::Segment)]
}

/// Steps as a predictor makes them, and some that it should not.
fn any_step() -> impl Strategy<Value = Step> {
    let confidence = prop_oneof![8 => 0.0..1.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    let expected_ms = prop_oneof![8 => 0_u64..3_000, 2 => 0_u64..40_000, 1 => Just(u64::MAX)];
    (0_usize..5, confidence, expected_ms, asker()).prop_map(|(segment, confidence, expected_ms, asker)| {
        Step { segment, confidence, expected_ms, position: 1, asker }
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    let word = prop_oneof![
        2 => Just(Word::Listening),
        1 => Just(Word::Failed),
        1 => Just(Word::Lost),
        2 => Just(Word::Served),
        2 => Just(Word::Reading),
    ];
    prop_oneof![
        8 => prop::collection::vec(any_step(), 1..5).prop_map(Happening::Forecast),
        8 => (0_usize..4).prop_map(Happening::Demand),
        8 => (0_usize..4, any::<usize>(), asker()).prop_map(|(to, nth, asker)| Happening::Dial(to, nth, asker)),
        2 => any::<usize>().prop_map(Happening::Withdraw),
        8 => any::<usize>().prop_map(Happening::Close),
        8 => (1_u64..200).prop_map(Happening::Wait),
        4 => (200_u64..3_000).prop_map(Happening::Wait),
        1 => Just(Happening::Tick),
        1 => (0_usize..4).prop_map(Happening::Adopt),
        1 => (0_usize..6).prop_map(Happening::Deploy),
        4 => (any::<usize>(), word).prop_map(|(nth, word)| Happening::Stray(nth, word)),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Happening::Drain } else { Happening::Tick }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (0_u64..800).prop_map(Fate::Listens),
        2 => (0_u64..800).prop_map(Fate::Fails),
        1 => (0_u64..800).prop_map(Fate::IsLost),
        1 => Just(Fate::Hangs),
        2 => (0_u64..800, 0_u64..4_000).prop_map(|(ms, life_ms)| Fate::Dies(ms, life_ms)),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let segment = (16_u64..100, 1_u32..4, 500_u64..3_000, any::<bool>());
    let bar = prop::option::of(0.0..0.6);
    let node = (50_u64..400, 1_usize..8, 1_usize..4, 1_u64..2_000, bar, any::<bool>());
    (prop::collection::vec(segment, 4), node).prop_map(|(segments, node)| {
        let mut rules = rules(4);
        for (rule, (mib, concurrency, start_timeout_ms, pass)) in rules.segments.iter_mut().zip(segments) {
            (rule.memory_bytes, rule.concurrency, rule.start_timeout_ms) =
                (mib * MIB, concurrency, start_timeout_ms);
            rule.miss = if pass { Miss::Pass } else { Miss::Activate };
        }
        let (mib, instances, creating, keep_alive_ms, confidence, timing) = node;
        Rules { memory_bytes: mib * MIB, instances, creating, keep_alive_ms, confidence, timing, ..rules }
    })
}

fn play(model: &mut Model, happening: Happening) {
    match happening {
        Happening::Forecast(path) => {
            let (id, at_ms) = (model.number(), model.now_ms.saturating_sub(1));
            model.feed(Input::Forecast(Forecast { id, trigger: 0, at_ms, path }));
        }
        Happening::Demand(segment) => model.demand(segment),
        Happening::Dial(segment, nth, asker) => model.dial(segment, nth, asker),
        Happening::Withdraw(nth) => model.withdraw(nth),
        Happening::Close(nth) => model.close(nth),
        Happening::Wait(ms) => model.wait(ms),
        Happening::Tick => model.tick(),
        Happening::Adopt(segment) => model.adopt(segment),
        Happening::Deploy(segment) => model.deploy(segment),
        Happening::Stray(nth, word) => {
            let instance = model.any(nth);
            match word {
                Word::Listening => model.feed(Input::Listening { instance }),
                Word::Failed => model.feed(Input::Failed { instance, cause: "a stray".into() }),
                Word::Lost => model.feed(Input::Lost { instance }),
                Word::Served => model.feed(Input::Served { instance, asker: USER, at_ms: model.now_ms }),
                Word::Reading => model.stray_reading(instance),
            }
        }
        Happening::Drain => model.feed(Input::Drain),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_whatever_order_the_weaver_keeps_its_word(
        rules in any_rules(),
        fates in prop::collection::vec(fate(), 1..8),
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut model = Model::new(rules, fates);
        for happening in happenings {
            play(&mut model, happening);
        }
        model.end();
    }

    /// With a runtime that does its work, nobody who waits is sent away.
    #[test]
    fn no_request_is_lost_while_instances_can_be_made(
        rules in any_rules(),
        fates in prop::collection::vec((0_u64..250).prop_map(Fate::Listens), 1..8),
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut model = Model::new(rules, fates);
        for happening in happenings {
            let kind = !matches!(happening, Happening::Drain | Happening::Stray(_, Word::Failed | Word::Lost));
            if kind {
                play(&mut model, happening);
            }
        }
        assert_eq!(model.refused, 0);
        model.end();
        assert_eq!(model.refused, 0);
    }
}
