//! Rules over what a host sees, look by look.

use std::time::Duration;

use towpath_config::{Notify, NotifyFormat, Trigger};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn alerts(on: Trigger) -> Alerts {
    let every = 60 * MINUTE;
    let notify = Notify { on, to: "ops".to_owned(), format: NotifyFormat::Json, every };
    Alerts::new(vec![notify], Some("https://towpath.example/".to_owned()))
}

fn at(minute: u64) -> Timestamp {
    Timestamp(minute * 60_000)
}

fn held(since: u64) -> Observed {
    let held = vec![Lasting { target: "sss".to_owned(), since: at(since), detail: "release <b>".to_owned() }];
    Observed { held, ..Observed::default() }
}

fn said(notices: &[Notice]) -> Vec<(State, &str)> {
    notices.iter().map(|notice| (notice.state, notice.summary.as_str())).collect()
}

#[test]
fn what_lasts_is_told_once_it_has_lasted_then_as_a_reminder_and_when_it_is_over() {
    let mut alerts = alerts(Trigger::TargetHeld { lasting: 10 * MINUTE });
    assert_eq!(alerts.observe(&held(0), at(9)), []);
    let first = alerts.observe(&held(0), at(10));
    assert_eq!(said(&first), [(State::Firing, "sss is on hold for 10m: release <b>")]);
    assert_eq!(alerts.observe(&held(0), at(69)), []);
    let reminder = alerts.observe(&held(0), at(70));
    assert_eq!(said(&reminder), [(State::Firing, "sss is on hold for 1h 10m: release <b>")]);
    let over = alerts.observe(&Observed::default(), at(71));
    assert_eq!(said(&over), [(State::Resolved, "sss is no longer on hold")]);
    assert_eq!(alerts.observe(&Observed::default(), at(72)), []);
    let ids = [&first, &reminder, &over].map(|notices| notices[0].id.clone());
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    assert_ne!(first[0].message_id(), reminder[0].message_id());
    assert_eq!(first[0].link.as_deref(), Some("https://towpath.example/"));
}

#[test]
fn what_comes_and_goes_is_told_no_more_often_than_the_rule_says() {
    let mut alerts = alerts(Trigger::TargetHeld { lasting: Duration::ZERO });
    let mut firing = 0;
    let mut resolved = 0;
    for minute in 0..120 {
        let observed = if minute % 2 == 0 { held(minute) } else { Observed::default() };
        for notice in alerts.observe(&observed, at(minute)) {
            match notice.state {
                State::Firing => firing += 1,
                State::Resolved => resolved += 1,
            }
        }
    }
    assert_eq!((firing, resolved), (2, 2), "once an hour");
}

#[test]
fn letters_are_counted_within_the_window_and_those_before_the_start_are_not() {
    let mut alerts = alerts(Trigger::DeadLetters { count: 3, within: 5 * MINUTE });
    let letters = |dead_letters| Observed { dead_letters, ..Observed::default() };
    assert_eq!(alerts.observe(&letters(1000), at(0)), []);
    assert_eq!(alerts.observe(&letters(1002), at(1)), []);
    let told = alerts.observe(&letters(1003), at(2));
    assert_eq!(said(&told), [(State::Firing, "3 events arrived in the dead-letter queue within 5m")]);
    assert_eq!(told[0].link.as_deref(), Some("https://towpath.example/letters"));
    let over = alerts.observe(&letters(1003), at(8));
    assert_eq!(said(&over), [(State::Resolved, "no more dead letters than allowed within 5m")]);
}

#[test]
fn a_notice_is_written_for_whom_it_is() {
    let mut alerts = alerts(Trigger::TargetHeld { lasting: Duration::ZERO });
    let mut notice = alerts.observe(&held(0), at(1)).remove(0);
    let (kind, text) = notice.body();
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(kind, "application/json");
    assert_eq!(json["type"], "towpath.alert.target-held");
    assert_eq!(json["data"]["target"], "sss");
    notice.format = NotifyFormat::Slack;
    let (_, text) = notice.body();
    assert!(text.contains("release &lt;b&gt;") && text.contains("<https://towpath.example/|open>"), "{text}");
    notice.format = NotifyFormat::Sns { topic: "arn:aws:sns:eu-west-1:1:ops".to_owned() };
    notice.summary = "é\n".repeat(200);
    let (kind, text) = notice.body();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    assert_eq!(form["TopicArn"], "arn:aws:sns:eu-west-1:1:ops");
    assert!(form["Subject"].is_ascii() && form["Subject"].len() == 100 && !form["Subject"].contains('\n'));
}
