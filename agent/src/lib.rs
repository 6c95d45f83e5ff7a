//! The agent. The stages stand in the order in which an event meets them; `app` alone joins them.
pub mod kernel;
pub mod runtime;
pub mod weave;
