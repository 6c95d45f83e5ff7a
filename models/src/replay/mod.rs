//! Replay: calls of a trace on a virtual clock and simulated instances, under a policy. In: applications, calls in the
//! order of time, a policy, the node. Out: cold starts, wasted memory, churn and slowdown, over all and per application.
//! Refused: calls that go back in time and calls of applications that do not exist.
//!
//! A call takes the instance that was used last among those with room, waits for one that is being made if there is none,
//! or starts one. It is a cold start if it starts one, or has to wait for one that is made ahead of demand; who waits
//! with a call that started one is slowed down, but is no cold start of its own. An instance that serves nobody is *idle*; when it becomes so, its policy says for how
//! long it stays, and is asked again then. An application without an instance waits in the same way for one to be
//! *prewarmed*. When memory is short the idle instance of least worth goes first, and a call for which no place can
//! be made is dropped and counted.
//!
//! **Wasted memory** is memory × time during which an instance stands (or is made ahead of demand) and serves nobody, from
//! the beginning of the scored time to the end of the trace. It is counted in KiB·µs without rounding; a GB is 2³⁰ bytes.

mod baselines;
mod hybrid;
mod node;
mod oracle;
mod score;
mod simulate;

pub use baselines::{AlwaysWarm, FixedKeepAlive, GreedyDual, NoKeepAlive};
pub use hybrid::HybridHistogram;
pub use oracle::Clairvoyant;
pub use score::{AppScore, Figures, Score, Slowdowns, percentile};
pub use simulate::{Node, ReplayError, Window, replay};

use crate::trace::App;

/// Whether there is to be an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// One stays, or is made.
    Loaded,
    /// It goes, or none is made.
    Unloaded,
}

/// What is to be until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub hold: Hold,
    /// Until when, in µs; then the policy is asked again. [`u64::MAX`]: until the next call.
    pub until_us: u64,
}

impl Decision {
    /// An instance until then.
    pub fn loaded(until_us: u64) -> Self {
        Self { hold: Hold::Loaded, until_us }
    }

    /// No instance until then.
    pub fn unloaded(until_us: u64) -> Self {
        Self { hold: Hold::Unloaded, until_us }
    }
}

/// An application, or one of its instances, that serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Which application.
    pub app: u32,
    /// Now, in µs.
    pub now_us: u64,
    /// When its last execution ended, of an instance or, where none was used since, of the application; `None` before that.
    pub since_us: Option<u64>,
    /// Whether an instance stands.
    pub hold: Hold,
    /// How many other instances of it are idle.
    pub spare: u32,
}

/// How a call was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// An instance was there.
    Warm,
    /// One was being made for an earlier call, and it waited with that one.
    Waited,
    /// One was made for it, or was still being made ahead of it: a cold start.
    Cold,
}

/// Decides how long instances stand. Gets applications by index, and is asked in the order of time.
pub trait Policy {
    /// Sees a call arrive.
    fn called(&mut self, _app: u32, _now_us: u64, _met: Met) {}

    /// What is to be now, and until when.
    fn decide(&mut self, idle: &Idle) -> Decision;

    /// What an idle instance is worth; of several the one of least worth gives way when memory is short. Without another
    /// answer the one goes that has been idle for longest.
    fn worth(&mut self, _app: u32, _now_us: u64, idle_since_us: u64) -> f64 {
        idle_since_us as f64
    }

    /// Sees an idle instance give way; `last` if the application has none left.
    fn evicted(&mut self, _app: u32, _worth: f64, _last: bool) {}
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn called(&mut self, app: u32, now_us: u64, met: Met) {
        (**self).called(app, now_us, met);
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        (**self).decide(idle)
    }

    fn worth(&mut self, app: u32, now_us: u64, idle_since_us: u64) -> f64 {
        (**self).worth(app, now_us, idle_since_us)
    }

    fn evicted(&mut self, app: u32, worth: f64, last: bool) {
        (**self).evicted(app, worth, last);
    }
}

/// Memory of applications in the unit of prices, GB.
pub fn gigabytes(app: &App) -> f64 {
    app.memory_kib as f64 / f64::from(1 << 20)
}
