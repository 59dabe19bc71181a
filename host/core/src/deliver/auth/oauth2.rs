//! OAuth2 client credentials, RFC 6749 section 4.4: a token is fetched once, kept while it is good, and fetched by one
//! for all.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::{describe, read_body};
use super::sensitive;
use crate::config::Secret;

/// How long a token counts if its endpoint does not say.
const LIFETIME: Duration = Duration::from_secs(300);

/// A token is fetched anew so long before it ends, or after nine tenths of a short life.
const MARGIN: Duration = Duration::from_secs(60);

/// A token that a target refused is fetched anew at most so often: a target that refuses everybody must not cost the
/// token endpoint a request for every message.
const DISCARD_EVERY: Duration = Duration::from_secs(30);

/// An endpoint that failed is not asked again by everybody who waited for it.
const FAILURE_COUNTS: Duration = Duration::from_secs(1);

/// A client of a token endpoint, with the token that it has now.
#[derive(Debug)]
pub struct Oauth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub secret: Secret,
    /// What is asked for.
    pub scope: Option<String>,
    /// For whom, where an endpoint wants to know: Auth0's parameter.
    pub audience: Option<String>,
    /// How the client says who it is.
    pub client_auth: ClientAuth,
    state: Mutex<State>,
}

/// How the client says who it is, RFC 6749 section 2.3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAuth {
    /// In an `Authorization` header.
    Basic,
    /// In the form.
    Post,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    discarded: Option<Instant>,
    failed: Option<(Instant, String)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State(..)")
    }
}

struct Token {
    value: Arc<str>,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Oauth2 {
    /// A client without a token.
    pub fn new(
        token_url: Url,
        client_id: String,
        secret: Secret,
        (scope, audience): (Option<String>, Option<String>),
        client_auth: ClientAuth,
    ) -> Oauth2 {
        Oauth2 { token_url, client_id, secret, scope, audience, client_auth, state: Mutex::default() }
    }

    /// A token that is good for a while. Of those who need one at the same time one fetches it.
    pub(super) async fn token(&self, client: &Client) -> Result<Arc<str>, String> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(Arc::clone(&token.value));
        }
        if let Some((_, problem)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_COUNTS) {
            return Err(problem.clone());
        }
        match self.fetch(client).await {
            Ok(token) => {
                let value = Arc::clone(&token.value);
                (state.token, state.failed) = (Some(token), None);
                Ok(value)
            }
            Err(problem) => {
                state.failed = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// After a 401: whether another token than `seen` can be had.
    pub(super) async fn discard(&self, seen: &str) -> bool {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_none_or(|token| &*token.value != seen) {
            return true;
        }
        if state.discarded.is_some_and(|at| at.elapsed() < DISCARD_EVERY) {
            return false;
        }
        *state = State { token: None, discarded: Some(Instant::now()), failed: None };
        true
    }

    fn form(&self, secret: &str) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(self.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(self.audience.iter().map(|audience| ("audience", audience)));
        if self.client_auth == ClientAuth::Post {
            form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
        }
        form.finish()
    }

    /// Asks the endpoint, and once more if the client's secret turns out to have been rotated.
    async fn fetch(&self, client: &Client) -> Result<Token, String> {
        let seen = self.secret.expose();
        let mut asked = self.ask(client, &seen).await;
        if matches!(asked, Err((Some(400 | 401), _))) && self.secret.is_renewed(&seen).await {
            asked = self.ask(client, &self.secret.expose()).await;
        }
        asked.map_err(|(_, problem)| format!("no access token: {problem}"))
    }

    async fn ask(&self, client: &Client, secret: &str) -> Result<Token, (Option<u16>, String)> {
        let asked = Instant::now();
        let mut request = client.post(self.token_url.clone()).header(ACCEPT, "application/json");
        if self.client_auth == ClientAuth::Basic {
            let pair = format!("{}:{}", form_encoded(&self.client_id), form_encoded(secret));
            let value = format!("Basic {}", BASE64.encode(pair));
            request = request.header(AUTHORIZATION, sensitive(&value).map_err(|problem| (None, problem))?);
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(self.form(secret));
        let broken = |error: reqwest::Error| (None, format!("the token endpoint: {}", describe(&error)));
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        let body = read_body(response).await.map_err(broken)?;
        if !status.is_success() {
            // RFC 6749 section 5.2 has a code, which is safe to show, and a description, which may quote anything.
            let code = serde_json::from_slice::<Refused>(&body).map(|refused| refused.error).unwrap_or_default();
            let plain =
                !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let code = if plain { format!(" {code}") } else { String::new() };
            return Err((Some(status.as_u16()), format!("the token endpoint answered {}{code}", status.as_u16())));
        }
        let granted = serde_json::from_slice::<Granted>(&body)
            .map_err(|_| (None, "the token endpoint's answer holds no access_token".to_owned()))?;
        let lifetime = granted.expires_in.map_or(LIFETIME, Duration::from_secs);
        let until = asked + lifetime.saturating_sub(MARGIN.min(lifetime / 10)).min(Duration::from_secs(24 * 3600));
        Ok(Token { value: granted.access_token.into(), until })
    }
}

/// RFC 6749 appendix B: id and secret are form-encoded before they are joined.
fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}
