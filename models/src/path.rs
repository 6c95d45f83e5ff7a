//! What is coming, several steps ahead. In comes a request, out goes a forecast: the segments it will lead to, each
//! with its confidence, its expected time and the step it comes after.
//! Bounded in depth, width and number of looks. Where nothing can be said, the forecast is empty and says why.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::forecast::Model;
use crate::history::{History, Place};
use crate::observe::{Principal, SegmentId};

/// What is asked: this request was seen (and observed), what does it lead to?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Who asked, where that is known.
    pub principal: Option<Principal>,
    /// What was asked for.
    pub segment: SegmentId,
    /// When.
    pub at_ms: u64,
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// Steps ahead.
    pub depth: usize,
    /// Candidates followed per step.
    pub width: usize,
    /// Steps in the whole forecast.
    pub steps: usize,
    /// A step less sure than this is not told.
    pub floor: f32,
}

impl Default for Reach {
    fn default() -> Self {
        Self { depth: 4, width: 8, steps: 32, floor: 0.05 }
    }
}

/// One segment that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which one.
    pub segment: SegmentId,
    /// Who is expected to ask for it.
    pub principal: Principal,
    /// Chance in `[0, 1]` that it is asked for, all steps before it included.
    pub confidence: f32,
    /// When, counted from the trigger.
    pub expected_ms: f32,
    /// How many steps ahead: 1 is next.
    pub position: usize,
    /// Index in the path of the step it comes after; none if it comes after the trigger.
    pub parent: Option<usize>,
}

/// Why a forecast is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Silence {
    /// Nothing has been learned on this node yet.
    NoModel,
    /// Nothing is known of what follows here.
    NoHistory,
    /// What is known is too unsure.
    BelowFloor,
}

/// The segments a request leads to, surest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it follows from.
    pub trigger: Trigger,
    /// What is expected. Each segment once, where it is surest.
    pub path: Vec<Step>,
    /// Why `path` is empty; none if it is not.
    pub silence: Option<Silence>,
}

/// Looks along paths with a memory and, once there is one, a model.
#[derive(Clone, Copy, Debug)]
pub struct Forecaster<'a> {
    /// What has been asked for.
    pub history: &'a History,
    /// How sure to be; none before the first training.
    pub model: Option<&'a Model>,
    /// How far to look.
    pub reach: Reach,
}

/// A step that may join the path, with the place its caller or user would then stand at.
struct Prospect {
    step: Step,
    place: Place,
}

impl Forecaster<'_> {
    /// What `trigger` leads to. The request itself must have been observed before.
    pub fn forecast(&self, trigger: Trigger) -> Forecast {
        let empty = |silence| Forecast { trigger, path: Vec::new(), silence: Some(silence) };
        let Some(model) = self.model else { return empty(Silence::NoModel) };
        let mut search = Search {
            history: self.history,
            model,
            reach: self.reach,
            queue: BinaryHeap::new(),
            met: Met::Nothing,
        };
        search.look(Place::start(Principal::Segment(trigger.segment), trigger.at_ms), None);
        if let Some(place) = trigger.principal.and_then(|principal| self.history.place_of(principal)) {
            search.look(place, None);
        }
        let path = search.run(trigger.at_ms);
        match (path.is_empty(), search.met) {
            (false, _) => Forecast { trigger, path, silence: None },
            (true, Met::Candidates) => empty(Silence::BelowFloor),
            (true, Met::Nothing) => empty(Silence::NoHistory),
        }
    }
}

enum Met {
    Nothing,
    Candidates,
}

/// Best-first: a step is never surer than the one before it, so each segment is met first where it is surest.
struct Search<'a> {
    history: &'a History,
    model: &'a Model,
    reach: Reach,
    queue: BinaryHeap<Prospect>,
    met: Met,
}

impl Search<'_> {
    /// Queues what could follow at `place`, after the step `parent` if there is one.
    fn look(&mut self, place: Place, parent: Option<(usize, Step)>) {
        let candidates = self.history.candidates_at(&place, place.at_ms);
        if candidates.is_empty() {
            return;
        }
        self.met = Met::Candidates;
        let (confidence, expected_ms, position) =
            parent.map_or((1.0, 0.0, 1), |(_, step)| (step.confidence, step.expected_ms, step.position + 1));
        for ranked in self.model.rank(&candidates).into_iter().take(self.reach.width) {
            let step = Step {
                segment: ranked.segment,
                principal: place.principal,
                confidence: confidence * ranked.confidence,
                expected_ms: expected_ms + ranked.expected_delay_ms,
                position,
                parent: parent.map(|(index, _)| index),
            };
            if step.confidence >= self.reach.floor {
                let then_ms = place.at_ms.saturating_add(ranked.expected_delay_ms as u64);
                self.queue.push(Prospect { step, place: place.after(ranked.segment, then_ms) });
            }
        }
    }

    fn run(&mut self, at_ms: u64) -> Vec<Step> {
        let mut path: Vec<Step> = Vec::new();
        while let Some(Prospect { step, place }) = self.queue.pop() {
            if path.len() >= self.reach.steps {
                break;
            }
            if path.iter().any(|known| known.segment == step.segment) {
                continue;
            }
            let index = path.len();
            path.push(step);
            if step.position < self.reach.depth {
                let then_ms = at_ms.saturating_add(step.expected_ms as u64);
                self.look(Place::start(Principal::Segment(step.segment), then_ms), Some((index, step)));
                self.look(place, Some((index, step)));
            }
        }
        path
    }
}

impl PartialEq for Prospect {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Prospect {}

impl PartialOrd for Prospect {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Prospect {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.step, &other.step);
        a.confidence
            .total_cmp(&b.confidence)
            .then(b.position.cmp(&a.position))
            .then(b.expected_ms.total_cmp(&a.expected_ms))
            .then(b.segment.cmp(&a.segment))
            .then(b.parent.cmp(&a.parent))
    }
}
