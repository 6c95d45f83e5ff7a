//! Dispatch: connections that found no instance. In: connections which the kernel's route table led here, one
//! listener per segment. Out: the same bytes at an instance, made for them where there is none; or a 503 that says
//! when to come again. No request is lost: what cannot be served is told so, and a caller is retried at another
//! instance as long as none of its bytes were sent.
//!
//! Bounded: [`HELD_MAX`] connections at a time; past that they wait in the listener's backlog.

mod activator;

pub use activator::{Activator, HELD_MAX, listen};
