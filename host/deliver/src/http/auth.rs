//! How the host proves to a target who it is. Everything is put on at each attempt: signatures carry its time, tokens
//! run out, secrets are rotated.

mod oauth2;
mod signing;
mod sigv4;
mod token;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

pub use aws_credential_types::provider::SharedCredentialsProvider as AwsCredentials;
pub(super) use oauth2::Oauth2;

use towpath_config::Secret;
use towpath_config::target::Auth;
use towpath_types::clock::Timestamp;

/// What an attempt is made with.
pub(super) struct Sealing<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
    /// The target's client of its token endpoint, if it has one.
    pub(super) tokens: Option<&'a Arc<Oauth2>>,
    pub(super) credentials: Option<&'a AwsCredentials>,
    /// When the attempt ends.
    pub(super) limit: Instant,
}

/// What proved who the host is in one attempt: to find out after a 401 whether another one would be better, and to know it where
/// it comes back.
#[derive(Default)]
pub(crate) struct UsedCredentials {
    secrets: Vec<(Secret, Arc<str>)>,
    tokens: Vec<(Arc<Oauth2>, Arc<str>)>,
    /// What was made of secrets: signatures, and pairs of user and password.
    made: Vec<Arc<str>>,
}

impl UsedCredentials {
    /// The value of a secret, remembered.
    pub(super) fn expose(&mut self, secret: &Secret) -> Arc<str> {
        let value = secret.expose();
        self.secrets.push((secret.clone(), Arc::clone(&value)));
        value
    }

    /// Notes what was made of a secret.
    fn made(&mut self, value: &str) {
        self.made.push(value.into());
    }

    /// All that an answer must not be kept with.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<str>> {
        let secrets = self.secrets.iter().map(|(_, value)| value);
        secrets.chain(self.tokens.iter().map(|(_, value)| value)).chain(&self.made)
    }

    /// Whether there is a new proof now: a secret that was rotated, or a token that can be had anew.
    pub(crate) async fn is_outdated(&self) -> bool {
        let mut outdated = false;
        for (secret, seen) in &self.secrets {
            outdated |= secret.is_renewed(seen).await;
        }
        for (oauth2, seen) in &self.tokens {
            outdated |= oauth2.discard(seen).await;
        }
        outdated
    }
}

async fn put_on(
    auth: &Auth,
    headers: &mut HeaderMap,
    sealing: &Sealing<'_>,
    proof: &mut UsedCredentials,
) -> Result<(), String> {
    let (name, value) = match auth {
        Auth::Bearer(secret) => (AUTHORIZATION, format!("Bearer {}", proof.expose(secret))),
        Auth::Basic { user, secret } => {
            let pair = BASE64.encode(format!("{user}:{}", proof.expose(secret)));
            proof.made(&pair);
            (AUTHORIZATION, format!("Basic {pair}"))
        }
        Auth::Header(name, secret) => (name.clone(), proof.expose(secret).to_string()),
        Auth::Oauth2(_) => {
            let tokens = sealing.tokens.ok_or("there is no client for the token endpoint")?;
            // A target may be its own token endpoint.
            proof.made(&tokens.client_secret());
            let token = tokens.token(sealing.limit).await?;
            proof.tokens.push((Arc::clone(tokens), Arc::clone(&token)));
            (AUTHORIZATION, format!("Bearer {token}"))
        }
        Auth::Signed(signing) => {
            let value = signing::sign(signing, headers, sealing, proof)?;
            (signing.header.clone(), value)
        }
        Auth::SigV4(scheme) => return sigv4::sign(scheme, headers, sealing, proof).await,
    };
    headers.insert(name, sensitive(&value)?);
    Ok(())
}

/// Puts all proofs on a request; those that sign come last. An error says what is missing, and no secret.
pub(super) async fn seal(
    schemes: &[Auth],
    headers: &mut HeaderMap,
    sealing: &Sealing<'_>,
    proof: &mut UsedCredentials,
) -> Result<(), String> {
    let (last, first): (Vec<&Auth>, Vec<&Auth>) = schemes.iter().partition(|scheme| scheme.covers_others());
    for scheme in first.into_iter().chain(last) {
        put_on(scheme, headers, sealing, proof).await?;
    }
    Ok(())
}

/// A header's value that is never shown.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|_| "a secret has characters that no header can have")?;
    value.set_sensitive(true);
    Ok(value)
}
