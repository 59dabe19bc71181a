//! `store`: what a damaged store still holds.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;
use towpath_local::Recovered;

use crate::output::{Exit, Output};

pub(super) fn recover(from: &Path, to: &Path, output: &Output) -> anyhow::Result<Exit> {
    if !from.join("towpath.db").is_file() {
        bail!("there is no store in {}", from.display());
    }
    let recovered = towpath_local::recover(from, to);
    let Recovered { messages, gaps, nameless } = recovered.with_context(|| format!("saving {}", from.display()))?;
    if output.is_json() {
        output.json(&json!({ "messages": messages, "gaps": gaps, "nameless_groups": nameless }));
    }
    output.say(format!("{messages} messages saved in {}", to.display()));
    if gaps > 0 {
        output
            .say(format!("{gaps} stretches of messages could not be read: compare with a backup, or with the senders"));
    }
    if nameless > 0 {
        output.say(format!("{nameless} groups lost their names: no route matches them, so they end as dead letters"));
    }
    Ok(if gaps + nameless > 0 { Exit::Findings } else { Exit::Done })
}
