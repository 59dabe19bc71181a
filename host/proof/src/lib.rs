//! What proves Towpath from outside. It drives the binary `towpath` as an operator would, and uses no crate of it: what is
//! to be proven does not judge itself.
//!
//! - [`mod@bench`]: what a message costs, beside others and beside the limit.
//! - [`scale`]: where the design saturates on AWS, by arithmetic and a simulation.
//! - [`chaos`]: hosts over one queue, faults by a seed, and an oracle at the receiver.

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
