//! `store`: compacts a store, and recovers a damaged one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;
use towpath_config::Secrets;
use towpath_local::{Compacted, Recovered};
use towpath_operate::config;

use crate::args::ConfigFile;
use crate::output::{Exit, Output};

pub(super) async fn compact(store: Option<PathBuf>, config: &ConfigFile, output: &Output) -> anyhow::Result<Exit> {
    let store = match store {
        Some(store) => store,
        None => config::load(&config.file(), &Secrets::placeholders()).await?.queue.store,
    };
    let Compacted { before, after } = tokio::task::spawn_blocking(move || towpath_local::compact(&store)).await??;
    if output.is_json() {
        output.json(&json!({ "bytes_before": before, "bytes": after }));
    }
    output.say(format!("compacted from {before} to {after} bytes"));
    Ok(Exit::Done)
}

pub(super) fn recover(from: &Path, to: &Path, names: &BTreeMap<i64, String>, output: &Output) -> anyhow::Result<Exit> {
    if !from.join("towpath.db").is_file() {
        bail!("there is no store in {}", from.display());
    }
    let recovered = towpath_local::recover(from, to, names);
    let Recovered { messages, gaps, nameless, nameless_queues } =
        recovered.with_context(|| format!("recovering {}", from.display()))?;
    if output.is_json() {
        let queues = nameless_queues.iter().map(|(number, messages)| json!({ "number": number, "messages": messages }));
        let queues = queues.collect::<Vec<_>>();
        output.json(&json!({
            "messages": messages,
            "gaps": gaps,
            "nameless_groups": nameless,
            "nameless_queues": queues,
        }));
    }
    output.say(format!("{messages} messages copied to {}", to.display()));
    if gaps > 0 {
        output
            .say(format!("{gaps} stretches of messages could not be read: compare with a backup, or ask the senders"));
    }
    if nameless > 0 {
        output.say(format!("the names of {nameless} groups are unreadable: no route matches them, so their messages become dead letters"));
    }
    for (number, messages) in &nameless_queues {
        output.say(format!(
            "the name of queue {number}, with {messages} messages, is unreadable: remove {} and recover again with \
             `--queue {number}=NAME`, such as events.fifo or events-dead.fifo",
            to.display()
        ));
    }
    let whole = gaps + nameless == 0 && nameless_queues.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Findings })
}
