//! Signs as a sender does: the other direction of [`check`](crate::check), made of the same parts.

mod private_key;

use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use towpath_config::secrets::WebhookKey;
use towpath_config::value::{Filter, Source, Value};
use towpath_config::verify::{Algorithm, Jwt, Keys, Scheme, Signature, Token, Unit, Verification, Way};
use towpath_select::{Scope, items, mac, put};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::json::Pointer;

pub use private_key::{NotAPrivateKey, PrivateKey};

use crate::fetched::Keyring;
use crate::secrets::Secrets;
use crate::signature::{made, signed};
use crate::time::write_time;
use crate::{Evidence, Unproven, Unverified, What, jwt, prove_by, provider, standard_webhooks, token, url_of, written};

/// Why a webhook cannot be signed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsignable {
    #[error("only the sender's private key makes such signatures")]
    NoPrivateKey,
    #[error("the private key is not one of the scheme's algorithm")]
    OtherAlgorithm,
    #[error("the public key in verify is not that of the private key")]
    OtherKey,
    #[error("verify names no secret")]
    NoSecret,
    #[error("the {0} cannot be set in this webhook")]
    Place(What),
    /// The webhook lacks something, or a secret is unusable.
    #[error(transparent)]
    Unverified(#[from] Unverified),
}

/// The webhook with a proof of now, which the verification accepts. What proved it before is replaced, and a header that
/// the proof covers is made if it is missing. `key` is for schemes of public keys.
pub fn sign(
    verification: &Verification,
    webhook: &Webhook,
    now: Timestamp,
    key: Option<&PrivateKey>,
) -> Result<Webhook, Unsignable> {
    let mut problem = None;
    for way in &verification.ways {
        match by_way(way, webhook, now, key) {
            Ok(signed) => return Ok(signed),
            // What a way that is not meant for the webhook lacks says little.
            Err(why) if matches!(problem, None | Some(Unsignable::Unverified(Unverified::NoWay))) => {
                problem = Some(why);
            }
            Err(_) => {}
        }
    }
    Err(problem.unwrap_or(Unsignable::NoSecret))
}

fn by_way(way: &Way, webhook: &Webhook, now: Timestamp, key: Option<&PrivateKey>) -> Result<Webhook, Unsignable> {
    // Before anything is made up for a signature that nobody here can make.
    if key.is_none() && matches!(way.keys, Keys::Public(_) | Keys::Fetched(_)) {
        return Err(Unsignable::NoPrivateKey);
    }
    let named = way.keys.secrets().first();
    if named.is_some_and(|named| !named.value.is_learned()) {
        return Err(Unverified::NotLearned.into());
    }
    let secret = named.map(|secret| secret.value.expose());
    let mut sender = Sender { way, now, key, secret, webhook: webhook.clone() };
    sender.put_equals()?;
    match &way.every {
        None => sender.prove(None)?,
        Some(pointer) => {
            let count = items(&sender.webhook.body, pointer).map_or(0, |items| items.len());
            for number in 0..count {
                sender.prove(Some((pointer, number)))?;
            }
        }
    }
    let signed = sender.webhook;
    if !Scope::of(&signed).meets(&way.when) {
        return Err(Unverified::NoWay.into());
    }
    // What is sent must be accepted.
    match prove_by(way, Evidence::arriving(&signed, now), &Secrets::fixed(way), &Keyring::default()) {
        Ok(_) => Ok(signed),
        Err(Unproven::Unverified(Unverified::Mismatch(_))) if key.is_some() && sender.secret.is_none() => {
            Err(Unsignable::OtherKey)
        }
        Err(Unproven::Unverified(why)) => Err(why.into()),
        // Whether it is the key that the sender publishes is not known here.
        Err(Unproven::Unavailable(_)) => Ok(signed),
    }
}

/// An array in the body and the number of an element.
type Item<'a> = Option<(&'a Pointer, usize)>;

struct Sender<'a> {
    way: &'a Way,
    now: Timestamp,
    key: Option<&'a PrivateKey>,
    secret: Option<Arc<str>>,
    webhook: Webhook,
}

impl Sender<'_> {
    /// Sets headers and parameters that must be equal to something. An event that differs in its body stays as it is, and
    /// is not verified.
    fn put_equals(&mut self) -> Result<(), Unsignable> {
        for (value, template) in &self.way.equal {
            if matches!(value.source, Source::Header(_) | Source::Query(_)) {
                let url = url_of(self.way, &self.webhook)?;
                let scope = Scope { url: url.as_deref(), ..Scope::of(&self.webhook) };
                let text = scope.text(template).map_err(|(value, _)| Unverified::Missing(What::of(value)))?;
                self.put(value, None, &text)?;
            }
        }
        Ok(())
    }

    fn prove(&mut self, item: Item<'_>) -> Result<(), Unsignable> {
        match &self.way.scheme {
            Scheme::Signature(scheme) => self.signature(scheme, item),
            Scheme::StandardWebhooks(_) => self.standard_webhooks(),
            Scheme::Jwt(scheme) => self.jwt(scheme, item),
            Scheme::Token(scheme) => self.token(scheme, item),
        }
    }

    fn signature(&mut self, scheme: &Signature, item: Item<'_>) -> Result<(), Unsignable> {
        let place = scheme.at.first().ok_or(Unsignable::NoSecret)?;
        let missing: Vec<&str> = scheme.signed.headers().filter(|name| self.webhook.header(name).is_none()).collect();
        for name in missing {
            self.put(&Value::header(name), None, random().as_bytes())?;
        }
        let stamp = scheme.time.as_ref().map(|time| write_time(time.unit, self.now));
        if let (Some(time), Some(stamp)) = (&scheme.time, &stamp)
            && !matches!(time.at.source, Source::Pair(_))
        {
            self.put(&time.at, item, stamp.as_bytes())?;
        }
        let url = url_of(self.way, &self.webhook)?;
        let scope = self.scope(url.as_deref(), item);
        let before = scope.value(place).unwrap_or_default();
        let (_, mut pairs) = written::read(scheme, &before);
        if let (Some(time), Some(stamp)) = (&scheme.time, &stamp)
            && let Source::Pair(name) = &time.at.source
        {
            pairs.retain(|(own, _)| *own != name.as_bytes());
            pairs.insert(0, (name.as_bytes(), stamp.as_bytes()));
        }
        let made_up = self.other_pairs(scheme, &pairs);
        pairs.extend(made_up.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes())));
        let scope = Scope { pairs: &pairs, timestamp: stamp.as_ref().map(|stamp| stamp.as_bytes()), ..scope };
        let pieces = signed(scheme, &scope)?;
        let signature = if scheme.algorithm.is_public() {
            self.by_private_key(scheme.algorithm, &pieces.concat())?
        } else {
            let unusable = Unverified::Secret("it is not encoded as the key of the scheme");
            let key = scope.text(&scheme.key).map_err(|_| self.without_secret(unusable))?;
            made(scheme.algorithm, &key, &pieces).ok_or(Unsignable::NoPrivateKey)?
        };
        let value = written::write(scheme, &signature, &pairs);
        self.put(place, item, &value)
    }

    /// Pairs that are signed too and are missing: the names of headers where their values are signed, else a nonce.
    fn other_pairs(&self, scheme: &Signature, pairs: &written::Pairs<'_>) -> Vec<(String, String)> {
        let mut made_up: Vec<(String, String)> = Vec::new();
        for value in scheme.signed.values() {
            let Source::Pair(name) = &value.source else { continue };
            let is_given = pairs.iter().any(|(own, _)| *own == name.as_bytes());
            let lists_headers = value.filters.contains(&Filter::Headers);
            made_up.retain(|(own, _)| own != name || !lists_headers);
            if lists_headers && !is_given {
                let names: Vec<&str> = self.webhook.headers.iter().map(|(name, _)| name.as_str()).collect();
                made_up.push((name.clone(), names.join(" ")));
            } else if !is_given && !made_up.iter().any(|(own, _)| own == name) {
                made_up.push((name.clone(), random()));
            }
        }
        made_up
    }

    fn standard_webhooks(&mut self) -> Result<(), Unsignable> {
        let secret = self.secret.clone().ok_or(Unsignable::NoSecret)?;
        let key = WebhookKey::read(&secret).map_err(Unverified::Secret)?;
        let [id_name, stamp_name, signature_name] = standard_webhooks::names(&self.webhook);
        let id = match self.webhook.header(&id_name) {
            Some(id) => id.to_vec(),
            None => format!("msg_{}", random()).into_bytes(),
        };
        let stamp = write_time(Unit::Seconds, self.now);
        let by_private_key = |signed: &[u8]| self.by_private_key(Algorithm::Ed25519, signed);
        let body = &self.webhook.body;
        let signatures = standard_webhooks::write(&key, &id, stamp.as_bytes(), body, by_private_key)?;
        self.put(&Value::header(&id_name), None, &id)?;
        self.put(&Value::header(&stamp_name), None, stamp.as_bytes())?;
        self.put(&Value::header(&signature_name), None, signatures.as_bytes())
    }

    fn jwt(&mut self, scheme: &Jwt, item: Item<'_>) -> Result<(), Unsignable> {
        let algorithm = *scheme.algorithms.first().ok_or(Unsignable::NoSecret)?;
        let url = url_of(self.way, &self.webhook)?;
        let scope = self.scope(url.as_deref(), item);
        let sign = |signed: &[u8]| match provider::mac_of(algorithm) {
            Some(digest) => {
                let key =
                    scope.text(&scheme.key).map_err(|_| self.without_secret(Unverified::Secret("it is no key")))?;
                Ok(mac(digest, &key, &[signed]))
            }
            None => self.by_private_key(provider::public(algorithm).ok_or(Unsignable::OtherAlgorithm)?, signed),
        };
        let token = jwt::write(scheme, algorithm, scope, self.now, sign)?;
        self.put(&scheme.at, item, &token)
    }

    fn token(&mut self, scheme: &Token, item: Item<'_>) -> Result<(), Unsignable> {
        let place = scheme.at.first().ok_or(Unsignable::NoSecret)?;
        let secret = self.secret.clone().ok_or(Unsignable::NoSecret)?;
        self.put(place, item, &token::write(&scheme.written, &secret))
    }

    fn scope<'s>(&'s self, url: Option<&'s str>, item: Item<'_>) -> Scope<'s> {
        let element = |(pointer, number): (&Pointer, usize)| items(&self.webhook.body, pointer)?.get(number).copied();
        let secret = self.secret.as_ref().map(|secret| secret.as_bytes());
        Scope { item: item.and_then(element), url, secret, ..Scope::of(&self.webhook) }
    }

    fn by_private_key(&self, algorithm: Algorithm, signed: &[u8]) -> Result<Vec<u8>, Unsignable> {
        let key = self.key.ok_or(Unsignable::NoPrivateKey)?;
        key.sign(algorithm, signed).ok_or(Unsignable::OtherAlgorithm)
    }

    fn without_secret(&self, unusable: Unverified) -> Unsignable {
        if self.secret.is_none() { Unsignable::NoSecret } else { unusable.into() }
    }

    fn put(&mut self, value: &Value, item: Item<'_>, text: &[u8]) -> Result<(), Unsignable> {
        let place = match (&value.source, item) {
            (Source::Item(pointer), Some((array, number))) => {
                let source = format!("json:{array}/{number}{pointer}").parse();
                let source = source.map_err(|_| Unsignable::Place(What::of(value)))?;
                Value { source, filters: value.filters.clone() }
            }
            _ => value.clone(),
        };
        put(&mut self.webhook, &place, text).map_err(|_| Unsignable::Place(What::of(value)))
    }
}

/// A text that no other event has.
fn random() -> String {
    let mut bytes = [0; 16];
    // Without randomness of the system the id is one that was used before: the event counts as a repeat.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests;
