//! `[[notify]]`: when to alert somebody, and whom.

use std::time::Duration;

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// When it fires.
    pub on: Trigger,
    /// The target that gets the alert.
    pub to: String,
    /// How the alert is written.
    pub format: NotifyFormat,
    /// The shortest time between two alerts about the same thing.
    pub every: Duration,
}

/// When a rule fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The first event of a group has failed for this long.
    GroupStuck { lasting: Duration },
    /// A target has been on hold for this long.
    TargetHeld { lasting: Duration },
    /// A breaker has been open for this long.
    BreakerOpen { lasting: Duration },
    /// This many events were dead-lettered within a length of time.
    DeadLetters { count: u64, within: Duration },
    /// Ingest turned this many webhooks away within a length of time.
    Unauthorized { count: u64, within: Duration },
}

impl Trigger {
    /// Its name in the config.
    pub fn name(&self) -> &'static str {
        match self {
            Trigger::GroupStuck { .. } => "group-stuck",
            Trigger::TargetHeld { .. } => "target-held",
            Trigger::BreakerOpen { .. } => "breaker-open",
            Trigger::DeadLetters { .. } => "dead-letters",
            Trigger::Unauthorized { .. } => "unauthorized",
        }
    }
}

/// How an alert is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotifyFormat {
    /// A webhook with type, timestamp and data, as Standard Webhooks recommends.
    Json,
    /// For an incoming webhook of Slack.
    Slack,
    /// The `Publish` of SNS.
    Sns {
        /// The ARN of the topic.
        topic: String,
    },
}
