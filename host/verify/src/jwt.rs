//! JSON Web Tokens, RFC 7519, and what they must claim.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value as Json};
use towpath_config::signature::Encoding;
use towpath_config::value::{Source, Value};
use towpath_config::verify::{Jwt, Keys, Way};
use towpath_select::Scope;
use towpath_types::clock::Timestamp;
use towpath_types::queue::Proof;

use crate::fetched::{Key, Keyring};
use crate::secrets::Secrets;
use crate::{Evidence, SLACK, Unproven, Unverified, What, provider, same};

/// How long a token that is made here is valid.
const LIFETIME_S: u64 = 300;

/// How far clocks may be apart.
const LEEWAY_S: u64 = 60;

/// The most keys that a token is checked with. Only tokens without a key id have a choice.
const MOST: usize = 16;

type Claims = Map<String, Json>;

/// Checks that the token is signed, is valid now, and claims what it must.
pub(super) fn check(
    scheme: &Jwt,
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &Secrets,
    keyring: &Keyring,
) -> Result<Option<Proof>, Unproven> {
    let place = What::of(&scheme.at);
    let value = scope.value(&scheme.at).map_err(|_| Unverified::Missing(place.clone()))?;
    let malformed = || Unverified::Malformed(place.clone(), "token (JWT)");
    let value = value.trim_ascii();
    let (prefix, token) = value.split_at_checked(scheme.prefix.len()).ok_or_else(malformed)?;
    if !prefix.eq_ignore_ascii_case(scheme.prefix.as_bytes()) {
        return Err(malformed().into());
    }
    let token = std::str::from_utf8(token).map_err(|_| malformed())?.trim();
    let header = jsonwebtoken::decode_header(token).map_err(|_| malformed())?;
    let algorithm = header.alg;
    if !scheme.algorithms.contains(&algorithm) {
        return Err(Unverified::Malformed(place, "token that is signed as the scheme allows").into());
    }
    let keys = match &way.keys {
        Keys::Fetched(fetched) => {
            // A token that would not do with any key is no reason to ask for one.
            let claims = unproven_claims(scheme, token).ok_or_else(malformed)?;
            accepted(scheme, evidence, scope, &claims)?;
            let public = keyring.keys(fetched, header.kid.as_deref(), &scope, evidence)?;
            let suits = |key: &&Key| key.algorithm.is_none_or(|own| own == algorithm);
            // A set may have keys of other kinds, which must not use up the number that is tried.
            let of_kind = |key: &Key| key.of(provider::public(algorithm)?);
            let keys = public.iter().filter(suits).filter_map(of_kind);
            keys.filter_map(|key| provider::decoding_key(algorithm, key.as_bytes())).collect()
        }
        _ => keys(scheme, way, scope, secrets, algorithm)?,
    };
    let claims = keys
        .iter()
        .take(MOST)
        .find_map(|key| signed(scheme, scope, token, key, algorithm))
        .ok_or(Unverified::Mismatch(place))?;
    let expires = accepted(scheme, evidence, scope, &claims)?;
    // A token that covers the body is the proof of one event, until it expires.
    Ok(expires.filter(|_| scheme.covers_body()).map(|until| Proof {
        id: crate::digest([token.as_bytes(), evidence.webhook.body.as_slice()]),
        until: until + SLACK,
    }))
}

/// Whether the claims are those of a token that is valid now; and until when, if it says so.
fn accepted(
    scheme: &Jwt,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    claims: &Claims,
) -> Result<Option<Timestamp>, Unverified> {
    let expires = timely(scheme, evidence, claims)?;
    for (name, templates) in &scheme.claims {
        let is_one = |template| scope.text(template).is_ok_and(|text| claims_this(claims.get(name), &text));
        if !templates.iter().any(is_one) {
            return Err(Unverified::Claim(name.clone()));
        }
    }
    Ok(expires)
}

/// The claims of a well-formed token, whoever signed it.
fn unproven_claims(scheme: &Jwt, token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, signature, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let decode = |text: &str| Encoding::Base64Url.decode(text.as_bytes());
    if decode(signature)?.is_empty() {
        return None;
    }
    match scheme.detached {
        Some(_) => payload.is_empty().then(Claims::new),
        None => serde_json::from_slice(&decode(payload)?).ok(),
    }
}

fn keys(
    scheme: &Jwt,
    way: &Way,
    scope: Scope<'_>,
    secrets: &Secrets,
    algorithm: Algorithm,
) -> Result<Vec<DecodingKey>, Unverified> {
    let public = |key: &[u8]| provider::decoding_key(algorithm, key);
    let keys: Vec<DecodingKey> = match &way.keys {
        Keys::Public(keys) => keys.iter().filter_map(|key| public(key.as_bytes())).collect(),
        Keys::Fetched(_) => Vec::new(),
        Keys::Secrets(_) | Keys::OfTenant(_) => secrets
            .iter()
            .filter_map(|secret| {
                if let Some(kind) = provider::public(algorithm) {
                    return public(crate::public::read(secret, kind)?.as_bytes());
                }
                let key = Scope { secret: Some(secret.as_bytes()), ..scope }.text(&scheme.key).ok()?;
                Some(DecodingKey::from_secret(&key))
            })
            .collect(),
    };
    if keys.is_empty() { Err(Unverified::Secret("it is not a key of the token's algorithm")) } else { Ok(keys) }
}

/// The claims of a token with a right signature. A detached payload has none.
fn signed(scheme: &Jwt, scope: Scope<'_>, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Claims> {
    provider::install();
    let Some(detached) = &scheme.detached else {
        let mut validation = Validation::new(algorithm);
        // Times are compared with the arrival below, and claims with their templates.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        return jsonwebtoken::decode::<Claims>(token, key, &validation).ok().map(|token| token.claims);
    };
    let mut parts = token.split('.');
    let (header, "", signature, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let payload = base64url(&scope.text(detached).ok()?);
    let message = format!("{header}.{payload}");
    let is_right = jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).ok()?;
    is_right.then(Claims::new)
}

/// A value with a token that this signs, which the scheme accepts now. Where the token is the body, it contains the event.
pub(crate) fn write<E: From<Unverified>>(
    scheme: &Jwt,
    algorithm: Algorithm,
    scope: Scope<'_>,
    now: Timestamp,
    sign: impl Fn(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let missing = |(value, _): (&Value, _)| Unverified::Missing(What::of(value));
    let header = base64url(serde_json::json!({ "alg": algorithm, "typ": "JWT" }).to_string().as_bytes());
    let payload = match &scheme.detached {
        Some(template) => base64url(&scope.text(template).map_err(missing)?),
        None => base64url(Json::Object(claims(scheme, scope, now)?).to_string().as_bytes()),
    };
    let signature = base64url(&sign(format!("{header}.{payload}").as_bytes())?);
    let payload = if scheme.detached.is_some() { "" } else { &payload };
    Ok(format!("{}{header}.{payload}.{signature}", scheme.prefix).into_bytes())
}

fn claims(scheme: &Jwt, scope: Scope<'_>, now: Timestamp) -> Result<Claims, Unverified> {
    let mut claims = match scheme.at.source {
        Source::Body => serde_json::from_slice(&scope.webhook.body).unwrap_or_default(),
        _ => Claims::new(),
    };
    let seconds = now.0 / 1000;
    claims.insert("iat".to_owned(), seconds.into());
    claims.insert("exp".to_owned(), (seconds + LIFETIME_S).into());
    for (name, templates) in &scheme.claims {
        let texts = templates.iter().filter_map(|template| String::from_utf8(scope.text(template).ok()?).ok());
        let text = texts.into_iter().next().ok_or_else(|| Unverified::Claim(name.clone()))?;
        claims.insert(name.clone(), text.into());
    }
    Ok(claims)
}

fn base64url(bytes: &[u8]) -> String {
    Encoding::Base64Url.encode(bytes)
}

/// Whether the token is valid at the arrival; and until when, if it says so.
fn timely(scheme: &Jwt, evidence: Evidence<'_>, claims: &Claims) -> Result<Option<Timestamp>, Unverified> {
    let at = |name: &str| claims.get(name).and_then(Json::as_f64).map(|seconds| seconds as u64);
    let now = evidence.arrived.0 / 1000;
    let slack = evidence.slack.as_secs();
    let expires = at("exp");
    if expires.is_some_and(|expires| now > expires.saturating_add(LEEWAY_S + slack)) || claims_no_time(claims, "exp") {
        return Err(Unverified::Claim("exp".to_owned()));
    }
    if at("nbf").is_some_and(|from| now.saturating_add(LEEWAY_S + slack) < from) || claims_no_time(claims, "nbf") {
        return Err(Unverified::Claim("nbf".to_owned()));
    }
    let Some(max_age) = scheme.max_age else { return Ok(expires.map(seconds)) };
    let issued = at("iat").ok_or_else(|| Unverified::Claim("iat".to_owned()))?;
    let off = now.abs_diff(issued);
    if off > max_age.as_secs() + slack {
        return Err(Unverified::Expired { off_s: off, tolerance_s: max_age.as_secs() });
    }
    let oldest = seconds(issued) + max_age;
    Ok(Some(expires.map_or(oldest, |expires| oldest.min(seconds(expires)))))
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

/// Whether a claim that must be a time is something else.
fn claims_no_time(claims: &Claims, name: &str) -> bool {
    claims.get(name).is_some_and(|claim| claim.as_f64().is_none_or(|seconds| seconds < 0.0))
}

/// Whether a claim has this text, or contains it if it is a list.
fn claims_this(claim: Option<&Json>, text: &[u8]) -> bool {
    match claim {
        Some(Json::Array(several)) => several.iter().any(|one| claims_this(Some(one), text)),
        Some(Json::String(one)) => same(one.as_bytes(), text),
        Some(other) => same(other.to_string().as_bytes(), text),
        None => false,
    }
}
