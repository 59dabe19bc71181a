//! Target authentication. It is redone for each attempt: signatures carry the time, tokens expire, secrets are rotated.

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

/// What the authentication of an attempt depends on.
pub(super) struct Sealing<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
    /// The target's client for its token endpoint, if it has one.
    pub(super) tokens: Option<&'a Arc<Oauth2>>,
    pub(super) credentials: Option<&'a AwsCredentials>,
    /// When the attempt ends.
    pub(super) limit: Instant,
}

/// The secrets that authenticated one attempt: to tell after a 401 whether newer ones exist, and to mask them in answers.
#[derive(Default)]
pub(crate) struct UsedCredentials {
    secrets: Vec<(Secret, Arc<str>)>,
    tokens: Vec<(Arc<Oauth2>, Arc<str>)>,
    /// Values derived from secrets: signatures, and pairs of user and password.
    made: Vec<Arc<str>>,
}

impl UsedCredentials {
    /// The value of a secret, which is recorded.
    pub(super) fn expose(&mut self, secret: &Secret) -> Arc<str> {
        let value = secret.expose();
        self.secrets.push((secret.clone(), Arc::clone(&value)));
        value
    }

    /// Records a value derived from a secret.
    fn made(&mut self, value: &str) {
        self.made.push(value.into());
    }

    /// All values that must be masked in answers.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<str>> {
        let secrets = self.secrets.iter().map(|(_, value)| value);
        secrets.chain(self.tokens.iter().map(|(_, value)| value)).chain(&self.made)
    }

    /// Whether a retry would authenticate differently: a secret was rotated, or a token can be refreshed.
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
            let tokens = sealing.tokens.ok_or("the target has no client for its token endpoint")?;
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

/// Adds all authentication to a request. Schemes that sign the request come last. An error says what is missing,
/// without secrets.
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

/// A header value that is never logged.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| "a secret contains characters that are invalid in a header")?;
    value.set_sensitive(true);
    Ok(value)
}
