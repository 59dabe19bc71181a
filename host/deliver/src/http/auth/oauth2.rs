//! OAuth2 client credentials, RFC 6749 section 4.4. One message fetches a token for all, and it is cached while it is valid.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::answer;
use super::sensitive;
use super::token::TokenResponse;
use towpath_config::target::{ClientAuth, ClientCredentials};
use towpath_reach::{Pool, describe};

/// The lifetime of a token if its endpoint does not state it.
const LIFETIME: Duration = Duration::from_secs(300);

/// A token is refreshed this long before it expires, or after nine tenths of a short lifetime.
const MARGIN: Duration = Duration::from_secs(60);

/// The shortest interval between refreshes of tokens that the target rejected: a target that rejects every token must
/// not cause a token request for every message.
const DISCARD_EVERY: Duration = Duration::from_secs(30);

/// How long a failed token request counts for all messages that waited for it.
const FAILURE_COUNTS: Duration = Duration::from_secs(1);

/// A client for a token endpoint, with its current token.
#[derive(Debug)]
pub(crate) struct Oauth2 {
    client: ClientCredentials,
    /// Connections to the token endpoint.
    pool: Arc<Pool>,
    state: Mutex<State>,
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

impl Oauth2 {
    pub(crate) fn new(client: ClientCredentials, pool: Arc<Pool>) -> Oauth2 {
        Oauth2 { client, pool, state: Mutex::default() }
    }

    pub(super) fn client_secret(&self) -> Arc<str> {
        self.client.secret.expose()
    }

    /// A valid token. If several messages need one at the same time, one of them fetches it.
    pub(super) async fn token(&self, limit: Instant) -> Result<Arc<str>, String> {
        let Ok(mut state) = timeout_at(limit, self.state.lock()).await else {
            return Err("no access token: timed out while another message waited for the token endpoint".to_owned());
        };
        if let Some(token) = state.token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(Arc::clone(&token.value));
        }
        if let Some((_, problem)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_COUNTS) {
            return Err(problem.clone());
        }
        let begun = Instant::now();
        let fetched = timeout_at(limit, self.fetch(&self.pool.client(), limit)).await.unwrap_or_else(|_| {
            let waited = begun.elapsed().as_millis();
            Err(format!("no access token: the token endpoint did not answer within {waited} ms"))
        });
        match fetched {
            Ok(token) => {
                let value = Arc::clone(&token.value);
                state.token = Some(token);
                state.failed = None;
                Ok(value)
            }
            Err(problem) => {
                state.failed = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// Call this after a 401 with the token `seen`. Returns whether another token is available.
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
        form.extend_pairs(self.client.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(self.client.audience.iter().map(|audience| ("audience", audience)));
        if self.client.client_auth == ClientAuth::Post {
            form.append_pair("client_id", &self.client.client_id).append_pair("client_secret", secret);
        }
        form.finish()
    }

    /// Requests a token, and once more if the client's secret turns out to have been rotated.
    async fn fetch(&self, client: &Client, limit: Instant) -> Result<Token, String> {
        let seen = self.client.secret.expose();
        let mut asked = self.ask(client, &seen, limit).await;
        if matches!(asked, Err((Some(400 | 401), _))) && self.client.secret.is_renewed(&seen).await {
            asked = self.ask(client, &self.client.secret.expose(), limit).await;
        }
        asked.map_err(|(_, problem)| format!("no access token: {problem}"))
    }

    /// Requests a token. An error has the status, if the endpoint answered, and the problem, without the secret.
    async fn ask(&self, client: &Client, secret: &str, limit: Instant) -> Result<Token, (Option<u16>, String)> {
        let broken = |problem: String| (None, format!("the token endpoint: {problem}"));
        let asked = Instant::now();
        let pair = BASE64.encode(format!("{}:{}", form_encoded(&self.client.client_id), form_encoded(secret)));
        let mut request = client.post(self.client.token_url.clone()).header(ACCEPT, "application/json");
        if self.client.client_auth == ClientAuth::Basic {
            let value = sensitive(&format!("Basic {pair}")).map_err(|problem| (None, problem))?;
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(self.form(secret));
        let response = request.send().await.map_err(|error| broken(describe(&error)))?;
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let body = if status.is_success() {
            answer::whole(response).await.map_err(broken)?
        } else {
            answer::beginning(response, answer::MAX_RESPONSE, limit).await
        };
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let read = TokenResponse { status, content_type, body: &body }.read(&[secret, &form_encoded(secret), &pair]);
        let granted = read.map_err(|problem| (Some(status.as_u16()), problem))?;
        let lifetime = granted.lifetime.unwrap_or(LIFETIME);
        let until = asked + lifetime.saturating_sub(MARGIN.min(lifetime / 10));
        Ok(Token { value: granted.value.into(), until })
    }
}

/// RFC 6749 appendix B: id and secret are form-encoded before they are joined.
fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}
