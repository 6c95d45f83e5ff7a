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
fn an_instance_that_is_made_for_a_graph_says_so_from_its_first_moment() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    let number = story.graph().number;
    let made = story.notes().find_map(|note| match note {
        Note::Instance { state: InstanceState::Creating, graph, .. } => Some(*graph),
        _ => None,
    });
    assert_eq!(made, Some(Some(number)));
}

#[test]
fn a_step_is_not_fulfilled_by_the_request_that_gave_rise_to_its_forecast() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    let at_ms = story.now_ms;
    let path = vec![step(0, 0.9, 5_000)];
    story.feed(Input::Forecast(Forecast { id: 77, trigger: 0, at_ms, path }));
    story.feed(Input::Served { instance, asker: USER, at_ms });
    assert!(!story.graph().nodes[0].used, "a segment may follow itself");
    story.feed(Input::Served { instance, asker: USER, at_ms: at_ms + 1 });
    assert!(story.graph().nodes[0].used);
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
    let mut story = Story::new(Rules { creating: 3, ..rules(3) });
    story.forecast(vec![step(0, 0.9, 100), call(0, 1, 0.9, 200)]);
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
fn a_step_whose_segment_cannot_be_made_waits_for_the_end_of_the_pause() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 100)]);
    story.fails(story.created(0)[0]);
    story.forecast(vec![step(0, 0.9, 100)]);
    story.wait(450);
    assert_eq!(story.created(0).len(), 1);
    story.wait(BEAT_MS);
    assert_eq!(story.created(0).len(), 2);
}

#[test]
fn a_forecast_that_comes_as_its_graph_drains_begins_another() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.forecast(vec![step(0, 0.9, 100)]);
    story.served(instance, USER);
    story.beat();
    assert_eq!(story.graph().state, GraphState::Draining);
    let again = story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.claims().last().map(|claim| claim.0), Some(again));
    assert_eq!(story.weaver.graphs.len(), 2);
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

#[test]
fn a_step_forecast_again_as_its_instance_is_on_its_way_out_keeps_it() {
    let mut story = Story::new(rules(2));
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.9, 5_000)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.wait(850);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    let again = story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!((story.weaver.graphs.len(), story.state(instance)), (1, Some(InstanceState::Ready)));
    assert_eq!(story.claims().last(), Some(&(again, 0, instance, false)));
    story.wait(800);
    assert_eq!(story.route(0), [story.address(instance)]);
}

#[test]
fn a_forecast_brings_back_a_used_instance_that_has_just_left_the_routes() {
    let mut story = Story::new(rules(1));
    let instance = story.warm(0);
    story.wait(1_000);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!((story.state(instance), story.created(0).len()), (Some(InstanceState::Serving), 1));
}

#[test]
fn a_forecast_does_not_bring_back_what_has_yielded_to_a_request() {
    let mut story = Story::new(Rules { memory_bytes: 64 * MIB, ..rules(2) });
    story.forecast(vec![step(0, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    story.demand(1);
    story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.state(instance), Some(InstanceState::Draining));
    story.wait(500);
    assert_eq!((story.removed(), story.created(0).len()), (vec![instance], 1));
}

#[test]
fn steps_that_are_over_make_room_for_those_of_further_users() {
    let mut story = Story::new(Rules { keep_alive_ms: 60_000, ..rules(3) });
    let spent = story.warm(2);
    story.forecast(vec![step(0, 0.9, 100), step(1, 0.9, 20_000), step(2, 0.9, 100)]);
    let instance = story.created(0)[0];
    story.listens(instance);
    assert_eq!(story.link(instance, 2), [story.address(spent)]);
    for user in 0..2 * GRAPH_NODES_MAX as u64 {
        let forecast = story.forecast(vec![Step { asker: Asker::Principal(user), ..step(0, 0.9, 100) }]);
        assert_eq!(story.claims().last().map(|claim| claim.0), Some(forecast));
        assert!(story.graph().nodes.len() <= GRAPH_NODES_MAX);
        story.wait(100);
    }
    assert_eq!(story.link(instance, 2), [], "its step has made room");
}

#[test]
fn a_forecast_that_a_graph_has_no_room_for_makes_a_graph_of_its_own() {
    let mut story = Story::new(rules(1));
    for user in 0..GRAPH_NODES_MAX as u64 + 1 {
        story.forecast(vec![Step { asker: Asker::Principal(user), ..step(0, 0.9, 100) }]);
    }
    let nodes: Vec<usize> = story.weaver.graphs.values().map(|graph| graph.nodes.len()).collect();
    assert_eq!(nodes, [GRAPH_NODES_MAX, 1]);
    assert_eq!(story.claims().len(), GRAPH_NODES_MAX + 1);
}

#[test]
fn a_graph_ends_however_often_its_path_is_forecast_again() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.9, 1_000)]);
    story.listens(story.created(0)[0]);
    let first = story.graph().number;
    for _ in 0..40 {
        story.wait(1_000);
        story.forecast(vec![step(0, 0.9, 1_000)]);
        assert!(story.weaver.graphs.len() <= 2);
    }
    assert!(!story.weaver.graphs.contains_key(&first));
}

#[test]
fn a_forecast_that_is_made_again_knows_better_when_and_how_surely() {
    let mut story = Story::new(rules(1));
    story.forecast(vec![step(0, 0.6, 20_000)]);
    story.forecast(vec![step(0, 0.9, 100)]);
    assert_eq!(story.created(0).len(), 1, "sooner than was thought");
    assert_eq!(story.graph().nodes[0].confidence, 0.9);
}

#[test]
fn a_claim_is_judged_by_its_own_forecasts_window() {
    let mut story = Story::new(Rules { keep_alive_ms: 60_000, ..rules(1) });
    let instance = story.warm(0);
    story.forecast(vec![step(0, 0.9, 10_000)]);
    story.wait(4_000);
    let short = story.forecast(vec![step(0, 0.9, 1_000)]);
    let now_ms = story.now_ms;
    let claim = |note: &&Note| matches!(note, Note::Claimed { forecast, .. } if *forecast == short);
    let Some(Note::Claimed { deadline_ms, instance: by, .. }) = story.notes().find(claim) else {
        panic!("no claim")
    };
    assert_eq!((*deadline_ms, *by), (now_ms + 2_000, instance));
    assert_eq!(story.graph().nodes[0].deadline_ms, now_ms - 4_000 + 20_000, "held for the longer one");
}

#[test]
fn past_the_most_graphs_a_forecast_joins_one_or_is_left_aside() {
    let mut story = Story::new(rules(GRAPHS_MAX + 1));
    for segment in 0..=GRAPHS_MAX {
        story.forecast(vec![step(segment, 0.9, 100)]);
    }
    assert_eq!(story.weaver.graphs.len(), GRAPHS_MAX);
    let alike = story.forecast(vec![Step { asker: Asker::Principal(8), ..step(0, 0.9, 100) }]);
    assert_eq!(story.claims().last().map(|claim| claim.0), Some(alike));
    assert_eq!(story.weaver.graphs.len(), GRAPHS_MAX);
}

#[test]
fn a_confidence_beyond_certainty_is_worth_no_more_than_certainty() {
    let mut story = Story::new(Rules { memory_bytes: 64 * MIB, ..rules(2) });
    story.forecast(vec![step(0, f64::INFINITY, 1_000), step(1, 1.0, 100)]);
    assert_eq!((story.created(0).len(), story.created(1).len()), (0, 1));
}

#[test]
fn the_steps_of_a_graph_share_its_instance_of_a_segment() {
    let mut story = Story::new(Rules { keep_alive_ms: 60_000, ..rules(1) });
    (0..3).for_each(|_| _ = story.demand(0));
    let (first, second) = (story.created(0)[0], story.created(0)[1]);
    story.listens(first);
    story.listens(second);
    // One connection on the second, two on the first.
    story.forecast(vec![step(0, 0.9, 1_000)]);
    story.close(first);
    story.close(first);
    story.beat();
    story.forecast(vec![Step { asker: Asker::Principal(8), ..step(0, 0.9, 1_000) }]);
    let claimed: Vec<u64> = story.claims().iter().map(|claim| claim.2).collect();
    assert_eq!(claimed, [second, second]);
}
