//! Tests that cross rooms.

mod contract_local;
mod delivery;
mod ingest;
mod pipeline;
mod plugin;
