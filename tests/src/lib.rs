//! What the tests share: guests written in WAT, a target that answers by script, the queue contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support fails by panicking"
)]

pub mod binary;
pub mod contract;
pub mod endpoint;
pub mod guest;
pub mod leaks;
pub mod registry;
pub mod rig;
pub mod runtime_api;
pub mod s3;
pub mod server;
pub mod target;
pub mod wire;
