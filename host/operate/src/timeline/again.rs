//! What nobody keeps of an event, the verdict and its requests, is computed again in the sandbox. Nothing is sent.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::sync::Semaphore;
use towpath_config::plugin::Limits;
use towpath_config::route::Mapping;
use towpath_config::target::Target;
use towpath_plugin::{Engine, Plugin, Transformed};

use super::Content;
use crate::place::Found;
use crate::verdict::describe;

/// The timeout of a call outside a host: a verdict must not depend on the load of the machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Plugins are compiled one at a time, so that those who look never take the processors from deliveries.
static ONE: Semaphore = Semaphore::const_new(1);

/// A verdict that was computed again.
#[derive(Clone, PartialEq, Debug)]
pub struct Again {
    /// The verdict with its requests, and the fuel that it took, without secret values.
    pub verdict: Value,
    /// The build that computed it; `None` where the route forwards without a plugin.
    pub digest: Option<String>,
    /// How long the call took.
    pub took: Duration,
}

/// Runs the content of an event through the config's build of its plugin, or forwards it as its route says.
pub async fn compute_again(found: &Found, content: &Content) -> anyhow::Result<Again> {
    let config = found.config.clone().context("the plugin is in the config, and no config was read")?;
    let message = content.message.clone().context("the event cannot be unpacked")?;
    if content.is_redacted {
        bail!("parts of its body were removed before it was archived, so its plugin would say something else");
    }
    let route = config.routes.by_group(&content.group).cloned();
    let route = route.with_context(|| format!("the config has no route for the group {}", content.group))?;
    let _one = ONE.acquire().await.context("waiting for another call")?;
    let secrets = content.secrets.clone();
    let compute = move || {
        let began = std::time::Instant::now();
        let (transformed, digest) = match &route.mapping {
            Mapping::Plugin { name, .. } => {
                let settings = config.plugins.get(name).cloned();
                let settings = settings.with_context(|| format!("the config has no plugin {name}"))?;
                let engine = Engine::with_slots(1).map_err(|error| anyhow::anyhow!("{error:#}"))?;
                let plugin = Plugin::load(&engine, settings).with_context(|| format!("loading the plugin {name}"))?;
                let limits = Limits { timeout: TIMEOUT, ..plugin.limits() };
                (plugin.transform(&message, limits), Some(plugin.digest().to_owned()))
            }
            Mapping::Forward(forward) => {
                let target = config.targets.get(&forward.target).and_then(Target::http);
                let target = target.with_context(|| format!("the config has no target {}", forward.target))?;
                let verdict = Ok(towpath_route::forwarded(&route, forward, target, &message.webhook));
                (Transformed { verdict, fuel: 0, memory: 0, printed: String::new() }, None)
            }
        };
        let took = began.elapsed();
        let mut verdict = describe(&transformed);
        if let Some(verdict) = verdict.get_mut("verdict") {
            secrets.hide_in_verdict(verdict, &message);
        }
        Ok::<_, anyhow::Error>(Again { verdict, digest, took })
    };
    tokio::task::spawn_blocking(compute).await.context("calling the plugin")?
}
