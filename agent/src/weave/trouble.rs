//! What keeps a segment from being made. In: failures. Out: pauses, during which nothing is made and who asks is told
//! when to come again.

use super::{InstanceState, Weaver};

/// The first pause after a failure; it doubles with each further one.
pub(super) const BACKOFF_MS: u64 = 500;
pub(super) const BACKOFF_MAX_MS: u64 = 60_000;

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
    pub(super) fn failed(&mut self, number: u64, cause: &str, now_ms: u64) {
        let Some(instance) = self.instances.get(&number) else { return };
        if instance.state == InstanceState::Gone {
            return;
        }
        let segment = instance.segment;
        // One that served for a while and ends is replaced at the next request; one that never listened is a fault.
        if instance.ready_ms.is_none() {
            let trouble = &mut self.trouble[segment];
            trouble.failures += 1;
            let pause = BACKOFF_MS.saturating_mul(1 << (trouble.failures - 1).min(10)).min(BACKOFF_MAX_MS);
            trouble.until_ms = now_ms + pause;
            cause.clone_into(&mut trouble.cause);
        }
        self.remove(number, "failed", now_ms);
    }
}
