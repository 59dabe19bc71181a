//! Keys of Standard Webhooks as written in secrets: `whsec_…` and `whpk_…`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Keys come with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, PartialEq, Eq)]
pub enum WebhookKey {
    /// The key of an HMAC with SHA-256.
    Symmetric(Vec<u8>),
    /// An Ed25519 public key of 32 bytes.
    Public(Vec<u8>),
}

impl WebhookKey {
    /// The key in a secret, or why it is invalid.
    pub fn read(secret: &str) -> Result<WebhookKey, &'static str> {
        let Some(public) = secret.trim().strip_prefix("whpk_") else {
            return symmetric_key(secret).map(WebhookKey::Symmetric).ok_or("it is not base64 after whsec_");
        };
        let public = BASE64.decode(public).ok().filter(|key| key.len() == 32);
        let public = public.ok_or("it is not a public key of 32 bytes in base64 after whpk_")?;
        Ok(WebhookKey::Public(public))
    }
}

/// The key in a secret for `v1`: base64, with or without the prefix `whsec_`.
pub fn symmetric_key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64.decode(secret.trim().strip_prefix("whsec_").unwrap_or(secret.trim())).ok()?;
    (!key.is_empty()).then_some(key)
}
