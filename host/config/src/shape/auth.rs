//! `auth` of a target as written.

use serde::Deserialize;

use super::Names;
use crate::signature::Encoding;
use crate::target::ClientAuth;
use crate::value::Digest;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in super::super) enum Auth {
    Bearer {
        secret: String,
    },
    Basic {
        user: String,
        secret: String,
    },
    Header {
        name: String,
        secret: String,
    },
    Hmac {
        header: String,
        #[serde(default)]
        prefix: String,
        #[serde(default)]
        algorithm: Digest,
        #[serde(default)]
        encoding: Encoding,
        signed: Option<String>,
        secret: Names,
    },
    StandardWebhooks {
        secret: Names,
    },
    Oauth2 {
        token_url: String,
        client_id: String,
        secret: String,
        scope: Option<String>,
        audience: Option<String>,
        #[serde(default)]
        client_auth: ClientAuth,
        ca: Option<String>,
        proxy: Option<String>,
        mtls: Option<String>,
        allow_private: Option<bool>,
    },
    AwsSigv4 {
        service: String,
        region: String,
    },
    Mtls {
        secret: String,
    },
}
