//! The words of Towpath: message, envelope, verdict, outcome, group, clock, and the traits of what is outside.
//!
//! Every other room speaks in these types. Nothing here does I/O, starts a task or knows a wire protocol beyond the envelope.

pub mod artifacts;
pub mod backoff;
pub mod clock;
pub mod dead_letter;
pub mod envelope;
#[cfg(feature = "faults")]
pub mod faults;
pub mod foreign;
pub mod holds;
pub mod json;
pub mod message;
pub mod outcome;
pub mod queue;
pub mod verdict;
