//! What the code of a plugin is compiled for and with, and what is the same for all guests.

use std::time::Duration;

/// How often the clock of all guests ticks. A guest runs over its wall clock by at most this much.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The most elements of a guest's table.
pub(super) const MAX_TABLE: usize = 100_000;

/// The version of the contract that this host speaks.
pub const CONTRACT: &str = "1.0.0";

/// The version of wasmtime, whole: a `.cwasm` of another one is not loaded.
pub const WASMTIME: &str = "48.0.8";

/// The settings below as one text: a `.cwasm` that was compiled with others is not loaded.
pub(super) const SETTINGS: &str = "fuel,epochs,baseline-cpu";

/// The target triple of this machine. Naming it keeps the compiler from using CPU features that the next
/// machine may lack.
pub fn host_triple() -> &'static str {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("aarch64", "linux") => "aarch64-unknown-linux-gnu",
        ("aarch64", "macos") => "aarch64-apple-darwin",
        ("x86_64", "macos") => "x86_64-apple-darwin",
        _ => "x86_64-unknown-linux-gnu",
    }
}
