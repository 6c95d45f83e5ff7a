//! One purchase up close. In: both phases. Out: the same user's way from basket to checkout, before and after, on the
//! same scale: what was asked for, how long it was waited for, and what stood by then. Nothing is drawn if no user
//! bought in both.
use std::collections::BTreeMap;

use super::super::player::Asked;
use super::super::record::{Joined, Phase, What};
use super::super::shop;
use super::life::lives;
use super::svg::{Anchor, Svg};
use super::{MARGIN, NAMES_WIDTH, WIDTH};

/// What a purchase consists of, and the lanes on which it is seen.
const STEPS: [&str; 3] = [shop::FRONT, shop::CART, shop::CHECKOUT];
const LANES: [&str; 5] = [shop::FRONT, shop::CART, shop::CHECKOUT, shop::PRICE, shop::STOCK];
/// The requests of a session follow each other within this time.
const SESSION_MS: f64 = 20_000.0;
const BEFORE_MS: f64 = 600.0;
const AFTER_MS: f64 = 900.0;
const LANE_HEIGHT: f64 = 46.0;
const LANE_GAP: f64 = 5.0;
const GUTTER: f64 = 36.0;

/// The three requests of one purchase.
type Purchase<'a> = [Joined<'a>; 3];

/// Draws it from `y` on; returns where it ends.
pub(super) fn draw(svg: &mut Svg, phases: [&Phase; 2], y: f64) -> f64 {
    let joined = phases.map(Phase::joined);
    let [before, after] = [purchases(&joined[0]), purchases(&joined[1])];
    let Some((user, pair)) = pick(&before, &after) else { return y };
    let heading = format!("One purchase up close: user {user} opens the basket, counts it, and pays");
    svg.text(MARGIN, y, "heading", Anchor::Start, &heading);
    let length_ms =
        pair.iter().map(|purchase| duration_ms(purchase)).fold(0.0, f64::max) + BEFORE_MS + AFTER_MS;
    let width = (WIDTH - 2.0 * MARGIN - NAMES_WIDTH - GUTTER) / 2.0;
    for (index, (purchase, phase)) in pair.into_iter().zip(phases).enumerate() {
        let left = MARGIN + NAMES_WIDTH + index as f64 * (width + GUTTER);
        let begun_ms = purchase[0].asked.at_ms - BEFORE_MS;
        let view = View { phase, purchase, left, width, begun_ms, length_ms, top: y + 40.0 };
        view.draw(svg);
    }
    let top = y + 40.0;
    for (lane, name) in LANES.iter().enumerate() {
        svg.text(MARGIN, lane_y(top, lane) + LANE_HEIGHT / 2.0 + 5.0, "name", Anchor::Start, name);
    }
    lane_y(top, LANES.len()) + 18.0
}

/// Whole purchases by user, the first of each.
fn purchases<'a>(joined: &[Joined<'a>]) -> BTreeMap<u32, Purchase<'a>> {
    let mut by_user: BTreeMap<u32, Vec<Joined<'a>>> = BTreeMap::new();
    for one in joined {
        by_user.entry(one.asked.user).or_default().push(*one);
    }
    let whole = |requests: Vec<Joined<'a>>| {
        let three = requests.windows(3).find(|three| {
            let asked = three.iter().map(|one| one.asked.segment.as_str());
            asked.eq(STEPS) && three[2].asked.at_ms - three[0].asked.at_ms < SESSION_MS
        })?;
        three
            .iter()
            .all(|one| one.asked.succeeded() && one.outcome.is_some())
            .then_some([three[0], three[1], three[2]])
    };
    by_user.into_iter().filter_map(|(user, requests)| Some((user, whole(requests)?))).collect()
}

/// Of the users who bought in both, the one in the middle by how long was waited before.
fn pick<'a>(
    before: &BTreeMap<u32, Purchase<'a>>,
    after: &BTreeMap<u32, Purchase<'a>>,
) -> Option<(u32, [Purchase<'a>; 2])> {
    let mut both: Vec<_> =
        before.iter().filter_map(|(user, one)| Some((*user, [*one, *after.get(user)?]))).collect();
    both.sort_by(|a, b| waited_ms(&a.1[0]).total_cmp(&waited_ms(&b.1[0])));
    both.get(both.len() / 2).copied()
}

fn waited_ms(purchase: &Purchase<'_>) -> f64 {
    purchase.iter().map(|one| one.asked.first_byte_ms).sum()
}

fn duration_ms(purchase: &Purchase<'_>) -> f64 {
    end_ms(purchase[2].asked) - purchase[0].asked.at_ms
}

fn end_ms(asked: &Asked) -> f64 {
    asked.at_ms + asked.first_byte_ms
}

/// One of the two halves.
struct View<'a> {
    phase: &'a Phase,
    purchase: Purchase<'a>,
    left: f64,
    width: f64,
    top: f64,
    begun_ms: f64,
    length_ms: f64,
}

impl View<'_> {
    fn draw(&self, svg: &mut Svg) {
        let name = if self.phase.weaving { "weaving" } else { "watching only" };
        let text = format!("{name}: {} of waiting", shown(waited_ms(&self.purchase)));
        svg.text(self.left, self.top - 12.0, "name", Anchor::Start, &text);
        for lane in 0..LANES.len() {
            svg.rect(self.left, lane_y(self.top, lane), self.width, LANE_HEIGHT, "lane");
        }
        let bottom = lane_y(self.top, LANES.len()) - LANE_GAP;
        for second in 0..=((self.length_ms - BEFORE_MS) / 1000.0) as u32 {
            let x = self.x(self.purchase[0].asked.at_ms + f64::from(second) * 1000.0);
            svg.tick(x, self.top, bottom - self.top, "grid", 1.0);
            svg.text(x, bottom + 14.0, "small", Anchor::Middle, &format!("{second} s"));
        }
        self.forecasts(svg);
        self.instances(svg);
        for one in &self.purchase {
            self.request(
                svg,
                one.asked.segment.as_str(),
                one.asked.at_ms,
                one.asked.first_byte_ms,
                one.outcome,
            );
        }
        self.calls(svg);
    }

    fn x(&self, at_ms: f64) -> f64 {
        self.left + ((at_ms - self.begun_ms) / self.length_ms).clamp(0.0, 1.0) * self.width
    }

    fn is_seen(&self, at_ms: f64) -> bool {
        (self.begun_ms..self.begun_ms + self.length_ms).contains(&at_ms)
    }

    fn forecasts(&self, svg: &mut Svg) {
        for event in self.phase.journal.iter().filter(|event| self.is_seen(event.at_ms)) {
            let What::Forecast { path } = &event.what else { continue };
            for step in path {
                if let Some(lane) = lane(&step.segment) {
                    let y = lane_y(self.top, lane) + 4.0;
                    svg.tick(self.x(event.at_ms), y, 9.0, "forecast", step.confidence);
                }
            }
        }
    }

    fn instances(&self, svg: &mut Svg) {
        for life in lives(self.phase) {
            let gone_ms = life.gone_ms.unwrap_or(f64::INFINITY);
            let Some(lane) = lane(&life.segment) else { continue };
            if gone_ms < self.begun_ms || life.begun_ms > self.begun_ms + self.length_ms {
                continue;
            }
            let class = if life.woven { "woven" } else { "demand" };
            let y = lane_y(self.top, lane) + 16.0;
            let (begun, end) = (self.x(life.begun_ms), self.x(gone_ms));
            let ready = self.x(life.ready_ms.unwrap_or(gone_ms));
            svg.rect(begun, y, ready - begun, 10.0, &format!("making {class}"));
            svg.rect(ready, y, end - ready, 10.0, class);
        }
    }

    /// What the checkout asked for, for this purchase.
    fn calls(&self, svg: &mut Svg) {
        let checkout = self.purchase[2].asked;
        let during = checkout.at_ms..=end_ms(checkout);
        for event in self.phase.journal.iter().filter(|event| during.contains(&event.at_ms)) {
            if let What::Request { segment: Some(segment), caller: Some(caller), outcome, wait_ms, .. } =
                &event.what
                && caller == shop::CHECKOUT
            {
                self.request(svg, segment, event.at_ms, *wait_ms, outcome.as_deref());
            }
        }
    }

    fn request(&self, svg: &mut Svg, segment: &str, at_ms: f64, took_ms: f64, outcome: Option<&str>) {
        let (Some(lane), Some(outcome)) = (lane(segment), outcome) else { return };
        let y = lane_y(self.top, lane) + 36.0;
        let (x, end) = (self.x(at_ms), self.x(at_ms + took_ms));
        svg.rect(x, y - 3.0, (end - x).max(1.0), 6.0, &format!("{outcome} held"));
        svg.circle(x, y, 4.5, outcome);
        if took_ms >= 1.0 {
            svg.text(end + 8.0, y + 4.0, &format!("small {outcome}"), Anchor::Start, &shown(took_ms));
        }
    }
}

fn shown(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.2} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}

fn lane_y(top: f64, index: usize) -> f64 {
    top + index as f64 * (LANE_HEIGHT + LANE_GAP)
}

fn lane(segment: &str) -> Option<usize> {
    LANES.iter().position(|name| *name == segment)
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::phase;
    use super::*;

    #[test]
    fn a_purchase_is_front_cart_and_checkout_in_a_row_by_one_user() {
        let mut bought = phase();
        assert!(purchases(&bought.joined()).is_empty(), "nobody opened the basket");
        bought.asked[0].segment = "front".into();
        assert_eq!(purchases(&bought.joined()).keys().collect::<Vec<_>>(), [&1]);
        bought.asked[1].user = 2;
        assert!(purchases(&bought.joined()).is_empty(), "two users are not one");
    }

    #[test]
    fn without_a_purchase_in_both_phases_nothing_is_drawn() {
        let mut svg = Svg::new(WIDTH);
        assert_eq!(draw(&mut svg, [&phase(), &phase()], 5.0), 5.0);
    }
}
