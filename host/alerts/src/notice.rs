//! What is sent: a JSON webhook, a message for Slack, or one for SNS.

use serde::Serialize;
use serde_json::json;
use towpath_config::NotifyFormat;
use towpath_types::clock::Timestamp;

/// Slack shows at most this many characters of a text (<https://docs.slack.dev/reference/methods/chat.postMessage>).
const MOST_SLACK: usize = 4_000;

/// SNS accepts subjects of up to 100 ASCII characters (the API reference of `Publish`).
const MOST_SUBJECT: usize = 100;

/// Whether something begins, goes on, or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is the case; sent again while it lasts.
    Firing,
    /// It is over.
    Resolved,
}

/// Something to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The target to send it to.
    pub to: String,
    /// How it is written.
    pub format: NotifyFormat,
    /// Whether it begins or ended.
    pub state: State,
    /// The same for an alert, its reminders and its end.
    pub id: String,
    /// What the rule is about, as in the config.
    pub on: &'static str,
    /// The target that it is about; empty if none.
    pub target: String,
    /// Since when it is the case.
    pub since: Timestamp,
    /// When it was noticed.
    pub at: Timestamp,
    /// It in one sentence.
    pub summary: String,
    /// The page of the console that shows it.
    pub link: Option<String>,
}

impl Notice {
    /// The `webhook-id`: a reminder is another message than the alert.
    pub fn message_id(&self) -> String {
        let state = match self.state {
            State::Firing => "firing",
            State::Resolved => "resolved",
        };
        format!("{}_{state}_{}", self.id, self.at.0)
    }

    /// The body, and its content type.
    pub fn body(&self) -> (&'static str, String) {
        match &self.format {
            NotifyFormat::Json => ("application/json", self.json()),
            NotifyFormat::Slack => ("application/json", json!({ "text": self.slack() }).to_string()),
            NotifyFormat::Sns { topic } => ("application/x-www-form-urlencoded", self.sns(topic)),
        }
    }

    /// In the form of Standard Webhooks: type, timestamp, data.
    fn json(&self) -> String {
        json!({
            "type": format!("towpath.alert.{}", self.on),
            "timestamp": self.at.to_string(),
            "data": {
                "state": self.state,
                "alert_id": self.id,
                "on": self.on,
                "target": (!self.target.is_empty()).then_some(&self.target),
                "since": self.since.to_string(),
                "summary": self.summary,
                "link": self.link,
            },
        })
        .to_string()
    }

    fn slack(&self) -> String {
        let mark = match self.state {
            State::Firing => ":red_circle:",
            State::Resolved => ":large_green_circle:",
        };
        let link = self.link.as_ref().map_or(String::new(), |link| format!(" <{link}|open>"));
        // Names are the config's, but reasons of holds are what anybody typed.
        let text = self.summary.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let text: String = text.chars().take(MOST_SLACK).collect();
        format!("{mark} Towpath: {text}{link}")
    }

    fn sns(&self, topic: &str) -> String {
        let state = match self.state {
            State::Firing => "FIRING",
            State::Resolved => "RESOLVED",
        };
        let printable = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
        let subject: String =
            format!("Towpath {state}: {}", self.summary).chars().map(printable).take(MOST_SUBJECT).collect();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "Publish").append_pair("Version", "2010-03-31");
        form.append_pair("TopicArn", topic).append_pair("Subject", &subject).append_pair("Message", &self.json());
        form.finish()
    }
}
