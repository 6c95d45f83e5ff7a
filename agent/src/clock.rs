//! The time. Live stages read it here and hand it on as a number, so that the deciding code reads no clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time that never goes back: the wall clock at the start, then the monotonic one.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    began_ms: f64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_ms: unix.as_secs_f64() * 1000.0 }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.exact_ms() as u64
    }

    /// The same with fractions.
    pub fn exact_ms(&self) -> f64 {
        self.began_ms + self.began.elapsed().as_secs_f64() * 1000.0
    }
}

/// What a step gives, and how long it took.
pub async fn timed<T>(step: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = step.await;
    (done, began.elapsed())
}
