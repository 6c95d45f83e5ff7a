//! Where dialled addresses lead: everyone's routes, and the links inside a graph.

use super::*;

/// A graph of segment 0, which is expected to call segment 1; both stand.
fn chain(story: &mut Story) -> (u64, u64) {
    story.forecast(vec![step(0, 0.9, 5_000), call(0, 1, 0.9, 5_000)]);
    story.wait(2_000);
    let (first, second) = (story.created(0)[0], story.created(1)[0]);
    story.listens(first);
    story.listens(second);
    (first, second)
}

#[test]
fn a_segment_without_an_instance_leads_to_its_activator() {
    let mut story = Story::new(rules(1));
    assert_eq!(story.route(0), story.activator(0));
    story.demand(0);
    assert_eq!(story.route(0), story.activator(0), "until it listens");
}

#[test]
fn a_segment_whose_misses_pass_has_no_route_without_an_instance() {
    let mut rules = rules(1);
    rules.segments[0].miss = Miss::Pass;
    let mut story = Story::new(rules);
    assert_eq!(story.route(0), []);
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    assert_eq!(story.route(0), [story.address(instance)]);
    story.wait(2_000);
    assert_eq!(story.route(0), []);
}

#[test]
fn a_segment_leads_to_all_of_its_instances_that_listen() {
    let mut story = Story::new(rules(1));
    for _ in 0..3 {
        story.demand(0);
    }
    let made = story.created(0);
    story.listens(made[1]);
    story.close(made[1]);
    story.close(made[1]);
    story.beat();
    assert_eq!(story.route(0), [story.address(made[1])], "the third request is let in");
    story.listens(made[0]);
    assert_eq!(story.route(0), [story.address(made[0]), story.address(made[1])]);
}

#[test]
fn an_instance_that_fails_is_out_of_the_routes_at_once() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.fails(instance);
    assert_eq!(story.route(0), story.activator(0));
}

#[test]
fn a_call_inside_a_graph_goes_to_the_graphs_own_instance() {
    let mut story = Story::new(rules(2));
    let (first, second) = chain(&mut story);
    assert_eq!(story.link(first, 1), [story.address(second)]);
    assert_eq!(story.link(second, 0), [story.address(first)]);
    assert_eq!(story.link(first, 0), [], "not to itself");
}

#[test]
fn the_links_of_a_graph_go_when_it_drains_and_the_routes_stay() {
    let mut story = Story::new(rules(2));
    let (first, second) = chain(&mut story);
    story.served(first, USER);
    story.served(second, Asker::Segment(0));
    story.wait(BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Draining);
    assert_eq!(story.link(first, 1), []);
    assert_eq!((story.route(0), story.route(1)), (vec![story.address(first)], vec![story.address(second)]));
}

#[test]
fn the_links_to_an_instance_go_when_it_fails() {
    let mut story = Story::new(rules(2));
    let (first, second) = chain(&mut story);
    story.fails(second);
    assert_eq!(story.link(first, 1), []);
    assert_eq!(story.route(1), story.activator(1));
}

#[test]
fn a_shared_instance_follows_the_links_of_the_graph_that_was_forecast_last() {
    let mut story = Story::new(rules(3));
    let (first, second) = chain(&mut story);
    story.forecast(vec![step(0, 0.9, 100), call(0, 1, 0.9, 100), call(0, 2, 0.9, 100)]);
    let third = story.created(2)[0];
    story.listens(third);
    assert_eq!(story.weaver.graphs.len(), 2);
    assert_eq!(story.link(first, 1), [story.address(second)]);
    assert_eq!(story.link(first, 2), [story.address(third)]);
}

#[test]
fn an_instance_whose_places_are_taken_leaves_the_route_to_others_until_one_is_free() {
    let mut story = Story::new(rules(1));
    (0..3).for_each(|_| _ = story.demand(0));
    let (full, free) = (story.created(0)[0], story.created(0)[1]);
    story.listens(full);
    story.listens(free);
    assert_eq!(story.route(0), [story.address(free)]);
    story.close(full);
    story.beat();
    assert_eq!(story.route(0), [story.address(full), story.address(free)]);
}

#[test]
fn callers_of_a_segment_whose_places_are_all_taken_are_held_for_a_further_instance() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.connect(instance);
    story.connect(instance);
    story.beat();
    assert_eq!(story.route(0), story.activator(0));
}

#[test]
fn callers_go_the_ordinary_way_where_misses_pass_and_all_places_are_taken() {
    let mut rules = rules(1);
    rules.segments[0].miss = Miss::Pass;
    let mut story = Story::new(rules);
    let instance = story.warm(0);
    assert_eq!(story.route(0), [story.address(instance)]);
    story.connect(instance);
    story.connect(instance);
    story.beat();
    assert_eq!(story.route(0), []);
}

#[test]
fn callers_are_spread_over_all_instances_when_no_further_one_may_be_made() {
    let mut rules = rules(1);
    rules.segments[0].concurrency = 1;
    let mut story = Story::new(rules);
    (0..INSTANCES_MAX).for_each(|_| _ = story.demand(0));
    story.created(0).into_iter().for_each(|instance| story.listens(instance));
    assert_eq!(story.route(0).len(), INSTANCES_MAX);
}

#[test]
fn a_link_to_an_instance_whose_places_are_taken_yields_to_the_route() {
    let mut story = Story::new(rules(2));
    let (first, second) = chain(&mut story);
    story.connect(second);
    story.connect(second);
    story.beat();
    assert_eq!(story.link(first, 1), []);
    story.close(second);
    story.beat();
    assert_eq!(story.link(first, 1), [story.address(second)]);
}

#[test]
fn the_instance_whose_request_gave_rise_to_a_forecast_is_linked_to_what_it_is_expected_to_call() {
    let mut story = Story::new(Rules { keep_alive_ms: 60_000, ..rules(3) });
    let asking = story.warm(0);
    // Two instances of what it calls, one of which is the graph's.
    story.forecast(vec![call(0, 1, 0.9, 1_000), call(1, 2, 0.9, 1_000)]);
    let (own, last) = (story.created(1)[0], story.created(2)[0]);
    story.listens(own);
    story.listens(last);
    (0..3).for_each(|_| _ = story.demand(1));
    story.beat();
    let other = story.created(1)[1];
    story.listens(other);
    story.close(own);
    story.beat();
    assert_eq!(story.route(1), [story.address(own), story.address(other)]);
    assert_eq!(story.link(asking, 1), [story.address(own)]);
    assert_eq!(story.link(asking, 2), [], "it is not expected to call that");
    assert_eq!(story.link(own, 2), [story.address(last)]);
    assert_eq!(story.link(other, 2), [], "not of the graph");
}
