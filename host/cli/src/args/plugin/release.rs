//! The commands that release plugins to a registry, and move its channels.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use towpath_config::RegistryUrl;

use super::super::ConfigFile;

/// The registry.
#[derive(ClapArgs, Debug, Clone)]
pub struct RegistryPlace {
    /// The registry: s3://bucket/prefix, or a folder [default: the config's]
    #[arg(long, value_name = "URL")]
    pub registry: Option<RegistryUrl>,
    /// The config that names the registry
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The key that signs releases and pointers.
#[derive(ClapArgs, Debug, Clone)]
pub struct Signing {
    /// The file with the signing key, made by `plugin keygen` [default: TOWPATH_SIGNING_KEY_FILE]. Required if the config has registry.public_key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The channel to move, and the key that signs the move.
#[derive(ClapArgs, Debug, Clone)]
pub struct ChannelPlace {
    /// The channel to move
    #[arg(long, default_value = "current")]
    pub channel: String,
    /// The registry
    #[command(flatten)]
    pub registry: RegistryPlace,
    /// The signing key
    #[command(flatten)]
    pub signing: Signing,
}

/// What everyone who moves a pointer should know.
pub(super) const RULES: &str = "\
Signed registries (registry.public_key): hosts follow a pointer only if your key signed it for this plugin and channel. Each \
move has a higher sequence than the one before, and hosts ignore a lower one, or one below the plugin's min_sequence. Without \
--key nothing changes. Use a key for one registry only. See docs/operate/release-plugins.md.";

/// `plugin publish`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
It builds the plugin if its sources changed, runs `plugin check` with all cases, compiles for x86_64 and arm64, and stores \
component, native code and manifest under a version that never changes. Then it moves the channel, unless somebody else moved \
it meanwhile. Hosts swap within 30 seconds.

Examples:
  towpath plugin publish crm --to s3://bucket/plugins
  towpath plugin publish crm --as candidate       for shadow = \"crm@candidate\" and canary = \"5%\"
  towpath plugin publish plugins/crm --to ./registry --key release.key

{RULES}

`publish` signs its own manifest only. If the registry has the version with another manifest, it replaces that one if another \
key or none signed it, and fails if your key did or you give none. It also replaces a pointer that is older than the last one or not signed by your key: the \
history and the pin of that pointer are forgotten.

Exit codes: 0 published; 1 a check failed, somebody else moved the channel, or it is pinned; 2 it could not be stored or \
signed; 3 the plugin does not build or load."))]
pub struct PluginPublish {
    /// The plugin's folder, or its name below plugins/
    pub plugin: PathBuf,
    /// The registry: s3://bucket/prefix, or a folder [default: the config's]
    #[arg(long, value_name = "URL")]
    pub to: Option<RegistryUrl>,
    /// The channel to move to the new version
    #[arg(long = "as", default_value = "current", value_name = "CHANNEL")]
    pub channel: String,
    /// The signing key
    #[command(flatten)]
    pub signing: Signing,
    /// The config that names registry and targets
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `plugin rollback`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath plugin rollback crm
  towpath plugin rollback crm --to 1.2.0-3f2a9c1b7d04

Hosts swap within 30 seconds. A later publish moves the channel again; `towpath plugin pin` prevents that.

{RULES} If somebody put back an older pointer, `rollback` fails: `publish` or `pin --to VERSION` replaces it.

Exit codes: 0 moved; 1 there is no version to go back to, or somebody else moved the channel; 2 it could not be read or signed."))]
pub struct PluginRollback {
    /// The plugin's name in the registry
    pub name: String,
    /// The version to go back to [default: the previous one]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// The channel
    #[command(flatten)]
    pub at: ChannelPlace,
}

/// `plugin pin`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath plugin pin crm                          at the version that it has
  towpath plugin pin crm --to 1.2.0-3f2a9c1b7d04
  towpath plugin pin crm --off                    let a publish move it again

A publish to a pinned channel stores its version, moves nothing, and exits with 1.

{RULES} If somebody put back an older pointer, only `pin --to VERSION` works: it writes a new pointer and forgets the history \
of the older one.

Exit codes: 0 pinned or unpinned; 1 somebody else moved the channel; 2 there is no such version, or it could not be signed."))]
pub struct PluginPin {
    /// The plugin's name in the registry
    pub name: String,
    /// The version [default: the channel's current one]
    #[arg(long, value_name = "VERSION", conflicts_with = "off")]
    pub to: Option<String>,
    /// Unpin the channel
    #[arg(long)]
    pub off: bool,
    /// The channel
    #[command(flatten)]
    pub at: ChannelPlace,
}

/// `plugin sign-pointer`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath plugin versions crm                                 look first: is this what should run?
  towpath plugin sign-pointer crm --key release.key

Use it for a registry whose pointers were not signed yet, or after somebody altered a pointer. The release that it points to \
must be signed; previous versions that are not signed are forgotten. To point elsewhere, roll back or pin afterwards.

{RULES} Until the pointer is signed, running hosts keep what they have, and hosts that start fail. If somebody put back an \
older pointer, `sign-pointer` fails.

Exit codes: 0 signed; 1 somebody else moved the channel; 2 the release is not signed, or there is no key."))]
pub struct PluginSignPointer {
    /// The plugin's name in the registry
    pub name: String,
    /// The channel
    #[command(flatten)]
    pub at: ChannelPlace,
}
