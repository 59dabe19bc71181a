//! The cookie of a session.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// Its name, and how it begins where there is a port.
pub(crate) const NAME: &str = "towpath-console";

/// What requests may have under that name: other pages of the same host may add some.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(own, _)| *own == name).map(|(_, value)| value).take(8)
}

/// The header that sets it. No script sees it, no other site sends it, and the browser forgets it at its end.
pub(crate) fn set(name: &str, value: &str, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// The header that removes it.
pub(crate) fn unset(name: &str) -> String {
    format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}
