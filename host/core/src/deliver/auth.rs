//! How the host proves to a target who it is.

use http::header::{AUTHORIZATION, HeaderName};

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

    /// Its secret.
    pub fn secret(&self) -> &Secret {
        match self {
            Auth::Bearer(secret) | Auth::Header(_, secret) => secret,
        }
    }

    /// What stands before the secret in the header's value.
    pub fn scheme(&self) -> &'static str {
        match self {
            Auth::Bearer(_) => "Bearer ",
            Auth::Header(..) => "",
        }
    }
}
