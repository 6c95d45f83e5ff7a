//! The shop's users. In: a seed. Out: 200 users, each with a route, pauses and session times of their own, and the
//! sessions that they play in one phase. The same seed gives the same users and sessions.
//!
//! Most only look at pages of the front. The others each have a way of their own through the shop, mostly keep to it,
//! and now and then wander off or leave early; whoever knows them knows what they ask for next.
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shop;

/// How many there are.
pub(super) const USERS: u32 = 200;
/// Of a thousand steps, how many lead elsewhere, and before how many the session ends.
const WANDERS: u64 = 25;
const LEAVES: u64 = 25;
/// Nobody begins a session so shortly before the end of a phase: it would not be over by then.
const LAST_START: Duration = Duration::from_secs(9);

/// A source of chances: SplitMix64, which is small and the same everywhere.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    /// Dice for one purpose: equal words give equal dice.
    fn new(words: [u64; 3]) -> Self {
        words.into_iter().fold(Self(0x5eed), |mut dice, word| Self(dice.roll() ^ word))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    fn between(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_millis(low_ms + self.below(high_ms - low_ms))
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    /// A factor from 0.88 to 1.12.
    fn jitter(&mut self) -> f64 {
        0.88 + self.below(241) as f64 / 1000.0
    }
}

/// One request of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// The pause before it; before the first one, none.
    pub(super) pause: Duration,
    /// What is asked for.
    pub(super) page: Page,
}

/// Something that can be asked of the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// The segment.
    pub(super) segment: String,
    /// The method.
    pub(super) method: String,
    /// The path with its query.
    pub(super) path: String,
}

impl Page {
    fn get(segment: &str, path: impl Into<String>) -> Self {
        Self { segment: segment.into(), method: "GET".into(), path: path.into() }
    }

    fn post(segment: &str, path: impl Into<String>) -> Self {
        Self { segment: segment.into(), method: "POST".into(), path: path.into() }
    }
}

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// When it begins, from the beginning of the phase.
    pub(super) at: Duration,
    /// Its requests.
    pub(super) steps: Vec<Step>,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// From 0.
    number: u32,
    /// The usual way through the shop.
    route: Vec<Page>,
    /// The usual pause before each page.
    pause: Duration,
    /// From one session's beginning to the next.
    period: Duration,
}

impl User {
    /// The user of this number: the habits follow from seed and number alone.
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let mut dice = Dice::new([seed, 1, u64::from(number)]);
        Self {
            number,
            route: route(&mut dice),
            pause: dice.between(1_200, 2_400),
            // The agent takes a user who was silent for 30 seconds for gone; so are these between two sessions.
            period: dice.between(40_000, 46_000),
        }
    }

    /// What this user signs requests with; nobody else's is the same.
    pub(super) fn token(&self) -> String {
        format!("user-{:03}", self.number)
    }

    /// The sessions that this user plays in a phase, which is a stretch of the demo's own time. That goes on from one
    /// phase to the next, as users do not know of phases.
    pub(super) fn sessions(&self, seed: u64, phase: &Range<Duration>) -> Vec<Session> {
        let mut dice = Dice::new([seed, 2, u64::from(self.number)]);
        let mut at = dice.between(0, self.period.as_millis() as u64);
        let mut sessions = Vec::new();
        while at < phase.end {
            let steps = self.steps(&mut dice);
            if at >= phase.start && at + LAST_START < phase.end {
                sessions.push(Session { at: at - phase.start, steps });
            }
            at += self.period.mul_f64(1.0 + (dice.jitter() - 1.0) / 2.0);
        }
        sessions
    }

    fn steps(&self, dice: &mut Dice) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for page in &self.route {
            let pause = if steps.is_empty() { Duration::ZERO } else { self.pause.mul_f64(dice.jitter()) };
            match dice.below(1000) {
                chance if chance < LEAVES && !steps.is_empty() => break,
                chance if chance < LEAVES + WANDERS => steps.push(Step { pause, page: elsewhere(dice) }),
                _ => steps.push(Step { pause, page: page.clone() }),
            }
        }
        steps
    }
}

const FRONT_PAGES: [&str; 5] = ["/deals", "/new", "/bestsellers", "/events", "/about"];
const GENRES: [&str; 7] = ["novel", "cooking", "craft", "engineering", "mystery", "travel", "garden"];
const WORDS: [&str; 6] = ["knots", "bread", "queues", "the", "murder", "roses"];

fn elsewhere(dice: &mut Dice) -> Page {
    Page::get(shop::FRONT, dice.pick(&FRONT_PAGES))
}

/// A way through the shop, drawn once per user.
fn route(dice: &mut Dice) -> Vec<Page> {
    let (item, other) = (1 + dice.below(24), 1 + dice.below(24));
    let front = |path: &str| Page::get(shop::FRONT, path);
    let catalog = |path: String| Page::get(shop::CATALOG, path);
    let price = |items: &str| Page::get(shop::PRICE, format!("/prices?{items}"));
    let items = format!("items={item},{other}");
    match dice.below(100) {
        // Just looking.
        0..39 => vec![front("/"), elsewhere(dice)],
        39..77 => vec![front("/"), elsewhere(dice), elsewhere(dice)],
        // Reads about books.
        77..83 => {
            let genre = dice.pick(&GENRES);
            vec![front("/"), catalog(format!("/items?genre={genre}")), catalog(format!("/items/{item}"))]
        }
        // Looks for something, then for what it costs.
        83..86 => vec![front("/"), catalog(format!("/search?q={}", dice.pick(&WORDS))), price(&items)],
        // Buys.
        86..94 => vec![
            front("/basket"),
            Page::get(shop::CART, format!("/cart?{items}")),
            Page::post(shop::CHECKOUT, format!("/checkout?{items}")),
        ],
        // Watches a price.
        94..98 => vec![front("/deals"), price(&items)],
        // Waits for something to come back.
        _ => vec![
            front("/new"),
            Page::get(shop::STOCK, format!("/stock?{items}")),
            catalog(format!("/items/{item}")),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FIRST: Range<Duration> = Duration::ZERO..Duration::from_secs(120);
    const SECOND: Range<Duration> = Duration::from_secs(120)..Duration::from_secs(220);

    fn all(seed: u64, phase: &Range<Duration>) -> Vec<Vec<Session>> {
        (0..USERS).map(|number| User::new(seed, number).sessions(seed, phase)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_users_and_sessions_and_another_gives_others() {
        assert_eq!(all(7, &FIRST), all(7, &FIRST));
        assert_ne!(all(7, &FIRST), all(8, &FIRST));
        assert_ne!(all(7, &FIRST), all(7, &SECOND), "a phase is not the other one again");
    }

    #[test]
    fn every_user_comes_in_each_phase_and_every_segment_is_asked_for() {
        for phase in [FIRST, SECOND] {
            let sessions = all(7, &phase);
            assert!(sessions.iter().all(|one| !one.is_empty()));
            let steps = sessions.iter().flatten().flat_map(|session| &session.steps);
            let asked: BTreeSet<_> = steps.map(|step| step.page.segment.as_str()).collect();
            assert_eq!(asked, BTreeSet::from(shop::NAMES));
        }
    }

    #[test]
    fn a_users_sessions_are_mostly_and_not_always_alike() {
        let (mut same, mut count) = (0, 0);
        for user in (0..USERS).map(|number| User::new(7, number)) {
            for session in user.sessions(7, &FIRST) {
                count += 1;
                same += usize::from(session.steps.iter().map(|step| &step.page).eq(&user.route));
            }
        }
        assert!(same * 10 > count * 7 && same < count, "{same} of {count}");
    }

    #[test]
    fn between_two_sessions_a_user_is_silent_for_longer_than_a_session_may_pause() {
        let whole = FIRST.start..SECOND.end;
        for sessions in all(7, &whole) {
            for (one, next) in sessions.iter().zip(&sessions[1..]) {
                let lasts: Duration = one.steps.iter().map(|step| step.pause).sum();
                assert!(next.at - one.at - lasts > Duration::from_secs(30));
            }
        }
    }
}
