//! One phase: a lane per segment. In: a phase. Out: its forecasts, instances and requests over time, and what each lane
//! came to.
use std::collections::BTreeMap;

use super::super::record::{Phase, What};
use super::super::shop;
use super::life::{Life, lives};
use super::svg::{Anchor, Svg};
use super::{MARGIN, NAMES_WIDTH, SUMS_WIDTH, WIDTH};

const LANE_HEIGHT: f64 = 62.0;
const LANE_GAP: f64 = 5.0;
/// Where forecasts, instances and requests are in a lane.
const FORECASTS: (f64, f64) = (4.0, 10.0);
const INSTANCES: (f64, f64) = (18.0, 20.0);
const REQUESTS: f64 = 51.0;
/// A forecast less sure than this is not drawn: it says little, and there are many.
const CONFIDENCE_MIN: f64 = 0.2;
const GRID_S: u32 = 10;
const SUMS: [&str; 3] = ["cold", "late", "hit"];

/// One phase and what to write over it.
pub(super) struct Lanes<'a> {
    pub(super) phase: &'a Phase,
    pub(super) name: &'a str,
    pub(super) meaning: &'a str,
    /// How much time the width stands for: the same for both phases.
    pub(super) seconds: f64,
}

impl Lanes<'_> {
    /// Draws it from `y` on; returns where it ends.
    pub(super) fn draw(&self, svg: &mut Svg, y: f64) -> f64 {
        svg.text(MARGIN, y, "heading", Anchor::Start, self.name);
        let beside = MARGIN + 18.0 + self.name.chars().count() as f64 * 10.6;
        svg.text(beside, y, "muted", Anchor::Start, self.meaning);
        for (index, name) in SUMS.iter().enumerate() {
            svg.text(sum_x(index), y + 2.0, "label", Anchor::End, name);
        }
        let top = y + 12.0;
        for index in 0..shop::NAMES.len() {
            svg.rect(left(), lane_y(top, index), right() - left(), LANE_HEIGHT, "lane");
        }
        let bottom = lane_y(top, shop::NAMES.len()) - LANE_GAP;
        self.grid(svg, top, bottom);
        self.forecasts(svg, top);
        for life in lives(self.phase) {
            self.instance(svg, top, &life);
        }
        let counts = self.requests(svg, top);
        self.sums(svg, top, &counts);
        bottom + 18.0
    }

    fn x(&self, at_ms: f64) -> f64 {
        let share = (at_ms - self.phase.begun_ms) / 1000.0 / self.seconds;
        left() + share.clamp(0.0, 1.0) * (right() - left())
    }

    fn grid(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for second in (0..=self.seconds as u32).step_by(GRID_S as usize) {
            let x = self.x(self.phase.begun_ms + f64::from(second) * 1000.0);
            svg.tick(x, top, bottom - top, "grid", 1.0);
            svg.text(x, bottom + 14.0, "small", Anchor::Middle, &format!("{second} s"));
        }
    }

    fn forecasts(&self, svg: &mut Svg, top: f64) {
        for event in &self.phase.journal {
            let What::Forecast { path } = &event.what else { continue };
            for step in path.iter().filter(|step| step.confidence >= CONFIDENCE_MIN) {
                let Some(lane) = lane(&step.segment) else { continue };
                let y = lane_y(top, lane) + FORECASTS.0;
                svg.tick(self.x(event.at_ms), y, FORECASTS.1, "forecast", step.confidence * 0.8);
            }
        }
    }

    fn instance(&self, svg: &mut Svg, top: f64, life: &Life) {
        let Some(lane) = lane(&life.segment) else { return };
        let class = if life.woven { "woven" } else { "demand" };
        let height = INSTANCES.1 / 2.0 - 1.0;
        let y = lane_y(top, lane) + INSTANCES.0 + (life.row.min(1) as f64) * (height + 2.0);
        let end = life.gone_ms.map_or(right(), |at_ms| self.x(at_ms));
        let begun = self.x(life.begun_ms);
        let ready = life.ready_ms.map_or(end, |at_ms| self.x(at_ms));
        svg.rect(begun, y, (ready - begun).max(0.6), height, &format!("making {class}"));
        if ready < end {
            svg.rect(ready, y, end - ready, height, class);
        }
    }

    /// Draws the requests, warm ones below all others; returns their numbers by lane and outcome.
    fn requests(&self, svg: &mut Svg, top: f64) -> BTreeMap<(usize, &str), u64> {
        let mut counts = BTreeMap::new();
        for wanted in ["warm", "pass", "hit", "late", "cold", "failed"] {
            for event in &self.phase.journal {
                let What::Request { segment: Some(segment), outcome: Some(outcome), wait_ms, .. } =
                    &event.what
                else {
                    continue;
                };
                let Some(lane) = lane(segment).filter(|_| outcome == wanted) else { continue };
                *counts.entry((lane, wanted)).or_default() += 1;
                let (x, y) = (self.x(event.at_ms), lane_y(top, lane) + REQUESTS);
                let waited = self.x(event.at_ms + wait_ms) - x;
                if waited > 1.0 {
                    svg.rect(x, y - 2.0, waited, 4.0, &format!("{wanted} held"));
                }
                let radius = if wanted == "warm" { 2.2 } else { 4.2 };
                svg.circle(x, y, radius, &format!("{wanted} mark"));
            }
        }
        counts
    }

    fn sums(&self, svg: &mut Svg, top: f64, counts: &BTreeMap<(usize, &str), u64>) {
        for (lane, name) in shop::NAMES.iter().enumerate() {
            let middle = lane_y(top, lane) + LANE_HEIGHT / 2.0 + 5.0;
            svg.text(MARGIN, middle, "name", Anchor::Start, name);
            for (index, outcome) in SUMS.iter().enumerate() {
                match counts.get(&(lane, *outcome)) {
                    Some(count) => {
                        svg.text(
                            sum_x(index),
                            middle,
                            &format!("number {outcome}"),
                            Anchor::End,
                            &count.to_string(),
                        );
                    }
                    None => svg.text(sum_x(index), middle, "small", Anchor::End, "–"),
                }
            }
        }
    }
}

fn left() -> f64 {
    MARGIN + NAMES_WIDTH
}

fn right() -> f64 {
    WIDTH - MARGIN - SUMS_WIDTH
}

fn sum_x(index: usize) -> f64 {
    right() + 62.0 * (index + 1) as f64
}

fn lane_y(top: f64, index: usize) -> f64 {
    top + index as f64 * (LANE_HEIGHT + LANE_GAP)
}

fn lane(segment: &str) -> Option<usize> {
    shop::NAMES.iter().position(|name| *name == segment)
}
