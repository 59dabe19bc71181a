use proptest::prelude::*;
use towpath_config::{Config, Secrets};

use super::*;

fn config(keys: &str) -> Config {
    let text = format!("[[route]]\npath = \"x\"\nplugin = \"p\"\n{keys}\n[plugin.p]\npath = \"p.wasm\"\n");
    Config::parse(&text, "towpath.toml".as_ref(), &Secrets::placeholders()).expect("it is sound")
}

fn webhook(body: &[u8]) -> Webhook {
    let headers = vec![("x-id".to_owned(), b"h-1".to_vec())];
    Webhook { headers, body: body.to_vec(), query: "a=1".to_owned(), ..Webhook::default() }
}

/// What a webhook becomes: bodies and keys.
fn divided(keys: &str, body: &[u8], whole: &str) -> Result<Vec<(String, Keys)>, NoItems> {
    let config = config(keys);
    let route = config.routes.by_path("x").expect("the route");
    let split = route.split.as_ref().expect("it splits");
    let webhook = webhook(body);
    let division = Division::of(route, split, &webhook, &webhook)?;
    let one = |index| {
        let own = division.webhook(index);
        assert_eq!((own.headers, own.query), (webhook.headers.clone(), webhook.query.clone()));
        (String::from_utf8_lossy(&own.body).into_owned(), division.keys(Place { whole, index }))
    };
    Ok((0..division.len()).map(one).collect())
}

const KEYS: &str = "group = \"x/{json:/account}/{item:/k}\"\ndedup = \"item:/id\"\nsplit = \"/events\"";

#[test]
fn an_element_is_stored_byte_for_byte_under_its_own_keys() {
    let body = br#" {"account":7,"events":[ {"id":"e1", "k":1.50} , {"id":"e\u0032","k":"b"} ],"z":[1]}"#;
    let items = divided(KEYS, body, "w").expect("an array");
    let bodies: Vec<&str> = items.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(bodies, [r#"{"id":"e1", "k":1.50}"#, r#"{"id":"e\u0032","k":"b"}"#]);
    let groups: Vec<&str> = items.iter().map(|(_, keys)| keys.group.as_str()).collect();
    assert_eq!(groups, ["x/7/1.50", "x/7/b"]);
    let ids: Vec<&str> = items.iter().flat_map(|(_, keys)| &keys.dedup).map(|dedup| dedup.id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2"], "its own id, whatever it is batched with");
    assert!(items.iter().flat_map(|(_, keys)| &keys.dedup).all(|dedup| dedup.webhook_id.len() == 36));
    let rest = KEYS.replace("\"/events\"", "{ at = \"/events\", rest = true }");
    let items = divided(&rest, body, "w").expect("an array");
    assert_eq!(items[0].0, r#" {"account":7,"events":[ {"id":"e1", "k":1.50} ],"z":[1]}"#);
    assert_eq!(items[1].0, r#" {"account":7,"events":[ {"id":"e\u0032","k":"b"} ],"z":[1]}"#);
}

#[test]
fn the_body_itself_can_be_the_array() {
    let items =
        divided("group = \"x/{item:}\"\nsplit = \"\"", b"\xef\xbb\xbf[1,\"a\",null,[2]]", "w").expect("an array");
    let bodies: Vec<&str> = items.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(bodies, ["1", "\"a\"", "null", "[2]"]);
    assert_eq!(items[1].1.group.as_str(), "x/a");
    assert_eq!(items[2].1.problems.len(), 1, "null is no key");
    let rest = "group = \"x/{item:}\"\nsplit = { at = \"\", rest = true }";
    assert_eq!(divided(rest, b" [1, 2]\n", "w").expect("an array")[1].0, " [2]\n");
}

#[test]
fn an_element_without_a_key_of_its_own_has_the_id_of_its_webhook_and_its_position() {
    let ids = |keys: &str, whole: &str| {
        let items = divided(keys, br#"{"events":[{"k":1},{"k":1},{"k":2}]}"#, whole).expect("an array");
        let dedups: Vec<Dedup> = items.into_iter().filter_map(|(_, keys)| keys.dedup).collect();
        dedups.into_iter().map(|dedup| (String::from(dedup.id), dedup.webhook_id)).collect::<Vec<_>>()
    };
    let by_header = KEYS.replace("item:/id", "header:x-id");
    for keys in [KEYS, &by_header, &KEYS.replace("dedup = \"item:/id\"", "")] {
        let first = ids(keys, "w");
        assert_eq!(first, ids(keys, "w"), "a repeat has the same ids");
        let distinct: std::collections::BTreeSet<_> = first.iter().map(|(id, _)| id).collect();
        assert_eq!(distinct.len(), 3, "{keys}");
        assert!(first.iter().enumerate().all(|(index, (_, id))| id.ends_with(&format!("_{index}"))), "{first:?}");
        assert!(first.iter().all(|(id, _)| id.len() == 65), "no key is written so");
        let by_whole = keys != by_header;
        assert_eq!(by_whole, first != ids(keys, "another"), "{keys}");
    }
}

#[test]
fn without_an_array_there_is_nothing_to_split_and_it_says_why() {
    for (body, why) in [
        (r#"{"events":{}}"#, "not an array"),
        (r#"{"other":[]}"#, "missing"),
        (r#"{"events":[1,2"#, "not JSON"),
        (r#"{"events":[1,2] x"#, "not JSON"),
        (r#"{"events":[1,]}"#, "not JSON"),
        ("", "not JSON"),
    ] {
        let Err(NoItems::NoArray(problem)) = divided(KEYS, body.as_bytes(), "w") else { panic!("{body}") };
        assert!(
            problem.to_string().starts_with("split json:/events: ") && problem.to_string().contains(why),
            "{problem}"
        );
    }
    assert!(divided(KEYS, br#"{"events":[]}"#, "w").expect("an array").is_empty());
    let body = |items: usize| format!("{{\"events\":[{}]}}", vec!["1"; items].join(","));
    assert_eq!(divided(KEYS, body(MOST_ITEMS).as_bytes(), "w").expect("an array").len(), MOST_ITEMS);
    assert_eq!(divided(KEYS, body(MOST_ITEMS + 1).as_bytes(), "w").map(|items| items.len()), Err(NoItems::TooMany));
}

#[test]
fn a_stored_element_gives_its_keys_again() {
    let body = br#"{"account":7,"events":[{"id":"e1","k":1},{"id":"e2","k":2}]}"#;
    for (split, group) in
        [("\"/events\"", "x/{item:/k}"), ("{ at = \"/events\", rest = true }", "x/{json:/account}/{item:/k}")]
    {
        let keys = format!("group = \"{group}\"\ndedup = \"item:/id\"\nsplit = {split}");
        let config = config(&keys);
        let route = config.routes.by_path("x").expect("the route");
        for (stored, was) in divided(&keys, body, "w").expect("an array") {
            assert_eq!(keys_of_stored(route, &webhook(stored.as_bytes()), true), was);
        }
    }
}

proptest! {
    #[test]
    fn elements_and_the_rest_are_the_whole_body(
        items in proptest::collection::vec("[ ]?([1-9][0-9]{0,3}|\"[a-z]{0,4}\"|[{]\"a\":[\\[]1,[{][}][\\]][}])[ ]?", 1..8),
    ) {
        let body = format!("{{\"a\":[],\"events\":[{}],\"b\":1}}", items.join(","));
        let rest = "group = \"x/all\"\nsplit = { at = \"/events\", rest = true }";
        let alone = divided("group = \"x/all\"\nsplit = \"/events\"", body.as_bytes(), "w").expect("an array");
        let whole = divided(rest, body.as_bytes(), "w").expect("an array");
        for (item, (own, _)) in items.iter().zip(&alone) {
            prop_assert_eq!(item.trim(), own);
        }
        for ((own, _), (with, _)) in alone.iter().zip(&whole) {
            let inside: serde_json::Value = serde_json::from_str(with).expect("JSON");
            prop_assert_eq!(&inside["events"], &serde_json::json!([serde_json::from_str::<serde_json::Value>(own).expect("JSON")]));
            prop_assert_eq!(&inside["b"], 1);
        }
    }
}
