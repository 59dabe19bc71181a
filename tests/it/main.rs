//! Tests that cross rooms.

mod contract_local;
mod ingest;
mod plugin;
