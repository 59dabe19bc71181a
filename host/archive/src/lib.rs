//! Events that were delivered or skipped, kept for a while in a folder of append-only files, the *segments*.
//!
//! [`Folder`] finds them again.

#[cfg_attr(not(test), allow(dead_code, reason = "only tests close segments so far"))]
mod closed;
mod events;
mod filter;
mod folder;
mod index;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests make names so far"))]
mod name;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests write records so far"))]
mod record;
mod segment;

pub use events::Events;
pub use filter::{Filter, Limit};
pub use folder::{Folder, Stats};
