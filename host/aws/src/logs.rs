//! The logs of functions, as CloudWatch keeps them.

use std::collections::HashMap;

use aws_sdk_cloudwatchlogs::Client;
use towpath_types::clock::Timestamp;

use crate::client::sdk_config;
use crate::error::in_words;

/// How far back is looked again: what was logged comes to be found seconds later, and not in order.
const AGAIN_MS: u64 = 30_000;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log group {group}: {problem}")]
pub struct LogsError {
    group: String,
    problem: String,
}

/// A line of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When it was logged.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// Log groups that are read from some moment on.
pub struct Logs {
    client: Client,
    groups: Vec<String>,
    from: Timestamp,
    /// What was read already of what is looked at again, and when it was logged.
    seen: HashMap<String, Timestamp>,
}

/// Lines of hosts: `towpath.story`, `towpath_engine::…`.
pub const OF_HOSTS: &str = r#"{ $.target = "towpath*" }"#;

/// Lines about one message. Source of the syntax: "Filter pattern syntax" in the user guide of CloudWatch Logs.
pub fn about(id: &str) -> String {
    // Letters and digits, and what ids of queues and derived ones have besides.
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let fields = ["$.span.message_id", "$.span.webhook_id", "$.fields.message_id", "$.fields.webhook_id"];
    format!("{{ {} }}", fields.map(|field| format!("{field} = \"{id}*\"")).join(" || "))
}

impl Logs {
    /// These groups from then on.
    pub async fn of(groups: Vec<String>, from: Timestamp) -> Logs {
        Logs { client: Client::new(&sdk_config(None).await), groups, from, seen: HashMap::new() }
    }

    /// The lines that fit a pattern and were not read before, in the order in which they were logged.
    pub async fn next(&mut self, pattern: &str) -> Result<Vec<Line>, LogsError> {
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
                        lines.push(Line { at, text: event.message.unwrap_or_default() });
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

    /// Looks at nothing before this moment any more, and forgets what was read of that.
    fn look_from(&mut self, from: Timestamp) {
        self.from = self.from.max(from);
        self.seen.retain(|_, at| *at >= self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_end_its_pattern() {
        let pattern = about("8f3c\" || $.x = \"*");
        assert_eq!(pattern.matches('"').count(), 8);
        assert!(pattern.contains("$.span.webhook_id = \"8f3cx*\""), "{pattern}");
        assert!(about("msg_5f2c-1").contains("$.fields.webhook_id = \"msg_5f2c-1*\""));
    }

    #[tokio::test]
    async fn what_is_not_looked_at_again_is_forgotten() {
        let mut logs = Logs::of(Vec::new(), Timestamp(0)).await;
        logs.seen = (0..100).map(|at| (at.to_string(), Timestamp(at))).collect();
        logs.look_from(Timestamp(90));
        assert_eq!(logs.seen.len(), 10);
        logs.look_from(Timestamp(80));
        assert_eq!((logs.from, logs.seen.len()), (Timestamp(90), 10), "it goes forward only");
    }
}
