//! Requests signed with a shared key: Standard Webhooks, or an HMAC as a target wants it.

use http::header::{HeaderMap, HeaderName};

use super::{Proof, Sealing};
use crate::config::Secret;
use crate::signature::{Algorithm, Encoding, Signed};
use crate::verify::symmetric_key;

/// How a request is signed. With two secrets there are two signatures: the target may know either.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The header with the signatures.
    pub header: HeaderName,
    /// What stands before each of them.
    pub prefix: String,
    /// What stands between them.
    pub separator: &'static str,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the digest is written.
    pub encoding: Encoding,
    /// What is signed; the timestamp is that of `webhook-timestamp`.
    pub signed: Signed,
    /// The keys: the new one, and the old one while they are rotated.
    pub secrets: Vec<Secret>,
    /// Whether a secret is base64 behind `whsec_`, as Standard Webhooks shows them, or the key itself.
    pub is_encoded: bool,
}

impl Signing {
    pub(super) fn sign(&self, headers: &HeaderMap, sealing: &Sealing<'_>, proof: &mut Proof) -> Result<String, String> {
        let timestamp = (sealing.now.0 / 1000).to_string();
        let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let pieces = self.signed.pieces(sealing.body, timestamp.as_bytes(), header);
        let pieces = pieces.map_err(|name| format!("the signature covers the header {name:?}, which is not set"))?;
        let one = |secret| {
            let secret = proof.expose(secret);
            let key = match self.is_encoded {
                true => symmetric_key(&secret)?,
                false => secret.as_bytes().to_vec(),
            };
            let digest = self.encoding.encode(&self.algorithm.mac(&key, &pieces));
            proof.made(&digest);
            Some(format!("{}{digest}", self.prefix))
        };
        // Of two that are rotated one may be malformed: the other still signs.
        let signatures: Vec<String> = self.secrets.iter().filter_map(one).collect();
        match signatures.is_empty() {
            true => Err("no signing secret is base64 behind whsec_".to_owned()),
            false => Ok(signatures.join(self.separator)),
        }
    }
}
