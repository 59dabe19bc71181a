//! `erase`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;
use towpath_operate::erase::{Request, Subject};

use super::QueuePlace;
use super::archive::Value;

/// How many bytes of a store are rewritten without asking: hosts wait for a few seconds at most.
const MOST: u64 = 256 << 20;

/// `erase`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath erase --group 'crm/C-17'                 show what would be erased, and what cannot be
  towpath erase --group 'crm/C-17' --yes --note 'request 4711'
  towpath erase --match /customer/email=ada@example.com --yes --json
  towpath erase --group orders --match /id=17 --yes   of a group that several people share

It erases what this machine keeps of the events: messages that wait, which are then never delivered, dead letters, webhooks that \
ingest turned away, the archive, deduplication ids, lines of the story, the content of audit entries, and files of replays. Then it \
rewrites the store, so that no deleted byte is left in it. Hosts may run: they wait while the store is rewritten.

All hosts must run this version or a newer one. Stop the sender first, or its next event is stored as before. A message that is being \
delivered is waited for. The command may be killed and run again. The audit has who erased how much, when and why, and no content.

Exit codes: 0 all was erased, or the plan is shown; 1 something is left on this machine, and the command says what; 2 nothing was \
erased, or it failed: run it again.")]
pub struct Erase {
    /// Events of this group, given by its whole name; may be repeated
    #[arg(long, value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub group: Vec<String>,
    /// Events with this value at a JSON pointer of their body: a string without quotes, anything else as it was sent; may be
    /// repeated, and then all must be there, as must the group
    #[arg(long = "match", value_name = "POINTER=VALUE")]
    pub values: Vec<Value>,
    /// Erase; without it, only show what would be erased
    #[arg(long)]
    pub yes: bool,
    /// The reason, for the audit; do not name the person
    #[arg(long, value_name = "TEXT", default_value = "erase", hide_default_value = true)]
    pub note: String,
    /// How long to wait for messages that are being delivered
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
    /// Rewrite the store even if more than 256 MiB of it are in use: hosts wait for as long as that takes, and ingest answers 503
    /// after about ten seconds
    #[arg(long)]
    pub accept_pause: bool,
    /// A folder with another archive, such as a copy, to erase from too
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
}

impl Erase {
    /// As the operate room takes it.
    pub fn wanted(&self) -> Request {
        let values = self.values.iter().map(|Value { at, value }| (at.to_string(), value.clone())).collect();
        Request {
            subject: Subject { groups: self.group.clone(), values },
            note: self.note.clone(),
            folder: self.folder.clone(),
            wait: self.wait,
            most: if self.accept_pause { u64::MAX } else { MOST },
        }
    }
}
