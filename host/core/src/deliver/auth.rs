//! How the host proves to a target who it is.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};

use crate::config::Secret;

/// A scheme and its secret.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Bearer <secret>`, RFC 6750.
    Bearer(Secret),
    /// The secret in a header of this name.
    Header(HeaderName, Secret),
}

impl Auth {
    /// The header that this scheme sets. No plugin may set it.
    pub fn header_name(&self) -> &HeaderName {
        match self {
            Auth::Bearer(_) => &AUTHORIZATION,
            Auth::Header(name, _) => name,
        }
    }

    /// The header's value, marked as sensitive. Fails if the secret has characters no header can have.
    pub fn header_value(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = match self {
            Auth::Bearer(secret) => HeaderValue::from_str(&format!("Bearer {}", secret.expose()))?,
            Auth::Header(_, secret) => HeaderValue::from_str(secret.expose())?,
        };
        value.set_sensitive(true);
        Ok(value)
    }
}
