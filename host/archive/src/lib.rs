//! Events that were delivered or skipped, kept for a while in a folder of append-only files, the *segments*.
//!
//! [`Segments`] keeps them, for a process that settles events; several processes may share a folder. [`Folder`] finds them again.
//! [`Gathered`] finds events that another room reads elsewhere, by the same filter and in the same order.

mod clock;
mod closed;
mod erase;
mod events;
mod filter;
mod folder;
mod gathered;
mod index;
mod name;
mod record;
mod segment;
mod space;
mod spool;
mod tidy;
mod turn;
mod writer;

pub use erase::{Erased, Wanted};
pub use events::Events;
pub use filter::{Filter, Limit};
pub use folder::{Folder, Stats};
pub use gathered::Gathered;
pub use writer::{Segments, Settings};
