//! Instances of one node. In: what is loaded, used and dropped, with its time. Out: memory in use, and the account of what
//! stood idle.

use crate::trace::App;

use super::{Score, Window};

/// One instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    /// Tells it from others that came and went.
    pub(super) serial: u64,
    /// Calls that it serves.
    pub(super) running: u32,
    /// When it can serve.
    pub(super) ready_us: u64,
    /// Since when it is idle; meaningless while it serves.
    pub(super) idle_since_us: u64,
    /// When it ends or ended its last execution.
    pub(super) used_us: u64,
    /// Made ahead of demand and not used yet.
    pub(super) unused: bool,
}

/// One application.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Its instances, the one used last at the end.
    pub(super) instances: Vec<Instance>,
    /// When its last execution ended.
    pub(super) ended_us: Option<u64>,
    /// Whether it was ever called.
    pub(super) called: bool,
    /// Goes up whenever what was decided for the application as a whole no longer holds.
    pub(super) stamp: u64,
}

/// All instances, and what they take.
#[derive(Debug)]
pub(super) struct Instances<'a> {
    pub(super) apps: &'a [App],
    pub(super) places: Vec<Place>,
    pub(super) window: Window,
    pub(super) score: Score,
    pub(super) memory_kib: u64,
    pub(super) idle_kib: u64,
    serial: u64,
}

impl<'a> Instances<'a> {
    pub(super) fn new(apps: &'a [App], window: Window) -> Self {
        let score = Score { apps: vec![Default::default(); apps.len()], ..Score::default() };
        let places = vec![Place::default(); apps.len()];
        Self { apps, places, window, score, memory_kib: 0, idle_kib: 0, serial: 0 }
    }

    /// Makes an instance that can serve at `ready_us`. It counts as idle from now on until it is used.
    pub(super) fn load(&mut self, app: u32, now_us: u64, ready_us: u64, ahead: bool) -> u64 {
        self.serial += 1;
        let instance = Instance {
            serial: self.serial,
            running: 0,
            ready_us,
            idle_since_us: now_us,
            used_us: now_us,
            unused: ahead,
        };
        let place = &mut self.places[app as usize];
        place.instances.push(instance);
        place.stamp += 1;
        let kib = self.apps[app as usize].memory_kib;
        self.memory_kib += kib;
        self.idle_kib += kib;
        self.score.memory_kib_max = self.score.memory_kib_max.max(self.memory_kib);
        if ahead {
            self.note_idle();
            self.score.prewarms += u64::from(now_us >= self.window.from_us);
        }
        self.serial
    }

    /// Where an instance stands in its application's list.
    pub(super) fn find(&self, app: u32, serial: u64) -> Option<usize> {
        self.places[app as usize].instances.iter().position(|instance| instance.serial == serial)
    }

    /// Another call on an instance, until `until_us`; it becomes the one used last.
    pub(super) fn enter(&mut self, app: u32, at: usize, now_us: u64, until_us: u64) -> u64 {
        let kib = self.apps[app as usize].memory_kib;
        let place = &mut self.places[app as usize];
        let mut instance = place.instances.remove(at);
        if instance.running == 0 {
            self.idle_kib -= kib;
            self.score.wasted_kib_us += self.window.kib_us(kib, instance.idle_since_us, now_us);
            instance.idle_since_us = now_us;
        }
        instance.running += 1;
        instance.unused = false;
        instance.used_us = instance.used_us.max(until_us);
        let serial = instance.serial;
        place.instances.push(instance);
        place.stamp += 1;
        serial
    }

    /// A call ends; true if the instance is idle now.
    pub(super) fn leave(&mut self, app: u32, serial: u64, now_us: u64) -> bool {
        let kib = self.apps[app as usize].memory_kib;
        let Some(at) = self.find(app, serial) else { return false };
        let place = &mut self.places[app as usize];
        place.ended_us = Some(now_us);
        let instance = &mut place.instances[at];
        instance.running -= 1;
        if instance.running > 0 {
            return false;
        }
        self.score.busy_kib_us += self.window.kib_us(kib, instance.idle_since_us, now_us);
        instance.idle_since_us = now_us;
        self.idle_kib += kib;
        true
    }

    /// Remembers the most memory that stood idle, once it is settled what goes.
    pub(super) fn note_idle(&mut self) {
        self.score.idle_kib_max = self.score.idle_kib_max.max(self.idle_kib);
    }

    /// Drops an idle instance.
    pub(super) fn drop_idle(&mut self, app: u32, at: usize, now_us: u64) {
        let kib = self.apps[app as usize].memory_kib;
        let place = &mut self.places[app as usize];
        let instance = place.instances.remove(at);
        place.stamp += 1;
        self.idle_kib -= kib;
        self.memory_kib -= kib;
        self.score.wasted_kib_us += self.window.kib_us(kib, instance.idle_since_us, now_us);
        self.score.prewarms_unused += u64::from(instance.unused && now_us >= self.window.from_us);
    }

    /// All idle instances: application, place in its list, since when.
    pub(super) fn idle(&self) -> impl Iterator<Item = (u32, usize, u64)> {
        self.places.iter().enumerate().flat_map(|(app, place)| {
            let idle = place.instances.iter().enumerate().filter(|(_, instance)| instance.running == 0);
            idle.map(move |(at, instance)| (app as u32, at, instance.idle_since_us))
        })
    }

    /// Ends all accounts at the end of the trace.
    pub(super) fn finish(mut self) -> Score {
        for (place, app) in self.places.iter().zip(self.apps) {
            for instance in &place.instances {
                let sum = self.window.kib_us(app.memory_kib, instance.idle_since_us, self.window.until_us);
                if instance.running == 0 {
                    self.score.wasted_kib_us += sum;
                } else {
                    self.score.busy_kib_us += sum;
                }
            }
        }
        self.score
    }
}

impl Window {
    /// Memory × time of the part of a stretch that is scored.
    fn kib_us(self, kib: u64, from_us: u64, until_us: u64) -> u128 {
        let (from, until) = (from_us.max(self.from_us), until_us.min(self.until_us));
        u128::from(kib) * u128::from(until.saturating_sub(from))
    }
}
