//! `verify` of a route: how its webhooks are verified.

mod presets;

use std::time::Duration;

use serde::Deserialize;
use towpath_types::json::Pointer;

use crate::condition::Condition;
use crate::fetched::{Fetched, Place};
use crate::signature::Encoding;
use crate::tenant::TenantSecret;
use crate::value::{Besides, Source, Template, Value};

pub use crate::algorithm::{Algorithm, Curve, Form, Padding};
pub use crate::public_key::{NotAPublicKey, PublicKey};
pub use crate::secrets::NamedSecret;

/// The default for how far the timestamp of a signature may be from the time of arrival: what Stripe, Slack and
/// Standard Webhooks recommend.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// `verify` of a route.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Any one of them is enough.
    pub ways: Vec<Way>,
    /// Whether the front door verifies too, and answers 401 to what fails.
    pub at_ingest: bool,
}

/// One way to prove who sent a webhook.
#[derive(Clone, Debug)]
pub struct Way {
    pub scheme: Scheme,
    pub keys: Keys,
    /// Which webhooks it is for.
    pub when: Condition,
    /// An array in the body, each element of which must be proven.
    pub every: Option<Pointer>,
    /// What must be equal besides.
    pub equal: Vec<(Value, Template)>,
    /// The public URL of the route, for `{url}`.
    pub url: Option<Template>,
}

#[derive(Clone, Debug)]
pub enum Keys {
    /// Any one of them is enough: during rotation the new one and the old one.
    Secrets(Vec<NamedSecret>),
    /// Secrets whose names depend on the webhook. Any one is enough.
    OfTenant(Vec<TenantSecret>),
    /// Public keys, any one of which is enough.
    Public(Vec<PublicKey>),
    /// Public keys from elsewhere.
    Fetched(Box<Fetched>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// A MAC, a hash or a signature over the body and more: nearly all senders.
    Signature(Signature),
    /// Standard Webhooks: symmetric (v1) and asymmetric (v1a) signatures.
    StandardWebhooks(StandardWebhooks),
    /// A JSON Web Token, RFC 7519.
    Jwt(Jwt),
    /// A secret that the sender sends along.
    Token(Token),
}

/// Where a signature is, how it is made and over what: everything in which senders differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Where signatures are. Any one is enough.
    pub at: Vec<Value>,
    /// How they are written there.
    pub written: Written,
    /// How the bytes of each one are written.
    pub encoding: Encoding,
    pub algorithm: Algorithm,
    pub signed: Template,
    /// The bytes of the key, made from the secret.
    pub key: Template,
    pub time: Option<Time>,
    /// How far the time, if there is one, may be from the arrival.
    pub tolerance: Duration,
}

/// How signatures are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    Plain {
        /// The prefix of each signature; may be empty.
        prefix: String,
        /// The characters between several signatures; none if there is only one.
        separators: Vec<u8>,
    },
    /// `t=1492774577,v1=5257a8…,v1=…`
    Pairs {
        /// The names of the pairs with a signature.
        signatures: Vec<String>,
        /// The character between pairs.
        between: u8,
    },
}

/// When a signature was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Time {
    pub at: Value,
    pub unit: Unit,
}

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum Unit {
    /// Seconds since 1970.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds since 1970.
    #[serde(rename = "ms")]
    Milliseconds,
    /// RFC 3339, a profile of ISO 8601.
    #[serde(rename = "iso")]
    Iso,
    /// The date of HTTP, RFC 9110 section 5.6.7.
    #[serde(rename = "http")]
    Http,
}

/// The scheme. A secret is `whsec_<base64>` for `v1`, or the public key `whpk_<base64>` for `v1a`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandardWebhooks {
    /// How far the timestamp may be from the arrival.
    pub tolerance: Duration,
}

/// A token, and what it must claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwt {
    pub at: Value,
    pub prefix: String,
    /// The algorithms that are accepted, whatever the token says.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// The bytes of the key, made from the secret.
    pub key: Template,
    /// What each claim must be: one of these.
    pub claims: Vec<(String, Vec<Template>)>,
    /// The greatest age, by the claim `iat`.
    pub max_age: Option<Duration>,
    /// The payload, where the token does not contain it.
    pub detached: Option<Template>,
}

/// A secret that is sent along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Where it is. Any place is enough.
    pub at: Vec<Value>,
    pub written: TokenForm,
}

/// How a token is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenForm {
    /// `Basic <base64 of user:secret>`, RFC 7617.
    Basic {
        /// The user's name.
        user: String,
    },
    /// `Bearer <secret>`, RFC 6750.
    Bearer,
    /// The secret after this prefix, which may be empty.
    Plain { prefix: String },
}

impl Verification {
    /// The names of the secrets that it needs.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.secrets().map(|secret| secret.name.as_str())
    }

    pub fn secrets(&self) -> impl Iterator<Item = &NamedSecret> {
        self.ways.iter().flat_map(|way| way.keys.secrets())
    }

    /// Where the secret itself is, if it is sent along. In pointers `*` stands for every element of an array.
    pub fn tokens(&self) -> Vec<Value> {
        self.ways.iter().flat_map(|way| way.places().iter().map(|value| way.in_the_body(value))).collect()
    }

    /// Everything that it reads of a webhook, in values and templates.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.ways.iter().flat_map(Way::values)
    }

    /// Whether a secret of it has a name that only a webhook tells.
    pub fn looks_secrets_up(&self) -> bool {
        self.ways.iter().any(|way| matches!(way.keys, Keys::OfTenant(_)))
    }

    /// Whether every way checks the token that stands where this value does.
    pub fn checks_token(&self, value: &Value) -> bool {
        self.ways.iter().all(|way| matches!(&way.scheme, Scheme::Jwt(jwt) if jwt.at.source == value.source))
    }

    /// Where proofs are: signatures, and secrets that are sent along. In pointers `*` stands for every element of an array.
    pub fn proofs(&self) -> Vec<Value> {
        let of_way = |way: &Way| -> Vec<Value> {
            match &way.scheme {
                Scheme::Signature(signature) => signature.at.iter().map(|value| way.in_the_body(value)).collect(),
                Scheme::StandardWebhooks(_) => StandardWebhooks::SIGNATURES.map(Value::header).into(),
                Scheme::Jwt(_) | Scheme::Token(_) => Vec::new(),
            }
        };
        self.ways.iter().flat_map(of_way).chain(self.tokens()).collect()
    }

    /// The headers (in lower case) that contain the secret itself, or what stands for it.
    pub fn secret_headers(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().flat_map(Way::places).filter_map(|value| value.source.header())
    }

    /// The headers that contain a proof, if the scheme has separate ones.
    pub fn proof_headers(&self) -> impl Iterator<Item = &str> {
        let signatures = self.ways.iter().flat_map(|way| match &way.scheme {
            Scheme::Signature(signature) => signature.at.as_slice(),
            Scheme::StandardWebhooks(_) | Scheme::Jwt(_) | Scheme::Token(_) => &[],
        });
        signatures.filter_map(|value| value.source.header()).chain(self.secret_headers())
    }

    /// Whether a proof is in this header, or covers it.
    pub fn needs_header(&self, name: &str) -> bool {
        self.ways.iter().any(|way| way.needs_header(name))
    }

    /// Other headers that the proof covers, in lower case: they cannot be changed. Most senders sign none.
    pub fn signed_headers(&self) -> Vec<&str> {
        self.ways.iter().flat_map(|way| way.signed_headers()).collect()
    }

    /// Whether every proof includes its time.
    pub fn signs_time(&self) -> bool {
        self.ways.iter().all(|way| match &way.scheme {
            Scheme::Signature(scheme) => scheme.signs_time(),
            Scheme::StandardWebhooks(_) => true,
            Scheme::Jwt(_) | Scheme::Token(_) => false,
        })
    }
}

impl Keys {
    /// The secrets that it needs: to compare with, or to fetch keys.
    pub fn secrets(&self) -> &[NamedSecret] {
        match self {
            Keys::Secrets(secrets) => secrets,
            Keys::OfTenant(_) | Keys::Public(_) => &[],
            Keys::Fetched(fetched) => fetched.bearer.as_slice(),
        }
    }

    /// The secrets whose names end in a value of the webhook.
    pub(crate) fn tenant_secrets(&self) -> &[TenantSecret] {
        match self {
            Keys::OfTenant(names) => names,
            Keys::Secrets(_) | Keys::Public(_) | Keys::Fetched(_) => &[],
        }
    }

    /// The values that tell which key it is.
    fn values(&self) -> impl Iterator<Item = &Value> {
        let fetched = match self {
            Keys::Fetched(fetched) => Some(fetched.values()),
            Keys::Secrets(_) | Keys::Public(_) | Keys::OfTenant(_) => None,
        };
        self.tenant_secrets().iter().map(TenantSecret::tenant).chain(fetched.into_iter().flatten())
    }
}

impl Way {
    /// A way without conditions.
    pub fn of(scheme: Scheme, keys: Keys) -> Way {
        Way { scheme, keys, when: Condition::default(), every: None, equal: Vec::new(), url: None }
    }

    /// Whether a webhook says where its key is.
    pub(crate) fn chooses_url(&self) -> bool {
        matches!(&self.keys, Keys::Fetched(fetched) if !matches!(fetched.from, Place::Jwks(_)))
    }

    /// Where the secret itself is.
    fn places(&self) -> &[Value] {
        match &self.scheme {
            Scheme::Token(token) => &token.at,
            Scheme::Jwt(jwt) if jwt.at.source != Source::Body => std::slice::from_ref(&jwt.at),
            Scheme::Jwt(_) | Scheme::Signature(_) | Scheme::StandardWebhooks(_) => &[],
        }
    }

    /// A value of each element as one of the body.
    fn in_the_body(&self, value: &Value) -> Value {
        let source = match (&value.source, &self.every) {
            (Source::Item(pointer), Some(every)) => format!("json:{every}/*{pointer}").parse().ok(),
            _ => None,
        };
        Value { source: source.unwrap_or_else(|| value.source.clone()), filters: value.filters.clone() }
    }

    fn needs_header(&self, name: &str) -> bool {
        let is_standard = matches!(self.scheme, Scheme::StandardWebhooks(_));
        is_standard && StandardWebhooks::needs_header(name)
            || self.values().into_iter().any(|value| value.source.needs_header(name))
    }

    /// Everything that it reads of a webhook, but the fixed headers of Standard Webhooks.
    fn values(&self) -> Vec<&Value> {
        let scheme: Vec<&Value> = match &self.scheme {
            Scheme::Signature(scheme) => scheme.values().collect(),
            Scheme::StandardWebhooks(_) => Vec::new(),
            Scheme::Jwt(jwt) => jwt.values().collect(),
            Scheme::Token(token) => token.at.iter().collect(),
        };
        let equal = self.equal.iter().flat_map(|(value, template)| std::iter::once(value).chain(template.values()));
        let url = self.url.iter().flat_map(Template::values);
        scheme.into_iter().chain(equal).chain(url).chain(self.when.values()).chain(self.keys.values()).collect()
    }

    fn signed_headers(&self) -> Vec<&str> {
        match &self.scheme {
            Scheme::Signature(scheme) => scheme.signed.headers().collect(),
            Scheme::StandardWebhooks(_) => StandardWebhooks::SIGNED.to_vec(),
            Scheme::Jwt(_) | Scheme::Token(_) => Vec::new(),
        }
    }
}

impl Signature {
    fn values(&self) -> impl Iterator<Item = &Value> {
        let templates = self.signed.values().chain(self.key.values());
        self.at.iter().chain(templates).chain(self.time.iter().map(|time| &time.at))
    }

    /// Whether what is signed includes the time and all of the body, so that it is the proof of one event only.
    pub fn signs_time(&self) -> bool {
        self.signed.covers_body() && self.time.as_ref().is_some_and(|time| time.is_covered_by(&self.signed))
    }
}

impl Time {
    /// Whether a signature over this also covers the time. Otherwise the time can be changed.
    pub(crate) fn is_covered_by(&self, signed: &Template) -> bool {
        let is_read = signed.values().any(|value| value.source == self.at.source);
        signed.reads(Besides::Timestamp) || is_read || (self.at.source.reads_body() && signed.covers_body())
    }
}

impl Jwt {
    fn values(&self) -> impl Iterator<Item = &Value> {
        let claims = self.claims.iter().flat_map(|(_, templates)| templates);
        let templates = claims.chain(&self.detached).chain([&self.key]).flat_map(Template::values);
        std::iter::once(&self.at).chain(templates)
    }

    /// Whether the token, or a claim of it, decides all of the body.
    pub fn covers_body(&self) -> bool {
        let mut templates = self.claims.iter().flat_map(|(_, templates)| templates).chain(&self.detached);
        self.at.source == Source::Body || templates.any(Template::covers_body)
    }
}

/// The headers that are read, in both spellings.
const HEADERS: [&str; 6] =
    ["webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp", "svix-signature"];

impl StandardWebhooks {
    /// The headers with signatures.
    const SIGNATURES: [&str; 2] = ["webhook-signature", "svix-signature"];
    /// The signed headers, besides the time.
    const SIGNED: [&str; 2] = ["webhook-id", "svix-id"];

    fn needs_header(name: &str) -> bool {
        HEADERS.iter().any(|needed| needed.eq_ignore_ascii_case(name))
    }
}
