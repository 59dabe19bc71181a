use super::*;

const TARGET: &str = "[target.ops]\nurl = \"https://chat.example/hook\"\n";

#[test]
fn rules_have_defaults_and_own_values() {
    let text = format!(
        "{TARGET}[[notify]]\non = \"group-stuck\"\nto = \"ops\"\n\
        [[notify]]\non = \"unauthorized\"\nto = \"ops\"\ncount = 7\nwithin = \"1h\"\nformat = \"slack\"\nevery = \"1m\"\n\
        [[notify]]\non = \"target-held\"\nto = \"ops\"\nfor = \"0s\"\nformat = \"sns\"\ntopic = \"arn:aws:sns:eu-west-1:1:t\"\n"
    );
    let rules = parse(&text).expect("config").notify;
    let minutes = |minutes| Duration::from_secs(minutes * 60);
    let to = || "ops".to_owned();
    let sns = NotifyFormat::Sns { topic: "arn:aws:sns:eu-west-1:1:t".to_owned() };
    let expected = [
        (Trigger::GroupStuck { lasting: minutes(10) }, NotifyFormat::Json, minutes(240)),
        (Trigger::Unauthorized { count: 7, within: minutes(60) }, NotifyFormat::Slack, minutes(1)),
        (Trigger::TargetHeld { lasting: Duration::ZERO }, sns, minutes(240)),
    ];
    assert_eq!(rules, expected.map(|(on, format, every)| Notify { on, to: to(), format, every }));
}

#[test]
fn mistakes_in_rules_are_shown_with_their_keys() {
    let text = format!(
        "{TARGET}[[notify]]\non = \"group-stuck\"\nto = \"opps\"\ncount = 1\nevery = \"1s\"\n\
        [[notify]]\non = \"dead-letters\"\nto = \"ops\"\nfor = \"1m\"\ncount = 0\nwithin = \"1s\"\nformat = \"sns\"\n\
        [[notify]]\non = \"breaker-open\"\nto = \"ops\"\ntopic = \"arn:x\"\n[[notify]]\non = \"noon\"\nto = \"ops\"\n"
    );
    let mut found = mistakes(&text);
    found.sort();
    let expected = [
        "notify[0].count: says how many there are, which does not fit this `on`",
        "notify[0].every: must be at least 1m",
        "notify[0].to: there is no target \"opps\"",
        "notify[1].count: must be at least 1",
        "notify[1].for: says how long something lasts, which does not fit this `on`",
        "notify[1].topic: missing",
        "notify[1].within: must be between 1m and 24h",
        "notify[2].topic: is for format = \"sns\" only",
    ];
    assert_eq!(found.iter().filter(|one| !one.starts_with("notify[3]")).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert!(found.iter().any(|one| one.starts_with("notify[3].on: ")), "{found:?}");
    assert_eq!(mistakes("[notify]\non = \"x\""), ["notify: not a list of tables"]);
}
