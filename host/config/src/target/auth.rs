//! `auth` of a target: how the host authenticates.

use http::header::{AUTHORIZATION, HeaderName};
use serde::Deserialize;
use url::Url;

use super::Reach;
use crate::Secret;
use crate::signature::Encoding;
use crate::value::{Digest, Template};

/// A scheme and its secrets.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Bearer <secret>`, RFC 6750.
    Bearer(Secret),
    /// `Authorization: Basic <base64 of user:secret>`, RFC 7617.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        secret: Secret,
    },
    /// The secret in a header of this name.
    Header(HeaderName, Secret),
    /// The request is signed with a shared key.
    Signed(Signing),
    /// A bearer token from a token endpoint: client credentials, RFC 6749 section 4.4.
    Oauth2(ClientCredentials),
    /// AWS Signature Version 4, with the host's own role.
    SigV4(SigV4),
}

/// The client of a token endpoint, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCredentials {
    pub token_url: Url,
    pub client_id: String,
    pub secret: Secret,
    /// The requested scope.
    pub scope: Option<String>,
    /// The audience, where an endpoint requires it: Auth0's parameter.
    pub audience: Option<String>,
    pub client_auth: ClientAuth,
    /// How connections to the token endpoint are made. It is another server than the target, and never sees the
    /// target's client certificate.
    pub reach: Reach,
}

/// How the client authenticates, RFC 6749 section 2.3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In an `Authorization` header.
    #[default]
    Basic,
    /// In the form.
    Post,
}

/// How a request is signed. With two secrets there are two signatures: the target may know either.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The header with the signatures.
    pub header: HeaderName,
    /// The prefix of each signature.
    pub prefix: String,
    /// The separator between signatures.
    pub separator: &'static str,
    pub algorithm: Digest,
    /// How the digest is written.
    pub encoding: Encoding,
    /// What is signed; the timestamp is that of `webhook-timestamp`.
    pub signed: Template,
    /// The keys: during rotation the new one, then the old one.
    pub secrets: Vec<Secret>,
    /// Whether a secret is base64 after `whsec_`, as in Standard Webhooks, or the key itself.
    pub is_encoded: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigV4 {
    /// The service's name in signatures, such as `execute-api`, `lambda` or `es`.
    pub service: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
}

/// The headers of a signature.
const SIGV4_HEADERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

impl Auth {
    /// The headers that this scheme sets. Plugins may not set them.
    pub fn headers(&self) -> Vec<HeaderName> {
        match self {
            Auth::Bearer(_) | Auth::Basic { .. } | Auth::Oauth2(_) => vec![AUTHORIZATION],
            Auth::Header(name, _) => vec![name.clone()],
            Auth::Signed(signing) => vec![signing.header.clone()],
            Auth::SigV4(_) => SIGV4_HEADERS.iter().map(|name| HeaderName::from_static(name)).collect(),
        }
    }

    /// Whether its signature covers headers of other schemes, so that it must come after them.
    pub fn covers_others(&self) -> bool {
        matches!(self, Auth::Signed(_) | Auth::SigV4(_))
    }
}
