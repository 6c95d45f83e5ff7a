//! What keeps a segment from being made. In: failures. Out: pauses, during which nothing is made and who asks is told
//! when to come again.

use super::{Instance, InstanceState, Weaver};

/// The first pause after a failure; it doubles with each further one.
pub(super) const BACKOFF_MS: u64 = 500;
const BACKOFF_MAX_MS: u64 = 60_000;
/// As many as lead beyond the longest pause.
const DOUBLINGS_MAX: u32 = 7;
/// How long an instance stands until its segment counts as one that can be made, if no request shows it before.
pub(super) const PROVEN_MS: u64 = 1_000;

/// What keeps a segment from being made.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Failures in a row.
    pub failures: u32,
    /// The last one, in words.
    pub cause: String,
    /// No attempt before this.
    pub until_ms: u64,
}

impl Weaver {
    /// An instance could not be made, or ended.
    pub(super) fn failed(&mut self, number: u64, cause: &str, now_ms: u64) {
        let Some(instance) = self.instances.get(&number) else { return };
        if instance.state == InstanceState::Gone {
            return;
        }
        if self.give_up_version(number, cause) {
            return self.remove(number, "failed", now_ms);
        }
        let Some(instance) = self.instances.get(&number) else { return };
        // One that proved itself and ends is replaced at the next request; one that ends before is a fault.
        let (segment, proven) = (instance.segment, instance.proven);
        let trouble = &mut self.trouble[segment];
        if !proven {
            cause.clone_into(&mut trouble.cause);
            // Nothing is begun in a pause: what fails in it was begun together with what led to it.
            if trouble.until_ms <= now_ms {
                trouble.failures = trouble.failures.saturating_add(1);
                let doublings = (trouble.failures - 1).min(DOUBLINGS_MAX);
                trouble.until_ms = now_ms + (BACKOFF_MS << doublings).min(BACKOFF_MAX_MS);
            }
        }
        self.remove(number, "failed", now_ms);
    }

    /// What stands for a while shows that its segment can be made.
    pub(super) fn prove(&mut self, now_ms: u64) {
        let stood = |i: &&Instance| i.ready_ms.is_some_and(|at_ms| at_ms + PROVEN_MS <= now_ms);
        let unproven = self.instances.values().filter(|instance| instance.is_open() && !instance.proven);
        let proven: Vec<u64> = unproven.filter(stood).map(|instance| instance.number).collect();
        proven.into_iter().for_each(|number| self.proved(number));
    }

    /// An instance has served, or has stood for a while.
    pub(super) fn proved(&mut self, number: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        if !std::mem::replace(&mut instance.proven, true) {
            self.trouble[instance.segment] = Trouble::default();
        }
    }
}
