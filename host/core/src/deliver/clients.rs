//! The HTTP clients: one for all targets that trust, prove and reach the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};

use super::{Target, guard};

/// Why there is no client for a target.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The secret of `mtls` is no certificate and key.
    #[error("target {target}: the secret of mtls must hold a certificate chain and its private key, both as PEM")]
    Identity {
        /// The target's name.
        target: String,
    },
    /// The authority is no certificate.
    #[error("target {target}: ca holds no certificate as PEM")]
    Ca {
        /// The target's name.
        target: String,
    },
    /// What the TLS library says, or the proxy's URL.
    #[error("target {target}: preparing its connections")]
    Build {
        /// The target's name.
        target: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// What makes two targets share a client.
type Kind<'a> = (bool, Option<&'a str>, Option<Arc<str>>, Option<&'a str>);

/// The client of each target, by its name.
pub(super) fn build<'a>(targets: impl Iterator<Item = &'a Target>) -> Result<BTreeMap<String, Client>, ClientError> {
    let mut shared: BTreeMap<Kind<'a>, Client> = BTreeMap::new();
    let mut clients = BTreeMap::new();
    for target in targets {
        let identity = target.identity.as_ref().map(crate::config::Secret::expose);
        let proxy = target.proxy.as_ref().map(url::Url::as_str);
        let kind = (target.allow_private, target.ca.as_deref(), identity, proxy);
        let client = match shared.get(&kind) {
            Some(client) => client.clone(),
            None => client(target)?,
        };
        shared.insert(kind, client.clone());
        clients.insert(target.name.clone(), client);
    }
    Ok(clients)
}

fn client(target: &Target) -> Result<Client, ClientError> {
    let name = || target.name.clone();
    let failed = |source| ClientError::Build { target: name(), source };
    let mut builder = plain();
    builder = match &target.proxy {
        // The proxy resolves the target's name; whom it may reach is the proxy's to say.
        Some(proxy) => builder.proxy(Proxy::all(proxy.as_str()).map_err(failed)?),
        None => builder.no_proxy(),
    };
    if !target.allow_private && target.proxy.is_none() {
        builder = builder.dns_resolver(Arc::new(guard::PublicOnly));
    }
    if let Some(pem) = &target.ca {
        let found = certificates(pem);
        builder = builder.tls_certs_only(found.ok_or_else(|| ClientError::Ca { target: name() })?);
    }
    if let Some(secret) = &target.identity {
        let identity = Identity::from_pem(secret.expose().as_bytes());
        builder = builder.identity(identity.map_err(|_| ClientError::Identity { target: name() })?);
    }
    builder.build().map_err(failed)
}

/// The certificates in a text; `None` if there is none, or one that is broken.
pub fn certificates(pem: &str) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty())
}

fn plain() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
}
