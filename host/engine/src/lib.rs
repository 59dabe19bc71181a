//! The line that every message takes: route, verify, plugin, deliver, decide, dead-letter, settle.
//!
//! [`pipeline`] is the line; [`poll`] and [`lambda`] are the drivers that feed it. This room knows no SDK of AWS, no HTTP server
//! and no command line.

pub mod decide;
pub mod facts;
pub mod lambda;
pub mod next_try;
pub mod pipeline;
pub mod poll;
