//! Hosts that a route may send requests to: a fixed list, whatever a webhook says.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::network;

/// The longest URL that is called.
const LONGEST: usize = 2048;

/// Labels at the end of a host that must be written out: `*.com` would be everybody.
const WRITTEN_OUT: usize = 2;

/// A list of hosts. `*` stands for exactly one label: `sns.*.amazonaws.com`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosts {
    patterns: Vec<HostPattern>,
    /// Whether they may be private and local addresses, and loopback ones without TLS.
    pub allow_private: bool,
}

/// A host, with its port unless that is the default one of the scheme.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPattern {
    host: String,
    port: Option<u16>,
}

/// Why a text is not a host of a list.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostError {
    #[error("{0:?} is not a host: write api.example.com, without scheme and path")]
    Host(String),
    #[error("{0:?} has a * that is not a whole label, or one among its last two labels: write keys.*.example.com")]
    Star(String),
}

impl Hosts {
    pub fn new(patterns: Vec<HostPattern>, allow_private: bool) -> Hosts {
        Hosts { patterns, allow_private }
    }

    /// The URL in a text, if requests may be sent there: https, a listed host, no user and password.
    pub fn url(&self, text: &str) -> Option<Url> {
        let is_plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url: Url = text.parse().ok().filter(|_| is_plain)?;
        self.allow(&url).then_some(url)
    }

    /// Whether requests may be sent to this URL.
    pub fn allow(&self, url: &Url) -> bool {
        let is_safe = match url.scheme() {
            "https" => self.allow_private || !network::is_private_host(url),
            "http" => self.allow_private && network::is_loopback(url),
            _ => false,
        };
        let names_user = !url.username().is_empty() || url.password().is_some();
        is_safe && !names_user && self.patterns.iter().any(|pattern| pattern.is_host_of(url))
    }
}

impl HostPattern {
    /// The host of this URL alone.
    pub fn of(url: &Url) -> Option<HostPattern> {
        Some(HostPattern { host: url.host_str()?.to_owned(), port: url.port() })
    }

    /// Whether it is a private or local address. Names are checked when they resolve.
    pub(crate) fn is_private(&self) -> bool {
        let url: Option<Url> = format!("https://{}/", self.host).parse().ok();
        url.is_none_or(|url| network::is_private_host(&url))
    }

    fn is_host_of(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        if self.port != url.port() {
            return false;
        }
        if !self.host.contains('*') {
            return self.host == host;
        }
        let labels = || self.host.split('.').zip(host.split('.'));
        let is_domain = matches!(url.host(), Some(Host::Domain(_)));
        is_domain
            && self.host.split('.').count() == host.split('.').count()
            && labels().all(|(own, label)| own == label || (own == "*" && may_stand_for_star(label)))
    }
}

/// Anybody can have a bucket that is called `sns`, and with it `sns.s3.amazonaws.com` or `sns.s3-us-west-2.amazonaws.com`.
fn may_stand_for_star(label: &str) -> bool {
    let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain && !label.is_empty() && !label.starts_with("s3")
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<HostPattern, HostError> {
        let wrong = || HostError::Host(text.to_owned());
        let url: Url = format!("https://{text}/").parse().map_err(|_| wrong())?;
        let is_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if is_more || !url.username().is_empty() || text.contains(['@', '/', '\\', '?', '#']) {
            return Err(wrong());
        }
        let pattern = HostPattern::of(&url).ok_or_else(wrong)?;
        let labels: Vec<&str> = pattern.host.split('.').collect();
        let is_whole = labels.iter().all(|label| *label == "*" || !label.contains('*'));
        let is_bounded = labels.iter().rev().take(WRITTEN_OUT).all(|label| *label != "*");
        if is_whole && is_bounded { Ok(pattern) } else { Err(HostError::Star(text.to_owned())) }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(texts: &[&str], allow_private: bool) -> Hosts {
        Hosts::new(texts.iter().map(|text| text.parse().expect(text)).collect(), allow_private)
    }

    #[test]
    fn a_star_is_one_label_and_never_a_bucket() {
        let sns = hosts(&["sns.*.amazonaws.com"], false);
        assert!(sns.url("https://sns.us-east-1.amazonaws.com/a.pem").is_some());
        assert!(sns.url("https://SNS.us-east-1.amazonaws.com:443/a.pem").is_some());
        for text in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com.attacker.example/a.pem",
            "https://sns.us-east-1.amazonaws.com@attacker.example/a.pem",
            "https://user@sns.us-east-1.amazonaws.com/a.pem",
            "https://attacker.s3.amazonaws.com/a.pem",
            "https://sns.s3.amazonaws.com/a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://x.sns.us-east-1.amazonaws.com/a.pem",
            "https://attacker.example/sns.us-east-1.amazonaws.com",
            "https://attacker.example\\sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com./a.pem",
            "https://sns.us-east-1.amazonaws.com/a b.pem",
            "//sns.us-east-1.amazonaws.com/a.pem",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(sns.url(text), None, "{text}");
        }
    }

    #[test]
    fn private_addresses_are_allowed_only_if_the_list_says_so() {
        let listed = ["127.0.0.1:8080", "localhost", "10.0.0.1", "[::1]:9"];
        let texts = ["http://127.0.0.1:8080/a", "https://localhost/a", "https://10.0.0.1/a", "http://[::1]:9/a"];
        for text in texts {
            assert!(hosts(&listed, true).url(text).is_some(), "{text}");
            assert_eq!(hosts(&listed, false).url(text), None, "{text}");
        }
        assert_eq!(hosts(&listed, true).url("http://10.0.0.1/a"), None, "not loopback, so it needs TLS");
        assert_eq!(hosts(&["keys.example.com"], true).url("http://keys.example.com/a"), None);
    }

    #[test]
    fn what_is_no_host_says_why() {
        for text in ["", "https://a.example", "a.example/b", "a@b.example", "a.example?b", "a b.example"] {
            assert_eq!(text.parse::<HostPattern>(), Err(HostError::Host(text.to_owned())));
        }
        for text in ["*", "*.com", "a.*", "a.*.com.*", "sns-*.amazonaws.com", "a.*.com"] {
            assert_eq!(text.parse::<HostPattern>(), Err(HostError::Star(text.to_owned())));
        }
        for text in ["*.auth.example.com", "keys.example.com:8443", "[::1]:9"] {
            assert_eq!(text.parse::<HostPattern>().map(|host| host.to_string()), Ok(text.to_owned()));
        }
    }
}
