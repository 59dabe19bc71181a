//! A proxy that names people, in a header.

use axum::http::{HeaderMap, HeaderName};
use towpath_types::foreign::Foreign;

use super::session::{Role, Session};
use crate::problem::Problem;

/// The longest name.
const MAX_NAME: usize = 128;

/// A proxy that names people. Whether a request came from it, [`super::Peer`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// The header with the name.
    pub header: HeaderName,
    /// Who may act; everybody if absent.
    pub operators: Option<Vec<String>>,
}

impl Proxy {
    /// Whom the proxy names; `None` if it names nobody. What it says twice, or what is no name, lets nobody in.
    pub(super) fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        let mut said = headers.get_all(&self.header).iter();
        let Some(first) = said.next() else { return Ok(None) };
        let name = std::str::from_utf8(first.as_bytes()).ok().filter(|name| is_name(name) && said.next().is_none());
        let name = name.ok_or_else(|| Problem::unnamed(&self.header))?;
        let acts = self.operators.as_ref().is_none_or(|operators| operators.iter().any(|operator| operator == name));
        let role = if acts { Role::Operator } else { Role::Viewer };
        Ok(Some(Session { by: name.to_owned(), role }))
    }
}

/// Whether a text can be a name in the audit: neither empty nor long, and nothing in it conceals or forges anything.
fn is_name(text: &str) -> bool {
    let is_plain = Foreign::line(text).at_most(usize::MAX).to_string() == text;
    !text.is_empty() && text.len() <= MAX_NAME && text.trim() == text && is_plain
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const USER: HeaderName = HeaderName::from_static("x-user");

    fn session(proxy: &Proxy, values: &[&str]) -> Result<Option<Session>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(USER, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        proxy.session(&headers)
    }

    #[test]
    fn a_name_is_one_short_text_without_tricks() {
        let proxy = Proxy { header: USER, operators: None };
        for name in ["ann", "ann@example.com", "Änne Müller", &"x".repeat(128)] {
            let session = session(&proxy, &[name]).expect(name).expect(name);
            assert_eq!((session.by.as_str(), session.role), (name, Role::Operator));
        }
        for wrong in ["", " ", "a\tb", "ann\u{202e}", "a\u{200b}b", &"x".repeat(129)] {
            assert!(session(&proxy, &[wrong]).is_err(), "{wrong:?}");
        }
        assert!(session(&proxy, &["ann", "bob"]).is_err(), "two names");
        assert_eq!(session(&proxy, &[]), Ok(None));
    }

    #[test]
    fn who_is_not_listed_may_look_and_not_act() {
        let proxy = Proxy { header: USER, operators: Some(vec!["ann@example.com".to_owned()]) };
        let role = |name: &str| session(&proxy, &[name]).expect(name).expect(name).role;
        assert_eq!(role("ann@example.com"), Role::Operator);
        for other in ["bob@example.com", "Ann@example.com", "ann@example.com.evil.example"] {
            assert_eq!(role(other), Role::Viewer, "{other}");
        }
    }
}
