//! Waiting for a condition, never for a time.
//!
//! In: what is waited for, and for how long at most. Out: what the condition gave, or an error that names it.
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` gives something.
///
/// # Errors
/// When it has not within `limit`.
pub fn wait_for_some<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if begun.elapsed() > limit {
            bail!("waited {limit:?} in vain for {what}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lets a time pass after which something is made to fail: a fault that hits something at a chosen moment. Never to wait
/// for anything.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until `condition` holds.
///
/// # Errors
/// As [`wait_for_some`].
pub fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for_some(what, limit, || condition().then_some(()))
}
