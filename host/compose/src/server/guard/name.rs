//! Names and addresses in `Host` and `Origin`.

use std::fmt;
use std::str::FromStr;

use url::{Host, Origin as UrlOrigin, Url};

/// A name of a host, in lower case and without a final dot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostName(String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<HostName, String> {
        match Authority::read(text) {
            Some(Authority { host: Host::Domain(name), port: None }) => Ok(HostName(name)),
            Some(Authority { host: Host::Ipv4(_) | Host::Ipv6(_), .. }) => {
                Err("addresses need not be allowed: give a name".to_owned())
            }
            _ => Err("write a name such as host.docker.internal, without scheme, port or star".to_owned()),
        }
    }
}

/// A host, and its port if given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Authority {
    host: Host,
    port: Option<u16>,
}

impl Authority {
    /// `None` if it is not a host. The URL parser alone would accept what no client sends, such as `%6cocalhost`.
    pub(super) fn read(text: &str) -> Option<Authority> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                (text.get(..address.len() + 2)?, rest.strip_prefix(':').or(Some(rest).filter(|rest| rest.is_empty()))?)
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|_| is_port)?) };
        if !host.starts_with('[') && !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return None;
        }
        Some(Authority { host: plain(Host::parse(host).ok()?)?, port })
    }

    /// Whether no name server can change what it means: an address, or `localhost` (RFC 6761, section 6.3).
    pub(super) fn is_local(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(_) | Host::Ipv6(_) => true,
        }
    }

    pub(super) fn is(&self, name: &HostName) -> bool {
        matches!(&self.host, Host::Domain(own) if *own == name.0)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

/// The origin of a web page, as browsers write it.
pub(super) struct Origin {
    pub(super) text: String,
    host: Host,
    port: u16,
}

impl Origin {
    /// `None` for `null`, for pages not served over HTTP, and for what no browser writes.
    pub(super) fn read(text: &str) -> Option<Origin> {
        let origin = Url::parse(text).ok()?.origin();
        let written = origin.ascii_serialization();
        match origin {
            UrlOrigin::Tuple(scheme, host, port) if written == text && matches!(scheme.as_str(), "http" | "https") => {
                Some(Origin { text: written, host: plain(host)?, port })
            }
            _ => None,
        }
    }

    /// Whether a page of this origin was served by this host. The scheme is ignored, because a proxy may speak TLS; the default port is the
    /// scheme's.
    pub(super) fn is_of(&self, called: &Authority) -> bool {
        let default = if self.text.starts_with("https:") { 443 } else { 80 };
        self.host == called.host && self.port == called.port.unwrap_or(default)
    }
}

/// A host without the final dot of its name; `None` if a label of the name is empty.
fn plain(host: Host) -> Option<Host> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            name.split('.').all(|label| !label.is_empty()).then(|| Host::Domain(name.to_owned()))
        }
        address => Some(address),
    }
}
