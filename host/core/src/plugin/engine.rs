//! The WebAssembly engine: its settings, its linker, and the thread that makes its clock tick.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Config;
use wasmtime::component::Linker;

use super::guest::{self, Guest};

/// How often the clock of all guests ticks. A guest runs over its wall clock by at most this much.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The version of wasmtime, whole: a `.cwasm` of another one is not loaded.
pub(super) const WASMTIME: &str = "48.0.8";

/// The settings below as one text: a `.cwasm` that was compiled with others is not loaded.
pub(super) const SETTINGS: &str = "fuel,epochs,baseline-cpu";

/// The engine that all plugins of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Guest>>,
}

impl Engine {
    /// An engine for this machine's architecture, with the CPU features that every machine of it has.
    pub fn new() -> wasmtime::Result<Engine> {
        let wasmtime = wasmtime::Engine::new(&config(Some(host_triple()))?)?;
        let linker = Arc::new(guest::linker(&wasmtime)?);
        start_ticker(&wasmtime)?;
        Ok(Engine { wasmtime, linker })
    }
}

/// Compiles a component for a target triple, into what [`Engine::new`] there can load.
#[cfg(feature = "compile")]
pub(super) fn precompile(wasm: &[u8], triple: &str) -> wasmtime::Result<Vec<u8>> {
    wasmtime::Engine::new(&config(Some(triple))?)?.precompile_component(wasm)
}

/// The target triple of this machine. Naming it keeps the compiler from using CPU features that the next
/// machine may lack.
pub(super) fn host_triple() -> &'static str {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("aarch64", "linux") => "aarch64-unknown-linux-gnu",
        ("aarch64", "macos") => "aarch64-apple-darwin",
        ("x86_64", "macos") => "x86_64-apple-darwin",
        _ => "x86_64-unknown-linux-gnu",
    }
}

fn config(triple: Option<&str>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.wasm_component_model(true).consume_fuel(true).epoch_interruption(true);
    if let Some(triple) = triple {
        config.target(triple)?;
    }
    Ok(config)
}

/// A plain thread: a guest that spins can starve every timer of tokio. It ends with the engine.
fn start_ticker(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("towpath-ticker".to_owned()).spawn(tick).map(drop)
}
