//! One request, and what its answer means.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode, header};
use reqwest::{Client, Response};
use tokio::time::timeout;
use towpath_config::target::Reach;
use towpath_reach::{Pool, client, describe};
use towpath_runtime::install_crypto;
use towpath_verify::documents;
use towpath_verify::fetched::{Key, Wanted};
use url::Url;

/// The largest document. Key sets of large senders have some 20 KiB.
const MOST_BYTES: usize = 256 * 1024;

/// How long an exchange may take.
const TIME: Duration = Duration::from_secs(10);

/// How long a call may take. The sender of the handshake waits for it.
const CALL_TIME: Duration = Duration::from_secs(5);

/// What a source answered.
pub(crate) enum Got {
    Keys {
        keys: Vec<Key>,
        lifetime: Option<Duration>,
    },
    /// There is none.
    NoSuchKey,
    /// The same, as far as one can tell: it may also be that this host is not let in.
    PerhapsNoSuchKey,
}

/// Why a call did not confirm a handshake.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    #[error("the call was answered {0}")]
    Refused(StatusCode),
    #[error("the call failed: {0}")]
    Failed(String),
}

/// The connections, made when they are needed.
#[derive(Default)]
pub(crate) struct Web {
    public: OnceLock<Result<Pool, String>>,
    private: OnceLock<Result<Pool, String>>,
}

impl Web {
    fn client(&self, allow_private: bool) -> Result<Client, String> {
        let pool = if allow_private { &self.private } else { &self.public };
        let made = pool.get_or_init(|| {
            install_crypto();
            let reach = Reach { allow_private, ..Reach::default() };
            let made = Pool::new(reach.max_age, move || client(&reach, "keys of senders"));
            made.map_err(|error| error.to_string())
        });
        made.as_ref().map(Pool::client).map_err(Clone::clone)
    }

    /// Fetches a document with keys.
    pub(crate) async fn document(&self, wanted: &Wanted) -> Result<Got, String> {
        let fetched = timeout(TIME, self.fetch(wanted)).await;
        fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", TIME.as_secs())))
    }

    async fn fetch(&self, wanted: &Wanted) -> Result<Got, String> {
        let mut answer = self.get(wanted).await?;
        let is_denied = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if let Some(bearer) = wanted.bearer.as_ref().filter(|_| is_denied) {
            let seen = bearer.value.expose();
            if bearer.value.is_renewed(&seen).await {
                answer = self.get(wanted).await?;
            }
        }
        match answer.status() {
            status if status.is_success() => {
                let lifetime = lifetime(&answer);
                let bytes = whole(answer).await?;
                let keys = documents::read(&wanted.document, &bytes).map_err(|error| error.to_string())?;
                Ok(Got::Keys { keys, lifetime })
            }
            status if status.is_redirection() => Err(format!("it answered {status}, and redirects are not followed")),
            // The URL of a set is fixed: there must be one.
            StatusCode::NOT_FOUND | StatusCode::GONE if wanted.is_chosen => Ok(Got::NoSuchKey),
            status if wanted.is_chosen && may_be_absent(status, wanted.bearer.is_some()) => Ok(Got::PerhapsNoSuchKey),
            status => Err(format!("it answered {status}")),
        }
    }

    async fn get(&self, wanted: &Wanted) -> Result<Response, String> {
        let mut request = self.client(wanted.allow_private)?.get(wanted.url.clone());
        if let Some(bearer) = &wanted.bearer {
            request = request.bearer_auth(bearer.value.expose());
        }
        request.send().await.map_err(|error| describe(&error))
    }

    pub(crate) async fn call(&self, method: Method, url: Url, allow_private: bool) -> Result<(), CallError> {
        let request = self.client(allow_private).map_err(CallError::Failed)?.request(method, url);
        let answer = timeout(CALL_TIME, request.send()).await;
        let answer = answer.map_err(|_| CallError::Failed(format!("no answer within {} s", CALL_TIME.as_secs())))?;
        let status = answer.map_err(|error| CallError::Failed(describe(&error)))?.status();
        if status.is_success() { Ok(()) } else { Err(CallError::Refused(status)) }
    }
}

/// Whether an answer may say that there is no such key. Stores of files answer 403 for what they do not have; where a secret
/// was sent along, that secret may be wrong.
fn may_be_absent(status: StatusCode, has_bearer: bool) -> bool {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => true,
        StatusCode::FORBIDDEN => !has_bearer,
        _ => false,
    }
}

/// How long the source says that its answer is good. RFC 9111 section 5.2.2.
fn lifetime(answer: &Response) -> Option<Duration> {
    let mut directives = answer.headers().get_all(header::CACHE_CONTROL).iter();
    let text = directives.find_map(|value| value.to_str().ok())?.to_ascii_lowercase();
    let mut each = text.split(',').map(str::trim);
    if each.clone().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(Duration::ZERO);
    }
    each.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok()).map(Duration::from_secs)
}

async fn whole(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| describe(&error))? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(format!("its answer is longer than {} KiB", MOST_BYTES / 1024));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
