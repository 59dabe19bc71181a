//! HMAC signatures.

use std::sync::Arc;

use super::{Evidence, Unverified, same};
use towpath_config::verify::{Hmac, Stamp, Unit, Written};
use towpath_types::clock::Timestamp;
use towpath_types::queue::Proof;

/// What a header contains: the timestamp as it was signed, and signatures.
struct SignatureHeader<'a> {
    stamp: Option<(&'a [u8], Timestamp)>,
    digests: Vec<Vec<u8>>,
}

pub(super) fn check(scheme: &Hmac, evidence: Evidence<'_>, secrets: &[Arc<str>]) -> Result<Option<Proof>, Unverified> {
    let found = find(scheme, evidence)?;
    if found.digests.is_empty() {
        return Err(Unverified::Malformed(scheme.header.clone(), "signature of the expected form"));
    }
    let stamp = found.stamp.map(|(text, _)| text).unwrap_or_default();
    let pieces = scheme.signed.pieces(&evidence.webhook.body, stamp, |name| evidence.header(name));
    let pieces = pieces.map_err(|name| Unverified::Missing(name.to_owned()))?;
    // Every pair is compared, so that the time does not reveal which secret matched.
    let matches = secrets.iter().fold(false, |matches, secret| {
        let mac = crate::mac::mac(scheme.algorithm, secret.as_bytes(), &pieces);
        found.digests.iter().fold(matches, |matches, digest| same(digest, &mac) | matches)
    });
    if !matches {
        return Err(Unverified::Mismatch(scheme.header.clone()));
    }
    match found.stamp {
        Some((_, signed_at)) => evidence.fresh(signed_at, scheme.tolerance, &pieces).map(Some),
        None => Ok(None),
    }
}

fn find<'a>(scheme: &Hmac, evidence: Evidence<'a>) -> Result<SignatureHeader<'a>, Unverified> {
    let value = evidence.expect(&scheme.header)?;
    match &scheme.written {
        Written::Plain { prefix, stamp } => {
            let each = value.split(|byte| matches!(byte, b',' | b' '));
            let digests = each.filter_map(|text| scheme.encoding.decode(text.strip_prefix(prefix.as_bytes())?));
            let stamp = stamp.as_ref().map(|stamp| stamp_of(stamp, evidence)).transpose()?;
            Ok(SignatureHeader { stamp, digests: digests.collect() })
        }
        Written::Pairs => {
            let pairs = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let malformed = || Unverified::Malformed(scheme.header.clone(), "timestamp t=… in seconds");
            let text = pairs().find_map(|pair| pair.strip_prefix(b"t=")).ok_or_else(malformed)?;
            let signed_at = read_time(Unit::Seconds, text).ok_or_else(malformed)?;
            let digests = pairs().filter_map(|pair| scheme.encoding.decode(pair.strip_prefix(b"v1=")?));
            Ok(SignatureHeader { stamp: Some((text, signed_at)), digests: digests.collect() })
        }
    }
}

fn stamp_of<'a>(stamp: &Stamp, evidence: Evidence<'a>) -> Result<(&'a [u8], Timestamp), Unverified> {
    let text = evidence.expect(&stamp.header)?;
    let malformed = || Unverified::Malformed(stamp.header.clone(), "timestamp");
    Ok((text, read_time(stamp.unit, text).ok_or_else(malformed)?))
}

/// A timestamp in digits; anything else is `None`.
pub(super) fn read_time(unit: Unit, text: &[u8]) -> Option<Timestamp> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let number = digits.parse::<u64>().ok()?;
    match unit {
        Unit::Seconds => number.checked_mul(1000).map(Timestamp),
        Unit::Milliseconds => Some(Timestamp(number)),
    }
}
