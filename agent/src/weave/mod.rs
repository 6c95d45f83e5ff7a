//! From forecasts to instances.
pub mod network;
