//! The host names that listeners accept.

use clap::Args as ClapArgs;

use towpath_compose::server::HostName;

/// Host names in addition to this machine's.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct Names {
    /// Also accept requests whose `Host` is NAME, such as host.docker.internal; may be repeated. Without it, `Host` must be
    /// localhost, a name below it or an IP address. Ingest, and an endpoint with a token, accept any
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allowed: Vec<HostName>,
}
