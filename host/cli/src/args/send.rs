//! `send`, and what signing needs.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::ConfigFile;

/// `send`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath send plugins/approval/cases/submitted/message.json
  towpath send plugins/*/cases                every recorded event of every plugin
  towpath send --to http://127.0.0.1:9000/hooks --path crm event.json --times 100
  towpath send --as route plugins/github/cases
  towpath send --as github --secret github-test plugins/github/cases
  towpath send --as twilio --param url=https://hooks.example.com/hooks/twilio event.json

A recorded event no longer proves its sender: its secrets were replaced, and its signature is too old. --as signs it again, as its \
sender does. `--as route` follows `verify` of the event's route in the config; --as NAME follows a sender of `towpath provider \
list`, without a config. The secret is read from TOWPATH_SECRET_…, as `towpath serve` does, never from the command line: \
`--secret github-test` is TOWPATH_SECRET_GITHUB_TEST.

Exit codes: 0 if every event was answered 2xx; 1 if one was not; 2 if the ingest does not answer or lacks the route, or an \
event cannot be signed.")]
pub struct Send {
    /// Recorded events (message.json), or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The URL of the ingest, including its prefix
    #[arg(long, default_value = "http://127.0.0.1:8080/hooks", value_name = "URL")]
    pub to: String,
    /// The path to post to, instead of the one in the file
    #[arg(long)]
    pub path: Option<String>,
    /// How many times to send all files
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// Sign each event as this sender does, such as github; `route` signs as the event's route in the config verifies
    #[arg(long = "as", value_name = "SENDER")]
    pub sender: Option<String>,
    /// The name of the secret to sign with [default: the name of the sender]
    #[arg(long, value_name = "NAME", requires = "sender")]
    pub secret: Option<String>,
    /// A parameter of the sender that `towpath provider show` lists, such as topic_arn=arn:aws:sns:eu-west-1:123456789012:orders
    #[arg(long, value_name = "NAME=TEXT", requires = "sender", value_parser = pair)]
    pub param: Vec<(String, String)>,
    /// The key to sign with
    #[command(flatten)]
    pub signature: Signature,
    /// The config, for `--as route`
    #[command(flatten)]
    pub config: ConfigFile,
}

/// What signing needs besides secrets.
#[derive(ClapArgs, Debug)]
pub struct Signature {
    /// A private key of your own (PKCS#8 in PEM), for senders that sign with one. Its public key must be the one of the route
    #[arg(long, value_name = "FILE")]
    pub private_key: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=TEXT, such as url=https://hooks.example.com/hooks/a")?;
    Ok((name.to_owned(), value.to_owned()))
}
