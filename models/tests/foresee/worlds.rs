//! Small worlds to forecast in: users with habits, and dice.

use weft_models::*;

/// A sequence of numbers that is the same each time.
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A user's principal.
pub(crate) fn user(number: u64) -> Principal {
    Principal::User(PrincipalId(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A request that differs from others of its segment by nothing.
pub(crate) fn request(principal: Principal, segment: u32, at_ms: u64) -> Observation {
    Observation {
        at_ms,
        principal,
        segment: SegmentId(segment),
        method: 1,
        path_pattern: u64::from(segment),
        parameters: 0,
        syscalls: None,
    }
}

/// Users who walk around rings of segments, each in a direction of its own, and now and then anywhere.
pub(crate) struct Town {
    /// What is known of them.
    pub(crate) history: History,
    /// What was learned.
    pub(crate) lessons: Vec<Lesson>,
    /// The time.
    pub(crate) now_ms: u64,
    /// By user: where it stands.
    pub(crate) stands: Vec<u32>,
    /// Segments of the ring.
    pub(crate) ring: u32,
    /// How far a user goes.
    pub(crate) stride: u32,
    /// What happens by chance.
    pub(crate) dice: Dice,
}

impl Town {
    /// A town of `users`.
    pub(crate) fn new(users: usize, limits: Limits) -> Self {
        Self {
            history: History::new(limits),
            lessons: Vec::new(),
            now_ms: 1_000_000_000,
            stands: vec![0; users],
            ring: 12,
            stride: 1,
            dice: Dice(5),
        }
    }

    /// Where a user goes by habit: half of them walk forth, half walk back.
    pub(crate) fn next(&self, walker: usize) -> u32 {
        let forth = if walker.is_multiple_of(2) { self.stride } else { self.ring - self.stride };
        (self.stands[walker] + forth) % self.ring
    }

    /// Somebody asks.
    pub(crate) fn asks(&mut self, principal: Principal, segment: u32) {
        self.now_ms += 20;
        self.lessons.extend(self.history.observe(&request(principal, segment, self.now_ms)));
    }

    /// One step of one user, by habit nine times of ten.
    pub(crate) fn step(&mut self) {
        let walker = self.dice.below(self.stands.len() as u64) as usize;
        let by_habit = self.dice.below(10) > 0;
        let to = if by_habit { self.next(walker) } else { self.dice.below(self.ring.into()) as u32 };
        self.stands[walker] = to;
        self.asks(user(walker as u64), to);
    }

    /// Share of the users whose habit is forecast first.
    pub(crate) fn known_habits(&self, model: &Model) -> f64 {
        let knows = |walker: &usize| {
            let ranked = model.rank(&self.history.candidates(user(*walker as u64), self.now_ms));
            ranked.first().is_some_and(|first| first.segment == SegmentId(self.next(*walker)))
        };
        (0..self.stands.len()).filter(knows).count() as f64 / self.stands.len() as f64
    }
}
