use proptest::prelude::*;

use towpath_config::route::HASH_LENGTH;
use towpath_select::Scope;
use towpath_types::envelope::Webhook;
use towpath_types::queue::is_id;

use std::collections::HashSet;

use super::*;

fn expand(template: &str, headers: &[(&str, &[u8])], body: &[u8]) -> (String, Vec<String>) {
    let template: Template = template.parse().expect("template");
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    let webhook = Webhook { headers, body: body.to_vec(), ..Webhook::default() };
    let Expanded { group, problems, .. } =
        super::expand(&template, |value| towpath_select::key(&Scope::of(&webhook), value));
    let group = String::from(group);
    assert!(is_id(&group), "{group:?} is a group id");
    assert!(template.matches(&group), "{group:?} leads back to {template:?}");
    (group, problems.iter().map(ToString::to_string).collect())
}

fn group(template: &str, headers: &[(&str, &[u8])], body: &str) -> String {
    let (group, problems) = expand(template, headers, body.as_bytes());
    assert_eq!(problems, [""; 0], "{body}");
    group
}

#[test]
fn values_are_used_verbatim_where_a_group_id_allows_it() {
    assert_eq!(group("fixed", &[], ""), "fixed");
    assert_eq!(group("a/{json:/w/id}", &[], r#"{"w":{"id":"W-7"}}"#), "a/W-7");
    assert_eq!(group("a/{json:/id}/{header:x-k}", &[("x-k", b"k")], r#"{"id":42}"#), "a/42/k");
    assert_eq!(group("a/{json:/id}", &[], r#"{"id":[1,{"b":2.0}]}"#), r#"a/[1,{"b":2.0}]"#);
}

#[test]
fn different_values_have_different_groups_however_they_are_written() {
    let numbers = ["100000000000000000001", "100000000000000000002", "1.1", "1.10", "1e400", "1E400", "0", "-0"];
    let strings = [r#""\ud83d""#, r#""\ud83e""#, r#""x\ud83d""#, "\"caf\u{e9}\"", "\"two words\"", "\"\t\""];
    let all = numbers.iter().chain(&strings);
    let groups: HashSet<String> = all.map(|id| group("a/{json:/id}", &[], &format!(r#"{{"id":{id}}}"#))).collect();
    assert_eq!(groups.len(), numbers.len() + strings.len());
    assert!(groups.contains("a/100000000000000000001") && groups.contains("a/1.10"), "{groups:?}");
    let not_utf8 = |byte: u8| {
        let body = [b"{\"id\":\"caf".as_slice(), &[byte], b"\"}"].concat();
        let header = [b"caf".as_slice(), &[byte]].concat();
        let ids = ["a/{json:/id}", "a/{header:x-k}"].map(|template| expand(template, &[("x-k", &header)], &body));
        assert_eq!(ids[0], ids[1], "in a header as in a body");
        ids[0].clone()
    };
    assert_ne!(not_utf8(0xe8), not_utf8(0xe9));
}

/// Texts that are easily confused: with separators, with the prefix of hashes, hashes of other values, too long.
fn awkward() -> impl Strategy<Value = String> {
    let hash = |text: &str| stable_hash(text.as_bytes());
    prop_oneof![
        "[ab/~]{1,4}",
        "[a/]{120,130}",
        Just(hash("a b")),
        Just(hash("a/b")),
        Just(hash("")),
        Just(hash(&hash("a/b"))),
        Just("a b".to_owned()),
        Just("a/b".to_owned()),
    ]
}

const SEPARATED: [&str; 4] = [
    "{json:/x}/{json:/y}/{json:/z}",
    "g/{json:/x}aa{json:/y}~{json:/z}/end",
    "{json:/x}a{json:/y}b{json:/z}",
    "{json:/x}/a{json:/y}/a{json:/z}/a",
];

fn of_three(template: &str, values: [&str; 3]) -> String {
    let [x, y, z] = values;
    group(template, &[], &serde_json::json!({ "x": x, "y": y, "z": z }).to_string())
}

#[test]
fn different_values_never_share_a_group() {
    let hash = |text: &str| stable_hash(text.as_bytes());
    let long = "a/".repeat(62);
    let hashes = [hash("a/"), hash(""), hash(&hash("a/")), hash(&long)];
    let plain = ["1", "a", "/", "a/", "/a", "a/a", "/a/", "aa", "aaa", "b", "~", "~1", "1~", "a b", &long];
    let all: Vec<&str> = plain.into_iter().chain(hashes.iter().map(String::as_str)).collect();
    for template in SEPARATED {
        let mut seen = HashSet::new();
        for x in &all {
            for y in &all {
                for z in &all {
                    assert!(seen.insert(of_three(template, [x, y, z])), "{template}: {x:?} {y:?} {z:?}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn random_values_share_a_group_only_if_they_are_equal(
        left in proptest::collection::vec(awkward(), 3),
        right in proptest::collection::vec(awkward(), 3),
    ) {
        let text = |values: &'_ [String]| -> [String; 3] { [values[0].clone(), values[1].clone(), values[2].clone()] };
        for template in SEPARATED {
            let of = |values: &[String]| of_three(template, text(values).each_ref().map(String::as_str));
            prop_assert_eq!(of(&left) == of(&right), left == right, "{}", template);
        }
    }
}

#[test]
fn only_an_ambiguous_value_has_another_group_than_before() {
    let expanded = |template: &str, x: &str, y: &str| {
        let template: Template = template.parse().expect("template");
        let body = serde_json::json!({ "x": x, "y": y }).to_string().into_bytes();
        let webhook = Webhook { headers: Vec::new(), body, ..Webhook::default() };
        super::expand(&template, |value| towpath_select::key(&Scope::of(&webhook), value))
    };
    for (x, y, former) in [
        ("1", "2/3", None),
        ("1", "2", None),
        ("two words", "2", None),
        ("1/2", "3", Some("g/1/2/3")),
        ("/", "3", None),
        ("~1", "3", Some("g/~1/3")),
        ("1", "~3", Some("g/1/~3")),
    ] {
        let Expanded { former: before, .. } = expanded("g/{json:/x}/{json:/y}", x, y);
        assert_eq!(before.as_ref().map(GroupId::as_str), former, "{x} {y}");
    }
    assert_eq!(expanded("{json:/x}/end", "a/end", "").former, None, "one value ends where the id does");
}

#[test]
fn a_missing_or_invalid_value_becomes_a_stable_hash() {
    let missing = "a/~e3b0c44298fc1c149afbf4c8";
    let cases: [(&[u8], &str, &str); 9] = [
        (b"{}", missing, "missing"),
        (br#"{"id":null}"#, missing, "null"),
        (br#"{"id":""}"#, missing, "empty"),
        (b"not json", missing, "the body is not JSON from byte 0 on"),
        (b"", missing, "the body is not JSON from byte 0 on"),
        (br#"{"id":7"#, missing, "the body is not JSON from byte 7 on"),
        (br#"{"id":7,"x":"#, "a/7", "the body is not JSON from byte 12 on"),
        (br#"{"id":NaN}"#, "a/NaN", "the value is not JSON"),
        (br#"{"id":"\x41"}"#, r#"a/"\x41""#, "the value is not JSON"),
    ];
    for (body, expected, why) in cases {
        let expected = (expected.to_owned(), vec![format!("group json:/id: {why}")]);
        assert_eq!(expand("a/{json:/id}", &[], body), expected, "{}", String::from_utf8_lossy(body));
    }
    for headers in [[].as_slice(), &[("x-k", b"".as_slice())]] {
        assert_eq!(expand("a/{header:x-k}", headers, b"").0, missing);
    }
    assert_eq!(group("a/{json:/id}", &[], r#"{"id":"two words"}"#), "a/~a03f1d611645eb53ad16c1af");
    let long = "x".repeat(127);
    assert_eq!(group("a/{json:/id}", &[], &format!(r#"{{"id":"{long}"}}"#)).len(), 2 + HASH_LENGTH);
}

#[test]
fn one_mebibyte_of_brackets_has_a_group() {
    expand("a/{json:/id}/{json:/0/0/id}", &[], "[".repeat(1024 * 1024).as_bytes());
}

#[test]
fn a_template_that_matches_a_group_overlaps_with_it() {
    let templates = ["a", "a/{json:/x}", "{json:/x}/b", "a/{json:/x}/b/{json:/y}", "{json:/x}ab{json:/y}ab"];
    let groups =
        ["a", "a/", "a/1", "a/b", "/b", "1/b", "a/1/b/2", "a/1/b/", "a//b/b/b", "xabyab", "xabab", "abxab", "ab"];
    for template in templates {
        let template: Template = template.parse().expect(template);
        for group in groups {
            let literal: Template = group.parse().expect(group);
            assert_eq!(template.matches(group), template.overlaps(&literal), "{} and {group}", template.as_str());
        }
    }
}
