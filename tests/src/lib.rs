//! The harness.
pub mod containerd;
pub mod helm;
pub mod image;
