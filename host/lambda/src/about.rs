//! `{"towpath": "about"}`: a manual invocation that asks what is deployed, as `towpath deploy check` does.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use towpath_engine::pipeline::Pipeline;
use towpath_plugin::{CONTRACT, WASMTIME, host_triple};

/// Whether an event is such a question. One with records never is: the answer reports no failures, so Lambda would
/// delete them.
pub(crate) fn is_asked(event: &Value) -> bool {
    event.get("towpath").and_then(Value::as_str) == Some("about") && event.get("Records").is_none()
}

/// The versions of host, engine and contract, the loaded plugins, what waits for a secret, and the totals of this process.
pub(crate) fn answer(pipeline: &Pipeline, unready: &BTreeMap<String, String>) -> Value {
    let plugins = pipeline.plugins.all();
    let plugins = plugins.iter().map(|plugin| {
        let description = plugin.description();
        json!({ "name": plugin.name(), "version": description.version, "digest": plugin.digest() })
    });
    json!({
        "towpath": env!("CARGO_PKG_VERSION"),
        "wasmtime": WASMTIME,
        "target": host_triple(),
        "contract": CONTRACT,
        "plugins": plugins.collect::<Vec<_>>(),
        "unready": unready,
        "totals": pipeline.totals(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_with_records_is_never_taken_for_a_question() {
        assert!(is_asked(&json!({ "towpath": "about" })));
        assert!(!is_asked(&json!({ "towpath": "about", "Records": [] })));
        assert!(!is_asked(&json!({ "Records": [] })));
    }
}
