//! A shared secret that the sender sends along. It proves nothing about the body: prefer a signature.

use towpath_config::signature::Encoding;
use towpath_config::verify::{Token, TokenForm};
use towpath_select::Scope;

use super::{Unverified, What, same};
use crate::secrets::Secrets;

/// Checks that one of the places has one of the secrets.
pub(super) fn check(token: &Token, scope: Scope<'_>, secrets: &Secrets) -> Result<(), Unverified> {
    let mut problem = None;
    for place in &token.at {
        let what = What::of(place);
        let checked = match scope.value(place) {
            Ok(value) => check_value(token, &value, &what, secrets),
            Err(_) => Err(Unverified::Missing(what)),
        };
        match checked {
            Ok(()) => return Ok(()),
            Err(why) => drop(problem.get_or_insert(why)),
        }
    }
    Err(problem.unwrap_or(Unverified::NoWay))
}

fn check_value(token: &Token, value: &[u8], what: &What, secrets: &Secrets) -> Result<(), Unverified> {
    let given = match &token.written {
        TokenForm::Basic { .. } => scheme(value, b"basic ").and_then(|text| Encoding::Base64.decode(text)),
        TokenForm::Bearer => scheme(value, b"bearer ").map(<[u8]>::to_vec),
        TokenForm::Plain { prefix } => value.strip_prefix(prefix.as_bytes()).map(<[u8]>::to_vec),
    };
    let expected = match &token.written {
        TokenForm::Basic { .. } => "user and password (Basic)",
        TokenForm::Bearer => "token (Bearer)",
        TokenForm::Plain { .. } => "token",
    };
    let given = given.ok_or_else(|| Unverified::Malformed(what.clone(), expected))?;
    let matches =
        secrets.iter().fold(false, |matches, secret| same(&given, &credentials(&token.written, secret)) | matches);
    if matches { Ok(()) } else { Err(Unverified::Mismatch(what.clone())) }
}

/// What is sent along for this secret, without prefix and encoding.
fn credentials(form: &TokenForm, secret: &str) -> Vec<u8> {
    match form {
        TokenForm::Basic { user } => format!("{user}:{secret}").into_bytes(),
        TokenForm::Bearer | TokenForm::Plain { .. } => secret.as_bytes().to_vec(),
    }
}

/// The value that sends this secret along.
pub(crate) fn write(form: &TokenForm, secret: &str) -> Vec<u8> {
    let credentials = credentials(form, secret);
    match form {
        TokenForm::Basic { .. } => format!("Basic {}", Encoding::Base64.encode(&credentials)).into_bytes(),
        TokenForm::Bearer => [b"Bearer ", credentials.as_slice()].concat(),
        TokenForm::Plain { prefix } => [prefix.as_bytes(), &credentials].concat(),
    }
}

/// The credentials after the name of an authentication scheme, which is case-insensitive.
fn scheme<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = value.split_at_checked(name.len())?;
    begin.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}
