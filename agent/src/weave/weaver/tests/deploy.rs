//! How a version takes the place of another, and how it does not.

use super::*;

impl Story {
    fn deploy(&mut self, segment: usize) {
        let rules = self.weaver.rules.segments.get(segment).cloned().unwrap_or_else(|| SegmentRules {
            name: format!("s{segment}"),
            address: SocketAddr::from(([10, 97, 0, segment as u8], 80)),
            ..rules(1).segments[0].clone()
        });
        self.feed(Input::Deploy { segment, rules });
    }

    /// Whether the deployments of a segment succeeded, in order.
    fn deployed(&self, of: usize) -> Vec<bool> {
        let verdict = |action: &Action| match action {
            Action::Deployed { segment, verdict } if *segment == of => Some(verdict.is_ok()),
            _ => None,
        };
        self.log.iter().filter_map(verdict).collect()
    }
}

#[test]
fn a_new_segment_is_dialled_only_once_its_first_instance_listens() {
    let mut story = Story::new(rules(1));
    story.deploy(1);
    let waiter = story.demand(1);
    assert!(story.refused(waiter).cause.contains("no such segment"));
    assert!(story.route(1).is_empty() && story.deployed(1).is_empty());
    let instance = story.created(1)[0];
    story.listens(instance);
    assert_eq!(story.deployed(1), [true]);
    assert_eq!(story.route(1), [story.address(instance)]);
}

#[test]
fn a_version_takes_over_when_it_listens_and_its_predecessor_ends_its_work() {
    let mut story = Story::new(rules(1));
    let former = story.warm(0);
    story.connect(former);
    story.deploy(0);
    story.wait(BEAT_MS);
    assert_eq!(story.route(0), [story.address(former)], "nothing changes before it listens");
    let next = *story.created(0).last().expect("an instance of the version");
    story.listens(next);
    assert_eq!(story.route(0), [story.address(next)]);
    assert_eq!(story.state(former), Some(InstanceState::Draining));
    story.wait(2_000);
    assert!(!story.removed().contains(&former), "what works in it goes on");
    story.close(former);
    story.wait(2_000);
    assert!(story.removed().contains(&former));
}

#[test]
fn a_version_that_fails_leaves_the_former_one_serving_without_a_pause() {
    let mut story = Story::new(rules(1));
    let former = story.warm(0);
    story.deploy(0);
    story.fails(*story.created(0).last().expect("an instance of the version"));
    assert_eq!(story.deployed(0), [false]);
    assert_eq!(story.route(0), [story.address(former)]);
    assert_eq!(story.weaver.trouble[0].failures, 0);
}

#[test]
fn a_version_that_never_listens_is_given_up_in_time() {
    let mut story = Story::new(rules(1));
    story.deploy(1);
    story.wait(2_000 + BEAT_MS);
    assert_eq!(story.deployed(1), [false]);
    assert_eq!(story.removed(), story.created(1));
    assert!(story.route(1).is_empty());
    story.deploy(1);
    story.listens(*story.created(1).last().expect("it is tried again"));
    assert_eq!(story.deployed(1), [false, true]);
}

#[test]
fn one_version_of_a_segment_is_deployed_at_a_time() {
    let mut story = Story::new(rules(1));
    story.deploy(0);
    story.deploy(0);
    assert_eq!(story.deployed(0), [false], "the second one is refused at once");
    story.listens(story.created(0)[0]);
    assert_eq!(story.deployed(0), [false, true]);
}

#[test]
fn an_instance_of_a_former_version_is_not_brought_back() {
    let mut story = Story::new(rules(1));
    let former = story.warm(0);
    story.connect(former);
    story.deploy(0);
    let next = *story.created(0).last().expect("an instance of the version");
    story.listens(next);
    story.wait(1_500);
    story.fails(next);
    let waiter = story.demand(0);
    let third = *story.created(0).last().expect("one is made for the request");
    assert!(third != next && third != former);
    story.listens(third);
    assert_eq!(story.admitted(waiter).instance, third);
    assert_eq!(story.state(former), Some(InstanceState::Draining));
}
