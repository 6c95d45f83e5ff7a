//! Requests that wait. In: demands and instances that listen. Out: an answer to each, and the instances that they
//! need. Refuses who comes while a segment cannot be made, and who has waited for as long as was configured.

use super::instance::{Instance, InstanceState, Origin};
use super::trouble::BACKOFF_MS;
use super::{Action, Admission, Found, Refusal, Weaver};

/// Requests that may wait for one segment; the next is told to come again.
pub(super) const WAITERS_MAX: usize = 1024;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) since_ms: u64,
}

impl Weaver {
    pub(super) fn demand(&mut self, waiter: u64, segment: usize, now_ms: u64) {
        self.revive(segment, now_ms);
        let open = self.instances.values().filter(|i| i.segment == segment && i.is_open());
        if let Some(instance) = open.min_by_key(|i| (i.open, i.number)) {
            let number = instance.number;
            return self.admit(waiter, number, Found::Ready, now_ms);
        }
        if self.trouble[segment].until_ms > now_ms {
            let (cause, wait) =
                (self.trouble[segment].cause.clone(), self.trouble[segment].until_ms - now_ms);
            return self.refuse(waiter, cause, wait);
        }
        if self.waiting[segment].len() >= WAITERS_MAX || self.draining {
            return self.refuse(waiter, "too many requests wait for an instance".into(), 1000);
        }
        self.waiting[segment].push_back(Waiter { id: waiter, since_ms: now_ms });
        let places = self.creating(segment) * self.rules.segments[segment].concurrency as usize;
        if self.waiting[segment].len() > places {
            self.make_room(segment, now_ms);
            self.create(segment, Origin::Demand, None, now_ms);
        }
    }

    /// A draining instance that nobody has begun to remove is as good as a new one.
    fn revive(&mut self, segment: usize, now_ms: u64) {
        if self.draining || self.instances.values().any(|i| i.segment == segment && i.is_open()) {
            return;
        }
        let found =
            self.instances.values_mut().find(|i| i.segment == segment && i.state == InstanceState::Draining);
        if let Some(instance) = found {
            instance.state = InstanceState::Serving;
            instance.used_ms = Some(now_ms);
            let number = instance.number;
            self.note_instance(number, "demand");
        }
    }

    pub(super) fn creating(&self, segment: usize) -> usize {
        self.instances.values().filter(|i| i.segment == segment && i.state == InstanceState::Creating).count()
    }

    pub(super) fn admit(&mut self, waiter: u64, number: u64, found: Found, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Some(address) = instance.address else { return };
        // Counted at once: the kernel's figure comes with the next reading, and a burst must not meet a drain.
        instance.open += 1;
        instance.used_ms = Some(now_ms);
        self.actions
            .push(Action::Answer { waiter, verdict: Ok(Admission { instance: number, address, found }) });
    }

    pub(super) fn refuse(&mut self, waiter: u64, cause: String, retry_after_ms: u64) {
        self.actions.push(Action::Answer { waiter, verdict: Err(Refusal { cause, retry_after_ms }) });
    }

    pub(super) fn time_out(&mut self, now_ms: u64) {
        for segment in 0..self.rules.segments.len() {
            let limit = self.rules.segments[segment].start_timeout_ms;
            while let Some(waiter) = self.waiting[segment].front() {
                if waiter.since_ms + limit > now_ms {
                    break;
                }
                let id = waiter.id;
                self.waiting[segment].pop_front();
                self.refuse(
                    id,
                    format!("no instance was ready within {limit} ms"),
                    BACKOFF_MS.max(limit / 2),
                );
            }
            let late = |i: &&Instance| {
                i.segment == segment && i.state == InstanceState::Creating && i.created_ms + limit <= now_ms
            };
            let late: Vec<u64> = self.instances.values().filter(late).map(|i| i.number).collect();
            for number in late {
                self.failed(number, &format!("it did not listen within {limit} ms"), now_ms);
            }
        }
    }

    /// A request needs room: what was made ahead of demand and is not used yields, least worthy first.
    fn make_room(&mut self, segment: usize, now_ms: u64) {
        let need = self.rules.segments[segment].memory_bytes;
        if self.instances.len() >= self.rules.instances
            || self.reserved_bytes() + need > self.rules.memory_bytes
        {
            let worth = |number: u64| {
                let of = self
                    .graphs
                    .values()
                    .flat_map(|graph| &graph.nodes)
                    .filter(|n| n.instance == Some(number));
                of.map(|node| node.worth).fold(0.0, f64::max)
            };
            let idle = self
                .instances
                .values()
                .filter(|i| i.is_speculative() && i.open == 0 && i.state == InstanceState::Ready);
            let least = idle.map(|i| (i.number, worth(i.number))).min_by(|a, b| a.1.total_cmp(&b.1));
            // One for one: the request does not wait for the removal, which counts until it is done.
            if let Some((number, _)) = least {
                self.remove(number, "budget", now_ms);
            }
        }
    }
}
