//! Targets by kind. A new kind is an arm in each of these functions, and a folder next to `http`.

use std::collections::BTreeMap;
use std::sync::Arc;

use towpath_config::plugin::Grant;
use towpath_config::target::Target as Settings;
use towpath_reach::ClientError;
use towpath_types::message::Message;
use towpath_types::verdict::Request;

use crate::attempt::{Attempted, Context};
use crate::http::{self, BadRequest, HttpTarget};

#[derive(Debug)]
pub(crate) enum Target {
    Http(Arc<HttpTarget>),
}

/// A checked request, ready to be made.
#[derive(Debug)]
pub(crate) enum Prepared {
    Http(http::Prepared),
}

/// Prepares the connections of each target.
pub(crate) fn open(targets: BTreeMap<String, Settings>) -> Result<BTreeMap<String, Target>, ClientError> {
    let https = http::open(targets.into_values().collect())?;
    Ok(https.into_iter().map(|target| (target.settings.name.clone(), Target::Http(Arc::new(target)))).collect())
}

impl Target {
    pub(crate) fn settings(&self) -> &Settings {
        match self {
            Target::Http(target) => &target.settings,
        }
    }

    /// Whether its requests are signed with the host's role.
    pub(crate) fn needs_aws_credentials(&self) -> bool {
        match self {
            Target::Http(target) => target.needs_aws_credentials(),
        }
    }

    /// Checks a plugin's request.
    pub(crate) fn prepare(
        &self,
        position: usize,
        request: Request,
        message: &Message,
        grant: &Grant<'_>,
    ) -> Result<Prepared, BadRequest> {
        match self {
            Target::Http(target) => {
                http::Prepared::new(Arc::clone(target), position, request, message, grant).map(Prepared::Http)
            }
        }
    }
}

impl Prepared {
    /// The settings of its target.
    pub(crate) fn settings(&self) -> &Settings {
        match self {
            Prepared::Http(request) => &request.target.settings,
        }
    }

    /// Makes the request once.
    pub(crate) async fn attempt(&self, context: &Context<'_>) -> Attempted {
        match self {
            Prepared::Http(request) => request.attempt(context).await,
        }
    }
}
