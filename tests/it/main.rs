//! Tests that cross rooms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod admission;
mod architecture;
mod auth;
mod cli;
mod clients;
mod compiled;
mod contract_local;
mod contract_sqs;
mod delivery;
mod echoes;
mod fetched;
mod fit;
mod forward;
mod handshakes;
mod holds;
mod hostile;
mod ingest;
mod kept;
mod keys;
mod lambda;
mod learned;
mod lease;
mod moved;
mod moves;
mod network;
mod order;
mod pipeline;
mod plugin;
mod poll;
mod providers;
mod rebinding;
mod registry;
mod released;
mod replayed;
mod secrets;
mod split;
mod strangers;
mod stream;
mod telemetry;
mod tenants;
mod tokens;
mod unready;
mod verify;
mod waits;
