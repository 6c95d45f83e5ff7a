//! What weft decides with. In come observations, out go forecasts.
//! Pure: no I/O, no clock, no threads; the same input gives the same output. The modules stand in the order in which
//! an observation meets them.
//!
//! ```text
//! Observation ─► history ─► Candidate ─► forecast ─► Ranked ─► path ─► Forecast
//!                   └─ Lesson ─► forecast::train ─► Model ─► evaluate ─► Verdict
//! calls ─► timing ─► chance of a call, now and in coming minutes ─► policy ─► whether an instance stands
//! trace ─► calls ─► replay, under that policy and those of the literature ─► contest ─► who does better
//! ```

pub mod observe;

pub mod history;

pub mod features;

pub mod forecast;

pub mod path;

pub mod evaluate;

pub mod artifact;

pub mod graph;

pub mod cost;

pub mod profile;

pub mod reading;

mod dice;

pub mod trace;

pub mod replay;

pub mod timing;

pub mod policy;

pub mod contest;

pub mod seed;

pub use artifact::ArtifactError;
pub use evaluate::{
    Accuracy, AccuracyLimits, Drift, Scorecard, SegmentScore, Verdict, Weather, better, score,
};
pub use features::{N, NAMES};
pub use forecast::{Card, Explanation, Model, Options, Ranked, TrainError};
pub use history::{Candidate, History, Lesson, Limits, Outcome, Source, Sources};
pub use observe::{Observation, Principal, PrincipalId, SegmentId, SyscallShares};
pub use path::{Forecast, Forecaster, Reach, Silence, Step, Trigger};
