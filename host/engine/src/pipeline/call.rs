//! The plugin call from asynchronous code: fast guests in place, slow ones on a thread of their own.
//!
//! Most guests take tens of microseconds; handing them to another thread and back costs more than that. A
//! guest that takes its time must not hold up the runtime's threads, for a spinning one would starve every
//! timer. Which of them a guest is turns out when it runs, and a call can be begun again: it is a pure
//! function in a fresh instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_config::plugin::Limits;
use towpath_metrics::{self as metrics, Used};
use towpath_plugin::{Plugin, Transformed};
use towpath_types::message::Message;

/// How long a call may hold up a thread of the runtime, give or take a tick of the guests' clock.
const IN_PLACE: Duration = Duration::from_millis(10);

/// A plugin whose last call took longer than this is called elsewhere.
const SLOW: Duration = Duration::from_millis(1);

/// Calls the plugin within its limits and the time that is left. It fails where the runtime is ending.
pub(super) async fn call(
    plugin: &Arc<Plugin>,
    message: Message,
    left: Duration,
) -> Result<(Message, Transformed), String> {
    let limits = plugin.limits();
    let limits = Limits { timeout: limits.timeout.min(left), ..limits };
    if !plugin.is_slow() && limits.timeout > IN_PLACE {
        let started = Instant::now();
        // One that is broken off here is no call: neither counted nor logged.
        if let Some(transformed) = plugin.try_transform(&message, Limits { timeout: IN_PLACE, ..limits }) {
            called(plugin, &transformed, started);
            return Ok((message, transformed));
        }
    }
    let plugin = Arc::clone(plugin);
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || {
        let _entered = span.entered();
        let started = Instant::now();
        let transformed = plugin.transform(&message, limits);
        called(&plugin, &transformed, started);
        (message, transformed)
    });
    done.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => error.to_string(),
    })
}

/// Counts a call.
fn called(plugin: &Plugin, transformed: &Transformed, started: Instant) {
    let took = started.elapsed();
    plugin.set_slow(took > SLOW);
    metrics::called(plugin.name(), Used { fuel: transformed.fuel, memory: transformed.memory, took });
}
