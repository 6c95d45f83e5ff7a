//! Which confidence suffices when nobody has fixed it.

use super::*;

fn learning() -> Story {
    // A cold start is worth a minute of an instance's memory, and a core's work for a third of a second.
    Story::new(Rules { confidence: None, keep_alive_ms: 60_000, ..rules(1) })
}

impl Story {
    /// A user is expected at a cold segment within a second; whether something was made for it.
    fn makes_for(&mut self, confidence: f64) -> bool {
        let before = self.created(0).len();
        self.forecast(vec![step(0, confidence, 1_000)]);
        let made = self.created(0);
        if let Some(instance) = made.get(before) {
            self.listens(*instance);
        }
        made.len() > before
    }

    /// The user comes, to what stands or to what is made for him.
    fn comes(&mut self) {
        let before = self.created(0).len();
        self.demand(0);
        if let Some(instance) = self.created(0).get(before).copied() {
            self.listens(instance);
        }
        let instance = *self.created(0).last().expect("one stands");
        self.served(instance, USER);
        self.close(instance);
        self.beat();
    }

    fn bars(&self) -> Vec<f64> {
        let bar = |note: &Note| match note {
            Note::Weighed { bars, .. } => bars.first().copied().flatten().map(|weighed| weighed.bar),
            _ => None,
        };
        self.notes().filter_map(bar).collect()
    }
}

#[test]
fn what_is_likely_enough_for_what_it_costs_is_made_and_its_bar_is_told() {
    assert!(learning().makes_for(0.6));
    let mut story = learning();
    assert!(!story.makes_for(0.1));
    let bars = story.bars();
    assert!(bars.len() == 1 && (0.2..0.5).contains(&bars[0]), "{bars:?}");
}

#[test]
fn a_segment_whose_forecasts_lie_gets_no_more_of_them() {
    let mut story = learning();
    let mut made = Vec::new();
    for _ in 0..30 {
        made.push(story.makes_for(0.9));
        // Nobody comes, and what was made goes.
        story.wait(60_000);
    }
    assert!(made[0] && made[25..] == [false; 5], "{made:?}");
    assert!(story.bars().last().is_some_and(|bar| *bar > 1.0));
}

#[test]
fn what_was_learned_is_taken_over_by_the_next_agent() {
    let mut story = learning();
    // Forecasts say little, and their requests always come, in twice a minute's time.
    for _ in 0..120 {
        story.makes_for(0.1);
        story.wait(1_000);
        story.comes();
        story.wait(130_000);
    }
    assert!(story.makes_for(0.1), "{:?}", story.bars().last());
    let mut next = learning();
    assert!(!next.makes_for(0.1));
    next.weaver.resume(story.weaver.learned(), story.now_ms);
    // Without what is known of times, it has to see for itself how often the segment is called.
    for _ in 0..4 {
        next.comes();
        next.wait(130_000);
    }
    assert!(next.makes_for(0.1), "{:?}", next.bars());
}
