//! What plugins are compiled for, and the constants for all guests.

use std::time::Duration;

/// The interval of the epoch tick. A guest overruns its wall-clock limit by at most this much.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The most elements of a guest's table.
pub(super) const MAX_TABLE: usize = 100_000;

/// The contract version of this host.
pub const CONTRACT: &str = "1.0.0";

/// The full wasmtime version: a `.cwasm` of another version is not loaded.
pub const WASMTIME: &str = "48.0.8";

/// The engine settings as one text: a `.cwasm` compiled with others is not loaded.
pub(super) const SETTINGS: &str = "fuel,epochs,baseline-cpu";

/// The target triple of this machine. Naming it keeps the compiler from using CPU features that another machine may
/// lack.
pub fn host_triple() -> &'static str {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("aarch64", "linux") => "aarch64-unknown-linux-gnu",
        ("aarch64", "macos") => "aarch64-apple-darwin",
        ("x86_64", "macos") => "x86_64-apple-darwin",
        _ => "x86_64-unknown-linux-gnu",
    }
}
