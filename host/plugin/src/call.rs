//! One call of a plugin, and the meaning of a failed one.

use std::sync::Arc;

use futures_util::FutureExt as _;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use super::guest::{self, Guest};
use super::{Plugin, v1};
use towpath_config::plugin::Limits;
use towpath_types::foreign::Foreign;
use towpath_types::message::Message;
use towpath_types::outcome::{Fault, FaultKind};
use towpath_types::verdict::Verdict;

/// The result of a call, and what it used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transformed {
    /// The verdict, or how the plugin failed.
    pub verdict: Result<Verdict, Fault>,
    /// Fuel used, including instantiation.
    pub fuel: u64,
    /// Peak linear memory, in bytes.
    pub memory: u64,
    /// The end of its stdout and stderr.
    pub printed: String,
}

impl Plugin {
    /// Maps a message in a fresh instance, within `limits`. Blocks: do not call it on an async thread.
    pub fn transform(&self, message: &Message, limits: Limits) -> Transformed {
        let (transformed, store) = self.run(message, limits);
        if let Some(store) = store {
            store.data().write_log();
        }
        transformed
    }

    /// Maps a message, or returns `None` if that would exceed `limits`. Such a call has no effects, not even log lines:
    /// repeat it with more time.
    pub fn try_transform(&self, message: &Message, limits: Limits) -> Option<Transformed> {
        let (transformed, store) = self.run(message, limits);
        if transformed.verdict.as_ref().is_err_and(|fault| fault.kind == FaultKind::Timeout) {
            return None;
        }
        if let Some(store) = store {
            store.data().write_log();
        }
        Some(transformed)
    }

    /// One call, and its guest's state, if it got that far.
    fn run(&self, message: &Message, limits: Limits) -> (Transformed, Option<Store<Guest>>) {
        let config = Arc::clone(&self.config);
        let store = guest::store(
            &self.engine.wasmtime,
            self.engine.ticker.run(),
            limits,
            config,
            message.id.as_str(),
            message.sent_at,
        );
        let mut store = match store {
            Ok(store) => store,
            Err(error) => {
                let fault = Fault::new(FaultKind::Trap, format!("cannot create the plugin's store: {error:#}"));
                return (Transformed { verdict: Err(fault), fuel: 0, memory: 0, printed: String::new() }, None);
            }
        };
        let called = at_once(async {
            let instance = self.component.instance_pre().instantiate_async(&mut store).await?;
            let exported = self.transform.load(&mut store, &instance)?;
            exported.call_transform(&mut store, &v1::message(message)).await
        });
        let verdict = match called {
            Ok(answer) => v1::verdict(answer),
            Err(error) => Err(fault(&error, &store)),
        };
        let printed = store.data().stderr.text();
        let verdict = verdict.map_err(|fault| Fault { stderr: printed.clone(), ..fault });
        let left = store.get_fuel().unwrap_or_default();
        let memory = limits.memory.saturating_sub(store.data().memory_left) as u64;
        (Transformed { verdict, fuel: limits.fuel.saturating_sub(left), memory, printed }, Some(store))
    }
}

/// The result of a guest's call. No host function ever waits (ADR 5), so a call completes at its first poll.
pub(super) fn at_once<T>(call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    call.now_or_never()
        .unwrap_or_else(|| Err(wasmtime::Error::msg("the plugin waits for something that never happens")))
}

pub(super) fn fault(error: &wasmtime::Error, store: &Store<Guest>) -> Fault {
    let trace = error.downcast_ref::<WasmBacktrace>().map(functions).unwrap_or_default();
    let (kind, message) = kind(error, store.data().exceeded);
    Fault { kind, message, trace, stderr: store.data().stderr.text() }
}

fn kind(error: &wasmtime::Error, exceeded: Option<&'static str>) -> (FaultKind, String) {
    if let Some(limit) = exceeded {
        return (FaultKind::Limit, format!("the plugin exceeded its {limit} limit"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return (FaultKind::Timeout, "the plugin engine has no free slot".to_owned());
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return (FaultKind::Limit, "the plugin exceeded its limit of host resources".to_owned());
    }
    let root = error.root_cause().to_string();
    if root.contains(HOSTCALL_FUEL) {
        return (FaultKind::Limit, format!("the plugin returned more than {} bytes", guest::MAX_OUTPUT));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => (FaultKind::Fuel, "the plugin ran out of fuel".to_owned()),
        Some(Trap::Interrupt) => {
            (FaultKind::Timeout, "the plugin exceeded its wall-clock limit with fuel left".to_owned())
        }
        Some(trap) => (FaultKind::Trap, trap.to_string()),
        None => (FaultKind::Trap, root),
    }
}

/// wasmtime's text for this error, whose type is private. A test with a real guest guards it.
const HOSTCALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";

/// Limit for function names: the component chooses them, and generic ones are long.
const MAX_NAME: usize = 300;

fn functions(backtrace: &WasmBacktrace) -> Vec<String> {
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => {
            let name = format!("{:#}", rustc_demangle::demangle(name));
            Foreign::line(&name).at_most(MAX_NAME).to_string()
        }
        None => format!("function {}", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect()
}
