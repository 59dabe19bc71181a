//! `group`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args as ClapArgs, Subcommand};

use super::QueuePlace;

/// `group`.
#[derive(Subcommand, Debug)]
pub enum Group {
    /// List groups: those whose head waits first, the latest next try first
    List(GroupList),
    /// Show one group: why its head waits, how many are behind it, and what each action would do
    #[command(after_help = "\
Example:
  towpath group show crm/42

Exit code 2 if nothing of the group waits, or on SQS, which does not tell.")]
    Show {
        /// The group
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The store
        #[command(flatten)]
        place: QueuePlace,
    },
    /// Retry the head of a group now instead of at its next try
    #[command(after_help = "\
Example:
  towpath group retry crm/42 --note \"the target is back\"

Those behind it that wait for a next try can be received now too, in order. A head that a host has in flight is left alone.

Exit code 2 if nothing was done; the error says why.")]
    Retry(GroupAct),
    /// Move the head of a group to the dead-letter queue; those behind it are delivered
    #[command(after_help = "\
Example:
  towpath group dead-letter crm/42 --note \"its order does not exist\"

If the route of the group parks, hosts park those behind it instead. To change the body of the event, dead-letter it, then `towpath dlq edit` and \
`towpath dlq redrive`. A head that a host has in flight is left alone.

Exit code 2 if nothing was done; the error says why.")]
    DeadLetter(GroupAct),
    /// Move a whole group to the dead-letter queue, in order
    #[command(after_help = "\
Example:
  towpath group park crm/42 --note \"wait for the fix of the plugin\"

Only for routes with on_dead_letter = \"park\": what arrives later is parked behind it, and a redrive sends the whole group back, in order. Nothing is \
moved while a host has a message of the group in flight.

Exit codes: 0 parked; 1 a host took a message of the group meanwhile, and parks the rest; 2 nothing was done, and the error says why.")]
    Park(GroupAct),
}

/// `group list`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath group list
  towpath group list crm/ --json              only groups that begin with crm/, by name

A page costs the same for any number of groups. STATE is ready, in-flight, delayed (it was stored so), held (its target is on hold, draining or its \
breaker is open), retried (its last pass failed), or waits, if the story does not tell. On SQS nothing is listed, because SQS does not tell.

Exit code 2 if the store cannot be read.")]
pub struct GroupList {
    /// Only groups that begin with this
    pub begins: Option<String>,
    /// How many groups to list, 1 to 500
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// The page after this one: `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// The store
    #[command(flatten)]
    pub place: QueuePlace,
}

/// What is done to which group.
#[derive(ClapArgs, Debug)]
pub struct GroupAct {
    /// The group
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub group: String,
    /// Why; it is kept in the audit, and in the letters
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub note: String,
    /// Act only if the head is still this message
    #[arg(long, value_name = "ID")]
    pub head: Option<String>,
    /// The store
    #[command(flatten)]
    pub place: QueuePlace,
}
