//! What makes a route's webhooks into requests: a plugin, or forwarding.

use http::{HeaderName, Method};

use super::Rollout;
use crate::value::{Part, Source, Template};

/// What makes requests of a route's webhooks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// A plugin, by its name.
    Plugin {
        name: String,
        /// How another build of it is tried on real traffic.
        rollout: Rollout,
    },
    /// Each webhook becomes one request, made of what came.
    Forward(Forward),
}

/// `target` and `forward` of a route: where its webhooks go, and what is different there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The target's name.
    pub target: String,
    /// The method; absent for the webhook's own.
    pub method: Option<Method>,
    /// What follows the target's URL; absent for what follows the route's path. Values are percent-encoded.
    pub path: Option<Template>,
    /// Headers besides the ones that came, or instead of them.
    pub headers: Vec<(HeaderName, Template)>,
}

impl Mapping {
    /// The plugins that it names.
    pub fn plugins(&self) -> impl Iterator<Item = &str> {
        let own = self.plugin();
        own.into_iter().chain(self.rollout().into_iter().flat_map(Rollout::plugins))
    }

    pub fn plugin(&self) -> Option<&str> {
        match self {
            Mapping::Plugin { name, .. } => Some(name),
            Mapping::Forward(_) => None,
        }
    }

    pub fn rollout(&self) -> Option<&Rollout> {
        match self {
            Mapping::Plugin { rollout, .. } => Some(rollout),
            Mapping::Forward(_) => None,
        }
    }

    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Mapping::Plugin { .. } => None,
            Mapping::Forward(forward) => Some(forward),
        }
    }
}

impl Forward {
    /// All templates in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.path.iter().chain(self.headers.iter().map(|(_, template)| template))
    }

    /// Whether the path is followed by the query that came.
    pub fn appends_query(&self) -> bool {
        let has_query = |path: &Template| {
            let whole = |part: &Part| match part {
                Part::Literal(text) => text.contains('?'),
                Part::Value(value) => value.source == Source::WholeQuery,
            };
            path.parts().iter().any(whole)
        };
        !self.path.as_ref().is_some_and(has_query)
    }
}
