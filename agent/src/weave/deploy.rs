//! Versions of segments. In: a version that is to be served. Out: an instance of it, and once that listens its place: what
//! was served before drains, and its index stands for the version. A version whose first instance does not come to listen
//! changes nothing. Refuses a second version of a segment while one is being deployed.

use std::collections::{BTreeMap, VecDeque};

use super::instance::{InstanceState, Origin};
use super::trouble::Trouble;
use super::weaver::COLD_GUESS_MS;
use super::{Action, SegmentRules, Weaver};

/// A version that is being deployed.
#[derive(Debug)]
struct Candidate {
    rules: SegmentRules,
    instance: u64,
}

/// What is served in which version, and what is to follow.
#[derive(Debug)]
pub(super) struct Deployments {
    /// By segment: how often it was deployed since the agent's start; `None` while it never was.
    versions: Vec<Option<u64>>,
    candidates: BTreeMap<usize, Candidate>,
}

impl Deployments {
    /// So many segments, each in its first version.
    pub(super) fn new(count: usize) -> Self {
        Self { versions: vec![Some(0); count], candidates: BTreeMap::new() }
    }

    /// Whether requests for a segment are taken.
    pub(super) fn serves(&self, segment: usize) -> bool {
        self.versions.get(segment).is_some_and(Option::is_some)
    }

    /// The version that is served.
    pub(super) fn version(&self, segment: usize) -> u64 {
        self.versions.get(segment).copied().flatten().unwrap_or(0)
    }
}

impl Weaver {
    pub(super) fn deploy(&mut self, segment: usize, rules: SegmentRules, now_ms: u64) {
        let refused = match () {
            () if self.draining => Some("weft is shutting down on this node"),
            () if self.deployments.candidates.contains_key(&segment) => {
                Some("another version of it is being deployed")
            }
            () if segment > self.rules.segments.len() => Some("its index is not the next one"),
            () => None,
        };
        if let Some(cause) = refused {
            return self.actions.push(Action::Deployed { segment, verdict: Err(cause.into()) });
        }
        if segment == self.rules.segments.len() {
            self.rules.segments.push(rules.clone());
            self.trouble.push(Trouble::default());
            self.cold_ms.push(COLD_GUESS_MS);
            self.waiting.push(VecDeque::new());
            self.deployments.versions.push(None);
        }
        self.make_room(segment, now_ms);
        let instance = self.create(segment, Origin::Deploy, None, now_ms);
        self.deployments.candidates.insert(segment, Candidate { rules, instance });
    }

    /// An instance listens: if a version waited for it, the version is served from now on.
    pub(super) fn succeed(&mut self, number: u64, now_ms: u64) {
        let Some((segment, candidate)) = self.take_candidate(number) else { return };
        self.rules.segments[segment] = candidate.rules;
        self.trouble[segment] = Trouble::default();
        let version = &mut self.deployments.versions[segment];
        *version = Some(version.unwrap_or(0) + 1);
        self.rerouted = true;
        let of_segment = self.instances.values().filter(|i| i.segment == segment && i.number != number);
        let before: Vec<_> = of_segment.map(|i| (i.number, i.state)).collect();
        for (number, state) in before {
            match state {
                InstanceState::Ready | InstanceState::Serving => self.drain(number, "replaced", now_ms),
                InstanceState::Creating => self.remove(number, "replaced", now_ms),
                InstanceState::Draining | InstanceState::Gone => {}
            }
        }
        self.actions.push(Action::Deployed { segment, verdict: Ok(()) });
    }

    /// The segment of an instance that is of the version that is served.
    pub(super) fn segment_as_served(&self, number: u64) -> Option<usize> {
        let instance = self.instances.get(&number)?;
        (instance.version == self.deployments.version(instance.segment)).then_some(instance.segment)
    }

    /// If a version waited for this instance, it is not served. Says whether one did.
    pub(super) fn give_up_version(&mut self, number: u64, cause: &str) -> bool {
        let Some((segment, _)) = self.take_candidate(number) else { return false };
        self.actions.push(Action::Deployed { segment, verdict: Err(cause.into()) });
        true
    }

    fn take_candidate(&mut self, number: u64) -> Option<(usize, Candidate)> {
        let mut candidates = self.deployments.candidates.iter();
        let (&segment, _) = candidates.find(|(_, candidate)| candidate.instance == number)?;
        self.deployments.candidates.remove(&segment).map(|candidate| (segment, candidate))
    }
}
