//! `init`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::builder::PossibleValuesParser;
use towpath_config::verification_schemes;

use super::plugin_name;

/// `init`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath init                                towpath.toml here: route crm, for this machine
  towpath init hooks --preset github          in the folder hooks, for webhooks of GitHub
  towpath init --route orders --target http://127.0.0.1:9000
  towpath init --forward --target https://sss.example/hook
                                              forward what comes, without a plugin
  towpath init --aws --stdout                 print one for queues of SQS

The file has every important key, with its unit, its default and when to change it; keys that are not needed are commented \
out. It ends by naming the commands to run next: the route needs a plugin, which `towpath plugin new` makes, or --forward.

Exit codes: 0 written; 2 the file exists and --force is not given, or an option is wrong. Nothing is written then.")]
pub struct Init {
    /// The folder that gets towpath.toml; it is made if it is missing [default: this folder]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The name of the route, and of its plugin: lower-case letters, digits and hyphens [default: the preset, or crm]
    #[arg(long, value_name = "NAME", value_parser = plugin_name)]
    pub route: Option<String>,
    /// The base URL that gets the requests; a private or local one also sets allow_private
    #[arg(long, value_name = "URL", default_value = "https://sss.example/api")]
    pub target: String,
    /// Verify webhooks as this sender signs them, with suitable keys for order and deduplication
    #[arg(long, value_name = "SCHEME", value_parser = PossibleValuesParser::new(verification_schemes().iter().copied()))]
    pub preset: Option<String>,
    /// Forward webhooks to the target as they came, without a plugin
    #[arg(long)]
    pub forward: bool,
    /// Use SQS queues, with example URLs, instead of a store on this machine
    #[arg(long)]
    pub aws: bool,
    /// Replace a towpath.toml that exists
    #[arg(long)]
    pub force: bool,
    /// Print the config and write nothing
    #[arg(long, conflicts_with_all = ["folder", "force", "json"])]
    pub stdout: bool,
}

impl Init {
    /// The name of the route.
    pub fn route(&self) -> &str {
        self.route.as_deref().or(self.preset.as_deref()).unwrap_or("crm")
    }
}
