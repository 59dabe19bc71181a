//! Towpath's core: the words, the config, the pipeline, the plugin engine and delivery.
//!
//! One message takes one straight line: [`pipeline`] finds its route, verifies it, calls its plugin,
//! delivers what the verdict says and decides. Two drivers feed it: [`poll`] here, and the Lambda host.
//! This crate knows no AWS, no HTTP server and no command line.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod dead_letter;
pub mod decide;
pub mod deliver;
pub mod envelope;
#[cfg(feature = "faults")]
pub mod faults;
pub mod foreign;
pub mod holds;
pub mod json;
mod lease;
pub mod message;
pub mod note_keys;
pub mod outcome;
pub mod pipeline;
pub mod places;
pub mod plugin;
pub mod poll;
pub mod private;
pub mod queue;
pub mod registry;
pub mod regular;
pub mod route;
pub mod signature;
pub mod tasks;
pub mod telemetry;
pub mod trace;
pub mod verdict;
pub mod verify;
