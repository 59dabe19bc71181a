use super::*;

const PASS: &str = r#"{"timestamp":"2026-03-02T09:15:01.250000Z","level":"INFO","fields":{"message":"pass","outcome":"unavailable",
    "decision":"retry","reason":"","detail":"","attempts":"[{\"target\":\"sss\",\"method\":\"POST\",\"path\":\"/t\",\"status\":503,\"error\":null,\"ms\":12}]",
    "retry_after_s":1.5,"age_s":0.25},"target":"towpath.story",
    "span":{"digest":"6bbc45","group":"approval/7","message_id":"8f3c2b1a-9d","plugin":"approval","route":"approval","name":"message"}}"#;

fn entry(change: impl Fn(&str) -> String) -> Entry {
    Entry::read(&change(PASS)).expect("an entry")
}

#[test]
fn the_detail_of_a_pass_names_its_attempts_and_what_comes_next() {
    let pass = entry(str::to_owned);
    assert_eq!((pass.what().as_str(), pass.time(), pass.is_failure()), ("unavailable", "09:15:01.250", true));
    assert_eq!(pass.detail(), "sss POST /t 503 in 12 ms, again in 1500 ms");
    let delivered =
        entry(|line| line.replace("unavailable", "delivered").replace("retry\"", "ack\"").replace("503", "200"));
    assert!(!delivered.is_failure());
    assert_eq!(delivered.detail(), "sss POST /t 200 in 12 ms, 250 ms after it was stored");
    let broken = entry(|line| line.replace("503", "200").replace("\\\"error\\\":null", "\\\"error\\\":\\\"cut\\\""));
    assert!(broken.detail().contains("200, then cut"), "{}", broken.detail());
}

#[test]
fn the_detail_of_another_line_names_its_fields() {
    let line = r#"{"level":"ERROR","fields":{"message":"message is in the dead-letter queue","reason":"refused","n":3},
        "target":"towpath_engine::pipeline","span":{"message_id":"8f3c"}}"#;
    let said = Entry::read(line).expect("an entry");
    assert_eq!((said.what().as_str(), said.is_failure()), ("error", true));
    assert_eq!(said.detail(), "message is in the dead-letter queue, n=3, reason=refused");
    let stored = r#"{"level":"INFO","fields":{"message":"stored","message_id":"8f3c","group":"g","route":"r"},"target":"towpath.story"}"#;
    let stored = Entry::read(stored).expect("an entry").at(|| "2026-03-02T09:15:01.250Z".to_owned());
    assert_eq!((stored.what().as_str(), stored.time(), stored.is_failure()), ("stored", "09:15:01.250", false));
    assert!(stored.is_about("8f3c") && !stored.is_about("") && !stored.is_about("8f3d"));
    for other in ["START RequestId: 1", "{}", "[1]", r#"{"_aws":{},"level":"INFO"}"#] {
        assert_eq!(Entry::read(other), None, "{other}");
    }
}

#[test]
fn a_handshake_is_no_pass_and_fails_only_where_it_was_refused() {
    let answered = |status: u16| {
        let line = r#"{"level":"INFO","fields":{"message":"handshake answered","event":"handshake-answered","route":"meta","method":"GET","status":STATUS},
            "target":"towpath.story"}"#;
        Entry::read(&line.replace("STATUS", &status.to_string())).expect("an entry")
    };
    let right = answered(200);
    assert_eq!((right.what().as_str(), right.is_pass(), right.is_failure()), ("handshake", false, false));
    assert_eq!(right.detail(), "GET meta answered 200");
    assert!(answered(403).is_failure());
    let only = |outcome: &str| Filter { outcome: Some(outcome.to_owned()), ..Filter::default() };
    assert!(only("handshake").wants(&right) && !only("delivered").wants(&right));
}

#[test]
fn the_event_of_a_line_is_not_shown_and_a_line_that_repeats_a_pass_is_left_out() {
    let line = |fields: &str| {
        let text = r#"{"level":"WARN","fields":{FIELDS},"target":"towpath_engine::pipeline::story","span":{"message_id":"8f3c"}}"#;
        Entry::read(&text.replace("FIELDS", fields))
    };
    let failed = line(r#""event":"plugin-failed","message":"plugin failed","fault":"trap""#).expect("an entry");
    assert_eq!(failed.detail(), "plugin failed, fault=trap");
    assert_eq!(crate::json::line(&failed)["event"], "plugin-failed");
    for repeats in [
        r#""event":"message-retried","message":"message will be retried","outcome":"unavailable""#,
        r#""message":"message will be tried again","outcome":"unavailable""#,
        r#""event":"message-skipped","message":"any other words""#,
        r#""message":"message delivered""#,
    ] {
        assert_eq!(line(repeats), None, "{repeats}");
    }
}

#[test]
fn a_filter_selects_lines_that_meet_every_condition() {
    let pass = entry(str::to_owned);
    let some = |text: &str| Some(text.to_owned());
    let any = Filter::default();
    let cases = [
        (any.clone(), true),
        (Filter { group: some("approval/*"), target: some("sss"), failed: true, ..any.clone() }, true),
        (Filter { group: some("approval"), ..any.clone() }, false),
        (Filter { target: some("ss"), ..any.clone() }, false),
        (
            Filter { route: some("approval"), plugin: some("approval"), outcome: some("unavailable"), ..any.clone() },
            true,
        ),
        (Filter { plugin: some("crm"), ..any.clone() }, false),
        (Filter { outcome: some("delivered"), ..any.clone() }, false),
        (Filter { id: some("8f3c"), ..any.clone() }, true),
        (Filter { id: some("9d"), ..any }, false),
    ];
    for (args, wanted) in cases {
        assert_eq!(args.wants(&pass), wanted, "{args:?}");
    }
}

#[test]
fn a_file_is_followed_across_a_rotation() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("story.jsonl");
    let write = |text: &str| {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    };
    let open = || FollowedFile::open(&path).expect("a file, or none yet");
    let mut early = open();
    write("one\nhal");
    let mut file = open();
    assert_eq!(early.lines().expect("lines"), ["one"]);
    assert_eq!(file.whole().expect("lines"), ["one"]);
    write("f\ntwo\n");
    assert_eq!(early.lines().expect("lines"), ["half", "two"]);
    assert_eq!(file.lines().expect("lines"), ["half", "two"]);
    write("last\n");
    let mut late = open();
    std::fs::rename(&path, towpath_telemetry::story::before(&path)).expect("rotated");
    write("first\n");
    assert_eq!(file.lines().expect("lines"), ["last", "first"]);
    let all = ["one", "half", "two", "last", "first"];
    assert_eq!(open().whole().expect("lines"), all);
    assert_eq!(late.whole().expect("lines"), all, "rotated since it was opened, and read once");
    assert_eq!(late.lines().expect("lines"), [""; 0]);
    assert!(FollowedFile::open(&path.join("below")).is_err(), "a file that cannot be opened is an error");
}

#[test]
fn the_end_of_a_file_is_read_in_whole_lines_and_followed() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("story.jsonl");
    let last = |most: u64| FollowedFile::open(&path).expect("a file, or none yet").last(most).expect("lines");
    assert_eq!(last(100), [""; 0], "there is no file yet");
    std::fs::write(towpath_telemetry::story::before(&path), "older\nold\n").expect("written");
    std::fs::write(&path, "one\ntwo\nhal").expect("written");
    let cases = [
        ("nothing", 0, vec![]),
        ("less than the last line", 2, vec![]),
        ("a line that begins there", 7, vec!["two"]),
        ("the rest of another", 8, vec!["two"]),
        ("the whole file", 11, vec!["one", "two"]),
        ("and the end of the one before", 15, vec!["old", "one", "two"]),
        ("everything", u64::MAX, vec!["older", "old", "one", "two"]),
    ];
    for (name, most, expected) in cases {
        assert_eq!(last(most), expected, "{name}");
    }
    let mut file = FollowedFile::open(&path).expect("a file");
    assert_eq!(file.last(7).expect("lines"), ["two"]);
    std::fs::write(&path, "one\ntwo\nhalf\n").expect("written");
    assert_eq!(file.lines().expect("lines"), ["half"]);
}

#[test]
fn a_story_begins_with_its_storage_even_if_that_was_logged_later() {
    let stored = |id: &str| {
        let line = r#"{"level":"INFO","fields":{"message":"stored","sequence":"ID"},"target":"towpath.story"}"#;
        Entry::read(&line.replace("ID", id)).expect("an entry")
    };
    let failed = entry(str::to_owned);
    let delivered = entry(|line| line.replace("unavailable", "delivered"));
    let told = vec![failed.clone(), stored("1"), delivered.clone(), stored("1, sent again")];
    let story = [stored("1"), failed.clone(), delivered, stored("1, sent again")];
    assert_eq!(from_storage(told), story);
    assert_eq!(from_storage(story.to_vec()), story);
    assert_eq!(from_storage(vec![failed.clone()]), [failed], "nobody here stored it");
}
