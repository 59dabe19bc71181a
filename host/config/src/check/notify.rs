//! `[[notify]]`.

use std::time::Duration;

use super::Checker;
use crate::notify::{Notify, NotifyFormat, Trigger};
use crate::shape::{self, Format, On};

const MINUTE: Duration = Duration::from_secs(60);

/// A reminder while something lasts.
const EVERY: Duration = Duration::from_secs(4 * 3600);

/// Hosts look every few seconds.
const SHORTEST_EVERY: Duration = MINUTE;

/// Looks are kept in memory.
const LONGEST_WITHIN: Duration = Duration::from_secs(24 * 3600);

impl Checker<'_> {
    pub(super) fn notify(&mut self, rules: Vec<(usize, shape::Notify)>) -> Vec<Notify> {
        rules.into_iter().filter_map(|(index, rule)| self.notify_rule(&format!("notify[{index}]"), rule)).collect()
    }

    fn notify_rule(&mut self, at: &str, rule: shape::Notify) -> Option<Notify> {
        let on = self.trigger(at, &rule);
        let known = self.named.get("target").is_some_and(|targets| targets.contains(&rule.to));
        if !known {
            let hint = "name a [target.NAME] of this config, such as one with the URL of your chat";
            self.wrong(format!("{at}.to"), format!("there is no target {:?}", rule.to), hint);
        }
        let every = rule.every.map_or(EVERY, |every| every.0);
        if every < SHORTEST_EVERY {
            self.wrong(format!("{at}.every"), "must be at least 1m", "4h is the default");
        }
        let format = match (rule.format, rule.topic) {
            (Format::Json, None) => NotifyFormat::Json,
            (Format::Slack, None) => NotifyFormat::Slack,
            (Format::Sns, Some(topic)) if topic.starts_with("arn:") => NotifyFormat::Sns { topic },
            (Format::Sns, Some(topic)) => {
                let hint = "such as \"arn:aws:sns:eu-west-1:123456789012:towpath\"";
                self.wrong(format!("{at}.topic"), format!("{topic:?} is not an ARN"), hint);
                return None;
            }
            (Format::Sns, None) => {
                let hint = "topic = \"arn:aws:sns:…\", and a target with url = \"https://sns.REGION.amazonaws.com\" and auth = { sigv4 = … }";
                self.wrong(format!("{at}.topic"), "missing", hint);
                return None;
            }
            (_, Some(_)) => {
                self.wrong(format!("{at}.topic"), "is for format = \"sns\" only", "leave it out");
                return None;
            }
        };
        Some(Notify { on, to: rule.to, format, every })
    }

    fn trigger(&mut self, at: &str, rule: &shape::Notify) -> Trigger {
        let is_count = matches!(rule.on, On::DeadLetters | On::Unauthorized);
        let given = [
            ("for", rule.lasting.is_some(), !is_count, "how long something lasts"),
            ("count", rule.count.is_some(), is_count, "how many there are"),
            ("within", rule.within.is_some(), is_count, "how many there are"),
        ];
        for (key, _, _, about) in given.into_iter().filter(|(_, given, fits, _)| *given && !fits) {
            let problem = format!("says {about}, which does not fit this `on`");
            let hint = if is_count { "use count and within" } else { "use for" };
            self.wrong(format!("{at}.{key}"), problem, hint);
        }
        let lasting = |default: Duration| rule.lasting.as_ref().map_or(default, |span| span.0);
        let within = rule.within.as_ref().map_or(5 * MINUTE, |span| span.0);
        if within < MINUTE || within > LONGEST_WITHIN {
            self.wrong(format!("{at}.within"), "must be between 1m and 24h", "5m is the default");
        }
        if rule.count == Some(0) {
            self.wrong(format!("{at}.count"), "must be at least 1", "leave it out for the default");
        }
        match rule.on {
            On::GroupStuck => Trigger::GroupStuck { lasting: lasting(10 * MINUTE) },
            On::TargetHeld => Trigger::TargetHeld { lasting: lasting(60 * MINUTE) },
            On::BreakerOpen => Trigger::BreakerOpen { lasting: lasting(MINUTE) },
            On::DeadLetters => Trigger::DeadLetters { count: rule.count.unwrap_or(1), within },
            On::Unauthorized => Trigger::Unauthorized { count: rule.count.unwrap_or(100), within },
        }
    }
}
