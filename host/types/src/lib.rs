//! The vocabulary of Towpath: message, envelope, verdict, outcome, group, clock, and the traits of the outside world.
//!
//! All other rooms use these types. Nothing here does I/O, starts a task, or knows a wire format other than the
//! envelope.

pub mod archive;
pub mod artifacts;
pub mod backoff;
pub mod body;
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
pub mod replay;
pub mod verdict;
