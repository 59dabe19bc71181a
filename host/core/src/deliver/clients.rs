//! The HTTP clients: one for all endpoints that are reached in the same way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};
use tokio::time::Instant;
use tracing::warn;
use url::Url;

use super::{Auth, Target, guard};
use crate::config::Secret;

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(30);

/// How an endpoint is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Whether its name may resolve to private and local addresses.
    pub allow_private: bool,
    /// The only authorities whose certificates count, as PEM; absent for those of the system.
    pub ca: Option<String>,
    /// The client certificate and its key as PEM, for an endpoint that wants to see one.
    pub identity: Option<Secret>,
    /// The proxy that it is reached through.
    pub proxy: Option<Url>,
    /// The longest that a connection is used for new requests: a name that has moved is looked up again by then.
    pub max_age: Duration,
}

impl Default for Reach {
    /// Public addresses, the system's authorities, no certificate, no proxy, a minute.
    fn default() -> Reach {
        Reach { allow_private: false, ca: None, identity: None, proxy: None, max_age: Duration::from_secs(60) }
    }
}

/// Why there is no client for an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The secret of `mtls` is no certificate and key.
    #[error("{endpoint}: the secret of mtls must hold a certificate chain and its private key, both as PEM")]
    Identity {
        /// The target, or its token endpoint.
        endpoint: String,
    },
    /// The authority is no certificate.
    #[error("{endpoint}: ca holds no certificate as PEM")]
    Ca {
        /// The target, or its token endpoint.
        endpoint: String,
    },
    /// What the TLS library says, or the proxy's URL.
    #[error("{endpoint}: preparing its connections")]
    Build {
        /// The target, or its token endpoint.
        endpoint: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// The connections of one target.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) target: Arc<Pool>,
    /// Those to its token endpoint, which is another server with its own certificates.
    pub(super) tokens: Option<Arc<Pool>>,
}

/// The connections of each target, by its name. Endpoints that are reached in the same way share theirs.
pub(super) fn build<'a>(targets: impl Iterator<Item = &'a Target>) -> Result<BTreeMap<String, Clients>, ClientError> {
    let mut shared: Vec<(&'a Reach, Arc<Pool>)> = Vec::new();
    let mut pool = |reach: &'a Reach, endpoint: String| {
        if let Some((_, pool)) = shared.iter().find(|(known, _)| *known == reach) {
            return Ok(Arc::clone(pool));
        }
        let own = reach.clone();
        let pool = Arc::new(Pool::new(reach.max_age, move || client(&own, &endpoint))?);
        shared.push((reach, Arc::clone(&pool)));
        Ok(pool)
    };
    let mut clients = BTreeMap::new();
    for target in targets {
        let oauth2 = target.auth.iter().find_map(|auth| match auth {
            Auth::Oauth2(oauth2) => Some(oauth2),
            _ => None,
        });
        let tokens = oauth2.map(|oauth2| pool(oauth2.reach(), format!("target {}, its token endpoint", target.name)));
        let own =
            Clients { target: pool(&target.reach, format!("target {}", target.name))?, tokens: tokens.transpose()? };
        clients.insert(target.name.clone(), own);
    }
    Ok(clients)
}

/// Makes a client without connections.
type Make = Box<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// A client whose connections have a maximum age. The library closes idle connections, but one that is never idle lives for
/// ever, at an address that its name may have left. So the whole client is replaced: requests under way end on the old
/// one, which is closed with the last of them; the next ones connect again, and every connect looks the name up.
pub(super) struct Pool {
    make: Make,
    max_age: Duration,
    current: Mutex<(Client, Instant)>,
}

impl Pool {
    fn new(
        max_age: Duration,
        make: impl Fn() -> Result<Client, ClientError> + Send + Sync + 'static,
    ) -> Result<Pool, ClientError> {
        let current = Mutex::new((make()?, Instant::now()));
        Ok(Pool { make: Box::new(make), max_age, current })
    }

    /// The client for a request that is sent now.
    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, since) = &mut *current;
        if since.elapsed() >= self.max_age {
            *since = Instant::now();
            match (self.make)() {
                Ok(renewed) => *client = renewed,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "connections could not be renewed, keeping the old ones");
                }
            }
        }
        client.clone()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

fn client(reach: &Reach, endpoint: &str) -> Result<Client, ClientError> {
    let endpoint = || endpoint.to_owned();
    let failed = |source| ClientError::Build { endpoint: endpoint(), source };
    let mut builder = plain(reach.max_age);
    builder = match &reach.proxy {
        // The proxy resolves the endpoint's name; whom it may reach is the proxy's to say.
        Some(proxy) => builder.proxy(Proxy::all(proxy.as_str()).map_err(failed)?),
        None => builder.no_proxy(),
    };
    if !reach.allow_private && reach.proxy.is_none() {
        builder = builder.dns_resolver(Arc::new(guard::PublicOnly));
    }
    if let Some(pem) = &reach.ca {
        let found = certificates(pem);
        builder = builder.tls_certs_only(found.ok_or_else(|| ClientError::Ca { endpoint: endpoint() })?);
    }
    if let Some(secret) = &reach.identity {
        let identity = Identity::from_pem(secret.expose().as_bytes());
        builder = builder.identity(identity.map_err(|_| ClientError::Identity { endpoint: endpoint() })?);
    }
    builder.build().map_err(failed)
}

/// The certificates in a text; `None` if there is none, or one that is broken.
pub fn certificates(pem: &str) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty())
}

/// Whether a text holds a certificate chain and its private key.
pub(crate) fn is_identity(pem: &str) -> bool {
    Identity::from_pem(pem.as_bytes()).is_ok()
}

fn plain(max_age: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(IDLE.min(max_age))
        .tcp_nodelay(true)
}

#[cfg(test)]
#[path = "clients/tests.rs"]
mod tests;
