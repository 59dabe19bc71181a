//! Routing: the route of a message, and which builds of its plugin it meets: the route's own or the canary, and a shadow.

use std::sync::Arc;

use towpath_config::route::{Route, Routes};
use towpath_plugin::{Plugin, Plugins};
use towpath_types::queue::Received;

/// The route of a message, and the builds of its plugin that it meets.
pub(super) struct Routing<'a> {
    pub(super) route: Option<&'a Arc<Route>>,
    pub(super) plugin: Option<Arc<Plugin>>,
    pub(super) shadow: Option<Arc<Plugin>>,
}

impl<'a> Routing<'a> {
    pub(super) fn of(received: &Received, routes: &'a Routes, plugins: &Plugins) -> Routing<'a> {
        let route = routes.by_group(&received.group);
        let canary = route.and_then(|route| plugins.get(route.rollout.canary_for(&received.group)?));
        let is_canary = canary.is_some();
        let plugin = canary.or_else(|| plugins.get(&route?.plugin));
        let shadow = route.and_then(|route| plugins.get(route.rollout.shadow.as_deref()?));
        // A candidate is not compared with itself.
        let shadow = shadow.filter(|_| !is_canary);
        Routing { route, plugin, shadow }
    }

    /// The plugin's name, which is known even if it is not loaded.
    pub(super) fn name(&self) -> Option<&str> {
        let loaded = self.plugin.as_ref().map(|plugin| plugin.name());
        loaded.or_else(|| self.route.map(|route| route.plugin.as_str()))
    }
}
