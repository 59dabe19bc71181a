//! Connections to one endpoint, or to several with the same connection settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};
use tokio::time::Instant;
use towpath_config::target::Reach;
use tracing::warn;

use crate::guard;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Why a client for an endpoint cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The secret of `mtls` is not a certificate and key.
    #[error("{endpoint}: the secret of mtls must contain a certificate chain and its private key, both in PEM")]
    Identity {
        /// The target, or its token endpoint.
        endpoint: String,
    },
    /// `ca` is not a certificate.
    #[error("{endpoint}: ca must contain a certificate in PEM")]
    Ca {
        /// The target, or its token endpoint.
        endpoint: String,
    },
    /// The TLS library failed, or the proxy's URL is invalid.
    #[error("{endpoint}: its HTTP client cannot be built")]
    Build {
        /// The target, or its token endpoint.
        endpoint: String,
        source: reqwest::Error,
    },
}

/// Makes a client without connections.
type Make = Box<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// A client whose connections have a maximum age. The library closes idle connections, but one that is never idle would
/// stay open forever, at an address that its name may have left. So the whole client is replaced. Requests in flight
/// end on the old one, which closes with the last of them. Later requests connect again, and every connect resolves the
/// name.
pub struct Pool {
    make: Make,
    max_age: Duration,
    current: Mutex<(Client, Instant)>,
}

impl Pool {
    pub fn new(
        max_age: Duration,
        make: impl Fn() -> Result<Client, ClientError> + Send + Sync + 'static,
    ) -> Result<Pool, ClientError> {
        let current = Mutex::new((make()?, Instant::now()));
        Ok(Pool { make: Box::new(make), max_age, current })
    }

    pub fn client(&self) -> Client {
        let mut current = self.current.lock();
        let (client, since) = &mut *current;
        if since.elapsed() >= self.max_age {
            *since = Instant::now();
            match (self.make)() {
                Ok(renewed) => *client = renewed,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(
                        event = "connection-renewal-failed",
                        error, "connections cannot be renewed, keeping the old ones"
                    );
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

/// A client without connections.
pub fn client(reach: &Reach, endpoint: &str) -> Result<Client, ClientError> {
    let endpoint = || endpoint.to_owned();
    let failed = |source| ClientError::Build { endpoint: endpoint(), source };
    let mut builder = plain(reach.max_age);
    builder = match &reach.proxy {
        // The proxy resolves the endpoint's name, and decides which addresses it may reach.
        Some(proxy) => builder.proxy(Proxy::all(proxy.as_str()).map_err(failed)?),
        None => builder.no_proxy(),
    };
    if !reach.allow_private && reach.proxy.is_none() {
        builder = builder.dns_resolver(Arc::new(guard::PublicOnly));
    }
    if let Some(pem) = &reach.ca {
        let found = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty());
        builder = builder.tls_certs_only(found.ok_or_else(|| ClientError::Ca { endpoint: endpoint() })?);
    }
    if let Some(secret) = &reach.identity {
        let identity = Identity::from_pem(secret.expose().as_bytes());
        builder = builder.identity(identity.map_err(|_| ClientError::Identity { endpoint: endpoint() })?);
    }
    builder.build().map_err(failed)
}

/// Never repeats a request by itself: the caller decides that, and a client that could would copy every request.
fn plain(max_age: Duration) -> ClientBuilder {
    Client::builder()
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(IDLE.min(max_age))
        .tcp_nodelay(true)
}

#[cfg(test)]
#[path = "pool/tests.rs"]
mod tests;
