//! The names under which what listens may be called.

use clap::Args as ClapArgs;

use towpath_compose::server::HostName;

/// Names besides those of this machine.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct Names {
    /// Also answer requests that call this host by NAME, such as host.docker.internal; may be repeated. Otherwise the
    /// `Host` of a request must be localhost, a name below it or an IP address, except where senders post webhooks,
    /// and where a token is needed
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allowed: Vec<HostName>,
}
