//! Signs requests with a shared key: Standard Webhooks, or the HMAC that a target expects.

use http::HeaderMap;

use super::{Sealing, UsedCredentials};
use towpath_config::secrets::symmetric_key;
use towpath_config::target::Signing;
use towpath_config::value::{Part, Source};
use towpath_verify::mac;

pub(super) fn sign(
    signing: &Signing,
    headers: &HeaderMap,
    sealing: &Sealing<'_>,
    proof: &mut UsedCredentials,
) -> Result<String, String> {
    let timestamp = (sealing.now.0 / 1000).to_string();
    let mut pieces: Vec<&[u8]> = Vec::new();
    for part in signing.signed.parts() {
        pieces.push(match part {
            Part::Literal(text) => text.as_bytes(),
            Part::Value(value) => match &value.source {
                Source::Body => sealing.body,
                Source::Timestamp => timestamp.as_bytes(),
                Source::Header(name) => {
                    let value = headers.get(name).map(http::HeaderValue::as_bytes);
                    value.ok_or_else(|| format!("the signature covers the header {name:?}, which is not set"))?
                }
                other => return Err(format!("the signature covers {other}, which only incoming webhooks have")),
            },
        });
    }
    let one = |secret| {
        let secret = proof.expose(secret);
        let key = if signing.is_encoded { symmetric_key(&secret)? } else { secret.as_bytes().to_vec() };
        let digest = signing.encoding.encode(&mac(signing.algorithm, &key, &pieces));
        proof.made(&digest);
        Some(format!("{}{digest}", signing.prefix))
    };
    // During a rotation one of two secrets may be malformed. The other still signs.
    let signatures: Vec<String> = signing.secrets.iter().filter_map(one).collect();
    if signatures.is_empty() {
        Err("no signing secret is valid: each must be base64 after whsec_".to_owned())
    } else {
        Ok(signatures.join(signing.separator))
    }
}
