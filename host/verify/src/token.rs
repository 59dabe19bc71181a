//! A shared secret that the sender sends along. It proves nothing about the body: prefer a signature.

use std::sync::Arc;

use super::{Evidence, Unverified, same};
use towpath_config::signature::Encoding;
use towpath_config::verify::Token;

pub(super) fn check(token: &Token, evidence: Evidence<'_>, secrets: &[Arc<str>]) -> Result<(), Unverified> {
    let header = token.header();
    let value = evidence.expect(header)?;
    let given = match token {
        Token::Basic { .. } => scheme(value, b"basic ").and_then(|text| Encoding::Base64.decode(text)),
        Token::Bearer => scheme(value, b"bearer ").map(<[u8]>::to_vec),
        Token::Header(_) => Some(value.to_vec()),
    };
    let expected = match token {
        Token::Basic { .. } => "user and password (Basic)",
        Token::Bearer => "token (Bearer)",
        Token::Header(_) => "token",
    };
    let given = given.ok_or_else(|| Unverified::Malformed(header.to_owned(), expected))?;
    let matches = secrets.iter().fold(false, |matches, secret| {
        let right = match token {
            Token::Basic { user } => format!("{user}:{secret}").into_bytes(),
            Token::Bearer | Token::Header(_) => secret.as_bytes().to_vec(),
        };
        same(&given, &right) | matches
    });
    if matches { Ok(()) } else { Err(Unverified::Mismatch(header.to_owned())) }
}

/// The credentials after the name of an authentication scheme, which is case-insensitive.
fn scheme<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = value.split_at_checked(name.len())?;
    begin.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}
