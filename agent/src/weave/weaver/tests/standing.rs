//! How long instances stand when what is known of time decides it.

use super::*;

const MINUTE_MS: u64 = 60_000;

fn timed(keep_alive_ms: u64) -> Story {
    Story::new(Rules { timing: true, keep_alive_ms, ..rules(1) })
}

impl Story {
    /// A request comes and is served at once: by what stands, or by what is made for it. Whether something stood.
    fn asked(&mut self, segment: usize) -> bool {
        let stands = |i: &&Instance| i.segment == segment && i.is_open();
        let standing = self.weaver.instances.values().find(stands).map(|instance| instance.number);
        let instance = match standing {
            Some(instance) => {
                self.connect(instance);
                self.served(instance, Asker::Principal(1));
                self.close(instance);
                self.beat();
                instance
            }
            None => self.warm(segment),
        };
        assert!(self.state(instance).is_some());
        standing.is_some()
    }

    /// Makes whatever was ordered ahead listen.
    fn follow_orders(&mut self, segment: usize) {
        for instance in self.created(segment) {
            if self.state(instance) == Some(InstanceState::Creating) {
                self.listens(instance);
            }
        }
    }

    fn wait_and_follow(&mut self, segment: usize, ms: u64) {
        for _ in 0..ms / 1_000 {
            self.wait(1_000);
            self.follow_orders(segment);
        }
    }
}

#[test]
fn what_nobody_was_seen_to_call_stays_for_the_keep_alive() {
    let mut story = timed(5_000);
    let address = story.address(9);
    story.feed(Input::Adopted { name: "s0-old".into(), segment: 0, address, cgroup_id: 9 });
    let adopted = *story.weaver.instances.keys().next().expect("it stands");
    story.wait(4_500);
    assert_eq!(story.state(adopted), Some(InstanceState::Serving));
    story.wait(1_500);
    assert_eq!(story.state(adopted), None);
}

#[test]
fn a_segment_that_is_hardly_known_stays_for_the_keep_alive_as_well() {
    let mut story = timed(5_000);
    for _ in 0..3 {
        story.asked(0);
        story.wait(4_500);
        assert_eq!(story.weaver.instances.len(), 1, "it stays");
        story.wait(30_000);
        assert!(story.weaver.instances.is_empty(), "it has gone");
    }
}

#[test]
fn what_is_called_by_the_clock_is_made_shortly_before_and_does_not_stand_between() {
    let mut story = timed(10_000);
    let (mut stood, mut beats, mut standing_beats) = (0, 0, 0);
    for round in 0..60 {
        // Five minutes from call to call.
        for _ in 0..5 * 60 {
            story.wait_and_follow(0, 1_000);
            if round >= 30 {
                beats += 1;
                standing_beats += usize::from(!story.weaver.instances.is_empty());
            }
        }
        stood += usize::from(story.asked(0) && round >= 30);
    }
    // Plain keep-alive would have stood 10 s of 300, for none of them.
    assert!(stood >= 20, "{stood} of 30 found an instance");
    assert!(standing_beats * 2 < beats, "{standing_beats} of {beats} beats");
}

#[test]
fn who_is_called_all_the_time_never_goes() {
    let mut story = timed(2_000);
    story.asked(0);
    for _ in 0..200 {
        story.wait(1_000);
        assert!(story.asked(0));
    }
    assert_eq!(story.created(0).len(), 1);
    story.wait(20 * MINUTE_MS);
    assert!(story.weaver.instances.is_empty(), "it goes when the calls end");
}

#[test]
fn what_is_known_of_calls_is_taken_over_by_the_next_agent_which_makes_what_is_due() {
    let mut story = timed(10_000);
    for _ in 0..40 {
        story.wait_and_follow(0, 5 * MINUTE_MS);
        story.asked(0);
    }
    let learned = story.weaver.learned();
    assert_eq!(learned.segments.len(), 1);
    let mut next = timed(10_000);
    // It was away for some time, in which nothing stood.
    next.now_ms = story.now_ms + 4 * MINUTE_MS;
    next.weaver.resume(learned, next.now_ms);
    next.wait_and_follow(0, 30_000);
    assert!(next.created(0).is_empty(), "nothing is due yet");
    next.wait_and_follow(0, 30_000);
    assert!(next.asked(0), "what is called every five minutes stands before it is called");
}

#[test]
fn what_is_called_each_minute_is_made_shortly_before_too() {
    for phase_ms in [0, 20_000, 59_000] {
        let mut story = timed(20_000);
        story.wait(phase_ms);
        let mut stood = 0;
        for round in 0..40 {
            story.wait_and_follow(0, MINUTE_MS);
            stood += u32::from(story.asked(0) && round >= 20);
        }
        assert!(stood >= 18, "{stood} of the last 20 calls at {phase_ms}");
    }
}

#[test]
fn calls_that_are_yet_to_come_since_the_clock_was_put_back_are_not_taken_over() {
    let mut story = timed(10_000);
    for _ in 0..10 {
        story.wait_and_follow(0, MINUTE_MS);
        story.asked(0);
    }
    let mut next = timed(10_000);
    next.weaver.resume(story.weaver.learned(), next.now_ms);
    assert!(next.weaver.learned().segments.is_empty());
    next.wait_and_follow(0, MINUTE_MS);
    assert!(!next.asked(0), "nothing is known of it");
    next.wait_and_follow(0, 2 * MINUTE_MS);
}
