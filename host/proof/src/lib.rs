//! Tests Towpath from outside. It drives the binary `towpath` as an operator does and uses none of its crates, so that the code
//! under test does not judge itself.
//!
//! - [`mod@bench`]: the cost per message, against alternatives and the theoretical limit.
//! - [`scale`]: where the design saturates on AWS, by arithmetic and simulation.
//! - [`chaos`]: several hosts on one queue, faults by a seed, and an oracle that checks the target's record.

pub mod bench;
pub mod chaos;
mod event;
mod journal;
mod mapping;
mod oracle;
mod process;
mod proxy;
mod receiver;
pub mod runtime_api;
pub mod scale;

pub use event::{Event, Kind};
pub use journal::{Call, Journal, Pause};
pub use oracle::{Books, Judgement, ListedLetter, Violation};
