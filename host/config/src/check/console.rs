//! `[console]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderName;
use url::Host;

use super::Checker;
use crate::console::ConsoleConfig;
use crate::{Config, IngestConfig, Mistake, shape};

/// The longest name that a proxy may give somebody.
const MAX_NAME: usize = 128;

/// Headers that clients send by themselves, or that decide something else: none says who somebody is.
const NO_IDENTITY: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-towpath-console",
];

impl Checker<'_> {
    pub(super) fn console(&mut self, console: shape::Console, ingest: &IngestConfig) -> ConsoleConfig {
        let listen = console.listen.unwrap_or(ConsoleConfig::LISTEN);
        if meets(listen, ingest.listen) {
            let hint = "ingest is open to senders, the console to operators: give it an address of its own";
            self.wrong("console.listen", format!("{listen} is the address of ingest"), hint);
        }
        let trusted_proxies = self.networks("console.trusted_proxies", &console.trusted_proxies);
        let identity_header = console.identity_header.and_then(|name| self.identity_header(&name));
        if identity_header.is_some() && trusted_proxies.is_empty() && console.trusted_proxies.is_empty() {
            let hint = "name the addresses of the proxy: anybody else could write the header";
            self.wrong("console.trusted_proxies", "missing, but identity_header is set", hint);
        }
        if let Some(operators) = &console.operators {
            if identity_header.is_none() {
                let hint = "add identity_header, or leave operators out: with a token there are no names";
                self.wrong("console.operators", "needs console.identity_header", hint);
            }
            for (number, name) in operators.iter().enumerate() {
                if name.is_empty() || name.len() > MAX_NAME || name.trim() != name || name.chars().any(char::is_control)
                {
                    let hint = "write it as the proxy does, such as \"ann@example.com\"";
                    self.wrong(format!("console.operators[{number}]"), format!("{name:?} cannot be a name"), hint);
                }
            }
        }
        for (number, name) in console.allow_hosts.iter().enumerate() {
            if !is_host_name(name) {
                let hint = "write a name such as \"console.example.com\", without scheme, port or star; addresses need not be allowed";
                self.wrong(format!("console.allow_hosts[{number}]"), format!("{name:?} is not a name of a host"), hint);
            }
        }
        let shape::Console { read_only, operators, allow_hosts, builds, url, .. } = console;
        let builds = builds.map(|builds| self.folder.join(builds));
        let url = url.and_then(|url| self.url("console.url", &url));
        ConsoleConfig { listen, read_only, identity_header, trusted_proxies, operators, allow_hosts, builds, url }
    }

    fn identity_header(&mut self, name: &str) -> Option<String> {
        let read = name.parse::<HeaderName>().ok().map(|name| name.as_str().to_owned());
        let header = read.filter(|name| !NO_IDENTITY.contains(&name.as_str()));
        if header.is_none() {
            let hint = "name the header in which the proxy says who somebody is, such as \"x-forwarded-user\"";
            self.wrong("console.identity_header", format!("{name:?} cannot be such a header"), hint);
        }
        header
    }
}

/// What does no harm by itself but is probably not intended.
pub(super) fn warnings(config: &Config) -> Vec<Mistake> {
    let warning = |key: &str, problem: &str, hint: &str| Mistake {
        at: format!("console.{key}"),
        problem: problem.to_owned(),
        hint: hint.to_owned(),
        line: None,
    };
    let Some(console) = &config.console else { return Vec::new() };
    let mut warnings = Vec::new();
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if console.identity_header.is_some() && here.into_iter().any(|address| console.trusted_proxies.contain(address)) {
        let problem = "trusts this machine: every process and user on it can write the header and be anybody";
        let hint = "do so only if nobody but the proxy can connect from here, or leave identity_header out and log in with the token";
        warnings.push(warning("trusted_proxies", problem, hint));
    }
    if console.identity_header.is_some() && console.operators.is_none() {
        let problem = "missing, but identity_header is set: everybody whom the proxy names may act";
        let hint = "list those who may, such as [\"ann@example.com\"]: the others may look";
        warnings.push(warning("operators", problem, hint));
    }
    if !console.listen.ip().is_loopback() && console.trusted_proxies.is_empty() {
        let problem = "is reachable from other machines over plain HTTP: the network can read tokens and events";
        let hint = "listen on 127.0.0.1 behind a proxy that speaks TLS, and name the proxy in trusted_proxies";
        warnings.push(warning("listen", problem, hint));
    }
    warnings
}

/// Whether two listeners want the same address. Port 0 is a free one.
fn meets(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (all || one.ip() == other.ip())
}

fn is_host_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_whole = text.split('.').all(|label| !label.is_empty());
    is_whole && text.bytes().all(plain) && matches!(Host::parse(text), Ok(Host::Domain(_)))
}
