//! Public keys that are not in the config: where they are fetched.

use towpath_types::json::Pointer;
use url::Url;

use crate::hosts::Hosts;
use crate::secrets::NamedSecret;
use crate::value::{Template, Value};

/// Where the public keys of a sender are fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub from: Place,
    /// The hosts that are asked. Whatever a webhook says, no other one is.
    pub hosts: Hosts,
    /// Sent along as `Authorization: Bearer`.
    pub bearer: Option<NamedSecret>,
    /// The id of the key among several, where no token says it.
    pub key_id: Option<Value>,
}

/// What the document is, and how its URL is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A JSON Web Key Set, RFC 7517 section 5. Its URL is fixed: `jku` and `x5u` of tokens are never followed.
    Jwks(Url),
    /// A certificate, whose URL is a value of the webhook.
    Certificate(Value),
    /// One key: PEM, base64, hex or a JWK, at a pointer if the document is JSON.
    Key { url: Template, pointer: Option<Pointer> },
}

impl Fetched {
    /// The values of a webhook that say which key it is.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let (value, template) = match &self.from {
            Place::Jwks(_) => (None, None),
            Place::Certificate(value) => (Some(value), None),
            Place::Key { url, .. } => (None, Some(url)),
        };
        value.into_iter().chain(template.into_iter().flat_map(Template::values)).chain(&self.key_id)
    }
}
