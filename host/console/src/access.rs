//! Who may look, and who may act.
//!
//! There is always a token, on loopback too: other users of the machine, pages in a browser and plugins can reach a listener there. A browser
//! shows it once, or opens a link that works once, and has a cookie from then on. Programs send it as `Authorization: Bearer`. A proxy may name
//! people instead.

mod attempts;
pub(crate) mod cookie;
pub(crate) mod own_page;
mod proxy;
mod session;
mod sessions;
mod streams;

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use tracing::warn;

use crate::problem::Problem;
use attempts::Attempts;
pub use proxy::Proxy;
use session::digest;
pub use session::{Role, Session};
use sessions::Sessions;
pub(crate) use streams::Streams;

/// How long the link of the start can be opened.
pub const LINK_LASTS: Duration = Duration::from_secs(600);

/// The length of the tokens that Towpath makes. A file may have a shorter one.
const LONG: usize = 64;

/// Who is at the other end of a request. The server puts it into the request's extensions; without it nobody is a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peer {
    /// The address of whoever asks: behind a trusted proxy, the one that the proxy tells.
    pub address: Option<IpAddr>,
    /// Whether the request came from a proxy that the config trusts.
    pub is_proxy: bool,
}

impl Peer {
    pub(crate) fn of(extensions: &Extensions) -> Peer {
        extensions.get().copied().unwrap_or_default()
    }
}

/// How somebody proved who they are.
#[derive(Clone)]
pub(crate) enum Proof {
    Bearer,
    /// By the cookie of a session, which has these streams.
    Cookie(Streams),
    Proxy,
}

/// Why nobody may act, if so. Requests have it in their extensions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReadOnly(pub(crate) Option<String>);

/// How people prove who they are.
pub struct Access {
    keys: Vec<Key>,
    link: Mutex<Option<Link>>,
    pub(crate) sessions: Sessions,
    attempts: Attempts,
    pub(crate) proxy: Option<Proxy>,
    /// Why nobody may act.
    pub(crate) read_only: Option<String>,
    /// The name of the cookie.
    pub(crate) cookie: String,
}

/// A token, and who presents it. Digests are compared, so that neither time nor length tells anything.
struct Key {
    digest: [u8; 32],
    session: Session,
    /// Whether it is too long to be guessed, as those that Towpath makes are.
    is_long: bool,
}

impl Key {
    fn new(token: &str, session: Session) -> Key {
        Key { digest: digest(token), session, is_long: token.len() >= LONG }
    }
}

/// A link that logs in, once.
struct Link {
    digest: [u8; 32],
    until: Instant,
}

impl Access {
    /// Whoever has this token is this person.
    pub fn by_token(token: String, session: Session) -> Access {
        Access {
            keys: vec![Key::new(&token, session)],
            link: Mutex::default(),
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            proxy: None,
            read_only: None,
            cookie: cookie::NAME.to_owned(),
        }
    }

    /// Whoever has this other token is this other person.
    pub fn and_token(mut self, token: String, session: Session) -> Access {
        self.keys.push(Key::new(&token, session));
        self
    }

    /// Believes a proxy that names people.
    pub fn behind(self, proxy: Proxy) -> Access {
        Access { proxy: Some(proxy), ..self }
    }

    /// Nobody may act, for this reason.
    pub fn read_only(self, why: impl Into<String>) -> Access {
        Access { read_only: Some(why.into()), ..self }
    }

    /// Names the cookie after the port: browsers send cookies to every port of a host, so two consoles would log each other out.
    pub fn on_port(self, port: u16) -> Access {
        Access { cookie: format!("{}-{port}", cookie::NAME), ..self }
    }

    /// Lets this secret log in as the owner of the first token: once, within [`LINK_LASTS`].
    pub fn link(self, once: &str) -> Access {
        let link = Link { digest: digest(once), until: Instant::now() + LINK_LASTS };
        Access { link: Mutex::new(Some(link)), ..self }
    }

    /// Who makes a request, and how they prove it.
    pub(crate) fn session(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<(Session, Proof), Problem> {
        let (session, proof) = self.proved(headers, peer)?;
        let is_write = *method != Method::GET && *method != Method::HEAD;
        // A browser adds a cookie, and what a proxy knows somebody by, to what other pages ask for too.
        if is_write && !matches!(proof, Proof::Bearer) && !own_page::sent(headers) {
            return Err(Problem::foreign());
        }
        Ok((self.bounded(session), proof))
    }

    fn proved(&self, headers: &HeaderMap, peer: Peer) -> Result<(Session, Proof), Problem> {
        if let Some(given) = headers.get(AUTHORIZATION) {
            let token = given.to_str().ok().and_then(|given| given.strip_prefix("Bearer "));
            return Ok((self.by(token.unwrap_or_default(), headers, peer)?, Proof::Bearer));
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|_| peer.is_proxy)
            && let Some(session) = proxy.session(headers)?
        {
            return Ok((session, Proof::Proxy));
        }
        let found = cookie::values(headers, &self.cookie).find_map(|id| self.sessions.find(id));
        found.map(|(session, streams)| (session, Proof::Cookie(streams))).ok_or_else(Problem::unauthorized)
    }

    /// Whose token this is. The owner of a long one gets in however many others fail; a short one is refused while there were too many wrong ones.
    pub(crate) fn by(&self, token: &str, headers: &HeaderMap, peer: Peer) -> Result<Session, Problem> {
        let found = self.key(token);
        if let Some(key) = found.filter(|key| key.is_long) {
            return Ok(key.session.clone());
        }
        if let Some(wait) = self.attempts.wait(peer.address) {
            return Err(Problem::too_many(wait));
        }
        found.map(|key| key.session.clone()).ok_or_else(|| {
            // A page of another site fails in the name of whoever opened it.
            if !own_page::is_of_another_site(headers) {
                self.attempts.failed(peer.address);
            }
            failed(peer)
        })
    }

    fn key(&self, token: &str) -> Option<&Key> {
        let given = digest(token);
        let mut found = None;
        // Every one is compared, so that time does not tell which one it is.
        for key in &self.keys {
            if bool::from(key.digest.ct_eq(&given)) {
                found = Some(key);
            }
        }
        found
    }

    /// Who opens this link. Any page can send a browser to a wrong one, so failures are not counted: nobody guesses 244 bits in ten minutes.
    pub(crate) fn by_link(&self, once: &str, peer: Peer) -> Result<Session, Problem> {
        let mut link = self.link.lock();
        let given = digest(once);
        let fits = |link: &mut Link| bool::from(link.digest.ct_eq(&given)) && Instant::now() < link.until;
        let owner = self.keys.first().map(|key| key.session.clone());
        link.take_if(fits).and(owner).ok_or_else(|| failed(peer))
    }

    /// The session, with what it may do at the moment.
    fn bounded(&self, session: Session) -> Session {
        if self.read_only.is_some() { Session { role: Role::Viewer, ..session } } else { session }
    }
}

fn failed(peer: Peer) -> Problem {
    warn!(address = address(peer), "console login failed");
    Problem::unauthorized()
}

/// The address for the log.
pub(crate) fn address(peer: Peer) -> String {
    peer.address.map_or("unknown".to_owned(), |address| address.to_string())
}

/// Somebody who may look. Every handler that shows something takes it, so none can be reached without.
pub(crate) struct Viewer(pub(crate) Session);

/// Somebody who may act. Every handler that changes something takes it.
pub(crate) struct Operator(pub(crate) Session);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Viewer, Problem> {
        parts.extensions.get::<Session>().cloned().map(Viewer).ok_or_else(Problem::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        let Viewer(session) = Viewer::from_request_parts(parts, state).await?;
        if session.role < Role::Operator {
            return Err(Problem::forbidden());
        }
        Ok(Operator(session))
    }
}
