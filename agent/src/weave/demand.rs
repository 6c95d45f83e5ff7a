//! Requests that wait. In: demands and instances that listen. Out: an answer to each, and the instances that they
//! need. Refuses who comes while a segment cannot be made, and who has waited for as long as was configured.

use super::instance::{Instance, InstanceState, Origin};
use super::routes::BACKENDS_MAX;
use super::trouble::BACKOFF_MS;
use super::{Action, Admission, Found, Refusal, Weaver};

/// Requests that may wait for one segment; the next is told to come again.
pub(super) const WAITERS_MAX: usize = 1024;
/// Instances of one segment that requests have made at a time: no route leads to more.
pub(super) const INSTANCES_MAX: usize = BACKENDS_MAX;
/// When to come again where nothing says better.
const COME_AGAIN_MS: u64 = 1_000;
const SHUTTING_DOWN: &str = "weft is shutting down on this node";

/// Whether connections were counted just now, or may have ended since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Fresh,
    Old,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) since_ms: u64,
    /// What stood as it came.
    pub(super) found: Found,
}

impl Weaver {
    pub(super) fn demand(&mut self, waiter: u64, segment: usize, now_ms: u64) {
        if self.draining {
            return self.refuse(waiter, SHUTTING_DOWN.into(), COME_AGAIN_MS);
        }
        let stands =
            |i: &Instance| i.segment == segment && (i.is_open() || i.state == InstanceState::Draining);
        let found = if self.instances.values().any(stands) { Found::Ready } else { Found::Nothing };
        if !self.deployments.serves(segment) {
            return self.refuse(waiter, "there is no such segment".into(), COME_AGAIN_MS);
        }
        let queue = &mut self.waiting[segment];
        if queue.len() >= WAITERS_MAX {
            return self.refuse(waiter, "too many requests wait for an instance".into(), COME_AGAIN_MS);
        }
        queue.push_back(Waiter { id: waiter, since_ms: now_ms, found });
        self.attend_to(segment, Counts::Old, now_ms);
    }

    /// Gives those who wait what there is, and makes what they lack.
    pub(super) fn attend(&mut self, counts: Counts, now_ms: u64) {
        (0..self.waiting.len()).for_each(|segment| self.attend_to(segment, counts, now_ms));
    }

    fn attend_to(&mut self, segment: usize, counts: Counts, now_ms: u64) {
        self.let_in(segment, now_ms);
        if !self.waiting[segment].is_empty() {
            self.make_for_waiting(segment, counts, now_ms);
        }
    }

    fn let_in(&mut self, segment: usize, now_ms: u64) {
        while !self.waiting[segment].is_empty() {
            let Some(number) = self.place(segment).or_else(|| self.revive(segment, "demand")) else { return };
            if let Some(waiter) = self.waiting[segment].pop_front() {
                self.admit(waiter.id, number, waiter.found, now_ms);
            }
        }
    }

    fn make_for_waiting(&mut self, segment: usize, counts: Counts, now_ms: u64) {
        let full = self.least_busy(segment);
        let may_make = |weaver: &Self| {
            let alive = weaver.instances.values().filter(|i| i.segment == segment && i.is_alive());
            !weaver.draining && weaver.trouble[segment].until_ms <= now_ms && alive.count() < INSTANCES_MAX
        };
        // A connection may have ended since the last count; who finds all places taken waits for the next one.
        if full.is_some() && counts == Counts::Old && may_make(self) {
            return;
        }
        let concurrency = self.rules.segments[segment].concurrency as usize;
        while self.waiting[segment].len() > self.creating(segment) * concurrency && may_make(self) {
            self.make_room(segment, now_ms);
            self.create(segment, Origin::Demand, None, now_ms);
        }
        if self.creating(segment) > 0 {
            return;
        }
        // Nothing more can be made: better a busy instance than none.
        for waiter in std::mem::take(&mut self.waiting[segment]) {
            match self.least_busy(segment) {
                Some(number) => self.admit(waiter.id, number, waiter.found, now_ms),
                None => self.send_away(waiter.id, segment, now_ms),
            }
        }
    }

    fn send_away(&mut self, waiter: u64, segment: usize, now_ms: u64) {
        let trouble = &self.trouble[segment];
        match trouble.until_ms.saturating_sub(now_ms) {
            0 => self.refuse(waiter, SHUTTING_DOWN.into(), COME_AGAIN_MS),
            pause_ms => self.refuse(waiter, trouble.cause.clone(), pause_ms),
        }
    }

    /// The instance with the fewest connections of those that have a place left.
    fn place(&self, segment: usize) -> Option<u64> {
        let number = self.least_busy(segment)?;
        (self.instances[&number].open < self.rules.segments[segment].concurrency).then_some(number)
    }

    pub(super) fn least_busy(&self, segment: usize) -> Option<u64> {
        let open = self.instances.values().filter(|i| i.segment == segment && i.is_open());
        open.min_by_key(|instance| (instance.open, instance.number)).map(|instance| instance.number)
    }

    /// A draining instance that nobody has begun to remove is as good as a new one.
    pub(super) fn revive(&mut self, segment: usize, cause: &'static str) -> Option<u64> {
        let concurrency = self.rules.segments[segment].concurrency;
        let version = self.deployments.version(segment);
        let found = self.instances.values_mut().find(|instance| {
            let draining = instance.state == InstanceState::Draining;
            instance.segment == segment
                && draining
                && instance.version == version
                && instance.open < concurrency
        });
        let instance = found?;
        let used = instance.used_ms.is_some();
        instance.state = if used { InstanceState::Serving } else { InstanceState::Ready };
        let number = instance.number;
        self.note_instance(number, cause);
        Some(number)
    }

    pub(super) fn creating(&self, segment: usize) -> usize {
        let version = self.deployments.version(segment);
        let being_made = |i: &&Instance| {
            i.segment == segment && i.version == version && i.state == InstanceState::Creating
        };
        self.instances.values().filter(being_made).count()
    }

    pub(super) fn admit(&mut self, waiter: u64, number: u64, found: Found, now_ms: u64) {
        self.touch(number, now_ms);
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Some(address) = instance.address else { return };
        // Counted at once: the kernel's figure comes with the next reading, and a burst must not meet a drain.
        instance.open += 1;
        self.rerouted = true;
        let verdict = Ok(Admission { instance: number, address, found });
        self.actions.push(Action::Answer { waiter, verdict });
    }

    pub(super) fn refuse(&mut self, waiter: u64, cause: String, retry_after_ms: u64) {
        self.actions.push(Action::Answer { waiter, verdict: Err(Refusal { cause, retry_after_ms }) });
    }

    /// Gives up on creations that take too long.
    pub(super) fn give_up(&mut self, now_ms: u64) {
        let limit_ms = |i: &Instance| self.rules.segments[i.segment].start_timeout_ms;
        let late = |i: &&Instance| {
            i.state == InstanceState::Creating && i.created_ms.saturating_add(limit_ms(i)) <= now_ms
        };
        let late: Vec<_> = self.instances.values().filter(late).map(|i| (i.number, limit_ms(i))).collect();
        for (number, limit_ms) in late {
            self.failed(number, &format!("it did not listen within {limit_ms} ms"), now_ms);
        }
    }

    /// Answers who has waited for as long as was configured: a busy instance if there is one, or no.
    pub(super) fn time_out(&mut self, now_ms: u64) {
        for segment in 0..self.waiting.len() {
            let limit_ms = self.rules.segments[segment].start_timeout_ms;
            let late = |waiter: &Waiter| waiter.since_ms.saturating_add(limit_ms) <= now_ms;
            while self.waiting[segment].front().is_some_and(late) {
                let Some(waiter) = self.waiting[segment].pop_front() else { break };
                match self.least_busy(segment) {
                    Some(number) => self.admit(waiter.id, number, waiter.found, now_ms),
                    None => {
                        let cause = format!("no instance was ready within {limit_ms} ms");
                        self.refuse(waiter.id, cause, BACKOFF_MS.max(limit_ms / 2));
                    }
                }
            }
        }
    }

    /// A request needs room: what was made ahead of demand and nobody has used yields, least worthy first. One that
    /// listens drains like any other, since somebody may have connected to it just now; the request does not wait.
    pub(super) fn make_room(&mut self, segment: usize, now_ms: u64) {
        while self.is_crowded(segment) {
            let Some(number) = self.least_worthy() else { return };
            match self.instances[&number].state {
                InstanceState::Creating => self.remove(number, "budget", now_ms),
                _ => self.drain(number, "budget", now_ms),
            }
        }
    }

    /// Whether one more instance goes beyond the budget, once all are gone that are on their way out.
    pub(super) fn is_crowded(&self, segment: usize) -> bool {
        let bytes = |segment: usize| self.rules.segments[segment].memory_bytes;
        let (mut count, mut reserved) = (0, bytes(segment));
        for instance in self.instances.values().filter(|instance| instance.is_alive()) {
            count += 1;
            reserved += bytes(instance.segment);
        }
        count >= self.rules.instances || reserved > self.rules.memory_bytes
    }

    fn least_worthy(&self) -> Option<u64> {
        let worth = |instance: &Instance| {
            let nodes = self.graphs.values().flat_map(|graph| &graph.nodes);
            let of_instance = nodes.filter(|node| node.instance == Some(instance.number));
            of_instance.map(|node| node.worth).fold(0.0, f64::max)
        };
        let unused = self.instances.values().filter(|instance| match instance.state {
            InstanceState::Ready => instance.is_speculative() && instance.open == 0,
            InstanceState::Creating => instance.is_speculative() && self.waiting[instance.segment].is_empty(),
            _ => false,
        });
        let least = unused.map(|instance| (instance.number, worth(instance)));
        least.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number)
    }
}
