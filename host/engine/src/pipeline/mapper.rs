//! What maps a message to requests: the route's plugin, or forwarding. The line is the same for both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use towpath_config::Secret;
use towpath_config::plugin::Grant;
use towpath_config::route::{Forward, Route};
use towpath_config::target::{Http, Target as Settings};
use towpath_plugin::Plugin;
use towpath_types::message::Message;
use towpath_types::outcome::Fault;
use towpath_types::verdict::Verdict;

use super::call;

#[derive(Clone)]
pub(super) enum Mapper<'a> {
    Plugin(Arc<Plugin>),
    Forward { route: &'a Route, forward: &'a Forward, target: &'a Http },
}

/// Forwarding puts no secrets into headers.
static NO_SECRETS: BTreeMap<String, Secret> = BTreeMap::new();

impl<'a> Mapper<'a> {
    /// The same mapping for another target, if it is one.
    pub(super) fn towards(&self, other: Option<&'a Settings>) -> Mapper<'a> {
        match (self, other.and_then(Settings::http)) {
            (Mapper::Forward { route, forward, .. }, Some(target)) => Mapper::Forward { route, forward, target },
            _ => self.clone(),
        }
    }

    /// The longest that it takes.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Mapper::Plugin(plugin) => plugin.limits().timeout,
            Mapper::Forward { .. } => Duration::ZERO,
        }
    }

    /// Maps the message within `left`. Fails only while the runtime shuts down.
    pub(super) async fn map(
        &self,
        message: Message,
        left: Duration,
    ) -> Result<(Message, Result<Verdict, Fault>), String> {
        match self {
            Mapper::Plugin(plugin) => {
                let (message, transformed) = call::call(plugin, message, left).await?;
                Ok((message, transformed.verdict))
            }
            Mapper::Forward { route, forward, target } => {
                let verdict = towpath_route::forwarded(route, forward, target, &message.webhook);
                Ok((message, Ok(verdict)))
            }
        }
    }

    /// What its requests may use.
    pub(super) fn grant(&self) -> Grant<'_> {
        match self {
            Mapper::Plugin(plugin) => plugin.grant(),
            Mapper::Forward { forward, .. } => {
                Grant { targets: std::slice::from_ref(&forward.target), secrets: &NO_SECRETS }
            }
        }
    }

    pub(super) fn plugin(&self) -> Option<&Plugin> {
        match self {
            Mapper::Plugin(plugin) => Some(plugin),
            Mapper::Forward { .. } => None,
        }
    }
}
