//! Public keys from elsewhere: which ones a webhook needs, and those that were fetched for it.
//!
//! Checking stays synchronous. A check that needs a key which was not fetched yet says which one, it is fetched, and the
//! check starts over. So nothing is fetched for a webhook that fails before its key matters.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use towpath_config::fetched::{Fetched, Place};
use towpath_config::value::{Part, Template};
use towpath_config::verify::{Algorithm, NamedSecret, PublicKey};
use towpath_select::Scope;
use towpath_types::clock::Timestamp;
use towpath_types::json::Pointer;
use url::Url;

use crate::{Evidence, Unproven, Unverified, What};

/// The most documents that are fetched to check one webhook. Senders name one key, or two during a rotation.
const MOST_FETCHES: usize = 8;

/// The longest id of a key.
const LONGEST_ID: usize = 512;

/// Where public keys come from.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The keys of a document. If the wanted id is not among them, the sender has no such key: the document was asked for
    /// after the webhook arrived.
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable>;
}

/// The keys cannot be had now. It says nothing about the webhook.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the keys of the sender cannot be fetched from {from}: {why}")]
pub struct Unavailable {
    /// The host.
    pub from: String,
    pub why: String,
    /// When to ask again.
    pub after: Duration,
}

/// A source for hosts that fetch nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoKeys;

#[async_trait]
impl KeySource for NoKeys {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        Err(wanted.unavailable("this program fetches no keys", Duration::from_secs(60)))
    }
}

/// A document with keys, and the key that is needed of it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub url: Url,
    pub document: Document,
    /// The id of the key, if it is known.
    pub id: Option<String>,
    pub bearer: Option<NamedSecret>,
    /// Whether the host may be a private or local address.
    pub allow_private: bool,
    /// Whether a webhook chose the URL, so that it may well lead nowhere.
    pub is_chosen: bool,
    /// When the webhook arrived.
    pub arrived: Timestamp,
    pub asker: Asker,
}

/// For whom a document is fetched: strangers can cause fetches, and must not use up those of others.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Asker {
    /// The path of the route; empty where it is not known.
    pub route: String,
    /// The address of the sender, if it is known.
    pub sender: Option<IpAddr>,
}

/// What a document is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Document {
    Jwks,
    Certificate,
    /// One key, at a pointer.
    Key(Option<String>),
}

/// A public key that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub id: Option<String>,
    /// The only algorithm of tokens that it is for, if it says so.
    pub algorithm: Option<jsonwebtoken::Algorithm>,
    pub bytes: Vec<u8>,
    /// From when until when it may be used.
    pub valid: Option<(Timestamp, Timestamp)>,
}

impl Key {
    /// The key, if it suits the algorithm.
    pub(crate) fn of(&self, algorithm: Algorithm) -> Option<PublicKey> {
        PublicKey::raw(self.bytes.clone(), algorithm).ok()
    }
}

impl Wanted {
    /// The keys that it may mean. One without an id can be any.
    pub fn among<'a>(&'a self, keys: &'a [Key]) -> impl Iterator<Item = &'a Key> {
        keys.iter().filter(|key| key.id.is_none() || self.id.is_none() || key.id == self.id)
    }

    pub fn unavailable(&self, why: impl Into<String>, after: Duration) -> Unavailable {
        Unavailable { from: self.url.host_str().unwrap_or_default().to_owned(), why: why.into(), after }
    }

    /// Whether another one is for the same document.
    fn is_in(&self, other: &Wanted) -> bool {
        let name = |wanted: &Wanted| wanted.bearer.as_ref().map(|bearer| bearer.name.clone());
        self.url == other.url && self.document == other.document && name(self) == name(other)
    }
}

/// What a source answered.
type Fetch = Result<Arc<[Key]>, Unavailable>;

/// What was fetched to check one webhook.
#[derive(Default)]
pub(crate) struct Keyring {
    fetched: Vec<(Wanted, Fetch)>,
    missing: RefCell<Option<Wanted>>,
}

impl Keyring {
    /// The keys that may have made a signature, valid at the arrival. Call it after every check that needs no key.
    pub(crate) fn keys(
        &self,
        fetched: &Fetched,
        token_id: Option<&str>,
        scope: &Scope<'_>,
        evidence: Evidence<'_>,
    ) -> Result<Vec<Key>, Unproven> {
        let wanted = wanted(fetched, token_id, scope, evidence)?;
        let mut known = self.fetched.iter().filter(|(asked, _)| wanted.is_in(asked));
        let is_enough = |(asked, got): &&(Wanted, Fetch)| match got {
            Ok(keys) => asked.id == wanted.id || wanted.among(keys).next().is_some(),
            Err(_) => true,
        };
        let Some((_, got)) = known.find(is_enough) else {
            let why = wanted.unavailable("they are not fetched yet", Duration::ZERO);
            self.missing.borrow_mut().get_or_insert(wanted);
            return Err(why.into());
        };
        let keys = got.as_ref().map_err(Clone::clone)?;
        let named: Vec<&Key> = wanted.among(keys).collect();
        if named.is_empty() {
            return Err(Unverified::UnknownKey.into());
        }
        let now = evidence.arrived;
        let is_valid = |key: &&Key| key.valid.is_none_or(|(from, until)| from <= now && now <= until);
        let valid: Vec<Key> = named.into_iter().filter(is_valid).cloned().collect();
        if valid.is_empty() { Err(Unverified::ExpiredKey.into()) } else { Ok(valid) }
    }

    /// Fetches the key that the last check lacked. Returns whether there was one.
    pub(crate) async fn fetch_missing(&mut self, source: &dyn KeySource, deadline: tokio::time::Instant) -> bool {
        let Some(wanted) = self.missing.take() else { return false };
        if self.fetched.len() >= MOST_FETCHES {
            return false;
        }
        let got = match tokio::time::timeout_at(deadline, source.keys(&wanted)).await {
            Ok(got) => got,
            Err(_) => Err(wanted.unavailable("no answer in time", Duration::from_secs(5))),
        };
        self.fetched.push((wanted, got));
        true
    }
}

fn wanted(
    fetched: &Fetched,
    token_id: Option<&str>,
    scope: &Scope<'_>,
    evidence: Evidence<'_>,
) -> Result<Wanted, Unverified> {
    let hosts = &fetched.hosts;
    let (url, document, is_chosen) = match &fetched.from {
        Place::Jwks(url) => (url.clone(), Document::Jwks, false),
        Place::Certificate(value) => {
            let text = scope.value(value).map_err(|_| Unverified::Missing(What::of(value)))?;
            // A certificate is a file. With a query, one of them would have any number of addresses.
            let is_file = |url: &Url| url.query().is_none() && url.fragment().is_none();
            let url = std::str::from_utf8(&text).ok().and_then(|text| hosts.url(text)).filter(is_file);
            (url.ok_or_else(|| Unverified::Host(What::of(value)))?, Document::Certificate, true)
        }
        Place::Key { url, pointer } => {
            let text = filled(url, scope)?;
            let url = hosts.url(&text).ok_or_else(|| Unverified::Host(What(format!("value {url}"))))?;
            (url, Document::Key(pointer.as_ref().map(Pointer::to_string)), true)
        }
    };
    let id = match &fetched.key_id {
        Some(value) => {
            let text = scope.value(value).map_err(|_| Unverified::Missing(What::of(value)))?;
            Some(
                String::from_utf8(text.into_owned())
                    .map_err(|_| Unverified::Malformed(What::of(value), "id of a key"))?,
            )
        }
        None => token_id.map(str::to_owned),
    };
    if id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(Unverified::UnknownKey);
    }
    let (bearer, allow_private, arrived) = (fetched.bearer.clone(), hosts.allow_private, evidence.arrived);
    let asker = Asker::default();
    Ok(Wanted { url, document, id, bearer, allow_private, is_chosen, arrived, asker })
}

/// The URL that a template makes. A value is one segment of the path, or, right after the host, a path: it can neither
/// change the host nor leave its place.
pub fn filled(template: &Template, scope: &Scope<'_>) -> Result<String, Unverified> {
    let mut url = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => url.push_str(text),
            Part::Value(value) => {
                let what = || What::of(value);
                let bytes = scope.value(value).map_err(|_| Unverified::Missing(what()))?;
                let text = std::str::from_utf8(&bytes).unwrap_or_default();
                let is_after_host = url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
                let segments = if is_after_host { text.strip_prefix('/') } else { Some(text) };
                let is_fine = segments.is_some_and(|segments| match is_after_host {
                    true => segments.split('/').all(is_segment),
                    false => is_segment(segments),
                });
                if !is_fine {
                    return Err(Unverified::Malformed(what(), "id of a key, or path of one"));
                }
                url.push_str(text);
            }
        }
    }
    Ok(url)
}

fn is_segment(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~=:@,".contains(&byte));
    is_plain && !["", ".", ".."].contains(&text)
}

#[cfg(test)]
mod tests;
