//! Signatures that are an HMAC.

use std::sync::Arc;
use std::time::Duration;

use super::{Evidence, Unverified, same};
use crate::clock::Timestamp;
use crate::queue::Proof;
use crate::signature::{Algorithm, Encoding, Signed};

/// Where a signature stands, how it is made and over what. Senders differ in nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hmac {
    /// The header with the signature, in lower case.
    pub header: String,
    /// How it stands there.
    pub written: Written,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the digest is written.
    pub encoding: Encoding,
    /// What is signed.
    pub signed: Signed,
    /// How far the timestamp may lie from the arrival, if there is one.
    pub tolerance: Duration,
}

/// How signatures stand in their header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// One or several, between commas or spaces, each behind this prefix, such as `sha256=`. The timestamp, if one is
    /// signed, has a header of its own.
    Plain {
        /// What stands before each signature; may be empty.
        prefix: String,
        /// Where the timestamp is.
        stamp: Option<Stamp>,
    },
    /// `t=1492774577,v1=5257a8…,v1=…`: Stripe's way, with the timestamp in seconds.
    Pairs,
}

/// A timestamp in a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The header, in lower case.
    pub header: String,
    /// What it counts since 1970.
    pub unit: Unit,
}

/// What a timestamp counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// What a header says: the timestamp as it is signed, and signatures.
struct Found<'a> {
    stamp: Option<(&'a [u8], Timestamp)>,
    digests: Vec<Vec<u8>>,
}

impl Hmac {
    pub(super) fn check(&self, evidence: Evidence<'_>, secrets: &[Arc<str>]) -> Result<Option<Proof>, Unverified> {
        let found = self.find(evidence)?;
        if found.digests.is_empty() {
            return Err(Unverified::Malformed(self.header.clone(), "signature of the expected form"));
        }
        let stamp = found.stamp.map(|(text, _)| text).unwrap_or_default();
        let pieces = self.signed.pieces(evidence.body, stamp, |name| evidence.header(name));
        let pieces = pieces.map_err(|name| Unverified::Missing(name.to_owned()))?;
        // Every pair is compared, so that the time does not tell which secret it was.
        let matches = secrets.iter().fold(false, |matches, secret| {
            let mac = self.algorithm.mac(secret.as_bytes(), &pieces);
            found.digests.iter().fold(matches, |matches, digest| same(digest, &mac) | matches)
        });
        if !matches {
            return Err(Unverified::Mismatch(self.header.clone()));
        }
        match found.stamp {
            Some((_, signed_at)) => evidence.fresh(signed_at, self.tolerance, &pieces).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn needs_header(&self, name: &str) -> bool {
        let stamp = match &self.written {
            Written::Plain { stamp: Some(stamp), .. } => stamp.header.as_str(),
            Written::Plain { stamp: None, .. } | Written::Pairs => "",
        };
        self.signed.headers().chain([self.header.as_str(), stamp]).any(|needed| needed.eq_ignore_ascii_case(name))
    }

    fn find<'a>(&self, evidence: Evidence<'a>) -> Result<Found<'a>, Unverified> {
        let value = evidence.expect(&self.header)?;
        match &self.written {
            Written::Plain { prefix, stamp } => {
                let each = value.split(|byte| matches!(byte, b',' | b' '));
                let digests = each.filter_map(|text| self.encoding.decode(text.strip_prefix(prefix.as_bytes())?));
                let stamp = stamp.as_ref().map(|stamp| stamp.read(evidence)).transpose()?;
                Ok(Found { stamp, digests: digests.collect() })
            }
            Written::Pairs => {
                let pairs = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                let malformed = || Unverified::Malformed(self.header.clone(), "timestamp t=… in seconds");
                let text = pairs().find_map(|pair| pair.strip_prefix(b"t=")).ok_or_else(malformed)?;
                let signed_at = Unit::Seconds.read(text).ok_or_else(malformed)?;
                let digests = pairs().filter_map(|pair| self.encoding.decode(pair.strip_prefix(b"v1=")?));
                Ok(Found { stamp: Some((text, signed_at)), digests: digests.collect() })
            }
        }
    }
}

impl Stamp {
    fn read<'a>(&self, evidence: Evidence<'a>) -> Result<(&'a [u8], Timestamp), Unverified> {
        let text = evidence.expect(&self.header)?;
        let malformed = || Unverified::Malformed(self.header.clone(), "timestamp");
        Ok((text, self.unit.read(text).ok_or_else(malformed)?))
    }
}

impl Unit {
    /// A timestamp as digits; `None` for all else.
    pub(super) fn read(self, text: &[u8]) -> Option<Timestamp> {
        let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = digits.parse::<u64>().ok()?;
        match self {
            Unit::Seconds => number.checked_mul(1000).map(Timestamp),
            Unit::Milliseconds => Some(Timestamp(number)),
        }
    }
}
