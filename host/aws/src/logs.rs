//! The logs of functions, in CloudWatch.

use std::collections::HashMap;

use aws_sdk_cloudwatchlogs::Client;
use towpath_types::clock::Timestamp;

use crate::client::sdk_config;
use crate::error::in_words;

/// Each read overlaps the previous one by this much: CloudWatch returns lines seconds late, and out of order.
const AGAIN_MS: u64 = 30_000;

#[derive(Debug, thiserror::Error)]
#[error("cannot read the log group {group}: {problem}")]
pub struct LogsError {
    group: String,
    problem: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub at: Timestamp,
    pub text: String,
}

/// Log groups, read from some moment on.
pub struct Logs {
    client: Client,
    groups: Vec<String>,
    from: Timestamp,
    /// Lines already returned from the overlap, with their times.
    seen: HashMap<String, Timestamp>,
}

/// Log lines of hosts: `towpath.story`, `towpath_engine::…`.
pub const OF_HOSTS: &str = r#"{ $.target = "towpath*" }"#;

/// Log lines about one message. Source of the syntax: "Filter pattern syntax" in the user guide of CloudWatch Logs.
pub fn about(id: &str) -> String {
    // Letters, digits, and the other characters of queue ids and derived ids.
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let fields = ["$.span.message_id", "$.span.webhook_id", "$.fields.message_id", "$.fields.webhook_id"];
    format!("{{ {} }}", fields.map(|field| format!("{field} = \"{id}*\"")).join(" || "))
}

impl Logs {
    pub async fn of(groups: Vec<String>, from: Timestamp) -> Logs {
        Logs { client: Client::new(&sdk_config(None).await), groups, from, seen: HashMap::new() }
    }

    /// The new lines that match a pattern, in the order in which they were logged.
    pub async fn next(&mut self, pattern: &str) -> Result<Vec<LogLine>, LogsError> {
        let mut lines = Vec::new();
        for group in &self.groups {
            let mut token = None;
            loop {
                let ask = self.client.filter_log_events().log_group_name(group).filter_pattern(pattern);
                let ask = ask.start_time(i64::try_from(self.from.0).unwrap_or(i64::MAX)).set_next_token(token);
                let answer =
                    ask.send().await.map_err(|error| LogsError { group: group.clone(), problem: in_words(&error) })?;
                for event in answer.events.unwrap_or_default() {
                    let at = Timestamp(event.timestamp.and_then(|at| u64::try_from(at).ok()).unwrap_or_default());
                    if self.seen.insert(event.event_id.unwrap_or_default(), at).is_none() {
                        lines.push(LogLine { at, text: event.message.unwrap_or_default() });
                    }
                }
                token = answer.next_token;
                if token.is_none() {
                    break;
                }
            }
        }
        lines.sort_by_key(|line| line.at);
        if let Some(last) = lines.last() {
            self.look_from(Timestamp(last.at.0.saturating_sub(AGAIN_MS)));
        }
        Ok(lines)
    }

    /// Moves the start of the overlap to this moment, and forgets lines returned from before it.
    fn look_from(&mut self, from: Timestamp) {
        self.from = self.from.max(from);
        self.seen.retain(|_, at| *at >= self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_escape_from_its_pattern() {
        let pattern = about("8f3c\" || $.x = \"*");
        assert_eq!(pattern.matches('"').count(), 8);
        assert!(pattern.contains("$.span.webhook_id = \"8f3cx*\""), "{pattern}");
        assert!(about("msg_5f2c-1").contains("$.fields.webhook_id = \"msg_5f2c-1*\""));
    }

    #[tokio::test]
    async fn lines_before_the_overlap_are_forgotten() {
        let mut logs = Logs::of(Vec::new(), Timestamp(0)).await;
        logs.seen = (0..100).map(|at| (at.to_string(), Timestamp(at))).collect();
        logs.look_from(Timestamp(90));
        assert_eq!(logs.seen.len(), 10);
        logs.look_from(Timestamp(80));
        assert_eq!((logs.from, logs.seen.len()), (Timestamp(90), 10), "it goes forward only");
    }
}
