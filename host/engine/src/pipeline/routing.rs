//! Routing: the route of a message, and what maps it: a build of its plugin (the live one or the canary) and a shadow, or
//! forwarding.

use std::sync::Arc;

use super::mapper::Mapper;
use towpath_config::route::{Mapping, Rollout, Route, Routes};
use towpath_config::target::Target;
use towpath_deliver::Deliverer;
use towpath_plugin::{Plugin, Plugins};
use towpath_types::queue::{GroupId, Received};

pub(super) struct Routing<'a> {
    pub(super) route: Option<&'a Arc<Route>>,
    /// `None` if the route's plugin is not loaded.
    pub(super) mapper: Option<Mapper<'a>>,
    pub(super) shadow: Option<Arc<Plugin>>,
}

impl<'a> Routing<'a> {
    pub(super) fn of(
        received: &Received,
        routes: &'a Routes,
        plugins: &Plugins,
        deliverer: &'a Deliverer,
    ) -> Routing<'a> {
        let Some(route) = routes.by_group(&received.group) else {
            return Routing { route: None, mapper: None, shadow: None };
        };
        let (mapper, shadow) = match &route.mapping {
            Mapping::Plugin { name, rollout } => {
                let (plugin, shadow) = builds(name, rollout, &received.group, plugins);
                (plugin.map(Mapper::Plugin), shadow)
            }
            Mapping::Forward(forward) => {
                let target = deliverer.target(&forward.target).and_then(Target::http);
                (target.map(|target| Mapper::Forward { route, forward, target }), None)
            }
        };
        Routing { route: Some(route), mapper, shadow }
    }

    /// The plugin's name, even if the plugin is not loaded; `None` if there is no plugin.
    pub(super) fn name(&self) -> Option<&str> {
        let loaded = self.plugin().map(Plugin::name);
        loaded.or_else(|| self.route.and_then(|route| route.mapping.plugin()))
    }

    pub(super) fn plugin(&self) -> Option<&Plugin> {
        self.mapper.as_ref().and_then(Mapper::plugin)
    }
}

/// The build of a plugin that maps this group, and the one that is compared with it.
fn builds(
    name: &str,
    rollout: &Rollout,
    group: &GroupId,
    plugins: &Plugins,
) -> (Option<Arc<Plugin>>, Option<Arc<Plugin>>) {
    let canary = rollout.canary_for(group).and_then(|canary| plugins.get(canary));
    // The canary is the candidate, which must not be compared with itself.
    let shadow = rollout.shadow.as_deref().filter(|_| canary.is_none()).and_then(|shadow| plugins.get(shadow));
    (canary.or_else(|| plugins.get(name)), shadow)
}
