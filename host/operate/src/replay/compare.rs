//! Runs archived events through another build of their plugin. Sends nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use towpath_config::plugin::Settings;
use towpath_engine::pipeline::difference;
use towpath_plugin::{Engine, Plugin};
use towpath_types::archive::Archived;
use towpath_types::message::{Message, is_item};
use towpath_types::queue::{GroupId, Handle, MessageId, Received};

use super::conditions::Conditions;
use super::error::ReplayError;
use super::selected::{Selected, events};
use crate::archive::{Named, Progress};
use crate::dlq::diff::{NewBuild, load_new};
use crate::known::Known;
use crate::place::Found;
use crate::secret_headers::SecretHeaders;
use crate::verdict::describe;

/// The timeout of a call outside a host. Fuel is the same on every machine, time is not: a verdict must not depend on the load of the
/// machine.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(60);

/// How many events were compared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Compared {
    /// The plugin's name in the config.
    pub plugin: String,
    /// Events that went through both builds.
    pub events: u64,
    /// Those whose verdicts differ.
    pub differ: u64,
    /// Events of other plugins.
    pub other: u64,
    /// Events that are left out because parts of their bodies are gone, or because they cannot be read.
    pub left_out: u64,
    /// Damaged records, frames and lines of the archive that were skipped.
    pub damaged: u64,
}

/// An event for which the verdicts differ.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WhatIfEventsRow))]
pub struct Row {
    /// The id under which it was first stored.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub message_id: MessageId,
    /// Its group.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub group: GroupId,
    /// What differs, such as `verdict: deliver becomes skip no-deal` or `request 0: body`.
    pub difference: String,
    /// The verdict of the config's build.
    pub now: Value,
    /// The verdict of the new build.
    pub new: Value,
}

/// Runs the events that meet these conditions through the config's build and the new one. `differs` gets each that differs.
pub async fn compare(
    found: &Found,
    named: &Named,
    conditions: &Conditions,
    engine: Engine,
    new: &NewBuild,
    progress: Progress<'_>,
    mut differs: impl FnMut(Row) + Send,
) -> anyhow::Result<Compared> {
    if conditions.is_everything() {
        return Err(ReplayError::Everything.into());
    }
    let config = found.config.as_deref().ok_or(ReplayError::NoConfig)?;
    let (name, new) = load_new(&engine, found, new)?;
    let known = Known::new("plugin", config.plugins.keys().cloned());
    known.check(&name)?;
    let settings = config.plugins.get(&name).cloned().unwrap_or_else(|| Settings::at(&name, ""));
    let now = Plugin::load(&engine, settings).with_context(|| format!("loading the plugin {name} of the config"))?;
    let (now, new) = (Arc::new(now), Arc::new(new));
    let secrets = SecretHeaders::of(Some(config));
    let mut compared = Compared { plugin: name.clone(), ..Compared::default() };
    let mut selection = events(found, named, conditions, None, progress).await?;
    for selected in selection.by_ref() {
        let event = match selected? {
            Selected::Sent { event, .. } => event,
            Selected::Replay | Selected::Unrouted | Selected::Passed => continue,
            Selected::Redacted => {
                compared.left_out += 1;
                continue;
            }
        };
        let route = config.routes.by_group(&event.group);
        if route.and_then(|route| route.mapping.plugin()) != Some(&name) {
            compared.other += 1;
            continue;
        }
        let Some(message) = seen(&event, found) else {
            compared.left_out += 1;
            continue;
        };
        compared.events += 1;
        let (message, verdicts) = both(&now, &new, message).await?;
        let [now, new] = verdicts;
        let Some(difference) = difference(&now.verdict, &new.verdict) else { continue };
        compared.differ += 1;
        let shown = |transformed| {
            let mut shown = describe(transformed).get("verdict").cloned().unwrap_or_default();
            secrets.hide_in_verdict(&mut shown, &message);
            shown
        };
        differs(Row {
            message_id: event.origin().id,
            group: event.group.clone(),
            difference,
            now: shown(&now),
            new: shown(&new),
        });
    }
    compared.damaged = selection.damaged();
    conditions.check(found, compared.events + compared.other + compared.left_out > 0)?;
    Ok(compared)
}

/// Calls both builds, which may take their time.
async fn both(
    now: &Arc<Plugin>,
    new: &Arc<Plugin>,
    message: Message,
) -> anyhow::Result<(Message, [towpath_plugin::Transformed; 2])> {
    let plugins = [Arc::clone(now), Arc::clone(new)];
    let call = move || {
        let verdicts = plugins.each_ref().map(|plugin| {
            let limits = towpath_config::plugin::Limits { timeout: OFFLINE_TIMEOUT, ..plugin.limits() };
            plugin.transform(&message, limits)
        });
        (message, verdicts)
    };
    tokio::task::spawn_blocking(call).await.context("calling the plugins")
}

/// The message as the plugin sees it; `None` if it cannot be read.
fn seen(event: &Archived, found: &Found) -> Option<Message> {
    let received = Received {
        id: event.id.clone(),
        group: event.group.clone(),
        dedup_id: event.dedup_id.clone(),
        sequence: event.sequence.clone(),
        receive_count: event.receive_count.max(1),
        sent_at: event.sent_at,
        body: event.body.clone(),
        attributes: event.attributes.clone(),
        trace: None,
        handle: Handle::from(String::new()),
    };
    let mut message = Message::read(&received, "replay").ok()?;
    // Of an element of a split webhook what the plugin sees is stored.
    let route = found.config.as_deref()?.routes.by_group(&event.group).filter(|_| !is_item(&event.attributes));
    if let Some(route) = route {
        let shown = towpath_route::shown(route, &message.webhook).ok()?.into_owned();
        message.webhook = Arc::new(shown);
    }
    Some(message)
}
