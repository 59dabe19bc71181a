//! Tests that cross rooms.

mod contract_local;
mod delivery;
mod ingest;
mod lambda;
mod pipeline;
mod plugin;
mod poll;
