//! Routing: the route of a message and the builds of its plugin that process it: the live one or the canary, and a shadow.

use std::sync::Arc;

use towpath_config::route::{Route, Routes};
use towpath_plugin::{Plugin, Plugins};
use towpath_types::queue::Received;

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
        // The canary is the candidate, which must not be compared with itself.
        let shadow = shadow.filter(|_| !is_canary);
        Routing { route, plugin, shadow }
    }

    /// The plugin's name, even if the plugin is not loaded.
    pub(super) fn name(&self) -> Option<&str> {
        let loaded = self.plugin.as_ref().map(|plugin| plugin.name());
        loaded.or_else(|| self.route.map(|route| route.plugin.as_str()))
    }
}
