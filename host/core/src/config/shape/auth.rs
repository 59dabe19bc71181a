//! `auth` of a target as it is written: a scheme, or a list of schemes that go together.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Algorithm, Encoding, Names};

/// One scheme.
#[derive(Debug, Deserialize)]
#[serde(tag = "scheme", deny_unknown_fields, rename_all = "kebab-case")]
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
        algorithm: Algorithm,
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

/// How an OAuth2 client says who it is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum ClientAuth {
    #[default]
    Basic,
    Post,
}

/// None, one, or several.
#[derive(Debug, Default)]
pub(in super::super) struct Auths(pub(in super::super) Vec<Auth>);

impl<'de> Deserialize<'de> for Auths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Auths, D::Error> {
        let schemes = match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(schemes) => schemes,
            scheme => vec![scheme],
        };
        let read =
            |scheme| Auth::deserialize(scheme).map_err(|error: toml::de::Error| D::Error::custom(error.message()));
        schemes.into_iter().map(read).collect::<Result<_, _>>().map(Auths)
    }
}
