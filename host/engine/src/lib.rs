//! The path of every message: route, verify, plugin, deliver, decide, dead-letter, settle.
//!
//! [`pipeline`] is that path; [`poll`] and [`lambda`] are the drivers that feed it. This room depends on no AWS SDK,
//! HTTP server or command line.

pub mod decide;
pub mod facts;
pub mod lambda;
pub mod next_try;
pub mod pipeline;
pub mod poll;
