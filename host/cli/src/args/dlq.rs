//! `dlq`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args as ClapArgs, Subcommand};
use towpath_operate::dlq::filter::Conditions;
use towpath_operate::set::Set;
use towpath_types::clock::Clock;
use towpath_types::clock::Timestamp;

use super::QueuePlace;
use crate::rate::Rate;

/// `dlq`.
#[derive(Subcommand, Debug)]
pub enum Dlq {
    /// List dead letters, oldest first
    List(DlqList),
    /// Show one dead letter whole: why, attempts, headers, body
    #[command(after_help = format!("\
Examples:
  towpath dlq show 1b9d6bcd
  towpath dlq show 1b9d6bcd --body > body.json

{SECRETS}"))]
    Show {
        /// Its id, or the beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Write its body, byte for byte, and nothing else
        #[arg(long, conflicts_with = "json")]
        body: bool,
        /// Where
        #[command(flatten)]
        place: LetterPlace,
    },
    /// Count dead letters by route and reason; exit code 1 if there are any
    #[command(after_help = "Example:\n  towpath dlq stats --json || page-somebody")]
    Stats {
        /// Where
        #[command(flatten)]
        place: LetterPlace,
    },
    /// Send dead letters back to the queue that they came from, in order
    Redrive(DlqRedrive),
    /// Run dead letters through another build of their plugin: what would change; nothing is sent
    Diff(DlqDiff),
    /// Change the body of a dead letter
    Edit(DlqEdit),
    /// Remove dead letters for good
    Drop(DlqDrop),
    /// Show who redrove, edited or dropped what, and why
    #[command(
        after_help = format!("\
Example:
  towpath dlq audit --json

What was dropped or edited stands there as it was, and whole in audit.jsonl: in the store's folder, or in .towpath here for SQS.

{SECRETS}")
    )]
    Audit {
        /// Where
        #[command(flatten)]
        place: QueuePlace,
    },
}

/// Which queue of letters.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct LetterPlace {
    /// Where
    #[command(flatten)]
    pub place: QueuePlace,
    /// What the front door answered 401 or 422 and kept for a day, instead of dead letters
    #[arg(long, conflicts_with = "queue_url")]
    pub refused: bool,
}

/// Which letters.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this route; it need not be in the config any more
    #[arg(long, value_name = "PATH")]
    pub route: Option<String>,
    /// Only those of this group; a star at the end stands for anything
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only those with this reason, such as refused; an unknown one lists them all
    #[arg(long)]
    pub reason: Option<String>,
    /// Only those whose last answer had this status
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    pub status: Option<u16>,
    /// Only those that died since then: 2h (ago), or 2026-03-02T09:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only those that died until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Only those whose body contains this
    #[arg(long)]
    pub text: Option<String>,
}

impl Filter {
    /// The same without a command line.
    pub fn wanted(&self) -> Conditions {
        let now = Clock::wall().now();
        let Filter { route, group, reason, status, since, until, text } = self.clone();
        let since = since.map(|moment| moment.at(now));
        let until = until.map(|moment| moment.at(now));
        Conditions { route, group, reason, status, since, until, text }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number from 1".to_owned())
}

/// More is a typo.
const LONGEST_AGO: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A moment: an age, or a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    /// When that is.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::Ago(ago) => now - ago,
            Moment::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return if ago <= LONGEST_AGO {
                Ok(Moment::Ago(ago))
            } else {
                Err("an age is 100 years at most".to_owned())
            };
        }
        let time = humantime::parse_rfc3339_weak(text)
            .map_err(|_| format!("{text:?} is neither an age such as 2h nor a time such as 2026-03-02T09:15:00Z"))?;
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(Moment::At(Timestamp(u64::try_from(millis).unwrap_or_default())))
    }
}

const SECRETS: &str = "\
Values of headers that hold secrets are hidden: those with usual names, those that the routes and targets of the config name, and \
the one that the letter's route had a secret sent along in. Where a store or queue is named without its config, give --config too.";

const SQS: &str = "\
On SQS looking means receiving: letters that were looked at are given back at the end, and each look counts as \
a receive. Of one group SQS hands out ten letters at most; those behind them come when these are gone.";

/// `dlq list`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq list
  towpath dlq list --reason refused --since 2h --json
  towpath dlq list --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead.fifo

{SQS}"))]
pub struct DlqList {
    /// Which
    #[command(flatten)]
    pub filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one)]
    pub limit: usize,
    /// Where
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq redrive`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq redrive --reason refused --plan      what would happen
  towpath dlq redrive 1b9d6bcd 7f3a
  towpath dlq redrive --all --rate 20/s --max-failures 10

Letters keep their order within a group and keep their `webhook-id` and time. They come behind \
what waits in their group; a group of a route that parks goes back as a whole, before what waits. It can be cut \
off at any moment and run again: a letter is removed only when it is stored in the queue. Exit code 1 if \
something could not be sent back, or died again meanwhile.

{SQS}"))]
pub struct DlqRedrive {
    /// Their ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which
    #[command(flatten)]
    pub filter: Filter,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Only say what would be sent back
    #[arg(long)]
    pub plan: bool,
    /// How fast: 10/s, 600/m, 5000/h
    #[arg(long)]
    pub rate: Option<Rate>,
    /// Stop when more than so many could not be sent back, or (on a local store) died again
    #[arg(long, value_name = "N")]
    pub max_failures: Option<u64>,
    /// The URL of the queue of SQS to send back to, instead of the config's
    #[arg(long, value_name = "URL", value_parser = super::url)]
    pub to: Option<String>,
    /// Where
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq diff`.
#[derive(ClapArgs, Debug)]
#[command(after_help = format!("\
Examples:
  towpath dlq diff --plugin plugins/github
  towpath dlq diff --plugin new.wasm --name github --reason plugin-error --json

Shown is what the plugin of the config says now, and what the new build says.

{SECRETS}

{SQS}"))]
pub struct DlqDiff {
    /// Their ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which
    #[command(flatten)]
    pub filter: Filter,
    /// The new build: a folder with plugin.wasm, or a .wasm file
    #[arg(long, value_name = "PATH")]
    pub plugin: PathBuf,
    /// The plugin's name in the config [default: the name that the build gives itself]
    #[arg(long)]
    pub name: Option<String>,
    /// Where
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq edit`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath dlq edit 1b9d6bcd --set /customer/mail=a@example.com --note \"typo in the CRM, ticket 4711\"
  towpath dlq show 1b9d6bcd --body | sed s/old/new/ |
    towpath dlq edit 1b9d6bcd --body - --note fixed

If the value that the route's group is made of changes, the letter moves to the group of the new value, so that the order of \
that group is kept: the template is in the config. A webhook-id that was derived from the route's deduplication key stays, and the \
edit says so if the key changed; --new-webhook-id changes it too. The note stays on the message. The signature of an edited message is not checked again, for none would fit: a MAC \
proves the edit instead. A local store makes its own key for it; for SQS, name one in the config: [dead_letters] note_key. A letter that never proved \
where it comes from is edited only with --accept-unverified. The letter as it was stands in `towpath dlq audit --json`, and whole in audit.jsonl beside the store.")]
pub struct DlqEdit {
    /// Its id, or the beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// A value to set: a JSON pointer (RFC 6901; /- appends to an array), and JSON, which is put in as it is given, or text. No
    /// other byte of the body changes
    #[arg(long, value_name = "POINTER=VALUE")]
    pub set: Vec<Set>,
    /// A file with the new body; - is standard input
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Leave it in its group, even if the event is of another key now
    #[arg(long)]
    pub keep_group: bool,
    /// Give it the webhook-id of its key, if the event is of another key now: a target that knows the old id takes it for
    /// another event
    #[arg(long)]
    pub new_webhook_id: bool,
    /// Edit it although it did not prove where it comes from: once it is sent back it is delivered without a proof. The audit
    /// keeps who accepted it, and the note says why
    #[arg(long)]
    pub accept_unverified: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// Where
    #[command(flatten)]
    pub place: LetterPlace,
}

/// `dlq drop`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath dlq drop 1b9d6bcd --note \"test event\"
  towpath dlq drop --reason rejected --until 30d --note \"too old to matter\"

What was dropped stands in `towpath dlq audit --json`, and whole in audit.jsonl beside the store.")]
pub struct DlqDrop {
    /// Their ids, or the beginnings of them
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Which
    #[command(flatten)]
    pub filter: Filter,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// Where
    #[command(flatten)]
    pub place: LetterPlace,
}
