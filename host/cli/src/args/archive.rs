//! `archive`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args as ClapArgs, Subcommand};
use towpath_archive::{Filter, Limit};
use towpath_config::S3Folder;
use towpath_operate::moment::Moment;
use towpath_types::archive::Ending;
use towpath_types::clock::Clock;
use towpath_types::json::Pointer;

use super::ConfigFile;

const SECRETS: &str = "\
Values of these headers are hidden: common names for secrets, those that the config's routes and targets name, and what carries \
the route's secret. With --folder or --bucket, give --config too: otherwise only common names are hidden.";

/// `archive`.
#[derive(Subcommand, Debug)]
pub enum Archive {
    /// List events that were delivered or skipped, the newest ones
    List(ArchiveList),
    /// Show one event in full: attempts, headers, body
    #[command(after_help = format!("\
Examples:
  towpath archive show 1b9d6bcd
  towpath archive show 1b9d6bcd --body > body.json
  towpath archive show 1b9d6bcd --since 2d --bucket s3://acme-archive/events/

{SECRETS} On S3 every file is read unless --since is given.

Exit code 2 if there is no such event."))]
    Show {
        /// The event's id or webhook-id, or the beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Only look at events stored at this time or later: an age such as 2h, or 2026-03-02T09:15:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<Moment>,
        /// Print only the body, byte for byte except for the tokens of its route
        #[arg(long, conflicts_with = "json")]
        body: bool,
        /// The archive
        #[command(flatten)]
        place: ArchivePlace,
    },
    /// Show how many events the archive has, and its size
    #[command(after_help = "\
Examples:
  towpath archive stats
  towpath archive stats --folder /var/lib/towpath/archive --json
  towpath archive stats --bucket s3://acme-archive/events/

DROPPED counts events that were not kept because the disk was full or broken; DAMAGED counts records that cannot be read. Both \
leave the archive with the segment that recorded them. On S3 every file is read, and DROPPED is not known: it is the metric \
towpath.archive.dropped.

Exit code 2 if the archive cannot be read.")]
    Stats {
        /// The archive
        #[command(flatten)]
        place: ArchivePlace,
    },
}

/// Where the archive is.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct ArchivePlace {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The archive
    #[command(flatten)]
    pub archive: NamedArchive,
}

impl ArchivePlace {
    /// As the operate room takes it.
    pub fn wanted(&self) -> towpath_operate::archive::ArchivePlace {
        let config = self.config.file();
        let config_was_named = self.config.config.is_some();
        towpath_operate::archive::ArchivePlace { config, config_was_named, named: self.archive.wanted() }
    }
}

/// An archive instead of the config's.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct NamedArchive {
    /// The folder of the archive, instead of the config's
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The folder of the archive on S3, instead of the config's, such as s3://acme-archive/events/
    #[arg(long, value_name = "S3-URL", conflicts_with = "folder")]
    pub bucket: Option<S3Folder>,
}

impl NamedArchive {
    /// As the operate room takes it. A folder is absolute, because a run may be resumed in another working directory.
    pub fn wanted(&self) -> towpath_operate::archive::Named {
        let folder = self.folder.as_ref().map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()));
        towpath_operate::archive::Named { folder, bucket: self.bucket.clone() }
    }
}

/// Which events to take.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct ArchiveFilter {
    /// Only events of this route; may be repeated
    #[arg(long, value_name = "PATH")]
    pub route: Vec<String>,
    /// Only events of this group; a star at the end matches anything; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Only events stored at this time or later: an age such as 2h, or 2026-03-02T09:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only events stored before this time; 2d means more than 2 days ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Only the event with this id or webhook-id; may be repeated
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Only events with this outcome
    #[arg(long, value_parser = PossibleValuesParser::new(["delivered", "skipped"]).map(|outcome| ending(&outcome)))]
    pub outcome: Option<Ending>,
    /// Only events whose body contains this text
    #[arg(long, value_name = "TEXT")]
    pub contains: Option<String>,
    /// Only events with this value at a JSON pointer of their body: a string without quotes, anything else as it was sent; may be
    /// repeated
    #[arg(long = "where", value_name = "POINTER=VALUE")]
    pub values: Vec<Value>,
}

fn ending(outcome: &str) -> Ending {
    if outcome == "skipped" { Ending::Skipped } else { Ending::Delivered }
}

impl ArchiveFilter {
    /// As the archive takes it.
    pub fn wanted(&self, limit: Limit) -> Filter {
        let now = Clock::wall().now();
        let ArchiveFilter { route, group, since, until, id, outcome, contains, values } = self.clone();
        Filter {
            routes: route,
            groups: group,
            since: since.map(|moment| moment.at(now)),
            until: until.map(|moment| moment.at(now)),
            ids: id,
            id_begins: None,
            ending: outcome,
            contains: contains.map(String::into_bytes),
            values: values.into_iter().map(|Value { at, value }| (at, value.into_bytes())).collect(),
            limit,
        }
    }
}

/// `/status=failed`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// Where it is.
    pub at: Pointer,
    /// What it is.
    pub value: String,
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Value, String> {
        let (at, value) = text.split_once('=').ok_or("write POINTER=VALUE, such as /status=failed")?;
        let at = at.parse().map_err(|error: towpath_types::json::PointerError| error.to_string())?;
        Ok(Value { at, value: value.to_owned() })
    }
}

/// `archive list`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath archive list
  towpath archive list --where /status=failed --since 2d
  towpath archive list --group 'crm/C-17' --limit 1000 --json
  towpath archive list --since 6h --bucket s3://acme-archive/events/

The events of a group are listed in order, each once. Dead letters are not in the archive: see `towpath dlq list`. \
On S3 every file is read unless --since or --until is given.

Exit code 0, with or without events; 2 if the archive cannot be read, or there is no such route or group.")]
pub struct ArchiveList {
    /// Which events
    #[command(flatten)]
    pub filter: ArchiveFilter,
    /// List at most N, the newest
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = super::dlq::at_least_one)]
    pub limit: usize,
    /// The archive
    #[command(flatten)]
    pub place: ArchivePlace,
}
