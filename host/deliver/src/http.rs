//! HTTP targets: from a plugin's request to the target's answer.

mod answer;
mod attempt;
mod auth;
mod clients;
mod mask;
mod path;
mod request;
mod retry_after;

use towpath_config::target::{Auth, Http, Kind, Target as Settings};
use towpath_reach::ClientError;

pub use auth::AwsCredentials;
pub(crate) use auth::UsedCredentials;
pub use request::BadRequest;
pub(crate) use request::Prepared;

use clients::Clients;

/// An HTTP service and the connections to it.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    pub(crate) settings: Settings,
    clients: Clients,
}

/// Prepares targets. Endpoints with the same connection settings share their connections.
pub(crate) fn open(targets: Vec<Settings>) -> Result<Vec<HttpTarget>, ClientError> {
    let clients = clients::build(&targets)?;
    Ok(targets.into_iter().zip(clients).map(|(settings, clients)| HttpTarget { settings, clients }).collect())
}

impl HttpTarget {
    fn http(&self) -> &Http {
        let Kind::Http(http) = &self.settings.kind;
        http
    }

    /// Whether its requests are signed with the host's role.
    pub(crate) fn needs_aws_credentials(&self) -> bool {
        self.http().auth.iter().any(|auth| matches!(auth, Auth::SigV4(_)))
    }
}
