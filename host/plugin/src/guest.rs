//! The host's side of one call: the state in a guest's store, and the functions that a guest may import.

use std::sync::Arc;

use tracing::{debug, error, info, trace, warn};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{CallHook, ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::Transformer;
use super::bindings::towpath::plugin::{config, log, types};
use super::host::{MAX_TABLE, TICK};
use super::sandbox::{self, HasMonotonic, Monotonic, MonotonicView, Stderr};
use super::ticker::Running;
use towpath_config::plugin::Limits;
use towpath_types::clock::Timestamp;
use towpath_types::foreign::Foreign;

/// The most bytes that a guest may pass to the host at once, including its verdict.
pub(super) const MAX_OUTPUT: usize = 1024 * 1024;

/// The most host calls of a guest. Fuel does not cover the host's work, and a fixed count is deterministic across
/// retries.
const MAX_HOST_CALLS: u32 = 10_000;

/// The most host resources, such as streams, that a guest may hold at a time.
const MAX_RESOURCES: usize = 1024;

/// The most log lines per call that are written, and their length.
const MAX_LOG_LINES: usize = 64;
const MAX_LOG_LINE: usize = 4 * 1024;

/// The state of one call.
pub(super) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    monotonic: Monotonic,
    pub(super) stderr: Stderr,
    pub(super) memory_left: usize,
    table_left: usize,
    /// The limit that was hit, if any.
    pub(super) exceeded: Option<&'static str>,
    /// Written after the call, and dropped if the call is repeated.
    logged: Vec<Logged>,
    host_calls: u32,
    config: Arc<str>,
    _running: Running,
}

/// A store for one call.
pub(super) fn store(
    engine: &wasmtime::Engine,
    running: Running,
    limits: Limits,
    config: Arc<str>,
    message_id: &str,
    now: Timestamp,
) -> wasmtime::Result<Store<Guest>> {
    let stderr = Stderr::default();
    let guest = Guest {
        wasi: sandbox::context(message_id, now, &stderr),
        table: bounded_table(),
        monotonic: Monotonic::default(),
        stderr,
        memory_left: limits.memory,
        table_left: MAX_TABLE,
        exceeded: None,
        logged: Vec::new(),
        host_calls: 0,
        config,
        _running: running,
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(MAX_OUTPUT);
    store.call_hook(|mut store, hook| match hook {
        CallHook::CallingHost => store.data_mut().count_host_call(),
        _ => Ok(()),
    });
    let ticks = limits.timeout.as_millis().div_ceil(TICK.as_millis());
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
    store.epoch_deadline_trap();
    Ok(store)
}

fn bounded_table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_RESOURCES);
    table
}

/// A linker with everything that a guest may import. WASI's helper also links sockets; the allow-list in
/// [`super::load`] rejects components that import them.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Transformer::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    linker.allow_shadowing(true);
    wasmtime_wasi::p2::bindings::clocks::monotonic_clock::add_to_linker::<Guest, HasMonotonic>(&mut linker, |guest| {
        MonotonicView { clock: &mut guest.monotonic, table: &mut guest.table }
    })?;
    Ok(linker)
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Guest {
    /// Writes the guest's log lines.
    pub(super) fn write_log(&self) {
        self.logged.iter().for_each(Logged::write);
    }

    fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls += 1;
        if self.host_calls <= MAX_HOST_CALLS {
            return Ok(());
        }
        self.exceeded = Some("host call");
        Err(wasmtime::Error::msg("limit of host calls reached"))
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current);
        let Some(left) = self.memory_left.checked_sub(wanted) else {
            self.exceeded = Some("memory");
            return Err(wasmtime::Error::msg("memory limit reached"));
        };
        self.memory_left = left;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current);
        let Some(left) = self.table_left.checked_sub(wanted) else {
            self.exceeded = Some("table size");
            return Err(wasmtime::Error::msg("table limit reached"));
        };
        self.table_left = left;
        Ok(true)
    }
}

impl types::Host for Guest {}

impl config::Host for Guest {
    fn document(&mut self) -> String {
        self.config.to_string()
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String, fields: types::Ext) {
        if self.logged.len() >= MAX_LOG_LINES {
            if self.logged.len() == MAX_LOG_LINES {
                self.logged.push(Logged::Dropped);
            }
            return;
        }
        let fields = fields.iter().map(|(key, value)| format!(" {key}={value}"));
        let mut line = fields.fold(message, |line, field| line + &field);
        line.truncate(line.floor_char_boundary(MAX_LOG_LINE));
        let line = Foreign::line(&line).at_most(MAX_LOG_LINE).to_string();
        self.logged.push(Logged::Line(level, line));
    }
}

enum Logged {
    Line(log::Level, String),
    /// More lines than the limit.
    Dropped,
}

impl Logged {
    fn write(&self) {
        match self {
            Logged::Line(log::Level::Trace, line) => trace!(target: "plugin", plugin_says = line),
            Logged::Line(log::Level::Debug, line) => debug!(target: "plugin", plugin_says = line),
            Logged::Line(log::Level::Info, line) => info!(target: "plugin", plugin_says = line),
            Logged::Line(log::Level::Warn, line) => warn!(target: "plugin", plugin_says = line),
            Logged::Line(log::Level::Error, line) => error!(target: "plugin", plugin_says = line),
            Logged::Dropped => {
                warn!(lines = MAX_LOG_LINES, "plugin log limit reached, dropping the rest of this call's lines");
            }
        }
    }
}
