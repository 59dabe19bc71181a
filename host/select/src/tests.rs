use super::*;

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The value as text, and what is wrong with it.
fn read(webhook: &Webhook, value: &str) -> (Option<String>, Option<String>) {
    let value = value.parse::<Value>().expect(value);
    let (bytes, why) = key(&Scope::of(webhook), &value).into_parts();
    (bytes.map(|bytes| String::from_utf8(bytes.into_owned()).expect("text")), why.map(|why| why.to_string()))
}

fn sound(text: &str) -> (Option<String>, Option<String>) {
    (Some(text.to_owned()), None)
}

fn none(why: &str) -> (Option<String>, Option<String>) {
    (None, Some(why.to_owned()))
}

#[test]
fn every_source_reads_the_bytes_that_came() {
    let headers = headers(&[("x-id", "7"), ("x-id", "8")]);
    let webhook =
        Webhook { headers, body: br#"{"n":1.10,"s":"a\u00e9","o":{"k": [1, 2]}}"#.to_vec(), ..Webhook::default() };
    let cases = [
        ("header:X-Id", "7"),
        ("json:/n", "1.10"),
        ("json:/s", "aé"),
        ("raw:/s", r#""a\u00e9""#),
        ("raw:/o", r#"{"k": [1, 2]}"#),
        ("body", r#"{"n":1.10,"s":"a\u00e9","o":{"k": [1, 2]}}"#),
    ];
    for (value, text) in cases {
        assert_eq!(read(&webhook, value), sound(text), "{value}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let webhook = Webhook {
        headers: headers(&[("x-empty", "")]),
        body: br#"{"z":null,"e":"","s":" ","n":NaN}"#.to_vec(),
        ..Webhook::default()
    };
    let cases = [
        ("header:x-id", "missing"),
        ("header:x-empty", "empty"),
        ("json:/a", "missing"),
        ("json:/z", "null"),
        ("raw:/z", "null"),
        ("json:/e", "empty"),
        ("json:/e|sha256|hex", "empty"),
        ("json:/s|trim", "empty"),
        ("form:a", "the body is not a form"),
        ("xml:/a", "the body is not well-formed XML"),
    ];
    for (value, why) in cases {
        assert_eq!(read(&webhook, value), none(why), "{value}");
    }
    assert_eq!(read(&webhook, "json:/n"), (Some("NaN".to_owned()), Some("the value is not JSON".to_owned())));
}

#[test]
fn a_form_is_read_only_where_the_content_type_says_so() {
    let body = b"To=%2B1&From=a+b&Empty=&To=0".to_vec();
    let form = |content_type| Webhook {
        headers: headers(&[("content-type", content_type)]),
        body: body.clone(),
        ..Webhook::default()
    };
    let webhook = form("Application/X-WWW-form-urlencoded; charset=utf-8");
    assert_eq!(read(&webhook, "form:To"), sound("+1"));
    assert_eq!(read(&webhook, "form:From"), sound("a b"));
    assert_eq!(read(&webhook, "form:Empty"), none("empty"));
    assert_eq!(read(&webhook, "form:Cc"), none("missing"));
    assert_eq!(read(&form("text/plain"), "form:To"), none("the body is not a form"));
}

#[test]
fn filters_are_applied_from_left_to_right() {
    let webhook = Webhook { headers: Vec::new(), body: b" aBc ".to_vec(), ..Webhook::default() };
    // The digests of "abc" in RFC 1321 and FIPS 180-2, and in other encodings.
    let cases = [
        ("body|trim|lower|md5|hex", "900150983cd24fb0d6963f7d28e17f72"),
        ("body|trim|lower|sha1|hex|upper", "A9993E364706816ABA3E25717850C26C9CD0D89D"),
        ("body|trim|lower|sha256|base64", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        ("body|trim|lower|sha256|base64url", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
    ];
    for (value, text) in cases {
        assert_eq!(read(&webhook, value), sound(text), "{value}");
    }
}

#[test]
fn xml_is_read_by_the_names_of_elements() {
    let body = r#"<?xml version="1.0"?>
        <a x="1&amp;2"><b>no</b><c><b y='3'>t<!-- c -->e&lt;<![CDATA[<x>]]>&#233;</b><b>second</b></c><e/><n:f>5</n:f></a>"#;
    let webhook = Webhook { headers: Vec::new(), body: body.as_bytes().to_vec(), ..Webhook::default() };
    let cases = [
        ("xml:/a/c/b", "te<<x>é"),
        ("xml:/a/b", "no"),
        ("xml:/a/@x", "1&2"),
        ("xml:/a/c/b/@y", "3"),
        ("xml:/a/n:f", "5"),
    ];
    for (value, text) in cases {
        assert_eq!(read(&webhook, value), sound(text), "{value}");
    }
    assert_eq!(read(&webhook, "xml:/a/d"), none("missing"));
    assert_eq!(read(&webhook, "xml:/a/e"), none("empty"));
    // An element of the right name in another place is another element.
    assert_eq!(read(&webhook, "xml:/a/b/b"), none("missing"));
    assert_eq!(read(&webhook, "xml:/b"), none("missing"));
}

#[test]
fn what_is_not_well_formed_xml_has_no_value_and_nothing_grows() {
    let deep = "<a>".repeat(300) + "1" + &"</a>".repeat(300);
    let bodies = [
        "",
        "text",
        "<a><b>1</b>",
        "<a>1</a><b>",
        "<a><b>1</c></a>",
        "<!DOCTYPE a [<!ENTITY e \"1\">]><a>&e;</a>",
        "<!DOCTYPE a><a>1</a>",
        "<a>&e;</a>",
        deep.as_str(),
    ];
    for body in bodies {
        let webhook = Webhook { headers: Vec::new(), body: body.as_bytes().to_vec(), ..Webhook::default() };
        assert_eq!(read(&webhook, "xml:/a"), none("the body is not well-formed XML"), "{body:.40}");
    }
}

#[test]
fn a_form_with_more_fields_than_are_read_is_none() {
    let form = |fields: usize| Webhook {
        headers: headers(&[("content-type", "application/x-www-form-urlencoded")]),
        body: "a=1&".repeat(fields).into_bytes(),
        ..Webhook::default()
    };
    assert_eq!(read(&form(10_000), "form*"), sound("a1"));
    assert_eq!(read(&form(10_001), "form*"), none("the body is not a form"));
    let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let multipart = |fields: usize| Webhook {
        headers: headers(&[("content-type", "multipart/form-data; boundary=x")]),
        body: (part.repeat(fields) + "--x--\r\n").into_bytes(),
        ..Webhook::default()
    };
    assert_eq!(read(&multipart(10_000), "form*"), sound("a1"));
    assert_eq!(read(&multipart(10_001), "form*"), none("the body is not a form"));
}

#[test]
fn a_token_is_hidden_wherever_it_was_sent_along() {
    let hidden = |value: &str, webhook: Webhook| {
        let mut webhook = webhook;
        hide(&mut webhook, &value.parse().expect(value));
        (webhook.query, String::from_utf8(webhook.body).expect("text"), webhook.headers.len())
    };
    let body = |text: &str| Webhook { body: text.as_bytes().to_vec(), ..Webhook::default() };
    let text = |text: &str| (String::new(), text.to_owned(), 0);
    assert_eq!(hidden("json:/t", body(r#"{"t":"abc","n":1}"#)), text(r#"{"t":"***","n":1}"#));
    let each = r#"{"v":[{"t":"a"},{"t":"b"}]}"#;
    assert_eq!(hidden("json:/v/*/t", body(each)), text(r#"{"v":[{"t":"***"},{"t":"***"}]}"#));
    assert_eq!(hidden("xml:/a/t", body("<a><t>abc</t></a>")), text("<a><t>***</t></a>"));
    for written in ["a&amp;c", "a&#38;c", "&#x61;&#0038;c", "<![CDATA[a&c]]>", "a<!-- -->&amp;c", "a<b>&amp;</b>c"] {
        let xml = format!("<a><t>{written}</t><n t=\"1\"/></a>");
        assert_eq!(hidden("xml:/a/t", body(&xml)), text("<a><t>***</t><n t=\"1\"/></a>"), "{written}");
    }
    assert_eq!(hidden("xml:/a/@t", body("<a t='a&amp;c'>a&amp;c</a>")), text("<a t='***'>***</a>"));
    let query = Webhook { query: "a=1&key=s%20x&b=2&key=t".to_owned(), ..Webhook::default() };
    assert_eq!(hidden("query:key", query), ("a=1&b=2".to_owned(), String::new(), 0));
    let form =
        Webhook { headers: headers(&[("content-type", "application/x-www-form-urlencoded")]), ..body("a=1&t=s+x%2F") };
    assert_eq!(hidden("form:t", form), (String::new(), "a=1&t=***".to_owned(), 1));
    // However it is encoded.
    let form = Webhook {
        headers: headers(&[("content-type", "application/x-www-form-urlencoded")]),
        ..body("%74=s%2fx!&a=1&t=s%2Fx%21")
    };
    assert_eq!(hidden("form:t", form), (String::new(), "%74=***&a=1&t=***".to_owned(), 1));
    let header = Webhook { headers: headers(&[("x-key", "s")]), ..Webhook::default() };
    assert_eq!(hidden("header:x-key", header), text(""));
    let segments = ["key", "tenant", "*"].map(|name| (name.to_owned(), "s3cret".to_owned())).to_vec();
    let mut path = Webhook { path: segments, ..Webhook::default() };
    for place in ["path:key", "path"] {
        hide(&mut path, &place.parse().expect(place));
    }
    let shown = ["key", "tenant", "*"].map(|name| path.path_segment(name).expect(name));
    assert_eq!(shown, ["***", "s3cret", "***"]);
}
