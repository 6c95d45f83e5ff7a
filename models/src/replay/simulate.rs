//! The virtual clock. In: calls in the order of time, a policy. Out: the score. Ends of executions and what policies want
//! to be asked again about wait in one queue, as long as there are instances and applications, no longer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::node::Instances;
use super::{Hold, Idle, Met, Policy, Score};
use crate::trace::{App, Call};

/// What the node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Memory for all instances, in KiB; `None`: any.
    pub memory_kib: Option<u64>,
    /// Memory for idle instances, in KiB; `None`: any.
    pub idle_kib: Option<u64>,
}

/// What is scored. The policy sees everything before it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From when, in µs.
    pub from_us: u64,
    /// Until when, in µs: the end of the trace.
    pub until_us: u64,
}

/// Why a trace cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Back in time.
    #[error("call {index} is {late_us} µs earlier than the one before it; sort the trace by time")]
    OutOfOrder {
        /// Which call, from 0.
        index: u64,
        /// By how much.
        late_us: u64,
    },
    /// No such application.
    #[error("call {index} is of application {app}, there are {apps}; give the trace its own applications")]
    NoApp {
        /// Which call, from 0.
        index: u64,
        /// Its application.
        app: u32,
        /// Applications there are.
        apps: usize,
    },
}

/// Something that comes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A call on an instance ends.
    End { app: u32, serial: u64 },
    /// The policy is to be asked about an idle instance.
    Instance { app: u32, serial: u64, since_us: u64 },
    /// The policy is to be asked about an application without instance.
    App { app: u32, stamp: u64 },
}

struct Simulation<'a, P> {
    instances: Instances<'a>,
    policy: P,
    node: Node,
    queue: BinaryHeap<Reverse<(u64, Due)>>,
}

/// Replays calls, which are in the order of time.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay(
    apps: &[App],
    calls: impl IntoIterator<Item = Call>,
    policy: impl Policy,
    node: Node,
    window: Window,
) -> Result<Score, ReplayError> {
    let instances = Instances::new(apps, window);
    let mut simulation = Simulation { instances, policy, node, queue: BinaryHeap::new() };
    for app in 0..apps.len() as u32 {
        simulation.ask_app(app, 0);
    }
    let mut before_us = 0;
    for (index, call) in calls.into_iter().enumerate() {
        let index = index as u64;
        if call.at_us < before_us {
            return Err(ReplayError::OutOfOrder { index, late_us: before_us - call.at_us });
        }
        if call.app as usize >= apps.len() {
            return Err(ReplayError::NoApp { index, app: call.app, apps: apps.len() });
        }
        before_us = call.at_us;
        simulation.advance(call.at_us);
        simulation.call(&call);
    }
    simulation.advance(window.until_us);
    Ok(simulation.instances.finish())
}

impl<P: Policy> Simulation<'_, P> {
    /// Does everything that comes due up to `until_us`.
    fn advance(&mut self, until_us: u64) {
        while let Some(Reverse((at_us, due))) = self.queue.peek().copied() {
            if at_us > until_us {
                break;
            }
            self.queue.pop();
            match due {
                Due::End { app, serial } => {
                    if self.instances.leave(app, serial, at_us) {
                        self.ask_instance(app, serial, at_us);
                        self.keep_idle_limit(at_us);
                    }
                }
                Due::Instance { app, serial, since_us } => {
                    let still = |at: &usize| {
                        let instance = self.instances.places[app as usize].instances[*at];
                        instance.running == 0 && instance.idle_since_us == since_us
                    };
                    if self.instances.find(app, serial).filter(still).is_some() {
                        self.ask_instance(app, serial, at_us);
                    }
                }
                Due::App { app, stamp } => {
                    if self.instances.places[app as usize].stamp == stamp {
                        self.ask_app(app, at_us);
                    }
                }
            }
        }
    }

    fn call(&mut self, call: &Call) {
        let Call { at_us: now_us, app, duration_us } = *call;
        let start_us = self.instances.apps[app as usize].start_us;
        let found = self.free(app);
        let (at, met) = match found {
            Some(at) => {
                let instance = self.instances.places[app as usize].instances[at];
                let met = match (instance.ready_us > now_us, instance.unused) {
                    (false, _) => Met::Warm,
                    (true, true) => Met::Cold,
                    (true, false) => Met::Waited,
                };
                (Some(at), met)
            }
            None => (self.load(app, now_us, now_us + start_us, false), Met::Cold),
        };
        self.policy.called(app, now_us, met);
        let Some(at) = at else {
            self.instances.score.dropped += u64::from(now_us >= self.instances.window.from_us);
            self.count(app, now_us, Met::Cold, f64::INFINITY);
            return;
        };
        let ready_us = self.instances.places[app as usize].instances[at].ready_us.max(now_us);
        let end_us = ready_us + duration_us;
        let serial = self.instances.enter(app, at, now_us, end_us);
        self.queue.push(Reverse((end_us, Due::End { app, serial })));
        // A call of no known length counts as one of a millisecond.
        let length_us = duration_us.max(1_000) as f64;
        self.count(app, now_us, met, ((ready_us - now_us) as f64 + length_us) / length_us);
    }

    fn count(&mut self, app: u32, now_us: u64, met: Met, slowdown: f64) {
        let place = &mut self.instances.places[app as usize];
        let first = !std::mem::replace(&mut place.called, true);
        if now_us < self.instances.window.from_us {
            return;
        }
        let score = &mut self.instances.score.apps[app as usize];
        let cold = u64::from(met == Met::Cold);
        if first {
            score.first = 1;
            score.first_cold = cold;
        } else {
            score.calls += 1;
            score.cold += cold;
            score.slowdowns.add(slowdown.min(1e6));
        }
    }

    /// The instance used last among those with room; one that stands before one that is being made.
    fn free(&self, app: u32) -> Option<usize> {
        let concurrency = self.instances.apps[app as usize].concurrency;
        let instances = &self.instances.places[app as usize].instances;
        instances.iter().rposition(|instance| concurrency == 0 || instance.running < concurrency)
    }

    /// Makes an instance if there is memory, and returns its place.
    fn load(&mut self, app: u32, now_us: u64, ready_us: u64, ahead: bool) -> Option<usize> {
        let kib = self.instances.apps[app as usize].memory_kib;
        if let Some(memory_kib) = self.node.memory_kib {
            // An instance that is not needed yet takes no place from one that is worth more.
            let worth = if ahead { self.policy.worth(app, now_us, now_us) } else { f64::INFINITY };
            if !self.make_room(memory_kib.saturating_sub(kib), worth, now_us) || kib > memory_kib {
                return None;
            }
        }
        if let Some(idle_kib) = self.node.idle_kib.filter(|_| ahead)
            && self.instances.idle_kib + kib > idle_kib
        {
            return None;
        }
        self.instances.load(app, now_us, ready_us, ahead);
        Some(self.instances.places[app as usize].instances.len() - 1)
    }

    /// Drops idle instances of a worth below `worth` until at most `kib` are in use; false if that cannot be.
    fn make_room(&mut self, kib: u64, worth: f64, now_us: u64) -> bool {
        while self.instances.memory_kib > kib {
            if !self.evict(worth, now_us) {
                return false;
            }
        }
        true
    }

    fn keep_idle_limit(&mut self, now_us: u64) {
        let idle_kib = self.node.idle_kib.unwrap_or(u64::MAX);
        while self.instances.idle_kib > idle_kib && self.evict(f64::INFINITY, now_us) {}
        self.instances.note_idle();
    }

    /// Drops the idle instance of least worth, if that is below `worth`.
    fn evict(&mut self, worth: f64, now_us: u64) -> bool {
        let mut least: Option<(f64, u32, usize)> = None;
        for (app, at, since_us) in self.instances.idle() {
            let worth = self.policy.worth(app, now_us, since_us);
            if least.is_none_or(|(least, ..)| worth < least) {
                least = Some((worth, app, at));
            }
        }
        let Some((least, app, at)) = least.filter(|(least, ..)| *least < worth) else { return false };
        self.instances.drop_idle(app, at, now_us);
        self.instances.score.evictions += u64::from(now_us >= self.instances.window.from_us);
        let last = self.instances.places[app as usize].instances.is_empty();
        self.policy.evicted(app, least, last);
        if last {
            self.wait(app, now_us);
        }
        true
    }

    fn ask_instance(&mut self, app: u32, serial: u64, now_us: u64) {
        let Some(at) = self.instances.find(app, serial) else { return };
        let place = &self.instances.places[app as usize];
        let idle = place.instances.iter().filter(|instance| instance.running == 0).count() as u32;
        let instance = place.instances[at];
        // What was made ahead of demand waits for the call that follows the last execution, wherever that was.
        let since_us = if instance.unused { place.ended_us } else { Some(instance.idle_since_us) };
        let spare = idle.saturating_sub(1);
        let decision = self.policy.decide(&Idle { app, now_us, since_us, hold: Hold::Loaded, spare });
        if decision.hold == Hold::Loaded {
            let since_us = instance.idle_since_us;
            let until_us = decision.until_us.max(now_us + 1);
            if decision.until_us != u64::MAX {
                self.queue.push(Reverse((until_us, Due::Instance { app, serial, since_us })));
            }
            return;
        }
        self.instances.drop_idle(app, at, now_us);
        if self.instances.places[app as usize].instances.is_empty() {
            self.wait_until(app, decision.until_us.max(now_us + 1));
        }
    }

    fn ask_app(&mut self, app: u32, now_us: u64) {
        let since_us = self.instances.places[app as usize].ended_us;
        let decision = self.policy.decide(&Idle { app, now_us, since_us, hold: Hold::Unloaded, spare: 0 });
        let until_us = decision.until_us.max(now_us + 1);
        let start_us = self.instances.apps[app as usize].start_us;
        if decision.hold == Hold::Loaded
            && let Some(at) = self.load(app, now_us, now_us + start_us, true)
        {
            let serial = self.instances.places[app as usize].instances[at].serial;
            if until_us != u64::MAX {
                self.queue.push(Reverse((until_us, Due::Instance { app, serial, since_us: now_us })));
            }
            return;
        }
        self.wait_until(app, until_us);
    }

    /// Asks the policy anew about an application that has just lost its instance to others: as late as it can be right.
    fn wait(&mut self, app: u32, now_us: u64) {
        self.wait_until(app, now_us + RETRY_US);
    }

    fn wait_until(&mut self, app: u32, until_us: u64) {
        if until_us != u64::MAX {
            let stamp = self.instances.places[app as usize].stamp;
            self.queue.push(Reverse((until_us, Due::App { app, stamp })));
        }
    }
}

/// An application whose instance gave way is looked at again after this.
const RETRY_US: u64 = 10_000_000;
