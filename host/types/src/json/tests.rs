use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn pointer(text: &str) -> Pointer {
    text.parse().expect(text)
}

/// What a pointer finds, as written; complete documents only.
fn found<'a>(document: &'a [u8], to: &str) -> Option<&'a [u8]> {
    match find(document, &pointer(to)) {
        Ok(Located { span, broken: None }) => Some(document.get(span).expect("in the document")),
        Ok(Located { broken: Some(broken), .. }) => panic!("{}: {broken}", String::from_utf8_lossy(document)),
        Err(_) => None,
    }
}

#[test]
fn a_value_is_found_as_it_is_written() {
    let cases = [
        (r#"{"id":100000000000000000001}"#, "/id", "100000000000000000001"),
        (r#"{"id":1.10}"#, "/id", "1.10"),
        (r#"{"id":1E2}"#, "/id", "1E2"),
        (r#"{"id":-0}"#, "/id", "-0"),
        (r#"{"id":1e400}"#, "/id", "1e400"),
        (r#" { "a" : { "b" : [ true , { "c" : "x\ny" } ] } } "#, "/a/b/1/c", r#""x\ny""#),
        (r#"{"o":{"z":1, "a":2.50},"p":0}"#, "/o", r#"{"z":1, "a":2.50}"#),
        (r#"[[],[10,20,30]]"#, "/1/2", "30"),
        (r#"{"a":1}"#, "", r#"{"a":1}"#),
        ("\u{feff} [7]", "/0", "7"),
        (r#"{"":{"":1}}"#, "//", "1"),
        (r#"{"a/b":1,"m~n":2,"~1":3}"#, "/a~1b", "1"),
        (r#"{"a/b":1,"m~n":2,"~1":3}"#, "/m~0n", "2"),
        (r#"{"a/b":1,"m~n":2,"~1":3}"#, "/~01", "3"),
        (r#"{"0":"a","01":"b","-":"c"}"#, "/01", r#""b""#),
        (r#"{"0":"a","01":"b","-":"c"}"#, "/-", r#""c""#),
        (r#"{"caf\u00e9":1,"\uD83D\uDEF6":2}"#, "/café", "1"),
        (r#"{"caf\u00e9":1,"\uD83D\uDEF6":2}"#, "/🛶", "2"),
        (r#"{"\ud83d":1,"\x":2,"a\"b":3}"#, "/a\"b", "3"),
    ];
    for (document, to, expected) in cases {
        let found = found(document.as_bytes(), to).map(String::from_utf8_lossy);
        assert_eq!(found.as_deref(), Some(expected), "{document} at {to}");
    }
}

#[test]
fn a_missing_value_is_absent() {
    let cases = [
        (r#"{"a":1}"#, "/b"),
        (r#"{"a":1}"#, "/a/b"),
        (r#"{"a":"b"}"#, "/a/0"),
        (r#"[1,2]"#, "/2"),
        (r#"[1,2]"#, "/-"),
        (r#"[1,2]"#, "/01"),
        (r#"[1,2]"#, "/+1"),
        (r#"[1,2]"#, "/"),
        (r#"[1,2]"#, "/99999999999999999999999"),
        ("{}", "/a"),
        ("7", "/a"),
        ("\"text\"", "/a"),
    ];
    for (document, to) in cases {
        assert_eq!(find(document.as_bytes(), &pointer(to)), Err(Missing::Absent), "{document} at {to}");
    }
}

#[test]
fn the_rest_of_the_document_does_not_matter() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let mixed = |depth: usize| format!("{}1{}", r#"{"id":["#.repeat(depth), "]}".repeat(depth)).into_bytes();
    let awkward: [(&str, Vec<u8>); 12] = [
        ("a lone surrogate", br#""cut \ud83d""#.to_vec()),
        ("a number that no f64 holds", b"1e400".to_vec()),
        ("more digits than an u64", b"123456789012345678901234567890".to_vec()),
        ("no number", b"NaN".to_vec()),
        ("another no number", b"-Infinity".to_vec()),
        ("an unknown escape", br#""\x41 \u12""#.to_vec()),
        ("not utf-8", b"\"caf\xe9 \xff\"".to_vec()),
        ("control characters", b"\"a\nb\tc\0\"".to_vec()),
        ("brackets and quotes in a string", br#""]}{[\"id\":1,\\""#.to_vec()),
        ("nesting of 200", deep(200)),
        ("nesting of a million", deep(1_000_000)),
        ("the pointer's name elsewhere", mixed(100)),
    ];
    for (name, value) in awkward {
        let around = |before: &str, after: &str| [before.as_bytes(), &value, after.as_bytes()].concat();
        let documents = [
            around(r#"{"x":"#, r#","a":{"id":"7"}}"#),
            around(r#"{"a":{"id":"7"},"x":"#, "}"),
            around(r#"{"a":{"x":"#, r#","id":"7"}}"#),
            around(r#"{"a":{"id":"7","x":["#, "]}}"),
        ];
        for document in documents {
            assert_eq!(found(&document, "/a/id"), Some(br#""7""#.as_slice()), "{name}");
        }
        assert_eq!(found(&around("[0,", ",2]"), "/2"), Some(b"2".as_slice()), "{name}");
    }
}

#[test]
fn of_members_with_the_same_name_the_last_wins() {
    let cases = [
        (r#"{"id":1,"id":2}"#, "/id", Some("2")),
        (r#"{"id":1,"\u0069d":2}"#, "/id", Some("2")),
        (r#"{"a":{"id":1},"a":{"id":2}}"#, "/a/id", Some("2")),
        (r#"{"a":{"id":1},"a":{"other":2}}"#, "/a/id", None),
        (r#"{"a":{"id":1},"a":7}"#, "/a/id", None),
        (r#"{"a":{"id":1},"b":{"id":2}}"#, "/a/id", Some("1")),
    ];
    for (document, to, expected) in cases {
        let read = serde_json::from_str::<Value>(document).expect(document);
        assert_eq!(read.pointer(to).map(ToString::to_string).as_deref(), expected, "{document}: serde_json agrees");
        assert_eq!(found(document.as_bytes(), to), expected.map(str::as_bytes), "{document} at {to}");
    }
}

#[test]
fn a_document_that_breaks_off_says_where_and_keeps_what_was_found() {
    let cases = [
        ("", None, 0),
        ("  ", None, 2),
        ("a=b&id=7", None, 0),
        ("<id>7</id>", None, 0),
        ("{'id':7}", None, 1),
        (r#"{"x":1 "id":7}"#, None, 7),
        (r#"{"x":[1},"id":7}"#, None, 7),
        (r#"{"x":,"id":7}"#, None, 5),
        (r#"{"id":"7"#, None, 8),
        (r#"{"id":7,"id":"8"#, None, 15),
        (r#"{"id":12"#, None, 8),
        (r#"{"id":7,}"#, Some("7"), 8),
        (r#"{"id":7,"x":"cut"#, Some("7"), 16),
        (r#"{"id":7,"x":"cut \"#, Some("7"), 18),
        (r#"{"id":7]"#, Some("7"), 7),
        (r#"{"id":7} {"id":8}"#, Some("7"), 9),
        ("{\"id\":7}\0", Some("7"), 8),
    ];
    for (document, expected, at) in cases {
        let broken = Broken { at };
        match (find(document.as_bytes(), &pointer("/id")), expected) {
            (Ok(found), Some(expected)) => {
                assert_eq!(document.get(found.span), Some(expected), "{document}");
                assert_eq!(found.broken, Some(broken), "{document}");
            }
            (found, _) => assert_eq!(found, Err(Missing::Broken(broken)), "{document}"),
        }
    }
    let brackets = "[".repeat(1024 * 1024);
    assert_eq!(find(brackets.as_bytes(), &pointer("/0/0/0")), Err(Missing::Broken(Broken { at: brackets.len() })));
}

#[test]
fn a_strings_text_is_unescaped_and_other_values_are_verbatim() {
    let cases: [(&[u8], Option<&[u8]>); 14] = [
        (br#""a\u00e9\n\/""#, Some("aé\n/".as_bytes())),
        (br#""\ud83d\udef6""#, Some("🛶".as_bytes())),
        (br#""\ud83d""#, Some(b"\xed\xa0\xbd")),
        (br#""\udef6\ud83d""#, Some(b"\xed\xbb\xb6\xed\xa0\xbd")),
        (b"\"caf\xe9\"", Some(b"caf\xe9")),
        (b"\"a\tb\"", Some(b"a\tb")),
        (br#""\x41""#, None),
        (b"1.10", Some(b"1.10")),
        (b"1e400", Some(b"1e400")),
        (b"true", Some(b"true")),
        (b"007", None),
        (b"NaN", None),
        (b"[1, 2]", Some(b"[1, 2]")),
        (b"", None),
    ];
    for (value, expected) in cases {
        assert_eq!(text(value).as_deref(), expected, "{}", String::from_utf8_lossy(value));
    }
}

#[test]
fn children_are_listed_in_order_with_every_duplicate() {
    let list = |document: &'static str| {
        let list = children(document.as_bytes()).map(|child| child.map(|(name, span)| (name, &document[span])));
        list.collect::<Vec<_>>()
    };
    let member = |name: &'static str| Name::Member(Some(name.as_bytes().into()));
    assert_eq!(
        list(r#"{"a": 1, "b" :[2] ,"a":{}}"#),
        [Ok((member("a"), "1")), Ok((member("b"), "[2]")), Ok((member("a"), "{}")),]
    );
    assert_eq!(list(r#"[1,"b"]"#), [Ok((Name::Element(0), "1")), Ok((Name::Element(1), r#""b""#))]);
    assert_eq!(list("[1,]"), [Ok((Name::Element(0), "1")), Err(Broken { at: 3 })]);
    assert!(list("{}").is_empty() && list("7").is_empty() && list("").is_empty());
}

#[test]
fn a_pointer_is_read_as_the_standard_says() {
    let slash = |text: &str| Err(PointerError::Slash(text.to_owned()));
    let tilde = |text: &str| Err(PointerError::Tilde(text.to_owned()));
    let cases = [
        ("", Ok(vec![])),
        ("/", Ok(vec![""])),
        ("/a~1b/~01~0/0", Ok(vec!["a/b", "~1~", "0"])),
        ("a", slash("a")),
        ("/a~", tilde("/a~")),
        ("/a~2", tilde("/a~2")),
        ("/~/a", tilde("/~/a")),
    ];
    for (text, expected) in cases {
        let read = text.parse::<Pointer>().map(|pointer| {
            assert_eq!(pointer.to_string(), text);
            pointer.tokens().to_vec()
        });
        assert_eq!(read, expected.map(|tokens| tokens.into_iter().map(str::to_owned).collect()), "{text}");
    }
    let deep = pointer("/a~1b/c~0d");
    assert_eq!(deep.parent(), Some((pointer("/a~1b"), "c~d")));
    assert_eq!(pointer("/a").parent(), Some((pointer(""), "a")));
    assert_eq!(pointer("").parent(), None);
}

/// Any JSON, with few and unusual names so that pointers collide.
fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[ab]{0,2}", "[0-9]{1,2}", Just("~/\"\\\n🛶".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Every value of a document, with its pointer.
fn values(document: &Value) -> Vec<(String, Value)> {
    let mut all = vec![(String::new(), document.clone())];
    let mut next = 0;
    while let Some((path, value)) = all.get(next).cloned() {
        match value {
            Value::Array(items) => {
                all.extend(items.into_iter().enumerate().map(|(n, item)| (format!("{path}/{n}"), item)))
            }
            Value::Object(members) => all.extend(
                members
                    .into_iter()
                    .map(|(name, member)| (format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), member)),
            ),
            _ => {}
        }
        next += 1;
    }
    all
}

/// Every character of every string as an escape.
fn escaped(document: &str) -> String {
    let mut inside = false;
    let mut chars = document.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                inside = !inside;
                text.push(c);
            }
            '\\' => {
                text.push(c);
                text.extend(chars.next());
            }
            c if inside => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            }
            c => text.push(c),
        }
    }
    text
}

proptest! {
    #[test]
    fn every_value_of_any_document_is_found_where_serde_json_finds_it(json in json()) {
        let compact = json.to_string();
        let pretty = serde_json::to_string_pretty(&json).expect("json");
        for document in [&compact, &pretty, &escaped(&compact)] {
            // Parsing and printing may change a number, so both sides are what serde_json reads.
            let json: Value = serde_json::from_str(document).expect("json");
            for (to, expected) in values(&json) {
                let value = found(document.as_bytes(), &to).expect(&to);
                let read: Value = serde_json::from_slice(value).expect("a value");
                prop_assert_eq!(&read, &expected, "{} in {}", to, document);
                if let Value::String(expected) = expected {
                    prop_assert!(text(value).is_some_and(|text| *text == *expected.as_bytes()));
                }
            }
            prop_assert_eq!(found(document.as_bytes(), "/nowhere/at/all"), None);
        }
    }

    #[test]
    fn a_document_that_is_cut_gives_no_other_value_than_the_whole_one(json in json(), cut in any::<prop::sample::Index>()) {
        let document = format!("[{json}]");
        let part = document.as_bytes().get(..cut.index(document.len())).unwrap_or_default();
        let json: Value = serde_json::from_str(&document).expect("json");
        for (to, expected) in values(&json) {
            if let Ok(found) = find(part, &pointer(&to)) {
                let read = serde_json::from_slice::<Value>(part.get(found.span).unwrap_or_default());
                prop_assert!(read.is_ok_and(|read| read == expected), "{} in {}", to, String::from_utf8_lossy(part));
                prop_assert!(found.broken.is_some(), "{}", String::from_utf8_lossy(part));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_scanner_fail(document in prop::collection::vec(prop::sample::select(b"{}[]\",:\\1 a\x0c\xff".to_vec()), 0..64)) {
        for to in ["", "/a", "/0", "/1/1", "/a/a/a"] {
            if let Ok(found) = find(&document, &pointer(to)) {
                prop_assert!(document.get(found.span).is_some());
            }
        }
        prop_assert!(children(&document).count() <= document.len() + 1);
    }
}
