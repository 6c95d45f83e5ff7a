//! The agent. The stages stand in the order in which an event meets them; [`app`] alone joins them.
//!
//! ```text
//! kernel hook ─ring─► capture ─Event─► predict ─Forecast─► weave ─Route─► dispatch, kernel
//!                        └──────── outcome of every stage ────► learn ─Model─► predict
//! ```

pub mod capture;
pub mod dispatch;
pub mod intake;
pub mod learn;
pub mod predict;
pub mod replay;
pub mod weave;

pub mod kernel;
pub mod runtime;

pub mod cli;
pub mod control;

pub mod app;
pub mod clock;
pub mod config;
pub mod drain;
pub mod metrics;
pub mod scrape;
pub mod segments;
