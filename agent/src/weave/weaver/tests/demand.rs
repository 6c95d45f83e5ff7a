//! Requests that wait: who is let in, what is made for them, who is sent away.

use super::*;

#[test]
fn a_request_makes_one_instance_and_all_that_wait_are_let_in_when_it_listens() {
    let mut story = Story::new(rules(1));
    let (first, second) = (story.demand(0), story.demand(0));
    assert_eq!(story.created(0).len(), 1);
    let instance = story.created(0)[0];
    story.wait(300);
    assert_eq!((story.answer(first), story.answer(second)), (None, None));
    story.listens(instance);
    for waiter in [first, second] {
        let admission = story.admitted(waiter);
        assert_eq!((admission.instance, admission.address), (instance, story.address(instance)));
        assert_eq!(admission.found, Found::Nothing);
    }
}

#[test]
fn waiting_requests_make_what_the_concurrency_limit_needs_and_no_more() {
    let mut story = Story::new(rules(1));
    let waiters: Vec<u64> = (0..5).map(|_| story.demand(0)).collect();
    assert_eq!(story.created(0).len(), 3, "two each");
    for instance in story.created(0) {
        story.listens(instance);
    }
    let mut places: Vec<u64> = waiters.iter().map(|waiter| story.admitted(*waiter).instance).collect();
    places.dedup();
    assert_eq!(places, story.created(0), "first come, first served");
}

#[test]
fn a_request_that_finds_an_instance_goes_to_the_one_with_the_fewest_connections() {
    let mut story = Story::new(rules(1));
    let waiters: Vec<u64> = (0..3).map(|_| story.demand(0)).collect();
    let made = story.created(0);
    made.iter().for_each(|instance| story.listens(*instance));
    assert_eq!(story.admitted(waiters[2]).instance, made[1]);
    let late = story.demand(0);
    assert_eq!((story.admitted(late).instance, story.admitted(late).found), (made[1], Found::Ready));
}

#[test]
fn a_request_that_meets_a_forecast_instance_in_the_making_waits_for_it() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    let waiter = story.demand(0);
    story.listens(instance);
    assert_eq!(story.admitted(waiter).found, Found::Creating);
    assert_eq!(story.created(0), [instance]);
}

#[test]
fn who_waits_for_an_instance_that_was_lost_in_the_making_gets_another_without_a_pause() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    let lost = story.created(0)[0];
    story.feed(Input::Lost { instance: lost });
    assert_eq!((story.answer(waiter), story.removed()), (None, vec![lost]));
    let second = story.created(0)[1];
    story.listens(second);
    assert_eq!(story.admitted(waiter).instance, second);
    assert_eq!(story.weaver.trouble[0].failures, 0, "it is not the segment's fault");
}

#[test]
fn an_instance_that_listens_was_not_lost() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.feed(Input::Lost { instance });
    assert_eq!(story.removed(), [0_u64; 0]);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
}

#[test]
fn a_failed_creation_sends_all_that_wait_away_with_a_time_to_come_again() {
    let mut story = Story::new(rules(1));
    let (first, second) = (story.demand(0), story.demand(0));
    let instance = story.created(0)[0];
    story.fails(instance);
    for waiter in [first, second] {
        assert_eq!(story.refused(waiter), Refusal { cause: "exit status 1".into(), retry_after_ms: 500 });
    }
    assert_eq!(story.removed(), [instance]);
    story.wait(400);
    let early = story.demand(0);
    assert_eq!(story.refused(early).retry_after_ms, 100, "the rest of the pause");
    assert_eq!(story.created(0).len(), 1);
}

#[test]
fn the_pause_doubles_with_each_failure_up_to_a_minute() {
    let mut story = Story::new(rules(1));
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let waiter = story.demand(0);
        let instance = *story.created(0).last().unwrap();
        story.fails(instance);
        let pause_ms = story.refused(waiter).retry_after_ms;
        pauses.push(pause_ms);
        story.wait(pause_ms);
    }
    assert_eq!(pauses[..8], [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
    assert!(pauses[8..].iter().all(|pause_ms| *pause_ms == 60_000));
    assert_eq!(
        (story.weaver.trouble[0].failures, story.weaver.trouble[0].cause.as_str()),
        (12, "exit status 1")
    );
}

#[test]
fn an_instance_that_stands_ends_the_trouble() {
    let mut story = Story::new(rules(1));
    for _ in 0..3 {
        story.demand(0);
        story.fails(*story.created(0).last().unwrap());
        story.wait(4_000);
    }
    assert_eq!(story.weaver.trouble[0].failures, 3);
    story.warm(0);
    assert_eq!((story.weaver.trouble[0].failures, story.weaver.trouble[0].until_ms), (0, 0));
}

#[test]
fn a_creation_that_hangs_is_given_up_and_its_requests_are_sent_away_within_the_limit() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    let instance = story.created(0)[0];
    story.wait(1_950);
    assert_eq!(story.answer(waiter), None);
    story.wait(BEAT_MS);
    assert!(story.refused(waiter).retry_after_ms > 0);
    assert_eq!(story.removed(), [instance]);
    assert!(story.weaver.trouble[0].cause.contains("2000 ms"));
}

#[test]
fn an_instance_that_listens_after_it_was_given_up_is_not_heard() {
    let mut story = Story::new(rules(1));
    story.demand(0);
    let instance = story.created(0)[0];
    story.fails(instance);
    story.listens(instance);
    assert_eq!(story.state(instance), Some(InstanceState::Gone));
    assert_eq!(story.route(0), story.activator(0));
    story.wait(BEAT_MS);
    story.listens(instance);
    assert_eq!(story.state(instance), None);
}

#[test]
fn a_caller_that_hangs_up_is_not_answered_and_its_instance_serves_the_next() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    story.feed(Input::Withdrawn { waiter });
    assert_eq!(story.weaver.waiting(0), 0);
    story.listens(story.created(0)[0]);
    assert_eq!(story.answer(waiter), None);
    let next = story.demand(0);
    assert_eq!(story.admitted(next).found, Found::Ready);
}

#[test]
fn the_thousand_and_twenty_fifth_request_that_waits_is_told_to_come_again() {
    let mut story =
        Story::new(Rules { segments: vec![SegmentRules { concurrency: 1024, ..segment() }], ..rules(1) });
    for _ in 0..WAITERS_MAX {
        story.demand(0);
    }
    let one_more = story.demand(0);
    assert!(story.refused(one_more).cause.contains("too many"));
    assert_eq!(story.created(0).len(), 1);
    assert_eq!(story.weaver.waiting(0), WAITERS_MAX);
}

#[test]
fn a_request_takes_the_room_of_the_least_worthy_instance_that_nobody_used() {
    let mut story = Story::new(Rules { memory_bytes: 128 * MIB, ..rules(3) });
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.6, 100)]);
    let (worthy, least) = (story.created(0)[0], story.created(1)[0]);
    story.listens(worthy);
    story.listens(least);
    let waiter = story.demand(2);
    story.listens(story.created(2)[0]);
    story.admitted(waiter);
    story.wait(500);
    assert_eq!(story.removed(), [least]);
    assert_eq!(story.state(worthy), Some(InstanceState::Ready));
}

#[test]
fn an_instance_that_yields_lives_on_if_somebody_has_just_connected_to_it() {
    let mut story = Story::new(Rules { memory_bytes: 64 * MIB, ..rules(2) });
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    // Led there a moment ago; not counted yet.
    story.connect(instance);
    story.demand(1);
    assert_eq!(story.route(0), story.activator(0));
    story.wait(5_000);
    assert_eq!(story.removed(), [story.created(1)[0]]);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
}

#[test]
fn a_request_takes_the_place_of_an_unused_instance_where_only_so_many_may_stand() {
    let mut story = Story::new(Rules { instances: 1, ..rules(2) });
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.demand(1);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
}

#[test]
fn as_many_instances_yield_as_a_request_needs_and_no_more() {
    let mut rules = Rules { memory_bytes: 192 * MIB, creating: 3, ..rules(4) };
    rules.segments[3].memory_bytes = 128 * MIB;
    let mut story = Story::new(rules);
    story.forecast((0..3).map(|segment| step(segment, 0.9 - 0.1 * segment as f64, 100)).collect());
    let ahead: Vec<u64> = (0..3).map(|segment| story.created(segment)[0]).collect();
    ahead.iter().for_each(|instance| story.listens(*instance));
    story.demand(3);
    let states: Vec<_> = ahead.iter().map(|instance| story.state(*instance)).collect();
    let (stays, yields) = (Some(InstanceState::Ready), Some(InstanceState::Draining));
    assert_eq!(states, [stays, yields, yields]);
}

#[test]
fn an_instance_in_the_making_yields_unless_requests_wait_for_it() {
    let mut story = Story::new(Rules { memory_bytes: 128 * MIB, ..rules(3) });
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.9, 100)]);
    let (awaited, forecast) = (story.created(0)[0], story.created(1)[0]);
    story.demand(0);
    story.demand(2);
    assert_eq!(story.removed(), [forecast]);
    assert_eq!(story.state(awaited), Some(InstanceState::Creating));
}

#[test]
fn a_used_instance_never_yields_to_a_request_of_another_segment() {
    let mut story = Story::new(Rules { memory_bytes: 64 * MIB, ..rules(2) });
    let used = story.warm(0);
    story.demand(1);
    story.wait(500);
    assert_eq!(story.removed(), [0_u64; 0]);
    assert_eq!(story.state(used), Some(InstanceState::Serving));
    assert_eq!(story.created(1).len(), 1, "demand is not bound by the budget");
}

#[test]
fn an_instance_that_served_and_ends_is_replaced_at_the_next_request() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.fails(first);
    assert_eq!(story.weaver.trouble[0].failures, 0, "an end after a life is no fault");
    let waiter = story.demand(0);
    let second = story.created(0)[1];
    story.listens(second);
    assert_eq!(story.admitted(waiter).instance, second);
}

#[test]
fn requests_whose_creation_failed_beside_one_that_succeeds_are_not_forgotten() {
    let mut story = Story::new(rules(1));
    let waiters: Vec<u64> = (0..3).map(|_| story.demand(0)).collect();
    let made = story.created(0);
    story.fails(made[0]);
    story.wait(300);
    story.listens(made[1]);
    assert_eq!(story.admitted(waiters[1]).instance, made[1]);
    assert_eq!(story.answer(waiters[2]), None);
    story.wait(500);
    let more = story.created(0)[2];
    story.listens(more);
    assert_eq!(story.admitted(waiters[2]).instance, more);
}

#[test]
fn a_request_that_comes_in_the_pause_waits_for_what_is_still_being_made() {
    let mut story = Story::new(rules(1));
    (0..3).for_each(|_| _ = story.demand(0));
    let made = story.created(0);
    story.fails(made[0]);
    let late = story.demand(0);
    story.listens(made[1]);
    assert_eq!(story.answer(late), None);
    story.close(made[1]);
    story.close(made[1]);
    story.beat();
    assert_eq!(story.admitted(late).instance, made[1]);
}

#[test]
fn a_request_that_finds_all_places_taken_has_a_further_instance_made() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.connect(first);
    story.connect(first);
    story.beat();
    let waiter = story.demand(0);
    assert_eq!((story.answer(waiter), story.created(0).len()), (None, 1), "not before the next count");
    story.beat();
    let second = story.created(0)[1];
    story.listens(second);
    assert_eq!(story.admitted(waiter).instance, second);
}

#[test]
fn an_instance_on_its_way_out_whose_places_are_taken_is_not_brought_back() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.wait(1_000);
    story.connect(first);
    story.connect(first);
    story.beat();
    assert_eq!(story.state(first), Some(InstanceState::Draining));
    let waiter = story.demand(0);
    assert_eq!((story.state(first), story.created(0).len()), (Some(InstanceState::Draining), 2));
    story.listens(story.created(0)[1]);
    story.admitted(waiter);
}

#[test]
fn a_request_that_is_let_in_uses_the_instance_from_then_on() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    let waiter = story.demand(0);
    assert_eq!(story.admitted(waiter).instance, instance);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
    // Not connected yet: the next count does not know of it.
    story.close(instance);
    story.wait(950);
    assert_eq!(story.state(instance), Some(InstanceState::Serving), "kept alive, whatever its forecast");
}

#[test]
fn a_place_that_becomes_free_is_given_to_who_waits() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.connect(instance);
    story.connect(instance);
    story.beat();
    let waiter = story.demand(0);
    story.close(instance);
    story.beat();
    assert_eq!((story.admitted(waiter).instance, story.admitted(waiter).found), (instance, Found::Ready));
    assert_eq!(story.created(0), [instance]);
}

#[test]
fn a_request_that_waited_for_a_cold_start_says_so_whichever_instance_takes_it() {
    let mut story = Story::new(rules(1));
    let waiters: Vec<u64> = (0..3).map(|_| story.demand(0)).collect();
    let first = story.created(0)[0];
    story.listens(first);
    story.close(first);
    story.beat();
    assert_eq!(story.admitted(waiters[2]).instance, first);
    assert_eq!(story.admitted(waiters[2]).found, Found::Nothing);
}

#[test]
fn requests_make_no_more_instances_of_a_segment_than_a_route_can_lead_to() {
    let mut story =
        Story::new(Rules { segments: vec![SegmentRules { concurrency: 1, ..segment() }], ..rules(1) });
    let waiters: Vec<u64> = (0..20).map(|_| story.demand(0)).collect();
    assert_eq!(story.created(0).len(), INSTANCES_MAX);
    story.created(0).into_iter().for_each(|instance| story.listens(instance));
    let busiest = story.weaver.instances.values().map(|instance| instance.open).max();
    assert_eq!(busiest, Some(2), "the rest is spread over what there is");
    waiters.into_iter().for_each(|waiter| _ = story.admitted(waiter));
}

#[test]
fn a_busy_instance_is_better_than_none_when_no_further_one_can_be_made() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.connect(first);
    story.connect(first);
    story.beat();
    let waiter = story.demand(0);
    story.beat();
    story.fails(story.created(0)[1]);
    assert_eq!(story.admitted(waiter).instance, first);
}

#[test]
fn a_busy_instance_is_better_than_none_for_who_has_waited_long_enough() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.connect(first);
    story.connect(first);
    story.beat();
    let waiter = story.demand(0);
    story.wait(1_950);
    assert_eq!((story.answer(waiter), story.created(0).len()), (None, 2));
    story.wait(BEAT_MS);
    assert_eq!(story.admitted(waiter).instance, first);
}

#[test]
fn creations_that_fail_together_count_as_one_failure() {
    let mut story = Story::new(rules(1));
    (0..5).for_each(|_| _ = story.demand(0));
    story.created(0).into_iter().for_each(|instance| story.fails(instance));
    assert_eq!(story.weaver.trouble[0].failures, 1);
    story.wait(500);
    let waiter = story.demand(0);
    assert_eq!(story.answer(waiter), None);
    assert_eq!(story.created(0).len(), 4);
}

#[test]
fn an_instance_that_ends_as_soon_as_it_listens_is_a_failure_and_the_pause_grows() {
    let mut story = Story::new(rules(1));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        story.forecast(vec![step(0, 0.9, 100)]);
        let instance = *story.created(0).last().unwrap();
        story.listens(instance);
        story.wait(500);
        story.fails(instance);
        let waiter = story.demand(0);
        pauses.push(story.refused(waiter).retry_after_ms);
        story.wait(pauses.last().copied().unwrap());
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000]);
    assert_eq!(story.weaver.trouble[0].failures, 4);
}

#[test]
fn the_end_of_an_instance_that_is_being_removed_is_no_failure() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    while story.removed().is_empty() {
        story.wait(BEAT_MS);
    }
    story.fails(instance);
    assert_eq!(story.weaver.trouble[0].failures, 0);
}

#[test]
fn an_instance_that_stands_for_a_while_ends_the_trouble_also_unused() {
    let mut story = Story::new(rules(1));
    story.demand(0);
    story.fails(story.created(0)[0]);
    story.wait(500);
    story.forecast(vec![step(0, 0.9, 1_000)]);
    story.listens(story.created(0)[1]);
    story.wait(PROVEN_MS - BEAT_MS);
    assert_eq!(story.weaver.trouble[0].failures, 1, "it might end as soon as it listens");
    story.wait(BEAT_MS);
    assert_eq!(story.weaver.trouble[0].failures, 0);
}

#[test]
fn an_instance_that_has_long_stood_does_not_excuse_that_no_further_one_can_be_made() {
    let mut story = Story::new(Rules { keep_alive_ms: 60_000, ..rules(1) });
    let first = story.warm(0);
    story.connect(first);
    story.connect(first);
    story.wait(2_000);
    story.demand(0);
    story.beat();
    story.fails(story.created(0)[1]);
    story.served(first, USER);
    story.wait(400);
    assert_eq!(story.weaver.trouble[0].failures, 1);
    story.demand(0);
    story.wait(50);
    assert_eq!(story.created(0).len(), 2, "no attempt in the pause");
}

fn segment() -> SegmentRules {
    rules(1).segments.remove(0)
}
