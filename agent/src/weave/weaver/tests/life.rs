//! How instances and graphs end: by idle time, by use, by drain, and never with work in flight.

use super::*;

#[test]
fn a_forecast_instance_that_nobody_used_goes_when_its_forecast_is_wrong() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    // Expected, and the slack.
    story.wait(800);
    assert_eq!(story.state(instance), Some(InstanceState::Ready));
    story.wait(BEAT_MS);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    assert_eq!(story.route(0), story.activator(0), "out of the routes first");
    story.wait(DRAIN_GRACE_MS - BEAT_MS);
    assert_eq!(story.removed(), [0_u64; 0], "who chose it just before may still come");
    story.wait(BEAT_MS);
    assert_eq!(story.removed(), [instance]);
    story.wait(BEAT_MS);
    assert!(story.weaver.instances.is_empty() && story.weaver.graphs.is_empty());
}

#[test]
fn an_instance_is_held_for_the_forecast_that_reaches_furthest() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 2_000)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.9, 100)]);
    assert_eq!(story.weaver.graphs.len(), 2);
    story.wait(3_950);
    assert_eq!(story.state(instance), Some(InstanceState::Ready));
    story.wait(BEAT_MS);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
}

#[test]
fn a_graph_ends_when_all_of_its_steps_were_used() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 20_000), call(0, 1, 0.9, 20_000)]);
    story.wait(10_000);
    let (first, second) = (story.created(0)[0], story.created(1)[0]);
    story.listens(first);
    story.listens(second);
    story.served(first, USER);
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Serving);
    story.served(second, Asker::Segment(0));
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Draining);
    story.wait(DRAIN_GRACE_MS - BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Draining, "calls by its links may just be under way");
    story.wait(BEAT_MS);
    assert!(story.weaver.graphs.is_empty());
    assert_eq!(story.state(first), Some(InstanceState::Serving), "used instances are kept alive");
}

#[test]
fn a_request_of_somebody_else_uses_no_step() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 5_000)]);
    story.wait(2_000);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.served(instance, Asker::Principal(8));
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Ready);
    story.served(instance, USER);
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Draining);
}

#[test]
fn keep_alive_counts_from_the_last_request() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.wait(800);
    story.served(instance, USER);
    story.wait(950);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
    story.wait(BEAT_MS);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
}

#[test]
fn keep_alive_counts_from_the_end_of_the_last_connection() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.connect(instance);
    story.wait(5_000);
    story.close(instance);
    story.wait(950);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
    story.wait(BEAT_MS);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
}

#[test]
fn an_instance_with_an_open_connection_outlives_its_forecast_and_its_keep_alive() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.connect(instance);
    story.wait(60_000);
    assert_eq!(story.removed(), [0_u64; 0]);
    assert_eq!(story.route(0), [story.address(instance)]);
}

#[test]
fn an_instance_with_an_open_connection_stays_in_the_routes_however_short_the_keep_alive() {
    let mut story = Story::new(Rules { keep_alive_ms: 1, ..rules(1) });
    let waiter = story.demand(0);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.admitted(waiter);
    story.now_ms += 40;
    // Anything but the beat.
    story.fails(77);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
}

#[test]
fn a_connection_that_came_as_the_instance_left_the_routes_is_served_to_its_end() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.wait(1_000);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    story.connect(instance);
    story.wait(10_000);
    assert_eq!(story.removed(), [0_u64; 0]);
    story.close(instance);
    story.wait(BEAT_MS);
    assert_eq!(story.removed(), [instance]);
}

#[test]
fn a_request_brings_a_draining_instance_back() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.wait(1_000);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    let waiter = story.demand(0);
    assert_eq!(story.admitted(waiter).instance, instance);
    assert_eq!(story.route(0), [story.address(instance)]);
    story.wait(500);
    assert_eq!((story.removed().len(), story.created(0).len()), (0, 1));
}

#[test]
fn requests_that_come_while_the_last_instance_is_removed_get_another() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.wait(1_000 + DRAIN_GRACE_MS);
    assert_eq!(story.state(first), Some(InstanceState::Gone));
    let waiter = story.demand(0);
    story.wait(BEAT_MS);
    let second = story.created(0)[1];
    story.listens(second);
    assert_eq!(story.admitted(waiter).instance, second);
}

#[test]
fn an_instance_from_before_is_led_to_and_kept_like_any_other() {
    let mut story = Story::new(rules(1));
    let address = story.address(1);
    story.feed(Input::Adopted { name: "s0-old-1".into(), segment: 0, address, cgroup_id: 1_001 });
    assert_eq!(story.route(0), [address]);
    let waiter = story.demand(0);
    assert_eq!(story.admitted(waiter).found, Found::Ready);
    assert!(story.created(0).is_empty());
    story.close(1);
    story.wait(2_000);
    assert_eq!(story.removed(), [1]);
}

#[test]
fn an_instance_from_before_that_ends_is_no_failure() {
    let mut story = Story::new(rules(1));
    let address = story.address(1);
    story.feed(Input::Adopted { name: "s0-old-1".into(), segment: 0, address, cgroup_id: 1_001 });
    story.fails(1);
    assert_eq!(story.weaver.trouble[0].failures, 0);
}

#[test]
fn a_drain_removes_what_is_idle_and_ends_with_the_last_connection() {
    let mut story = Story::new(rules(3));
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.9, 100)]);
    let (idle, creating) = (story.created(0)[0], story.created(1)[0]);
    story.listens(idle);
    let waiter = story.demand(2);
    let busy = story.created(2)[0];
    story.listens(busy);
    story.admitted(waiter);
    story.feed(Input::Drain);
    assert_eq!(story.removed(), [creating]);
    story.wait(DRAIN_GRACE_MS + BEAT_MS);
    assert_eq!(story.removed(), [creating, idle]);
    story.wait(10_000);
    assert!(!story.weaver.is_empty(), "work in flight");
    story.close(busy);
    story.wait(DRAIN_GRACE_MS + 2 * BEAT_MS);
    assert!(story.weaver.is_empty() && story.weaver.graphs.is_empty());
}

#[test]
fn memory_time_is_booked_at_the_first_use_and_again_at_the_end() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.wait(500);
    story.served(instance, USER);
    story.served(instance, USER);
    let spent = story.spent(instance);
    assert_eq!(spent.len(), 1);
    // 32 MiB from the first reading on.
    assert!((13.0..=16.0).contains(&spent[0].0) && spent[0].1, "{spent:?}");
    story.wait(2_000);
    let spent = story.spent(instance);
    assert_eq!(spent.len(), 2);
    assert!((32.0..=40.0).contains(&spent[1].0) && spent[1].1, "{spent:?}");
}

#[test]
fn memory_time_is_not_booked_while_connections_are_open() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    let before: f64 = story.spent(instance).iter().map(|(idle_mb_s, _)| idle_mb_s).sum();
    story.connect(instance);
    story.wait(60_000);
    story.fails(instance);
    let after: f64 = story.spent(instance).iter().map(|(idle_mb_s, _)| idle_mb_s).sum();
    assert!(after - before < 32.0 * 0.1, "{before} {after}");
}

#[test]
fn memory_time_of_an_instance_that_nobody_used_is_booked_once_as_waste() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.wait(2_000);
    let spent = story.spent(instance);
    assert!(matches!(spent[..], [(_, false)]), "{spent:?}");
}

#[test]
fn a_node_that_drains_makes_nothing_ahead_of_demand() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 5_000)]);
    story.wait(500);
    // By now the step's time has come; the drain is there first.
    story.now_ms += 2_000;
    story.feed(Input::Drain);
    story.forecast(vec![step(1, 0.9, 100)]);
    story.wait(DRAIN_GRACE_MS + BEAT_MS);
    assert!(story.created(0).is_empty() && story.created(1).is_empty());
    assert!(story.weaver.is_empty() && story.weaver.graphs.is_empty());
}

#[test]
fn a_node_that_drains_sends_new_callers_the_ordinary_way_and_lets_the_others_finish() {
    let mut story = Story::new(rules(2));
    let busy = story.warm(0);
    story.connect(busy);
    story.beat();
    assert_eq!((story.route(0), story.route(1)), (vec![story.address(busy)], story.activator(1)));
    story.feed(Input::Drain);
    assert_eq!((story.route(0), story.route(1)), (vec![], vec![]));
    assert_eq!(story.state(busy), Some(InstanceState::Draining));
    story.wait(10_000);
    assert_eq!(story.removed(), [0_u64; 0]);
    story.close(busy);
    story.wait(2 * BEAT_MS);
    assert!(story.weaver.is_empty());
}

#[test]
fn a_graph_that_ends_with_the_node_says_so() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    story.feed(Input::Drain);
    let cause = |note: &Note| matches!(note, Note::Graph { state: GraphState::Draining, cause: "drain", .. });
    assert!(story.notes().any(cause));
}

#[test]
fn requests_that_wait_as_the_node_begins_to_drain_are_served_and_later_ones_sent_away() {
    let mut story = Story::new(rules(1));
    let waiters: Vec<u64> = (0..3).map(|_| story.demand(0)).collect();
    let made = story.created(0);
    story.feed(Input::Drain);
    let late = story.demand(0);
    assert!(story.refused(late).cause.contains("shutting down"));
    story.wait(300);
    assert_eq!(story.removed(), [0_u64; 0]);
    made.iter().for_each(|instance| story.listens(*instance));
    waiters.into_iter().for_each(|waiter| _ = story.admitted(waiter));
    story.open.clear();
    story.wait(DRAIN_GRACE_MS + 2 * BEAT_MS);
    assert!(story.weaver.is_empty());
    assert_eq!(story.created(0), made);
}

#[test]
fn a_creation_that_fails_as_the_node_drains_is_not_tried_again() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    story.feed(Input::Drain);
    story.fails(story.created(0)[0]);
    assert_eq!(story.refused(waiter).cause, "exit status 1");
    story.wait(1_000);
    assert!(story.weaver.is_empty());
    assert_eq!(story.created(0).len(), 1);
}

#[test]
fn a_forecast_instance_is_used_by_a_connection_whose_requests_cannot_be_read() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.connect(instance);
    story.wait(2_000);
    assert_eq!(story.state(instance), Some(InstanceState::Serving));
    story.close(instance);
    story.wait(950);
    assert_eq!(
        story.state(instance),
        Some(InstanceState::Serving),
        "kept alive from the connection's end on"
    );
    story.wait(1_000);
    assert!(matches!(story.spent(instance)[..], [(_, true), (_, true)]), "{:?}", story.spent(instance));
}

#[test]
fn word_of_a_request_that_comes_after_the_end_of_its_instance_books_nothing() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.fails(instance);
    let booked = story.spent(instance);
    story.served(instance, USER);
    assert_eq!(story.spent(instance), booked);
    story.forecast(vec![step(0, 0.9, 100)]);
    let unused = story.created(0)[1];
    story.fails(unused);
    story.served(unused, USER);
    assert!(matches!(story.spent(unused)[..], [(_, false)]), "{:?}", story.spent(unused));
}

#[test]
fn an_instance_is_removed_only_after_a_count_that_shows_it_unused() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.wait(1_000);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    // Somebody connected just before it left the routes, and the clock's beat is late.
    story.connect(instance);
    story.now_ms += 2 * DRAIN_GRACE_MS;
    story.fails(77);
    story.beat();
    assert_eq!(story.removed(), [0_u64; 0]);
    story.close(instance);
    story.beat();
    assert_eq!(story.removed(), [instance]);
}

#[test]
fn a_graph_that_serves_does_so_until_it_ends() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 1_000), call(0, 1, 0.9, 1_000)]);
    let (first, second) = (story.created(0)[0], story.created(1)[0]);
    story.listens(first);
    story.listens(second);
    story.served(first, USER);
    story.beat();
    assert_eq!(story.graph().state, GraphState::Serving);
    story.forecast(vec![step(0, 0.9, 1_000)]);
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Serving);
}

#[test]
fn a_graph_is_ready_when_all_that_is_still_expected_stands() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 1_000), call(0, 1, 0.9, 1_000)]);
    story.listens(story.created(0)[0]);
    assert_eq!(story.graph().state, GraphState::Weaving);
    story.fails(story.created(1)[0]);
    story.beat();
    assert_eq!(story.graph().state, GraphState::Ready);
}

#[test]
fn a_graph_whose_making_has_begun_is_not_merely_planned_again() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 1_000), call(0, 1, 0.9, 20_000)]);
    assert_eq!(story.graph().state, GraphState::Weaving);
    story.fails(story.created(0)[0]);
    story.beat();
    assert_eq!(story.graph().state, GraphState::Weaving);
}

#[test]
fn a_clock_that_steps_back_is_taken_to_stand_still() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    story.now_ms -= 600_000;
    story.listens(story.created(0)[0]);
    story.admitted(waiter);
    assert!(story.weaver.cold_ms[0] < COLD_GUESS_MS);
    story.wait(1_000);
    assert_eq!(story.weaver.instances[&1].used_ms, Some(1_000_000));
}

#[test]
fn an_instance_that_vanishes_without_being_told_to_leaves_nothing_behind() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 1_000)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.feed(Input::Removed { instance });
    assert_eq!((story.route(0), story.state(instance)), (story.activator(0), None));
    assert_eq!(story.graph().nodes[0].instance, None);
    assert!(matches!(story.spent(instance)[..], [(_, false)]));
    assert_eq!(story.removed(), [0_u64; 0]);
}

#[test]
fn what_names_no_segment_or_instance_is_refused_or_left_aside() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(9);
    assert!(story.refused(waiter).cause.contains("no such segment"));
    let address = story.address(9);
    story.feed(Input::Adopted { name: "old".into(), segment: 9, address, cgroup_id: 9 });
    assert!(story.weaver.instances.is_empty());
    story.listens(77);
    story.fails(77);
    story.served(77, USER);
    story.feed(Input::Removed { instance: 77 });
    story.feed(Input::Withdrawn { waiter: 77 });
    story.feed(Input::Tick(vec![Reading { instance: 77, open: 1, memory_bytes: 1 }]));
    assert!(story.weaver.instances.is_empty());
}

#[test]
fn a_creation_that_vanishes_as_the_node_drains_is_not_tried_again() {
    let mut story = Story::new(rules(1));
    let waiter = story.demand(0);
    story.feed(Input::Drain);
    story.feed(Input::Removed { instance: story.created(0)[0] });
    assert!(story.refused(waiter).cause.contains("shutting down"));
    assert!(story.weaver.is_empty());
}

#[test]
fn who_waits_as_the_node_drains_gets_the_first_place_that_becomes_free() {
    let mut story = Story::new(rules(1));
    let first = story.warm(0);
    story.connect(first);
    story.connect(first);
    story.beat();
    let waiter = story.demand(0);
    story.beat();
    let second = story.created(0)[1];
    story.feed(Input::Drain);
    story.beat();
    assert_eq!((story.state(first), story.answer(waiter)), (Some(InstanceState::Draining), None));
    story.close(first);
    story.beat();
    assert_eq!(story.admitted(waiter).instance, first);
    assert_eq!(story.state(first), Some(InstanceState::Draining));
    assert_eq!(story.removed(), [second]);
}
