//! What has been asked for so far. In come observations in the order of time, out go candidates for what is next and
//! lessons: what was forecastable before each observation, and whether it came.
//! Bounded in every direction by [`Limits`]; what is least useful is forgotten first. A clock that steps back is
//! taken as standing still.
//!
//! A *user* has one episode at a time, its session. A calling *segment* has one per request it is serving
//! ([`History::begin`]): requests overlap, so each call is given to the open episode it fits best.
//!
//! ```text
//! observe ─► close what is overdue ─► find the episode ─► judge its forecast ─► count ─► propose anew
//!                  └──── lessons ◄──────────────────────────────┘
//! ```

mod context;
mod place;
mod propose;
mod stream;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::features::N;
use crate::observe::{Observation, Principal, SegmentId, SyscallShares};
pub(crate) use context::Follower;
use context::{Bounds, ContextTable};
pub use place::Source;
pub(crate) use place::{NEAR_STEPS, Place, SOURCE_COUNT};
pub use propose::{Candidate, Sources};
pub(crate) use propose::{Evidence, Moment};
use stream::{Episode, Pending, Streams};

/// Overdue forecasts that one observation may settle: enough that none pile up, few enough to bound its time.
const SETTLED_PER_OBSERVATION: usize = 4;
/// The contexts that an end follows like any segment does; the others say what is asked for, not after what.
const SEQUENCES: [Source; 11] = [
    Source::All1,
    Source::All2,
    Source::All3,
    Source::All5,
    Source::Bag,
    Source::Entry,
    Source::Burst,
    Source::Head,
    Source::Request,
    Source::Own1,
    Source::Own2,
];

/// How much is remembered, and for how long things belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Users and calling segments followed at once. Beyond it the least active of a sample goes.
    pub principals: usize,
    /// Contexts counted. Beyond it the least met of a sample goes.
    pub contexts: usize,
    /// Followers counted per context. Beyond it the lightest goes.
    pub followers: usize,
    /// Candidates proposed at once, the likeliest.
    pub candidates: usize,
    /// Requests followed at once within one calling segment. Beyond it the oldest is no longer followed.
    pub episodes: usize,
    /// Forecasts whose outcome is waited for. Beyond it what is forecast teaches nothing.
    pub open: usize,
    /// Segments whose system-call profile is kept.
    pub profiles: usize,
    /// A user who asks nothing for this long has ended the session.
    pub session_gap_ms: u64,
    /// A segment calls nothing more for a request after this long.
    pub call_gap_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            principals: 100_000,
            contexts: 196_608,
            followers: 12,
            candidates: 12,
            episodes: 32,
            open: 4_096,
            profiles: 4_096,
            session_gap_ms: 30_000,
            call_gap_ms: 10_000,
        }
    }
}

/// How a candidate turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It came next.
    Came,
    /// Another one came.
    OtherCame,
    /// Nothing came before the session or request was over.
    NothingCame,
}

/// One training row: a candidate as it looked, and how it turned out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Lessons of one forecast share this number; it grows with time.
    pub moment: u64,
    /// The candidate.
    pub segment: SegmentId,
    /// What was known of it then.
    #[serde(with = "crate::features::serde_row")]
    pub features: [f32; N],
    /// How it turned out.
    pub outcome: Outcome,
    /// What came next, whether it was a candidate or not.
    pub came: Option<SegmentId>,
}

/// The memory of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    limits: Limits,
    table: ContextTable,
    streams: Streams,
    profiles: BTreeMap<SegmentId, SyscallShares>,
    now_ms: u64,
    next_moment: u64,
    /// When each episode is over. Open forecasts are not kept over a restart: their outcome was not seen.
    #[serde(skip)]
    deadlines: BTreeMap<(u64, u64), Principal>,
    /// Episodes with an open forecast.
    #[serde(skip)]
    waited: usize,
}

impl History {
    /// An empty memory. Limits of zero are taken as one.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            principals: limits.principals.max(1),
            contexts: limits.contexts.max(1),
            followers: limits.followers.clamp(1, 64),
            candidates: limits.candidates.max(1),
            episodes: limits.episodes.max(1),
            open: limits.open.max(1),
            profiles: limits.profiles.max(1),
            ..limits
        };
        Self {
            limits,
            table: ContextTable::default(),
            streams: Streams::default(),
            profiles: BTreeMap::new(),
            now_ms: 0,
            next_moment: 0,
            deadlines: BTreeMap::new(),
            waited: 0,
        }
    }

    /// Takes in one request. Returns what the forecasts settled by it teach, in the order of their moments.
    pub fn observe(&mut self, observation: &Observation) -> Vec<Lesson> {
        let mut lessons = self.advance(observation.at_ms);
        let observation = Observation { at_ms: self.now_ms, ..*observation };
        self.keep_profile(&observation);
        let mut episode = self.episode_for(&observation);
        self.settle(&mut episode, Some(observation.segment), &mut lessons);
        self.count(&mut episode, &observation);
        episode.place = episode.place.after_request(&observation);
        if let Some(key) = episode.place.near_key(0) {
            self.table.meet(key, observation.at_ms, self.limits.contexts);
        }
        self.open(episode);
        lessons
    }

    /// A segment begins to serve a request: what it calls from here on belongs to that request.
    pub fn begin(&mut self, segment: SegmentId, at_ms: u64) -> Vec<Lesson> {
        let lessons = self.advance(at_ms);
        let episode = self.start(Principal::Segment(segment));
        self.open(episode);
        lessons
    }

    /// Settles forecasts that are overdue at `now_ms`, a bounded number of them: what did not come is a lesson too.
    pub fn advance(&mut self, now_ms: u64) -> Vec<Lesson> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut lessons = Vec::new();
        for _ in 0..SETTLED_PER_OBSERVATION {
            let Some(entry) = self.deadlines.first_entry().filter(|entry| entry.key().0 < self.now_ms) else {
                break;
            };
            let (_, moment) = *entry.key();
            let principal = entry.remove();
            if let Some(mut episode) = self.streams.take_by_moment(principal, moment) {
                self.count_end(&episode.place);
                self.settle(&mut episode, None, &mut lessons);
            }
        }
        lessons
    }

    /// What could come next for `principal`, from where it stands; empty if it is not known or stands nowhere.
    pub fn candidates(&self, principal: Principal, now_ms: u64) -> Vec<Candidate> {
        let place = self.streams.newest(principal);
        place.map_or_else(Vec::new, |place| self.candidates_at(place, now_ms))
    }

    /// The latest time that was told.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Contexts held at present.
    pub fn context_count(&self) -> usize {
        self.table.len()
    }

    /// Users and calling segments followed at present.
    pub fn principal_count(&self) -> usize {
        self.streams.len()
    }

    /// The limits this memory keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether all counts can have come from learning, and the limits hold.
    pub(crate) fn is_sound(&self) -> bool {
        self.table.len() <= self.limits.contexts
            && self.table.is_sound()
            && self.streams.len() <= self.limits.principals
            && self.profiles.len() <= self.limits.profiles
            && self.streams.longest() <= self.limits.episodes
            && self.table.iter().all(|c| c.is_sound() && c.followers.len() <= self.limits.followers)
            && self.profiles.values().all(|shares| shares.checked().is_some())
    }

    /// Where `principal` stands: a user in its session, a segment in the request it began last.
    pub(crate) fn place_of(&self, principal: Principal) -> Option<Place> {
        self.streams.newest(principal).copied()
    }

    pub(crate) fn candidates_at(&self, place: &Place, now_ms: u64) -> Vec<Candidate> {
        let syscalls = place.last().and_then(|segment| self.profiles.get(&segment)).copied();
        propose::propose(&self.table, place, syscalls, now_ms, self.limits.candidates)
    }

    fn gap_ms(&self, principal: Principal) -> u64 {
        match principal {
            Principal::User(_) => self.limits.session_gap_ms,
            Principal::Segment(_) => self.limits.call_gap_ms,
        }
    }

    fn keep_profile(&mut self, observation: &Observation) {
        let Some(shares) = observation.syscalls.and_then(SyscallShares::checked) else { return };
        if self.profiles.len() < self.limits.profiles || self.profiles.contains_key(&observation.segment) {
            self.profiles.insert(observation.segment, shares);
        }
    }

    /// The open episode the observation belongs to, taken out; a new one if none fits.
    fn episode_for(&mut self, observation: &Observation) -> Episode {
        let oldest_ms = observation.at_ms.saturating_sub(self.gap_ms(observation.principal));
        let fit = |place: &Place| {
            let key = place.keys(observation.at_ms)[Source::Own1 as usize];
            let context = key.and_then(|key| self.table.get(key));
            let follower =
                context.and_then(|c| c.followers.iter().find(|f| f.segment == observation.segment));
            follower.map_or(0.0, |f| f.weight / context.map_or(1.0, |c| c.total.max(1.0)))
        };
        let found = self.streams.take_best_fit(observation.principal, observation.segment, oldest_ms, fit);
        found.unwrap_or_else(|| self.start(observation.principal))
    }

    fn start(&mut self, principal: Principal) -> Episode {
        let place = Place::start(principal, self.now_ms);
        if let Some(key) = place.within_key() {
            self.table.meet(key, self.now_ms, self.limits.contexts);
        }
        Episode::new(place)
    }

    /// Turns the episode's open forecast into lessons.
    fn settle(&mut self, episode: &mut Episode, came: Option<SegmentId>, lessons: &mut Vec<Lesson>) {
        let Some(pending) = episode.pending.take() else { return };
        self.forget(&pending);
        let moment = pending.moment;
        lessons.extend(pending.candidates.into_iter().map(|(segment, features)| {
            let outcome = match came {
                Some(other) if other == segment => Outcome::Came,
                Some(_) => Outcome::OtherCame,
                None => Outcome::NothingCame,
            };
            Lesson { moment, segment, features, outcome, came }
        }));
    }

    /// Waits no longer for what comes after an episode.
    fn forget(&mut self, pending: &Pending) {
        self.deadlines.remove(&(pending.deadline_ms, pending.moment));
        self.waited -= usize::from(!pending.candidates.is_empty());
    }

    /// Counts the observation as follower of every context that held where its episode stood.
    fn count(&mut self, episode: &mut Episode, observation: &Observation) {
        let bounds = Bounds { contexts: self.limits.contexts, followers: self.limits.followers };
        let at_ms = observation.at_ms;
        let delay_ms = at_ms.saturating_sub(episode.place.at_ms) as f32;
        let within = Source::Within as usize;
        for (source, key) in episode.place.keys(at_ms).into_iter().enumerate() {
            let Some(key) = key.filter(|_| source != within) else { continue };
            self.table.meet(key, at_ms, bounds.contexts);
            self.table.follow(key, observation.segment, at_ms, delay_ms, bounds);
        }
        for back in 0..NEAR_STEPS {
            // Only the first time since: how often it comes near is asked, not how many times it comes.
            let Some(key) = episode.place.near_key(back) else { break };
            if !episode.place.came_within(observation.segment, back + 1) {
                self.table.follow(key, observation.segment, at_ms, delay_ms, bounds);
            }
        }
        if let Some(key) = episode.place.within_key().filter(|_| episode.see(observation.segment)) {
            let delay_ms = at_ms.saturating_sub(episode.began_ms) as f32;
            self.table.follow(key, observation.segment, at_ms, delay_ms, bounds);
        }
    }

    /// Counts that nothing followed: each sequence was met once more.
    fn count_end(&mut self, place: &Place) {
        let keys = place.keys(self.now_ms);
        for key in SEQUENCES.iter().filter_map(|source| keys[*source as usize]) {
            self.table.meet(key, self.now_ms, self.limits.contexts);
        }
    }

    /// Puts an episode in charge of its principal with a forecast to be judged later.
    fn open(&mut self, mut episode: Episode) {
        let principal = episode.place.principal;
        // Where too many are waited for it is a newcomer that teaches nothing: the oldest are those after which nothing
        // will come, and without them the others would look too sure. Its end is waited for all the same.
        let candidates = if self.waited < self.limits.open {
            let candidates = self.candidates_at(&episode.place, self.now_ms);
            candidates.into_iter().map(|c| (c.segment, c.features)).collect()
        } else {
            Vec::new()
        };
        self.waited += usize::from(!candidates.is_empty());
        let moment = self.next_moment;
        self.next_moment += 1;
        let deadline_ms = self.now_ms.saturating_add(self.gap_ms(principal));
        self.deadlines.insert((deadline_ms, moment), principal);
        episode.pending = Some(Pending { moment, deadline_ms, candidates });
        let capacity = match principal {
            Principal::User(_) => 1,
            Principal::Segment(_) => self.limits.episodes,
        };
        for pending in self.streams.put(episode, capacity, self.limits.principals) {
            self.forget(&pending);
        }
    }
}
