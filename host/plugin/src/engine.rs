//! The WebAssembly engine: its settings and its linker.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

#[cfg(feature = "compile")]
use super::cache::Cache;
use super::guest::{self, Guest};
use super::host::{MAX_TABLE, host_triple};
use super::ticker::Ticker;

/// Up to this many bytes per slot are zeroed instead of returned to the system, where the system can tell which pages
/// were written. Where it cannot (Linux before 6.7), zeroing would take longer than the call.
const KEPT_MEMORY: usize = 1024 * 1024;
const KEPT_TABLE: usize = 64 * 1024;

/// The engine shared by all plugins of a process. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Guest>>,
    pub(super) ticker: Ticker,
    #[cfg(feature = "compile")]
    pub(super) cache: Option<Arc<Cache>>,
}

impl Engine {
    /// An engine for this architecture, using only CPU features that all its machines have, with slots for a few dozen
    /// concurrent calls.
    pub fn new() -> wasmtime::Result<Engine> {
        Engine::with_slots(64)
    }

    /// An engine for this many concurrent calls. One more call fails because the host is starved. A slot costs address
    /// space, and memory only after its first use.
    pub fn with_slots(slots: usize) -> wasmtime::Result<Engine> {
        Engine::start(config(Some(host_triple()))?, slots)
    }

    /// The same engine with a cache, so that the next start need not compile again. Native code that somebody ships
    /// with a component is never used instead, because it runs outside the sandbox.
    #[cfg(feature = "compile")]
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Engine {
        Engine { cache: Some(Arc::new(cache)), ..self }
    }

    fn start(mut config: Config, slots: usize) -> wasmtime::Result<Engine> {
        config.allocation_strategy(pool(u32::try_from(slots).unwrap_or(u32::MAX)));
        let wasmtime = wasmtime::Engine::new(&config)?;
        let linker = Arc::new(guest::linker(&wasmtime)?);
        let ticker = Ticker::start(&wasmtime)?;
        Ok(Engine {
            wasmtime,
            linker,
            ticker,
            #[cfg(feature = "compile")]
            cache: None,
        })
    }
}

/// Compiles a component for a target triple, into a form that [`Engine::new`] there can load.
#[cfg(feature = "compile")]
pub(super) fn precompile(wasm: &[u8], triple: &str) -> wasmtime::Result<Vec<u8>> {
    compiler(triple)?.precompile_component(wasm)
}

#[cfg(feature = "compile")]
pub(super) fn compiler(triple: &str) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&config(Some(triple))?)
}

fn config(triple: Option<&str>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.wasm_component_model(true).consume_fuel(true).epoch_interruption(true);
    if let Some(triple) = triple {
        config.target(triple)?;
    }
    Ok(config)
}

/// Instances live in slots that are kept and cleaned, not mapped for each message: that halves the cost of a call, and
/// unmapping would interrupt the other cores.
fn pool(slots: u32) -> PoolingAllocationConfig {
    let (memory, table) =
        if PoolingAllocationConfig::is_pagemap_scan_available() { (KEPT_MEMORY, KEPT_TABLE) } else { (0, 0) };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        // A component has several core instances: the plugin, and its WASI adapter.
        .total_core_instances(slots.saturating_mul(8))
        .total_memories(slots.saturating_mul(2))
        .total_tables(slots.saturating_mul(8))
        .total_stacks(slots)
        .table_elements(MAX_TABLE)
        .linear_memory_keep_resident(memory)
        .table_keep_resident(table)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(slots.min(64));
    pool
}
