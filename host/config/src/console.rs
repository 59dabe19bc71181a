//! `[console]`: where the web console listens, and who may use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use url::Url;

use crate::route::Networks;

/// `[console]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsoleConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether nobody may act.
    pub read_only: bool,
    /// The header, in lower case, in which a proxy says who somebody is.
    pub identity_header: Option<String>,
    /// The proxies that are believed.
    pub trusted_proxies: Networks,
    /// Who may act, of those whom a proxy names; everybody if absent.
    pub operators: Option<Vec<String>>,
    /// The names by which it may be called, besides those of this machine.
    pub allow_hosts: Vec<String>,
    /// A folder with builds of plugins that may be tried on letters.
    pub builds: Option<PathBuf>,
    /// Where people reach it, for the links of alerts.
    pub url: Option<Url>,
}

impl ConsoleConfig {
    /// Where it listens unless the config says otherwise.
    pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);
}

impl Default for ConsoleConfig {
    fn default() -> ConsoleConfig {
        ConsoleConfig {
            listen: ConsoleConfig::LISTEN,
            read_only: false,
            identity_header: None,
            trusted_proxies: Networks::default(),
            operators: None,
            allow_hosts: Vec::new(),
            builds: None,
            url: None,
        }
    }
}
