//! Calls a plugin from asynchronous code: fast guests in place, slow ones on a blocking thread.
//!
//! Most guests take tens of microseconds, which is less than moving the call to another thread and back. A slow guest
//! must not occupy the runtime's threads: one that spins would starve every timer. Whether a guest is slow shows only
//! when it runs. A call that was cut off can start over, because it is a pure function in a fresh instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_config::plugin::Limits;
use towpath_metrics::{self as metrics, Used};
use towpath_plugin::{Plugin, Transformed};
use towpath_types::message::Message;

/// How long a call may occupy a thread of the runtime, within one tick of the guests' epoch.
const IN_PLACE: Duration = Duration::from_millis(10);

/// A plugin whose last call took longer is called on a blocking thread.
const SLOW: Duration = Duration::from_millis(1);

/// Calls the plugin within its limits and `left`. Fails only while the runtime shuts down.
pub(super) async fn call(
    plugin: &Arc<Plugin>,
    message: Message,
    left: Duration,
) -> Result<(Message, Transformed), String> {
    let limits = plugin.limits();
    let limits = Limits { timeout: limits.timeout.min(left), ..limits };
    if !plugin.is_slow() && limits.timeout > IN_PLACE {
        let started = Instant::now();
        // A call that is cut off here is neither counted nor logged.
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

fn called(plugin: &Plugin, transformed: &Transformed, started: Instant) {
    let took = started.elapsed();
    plugin.set_slow(took > SLOW);
    metrics::called(plugin.name(), Used { fuel: transformed.fuel, memory: transformed.memory, took });
}
