//! The command line of what is released to a registry, and moved in it.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use towpath_config::RegistryUrl;

use super::super::ConfigFile;

/// Which registry.
#[derive(ClapArgs, Debug, Clone)]
pub struct RegistryPlace {
    /// The registry: s3://bucket/prefix, or a folder [default: the config's]
    #[arg(long, value_name = "URL")]
    pub registry: Option<RegistryUrl>,
    /// The config that names the registry
    #[command(flatten)]
    pub config: ConfigFile,
}

/// What moves of a registry with signatures are signed with.
#[derive(ClapArgs, Debug, Clone)]
pub struct Signing {
    /// The file of the key to sign with, as `plugin keygen` makes it [default: the file that TOWPATH_SIGNING_KEY_FILE names]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// A channel that is moved, and what the move is signed with.
#[derive(ClapArgs, Debug, Clone)]
pub struct ChannelPlace {
    /// The channel
    #[arg(long, default_value = "current")]
    pub channel: String,
    /// The registry
    #[command(flatten)]
    pub registry: RegistryPlace,
    /// The key
    #[command(flatten)]
    pub signing: Signing,
}

/// `plugin publish`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
It builds the plugin if its sources changed, runs `plugin check` and all cases, compiles for x86_64 \
and arm64, stores component, native code and manifest under a version that never changes, and then \
moves the channel: if nobody else did meanwhile.

Examples:
  towpath plugin publish crm --to s3://bucket/plugins
  towpath plugin publish crm --as candidate       for shadow = \"crm@candidate\" and canary = \"5%\"
  towpath plugin publish plugins/crm --to ./registry --key release.key

Exit code 1 if a check fails, somebody else moved the channel, or it is pinned; 3 if the plugin is \
broken.")]
pub struct PluginPublish {
    /// The plugin's folder, or its name below plugins/
    pub plugin: PathBuf,
    /// The registry: s3://bucket/prefix, or a folder [default: the config's]
    #[arg(long, value_name = "URL")]
    pub to: Option<RegistryUrl>,
    /// The channel that is moved to it
    #[arg(long = "as", default_value = "current", value_name = "CHANNEL")]
    pub channel: String,
    /// The key
    #[command(flatten)]
    pub signing: Signing,
    /// The config that names registry and targets
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `plugin rollback`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin rollback crm
  towpath plugin rollback crm --to 1.2.0-3f2a9c1b7d04

Hosts feel it within 30 seconds. A later publish moves the channel again: `towpath plugin pin` keeps it.")]
pub struct PluginRollback {
    /// The plugin's name in the registry
    pub name: String,
    /// The version to go back to [default: the one before]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// What moves
    #[command(flatten)]
    pub at: ChannelPlace,
}

/// `plugin pin`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin pin crm                          where it is
  towpath plugin pin crm --to 1.2.0-3f2a9c1b7d04
  towpath plugin pin crm --off                    a publish moves it again

A publish to a pinned channel stores its version and says so, with exit code 1.")]
pub struct PluginPin {
    /// The plugin's name in the registry
    pub name: String,
    /// The version [default: the one that runs]
    #[arg(long, value_name = "VERSION", conflicts_with = "off")]
    pub to: Option<String>,
    /// Let it move again
    #[arg(long)]
    pub off: bool,
    /// What moves
    #[command(flatten)]
    pub at: ChannelPlace,
}

/// `plugin sign-pointer`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin versions crm                                 look first: is this what should run?
  towpath plugin sign-pointer crm --key release.key

For registries that were published to before pointers were signed, and where somebody altered a pointer. What it points to must \
be signed; versions before it that are not are forgotten. To point elsewhere, roll back or pin afterwards.")]
pub struct PluginSignPointer {
    /// The plugin's name in the registry
    pub name: String,
    /// What moves
    #[command(flatten)]
    pub at: ChannelPlace,
}
