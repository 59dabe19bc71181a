//! `dlq`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args as ClapArgs, Subcommand};
use towpath_operate::dlq::filter::Conditions;
use towpath_operate::moment::Moment;
use towpath_operate::set::Set;
use towpath_types::clock::Clock;

use super::QueuePlace;
use crate::rate::Rate;

/// `dlq`.
#[derive(Subcommand, Debug)]
pub enum Dlq {
    /// List dead letters, oldest first
    List(DlqList),
    /// Show one dead letter in full: reason, attempts, headers, body
    #[command(after_help = format!("\
Examples:
  towpath dlq show 1b9d6bcd
  towpath dlq show 1b9d6bcd --body > body.json

{SECRETS}

Exit code 2 if there is no such letter."))]
    Show {
        /// The letter's id, or the beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Print only the body, byte for byte
        #[arg(long, conflicts_with = "json")]
        body: bool,
        /// The store or queue
        #[command(flatten)]
        place: LetterPlace,
    },
    /// Count dead letters by route and reason
    #[command(after_help = "\
Example:
  towpath dlq stats --json || page-somebody

Exit codes: 0 if there are none; 1 if there are any; 2 if the store or queue cannot be read.")]
    Stats {
        /// The store or queue
        #[command(flatten)]
        place: LetterPlace,
    },
    /// Send dead letters back to their queue, in order
    Redrive(DlqRedrive),
    /// Show what another build of the plugin would make of dead letters; nothing is sent
    Diff(DlqDiff),
    /// Change the body of a dead letter
    Edit(DlqEdit),
    /// Delete dead letters
    Drop(DlqDrop),
    /// Show who redrove, edited or dropped which dead letters, and why
    #[command(
        after_help = format!("\
Example:
  towpath dlq audit --json

Shows each letter as it was before the edit or drop. The complete letter is in {AUDIT}.

{SECRETS}")
    )]
    Audit {
        /// The store or queue
        #[command(flatten)]
        place: QueuePlace,
    },
}

/// Where the letters are.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct LetterPlace {
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
    /// Work on webhooks that ingest answered 401 or 422, which are kept for a day, instead of dead letters
    #[arg(long, conflicts_with = "queue_url")]
    pub refused: bool,
}

/// Which letters to take.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct Filter {
    /// Only letters of this route, also if the config no longer has it
    #[arg(long, value_name = "PATH")]
    pub route: Option<String>,
    /// Only letters of this group; a star at the end matches anything
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only letters with this reason, such as refused; the error for an unknown one lists all reasons
    #[arg(long)]
    pub reason: Option<String>,
    /// Only letters whose last response had this status
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    pub status: Option<u16>,
    /// Only letters dead-lettered after this time: an age such as 2h, or 2026-03-02T09:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only letters dead-lettered before this time; 30d means more than 30 days ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Only letters whose body contains this text
    #[arg(long)]
    pub text: Option<String>,
}

impl Filter {
    /// As the operate room takes it.
    pub fn wanted(&self) -> Conditions {
        let now = Clock::wall().now();
        let Filter { route, group, reason, status, since, until, text } = self.clone();
        let since = since.map(|moment| moment.at(now));
        let until = until.map(|moment| moment.at(now));
        Conditions { route, group, reason, status, since, until, text }
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number of at least 1".to_owned())
}

const SECRETS: &str = "\
Values of these headers are hidden: common names for secrets, those that the config's routes and targets name, and the header \
that carried the route's secret. With --store or --queue-url, give --config too: otherwise the config's headers are not hidden.";

const AUDIT: &str = "\
audit.jsonl in the folder of the store (queue.store, by default .towpath), or for SQS in .towpath of the working directory";

const SQS: &str = "\
On SQS, reading a letter counts as a receive. When the command ends, all letters are released. SQS returns at most ten letters \
of a group; redrive or drop these to see the next ones.";

/// `dlq list`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq list
  towpath dlq list --reason refused --since 2h --json
  towpath dlq list --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead.fifo

{SQS}

Exit code 0, with or without dead letters; `towpath dlq stats` exits with 1 if there are any."))]
pub struct DlqList {
    /// Which letters
    #[command(flatten)]
    pub filter: Filter,
    /// List at most N
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one)]
    pub limit: usize,
    /// The store or queue
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq redrive`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq redrive --reason refused --plan      show what would be sent
  towpath dlq redrive 1b9d6bcd 7f3a
  towpath dlq redrive --all --rate 20/s --max-failures 10 --note \"ticket 4711\"

Letters keep their order within a group, their `webhook-id` and their time. They go behind the messages that wait in their \
group; on a route with on_dead_letter = \"park\" the whole group goes back, before the messages that wait. The command can be \
interrupted at any moment and run again: a letter is deleted only once it is stored in the queue.

{SQS}

Exit codes: 0 all were sent back; 1 some could not be, or were dead-lettered again meanwhile; 130 after Ctrl-C."))]
pub struct DlqRedrive {
    /// The letters' ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which letters
    #[command(flatten)]
    pub filter: Filter,
    /// Redrive all dead letters
    #[arg(long)]
    pub all: bool,
    /// Only show what would be sent back
    #[arg(long)]
    pub plan: bool,
    /// The rate: 10/s, 600/m, 5000/h [default: as fast as possible]
    #[arg(long)]
    pub rate: Option<Rate>,
    /// The reason, for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Stop after more than N failures: letters that could not be sent back or, on a local store, were dead-lettered again
    #[arg(long, value_name = "N")]
    pub max_failures: Option<u64>,
    /// The URL of the SQS queue to send to, instead of the config's
    #[arg(long, value_name = "URL", value_parser = super::url)]
    pub to: Option<String>,
    /// The store or queue
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq diff`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq diff --plugin plugins/github
  towpath dlq diff --plugin new.wasm --name github --reason plugin-error --json

It compares the verdict of the config's plugin with that of the new build.

{SECRETS}

{SQS}

Exit codes: 0 compared, whether verdicts differ or not; 2 a letter or plugin is missing; 3 a plugin does not load."))]
pub struct DlqDiff {
    /// The letters' ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which letters
    #[command(flatten)]
    pub filter: Filter,
    /// The new build: a folder with plugin.wasm, or a .wasm file
    #[arg(long, value_name = "PATH")]
    pub plugin: PathBuf,
    /// The plugin's name in the config [default: the build's own name]
    #[arg(long)]
    pub name: Option<String>,
    /// The store or queue
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq edit`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq edit 1b9d6bcd --set /customer/mail=a@example.com --note \"typo in the CRM, ticket 4711\"
  towpath dlq show 1b9d6bcd --body | sed s/old/new/ |
    towpath dlq edit 1b9d6bcd --body - --note fixed
  towpath dlq edit 1b9d6bcd --refused --set /id=7 --accept-unverified --note \"sent by hand\"

Group: if the value of the route's group changes, the letter moves to the new group, so that the new group stays in order. The \
template is in the config. --keep-group leaves the letter where it is.

webhook-id: if it was derived from a deduplication key that changes, the id stays, and the command says so. --new-webhook-id \
changes it too.

Signature: an edited body matches no signature, so a MAC authenticates the edit instead. A local store makes its own key; for \
SQS, name one in the config: [dead_letters] note_key. A letter that was never verified needs --accept-unverified.

`towpath dlq audit --json` shows the letter before the edit, with secret headers hidden. The complete letter is in {AUDIT}. The note stays on the message.

Exit code 2 if the letter is missing, or cannot be edited; nothing is changed then."))]
pub struct DlqEdit {
    /// The letter's id, or the beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Set the value at a JSON pointer (RFC 6901; /- appends to an array). VALUE is inserted as is if it is JSON, otherwise as a
    /// string. No other byte of the body changes
    #[arg(long, value_name = "POINTER=VALUE")]
    pub set: Vec<Set>,
    /// The file with the new body; - is standard input
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Keep the letter in its group, even if the new body belongs to another one
    #[arg(long)]
    pub keep_group: bool,
    /// Derive the webhook-id from the new deduplication key: a target that knows the old id takes the letter for another
    /// event
    #[arg(long)]
    pub new_webhook_id: bool,
    /// Edit a letter that was never verified: after a redrive it is delivered without verification. The audit records who
    /// accepted that; say why in the note
    #[arg(long)]
    pub accept_unverified: bool,
    /// The reason, for the audit
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// The store or queue
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq drop`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq drop 1b9d6bcd --note \"test event\"
  towpath dlq drop --reason rejected --until 30d --note \"too old to matter\"

`towpath dlq audit --json` still shows a dropped letter, with secret headers hidden. The complete letter is in {AUDIT}.

Exit codes: 0 dropped; 1 nothing matched; 2 a given id is missing, or the store or queue cannot be read."))]
pub struct DlqDrop {
    /// The letters' ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which letters
    #[command(flatten)]
    pub filter: Filter,
    /// The reason, for the audit
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// The store or queue
    #[command(flatten)]
    pub place: LetterPlace,
}
