//! `scheme = "jwt"`.

use std::time::Duration;

use super::super::shape;
use super::Checker;
use super::verify::{COMPARABLE, SHORTEST};
use crate::value::{Besides, Digest};
use crate::verify::{Algorithm, Jwt, Scheme, Way};

/// The longest `max_age`. A token that can be replayed for longer proves little.
const LONGEST_AGE: Duration = Duration::from_secs(24 * 3600);

impl Checker<'_> {
    pub(super) fn jwt(&mut self, at: &str, shape: shape::Jwt) -> Option<(Way, shape::At)> {
        let token = shape.token.unwrap_or_else(|| "header:authorization".to_owned());
        let token = self.value(&format!("{at}.token"), &token, &[Besides::Item])?;
        let is_bearer = token.source.header() == Some("authorization");
        let prefix = shape.prefix.unwrap_or_else(|| if is_bearer { "Bearer ".to_owned() } else { String::new() });
        let Some(first) = shape.algorithms.first() else {
            self.wrong(format!("{at}.algorithms"), "an empty list", "name what the sender signs with: [\"RS256\"]");
            return None;
        };
        let is_mac = |algorithm: &jsonwebtoken::Algorithm| {
            use jsonwebtoken::Algorithm::{HS256, HS384, HS512};
            matches!(algorithm, HS256 | HS384 | HS512)
        };
        if shape.algorithms.iter().any(|algorithm| is_mac(algorithm) != is_mac(first)) {
            let hint = "a public key that is taken for the secret of an HMAC lets everybody in: use two tables";
            self.wrong(format!("{at}.algorithms"), "mixes HS… with algorithms that use a public key", hint);
            return None;
        }
        let mut claims = Vec::new();
        for (name, texts) in shape.claims {
            let texts = texts.indexed();
            let template = |(suffix, text): (String, String)| {
                self.template(&format!("{at}.claims.{name}{suffix}"), &text, &COMPARABLE)
            };
            claims.push((name.clone(), texts.into_iter().filter_map(template).collect()));
        }
        let detached = shape.detached.and_then(|text| self.template(&format!("{at}.detached"), &text, &COMPARABLE));
        let Some(algorithm) = algorithm_of(*first) else {
            self.wrong(
                format!("{at}.algorithms"),
                format!("{first:?} is not supported"),
                "use HS, RS, PS, ES or EdDSA",
            );
            return None;
        };
        let (key, form) = self.key(at, shape.key, algorithm);
        let given = shape.secret.is_some() || shape.public_key.is_some();
        let fetched = shape::Fetched {
            jwks: shape.jwks,
            certificate: shape.certificate,
            fetch: shape.fetch,
            key_id: shape.key_id,
        };
        let keys = match self.fetched(at, fetched, algorithm, given) {
            Some(keys) => keys,
            None => self.keys_of(at, shape.secret, shape.public_key, algorithm, form),
        };
        let max_age = shape.max_age.map(|span| span.0);
        if max_age.is_some_and(|age| !(SHORTEST..=LONGEST_AGE).contains(&age)) {
            self.wrong(format!("{at}.max_age"), "must be between 1s and 24h", "leave it out if exp is enough");
        }
        let jwt = Jwt { at: token, prefix, algorithms: shape.algorithms, key: key?, claims, max_age, detached };
        if !jwt.covers_body() && !shape.body_unsigned {
            let hint = "claims = { sha256 = \"{body|sha256|hex}\" } names the claim that hashes the body; if there is none, \
                anyone with a token can send any body, so say body_unsigned = true";
            self.wrong(format!("{at}.claims"), "no claim covers the body", hint);
        }
        let way = self.way_of(at, Scheme::Jwt(jwt), keys?, shape.when, shape.every, shape.equal, shape.url)?;
        Some((way, shape.at))
    }
}

/// The algorithm of a token, as far as its key is concerned.
fn algorithm_of(algorithm: jsonwebtoken::Algorithm) -> Option<Algorithm> {
    use crate::verify::{Curve, Form as Written, Padding};
    use jsonwebtoken::Algorithm as Jwa;
    Some(match algorithm {
        Jwa::HS256 => Algorithm::Mac(Digest::Sha256),
        Jwa::HS384 => Algorithm::Mac(Digest::Sha384),
        Jwa::HS512 => Algorithm::Mac(Digest::Sha512),
        Jwa::ES256 => Algorithm::Ecdsa(Curve::P256, Written::Fixed),
        Jwa::ES384 => Algorithm::Ecdsa(Curve::P384, Written::Fixed),
        Jwa::RS256 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256),
        Jwa::RS384 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha384),
        Jwa::RS512 => Algorithm::Rsa(Padding::Pkcs1, Digest::Sha512),
        Jwa::PS256 => Algorithm::Rsa(Padding::Pss, Digest::Sha256),
        Jwa::PS384 => Algorithm::Rsa(Padding::Pss, Digest::Sha384),
        Jwa::PS512 => Algorithm::Rsa(Padding::Pss, Digest::Sha512),
        Jwa::EdDSA => Algorithm::Ed25519,
        _ => return None,
    })
}
