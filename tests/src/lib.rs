//! The harness.
pub mod containerd;
pub mod image;
