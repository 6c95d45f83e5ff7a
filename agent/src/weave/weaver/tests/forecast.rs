//! What is made ahead of demand, when, and up to which bound.

use super::*;

#[test]
fn a_forecast_below_the_bar_makes_nothing() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.49, 100), step(1, 0.1, 100)]);
    story.wait(5_000);
    assert!(story.created(0).is_empty() && story.created(1).is_empty());
    assert!(story.weaver.graphs.is_empty());
}

#[test]
fn an_agent_that_only_watches_makes_nothing_ahead() {
    let mut story = Story::new(Rules { weave: false, ..rules(2) });
    story.forecast(vec![step(0, 1.0, 100), step(1, 1.0, 100)]);
    story.wait(5_000);
    assert!(story.created(0).is_empty() && story.created(1).is_empty());
    let waiter = story.demand(0);
    story.listens(story.created(0)[0]);
    story.admitted(waiter);
}

#[test]
fn a_forecast_makes_its_path_and_claims_each_step_once() {
    let mut story = Story::new(rules(2));
    let forecast = story.forecast(vec![step(0, 0.9, 100), call(0, 1, 0.8, 200)]);
    let (first, second) = (story.created(0)[0], story.created(1)[0]);
    assert_eq!(story.graph().state, GraphState::Weaving);
    story.listens(first);
    story.listens(second);
    assert_eq!(story.graph().state, GraphState::Ready);
    story.wait(200);
    assert_eq!(story.claims(), [(forecast, 0, first, true), (forecast, 1, second, true)]);
}

#[test]
fn a_step_that_is_far_away_is_made_shortly_before_it_may_come() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 10_000)]);
    // Half of the expected time, less twice the usual cold start and the slack.
    let start_ms = 5_000 - (2 * COLD_GUESS_MS as u64 + 750);
    story.wait(start_ms - BEAT_MS);
    assert_eq!(story.graph().state, GraphState::Planned);
    assert!(story.created(0).is_empty());
    story.wait(BEAT_MS);
    assert_eq!(story.created(0).len(), 1);
}

#[test]
fn the_most_worthy_steps_are_made_first_up_to_the_creations_in_flight() {
    let mut story = Story::new(rules(4));
    story.forecast(vec![step(0, 0.6, 100), step(1, 0.9, 100), step(2, 0.7, 100), step(3, 0.8, 100)]);
    let made: Vec<usize> = (0..4).filter(|segment| !story.created(*segment).is_empty()).collect();
    assert_eq!(made, [1, 3]);
    story.listens(story.created(1)[0]);
    assert_eq!((story.created(2).len(), story.created(0).len()), (1, 0), "the next one in worth follows");
}

#[test]
fn forecasts_stay_within_the_memory_of_the_budget() {
    let mut story = Story::new(Rules { memory_bytes: 150 * MIB, creating: 8, ..rules(4) });
    story.forecast((0..4).map(|segment| step(segment, 0.9, 100)).collect());
    assert_eq!(story.weaver.instances.len(), 2);
    assert_eq!(story.weaver.reserved_bytes(), 128 * MIB);
}

#[test]
fn forecasts_stay_within_the_instances_of_the_budget() {
    let mut story = Story::new(Rules { instances: 3, creating: 8, ..rules(4) });
    story.forecast((0..4).map(|segment| step(segment, 0.9, 100)).collect());
    assert_eq!(story.weaver.instances.len(), 3);
}

#[test]
fn what_stands_on_demand_counts_against_the_budget_of_forecasts() {
    let mut story = Story::new(Rules { memory_bytes: 64 * MIB, ..rules(2) });
    story.warm(0);
    story.forecast(vec![step(1, 0.9, 100)]);
    assert!(story.created(1).is_empty());
}

#[test]
fn a_forecast_of_what_stands_already_makes_nothing_and_claims_it() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    let forecast = story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.created(0), [instance]);
    assert_eq!(story.claims(), [(forecast, 0, instance, false)]);
    assert_eq!(story.graph().state, GraphState::Ready);
}

#[test]
fn two_forecasts_that_begin_alike_share_one_graph() {
    let mut story = Story::new(rules(3));
    let long = story.forecast(vec![step(0, 0.9, 100), call(0, 1, 0.9, 200)]);
    let short = story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.weaver.graphs.len(), 1);
    assert_eq!((story.created(0).len(), story.created(1).len()), (1, 1));
    let (first, second) = (story.created(0)[0], story.created(1)[0]);
    let claims = [(long, 0, first, true), (long, 1, second, true), (short, 0, first, false)];
    assert_eq!(story.claims(), claims);
}

#[test]
fn two_graphs_whose_paths_part_share_the_instances_of_what_they_have_in_common() {
    let mut story = Story::new(rules(3));
    story.forecast(vec![step(0, 0.9, 100), call(0, 1, 0.9, 200)]);
    story.listens(story.created(0)[0]);
    story.listens(story.created(1)[0]);
    story.forecast(vec![step(0, 0.9, 100), call(0, 2, 0.9, 200)]);
    assert_eq!(story.weaver.graphs.len(), 2);
    assert_eq!([0, 1, 2].map(|segment| story.created(segment).len()), [1, 1, 1]);
}

#[test]
fn forecasts_that_make_no_sense_are_left_aside() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(9, 0.9, 100), step(0, f64::NAN, 100), step(0, 0.9, u64::MAX)]);
    story.forecast(vec![]);
    story.wait(1_000);
    assert!(story.weaver.graphs.is_empty() && story.created(0).is_empty());
}

#[test]
fn a_segment_that_cannot_be_made_is_not_forecast_until_the_pause_is_over() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    story.fails(story.created(0)[0]);
    story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.created(0).len(), 1);
    story.wait(500);
    story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.created(0).len(), 2);
}

#[test]
fn a_step_whose_instance_failed_is_over_and_holds_nothing() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    story.fails(story.created(0)[0]);
    assert_eq!(story.graph().nodes[0].instance, None);
    story.wait(1_000);
    assert!(story.weaver.graphs.is_empty());
    assert_eq!(story.created(0).len(), 1);
}
