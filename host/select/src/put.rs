//! Puts a text where a value is read from: the other direction of reading.

use towpath_config::value::{Filter, Source, Value};
use towpath_types::envelope::Webhook;
use towpath_types::json::{self, Missing, Pointer};

use crate::{Scope, form};

/// No text can be put there: a filter or the source has no other direction, or the body has another form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no text can be put there")]
pub struct Unwritable;

/// Puts a text where this value is read. A header, a parameter or a field is replaced, or added; in JSON the objects and
/// arrays around it are made. Every other byte stays as it was.
pub fn put(webhook: &mut Webhook, value: &Value, text: &[u8]) -> Result<(), Unwritable> {
    let mut filters = value.filters.iter();
    if let Some(Filter::Json(pointer)) = value.filters.first() {
        let outer = Value { source: value.source.clone(), filters: Vec::new() };
        let mut document = Scope::of(webhook).value(&outer).unwrap_or_default().into_owned();
        put_json(&mut document, pointer, text)?;
        return if filters.skip(1).all(is_neutral) { put(webhook, &outer, &document) } else { Err(Unwritable) };
    }
    if !filters.all(is_neutral) {
        return Err(Unwritable);
    }
    match &value.source {
        Source::Body => webhook.body = text.to_vec(),
        Source::Header(name) => put_header(&mut webhook.headers, name, text),
        Source::Query(name) => {
            let query = put_pair(webhook.query.as_bytes(), name, text);
            webhook.query = String::from_utf8(query).map_err(|_| Unwritable)?;
        }
        Source::Form(name) if form::is_urlencoded(webhook) => webhook.body = put_pair(&webhook.body, name, text),
        Source::Json(pointer) => put_json(&mut webhook.body, pointer, text)?,
        _ => return Err(Unwritable),
    }
    Ok(())
}

/// Whether a text that passes this filter is the text.
fn is_neutral(filter: &Filter) -> bool {
    matches!(filter, Filter::Optional | Filter::Trim)
}

fn put_header(headers: &mut Vec<(String, Vec<u8>)>, name: &str, text: &[u8]) {
    let is_it = |(own, _): &(String, Vec<u8>)| own.eq_ignore_ascii_case(name);
    let at = headers.iter().position(is_it).unwrap_or(headers.len());
    headers.retain(|header| !is_it(header));
    headers.insert(at, (name.to_owned(), text.to_vec()));
}

/// The pairs of a query or a form, with this one in place of those of its name.
fn put_pair(pairs: &[u8], name: &str, text: &[u8]) -> Vec<u8> {
    let encoded = |text: &[u8]| url::form_urlencoded::byte_serialize(text).collect::<String>();
    let new = format!("{}={}", encoded(name.as_bytes()), encoded(text)).into_bytes();
    let mut kept: Vec<&[u8]> = pairs.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).collect();
    let is_it = |pair: &&[u8]| *form::name(pair) == *name.as_bytes();
    let at = kept.iter().position(&is_it).unwrap_or(kept.len());
    kept.retain(|pair| !is_it(pair));
    kept.insert(at, &new);
    kept.join(&b'&')
}

fn put_json(body: &mut Vec<u8>, pointer: &Pointer, text: &[u8]) -> Result<(), Unwritable> {
    let text = std::str::from_utf8(text).map_err(|_| Unwritable)?;
    let string = serde_json::Value::from(text).to_string();
    if let Ok(found) = json::find(body, pointer) {
        // A number stays one if the text is one.
        let is_string = body.get(found.span.clone()).is_none_or(|value| value.starts_with(b"\""));
        let is_json = !is_string && json::text(text.as_bytes()).is_some_and(|read| *read == *text.as_bytes());
        let new =
            if is_json && serde_json::from_str::<serde_json::Number>(text).is_ok() { text.to_owned() } else { string };
        body.splice(found.span, new.into_bytes());
        return Ok(());
    }
    let mut inner = string;
    let mut at = pointer.clone();
    while let Some((parent, name)) = at.parent() {
        match json::find(body, &parent) {
            Ok(found) if found.broken.is_none() => {
                let (open, close) = (found.span.start, found.span.end);
                let new = member(body.get(open..close).unwrap_or_default(), name, &inner)?;
                let end = close.saturating_sub(1);
                body.splice(end..end, new.into_bytes());
                return Ok(());
            }
            Ok(_) => return Err(Unwritable),
            Err(Missing::Broken(_)) if !body.is_empty() => return Err(Unwritable),
            Err(_) => inner = around(name, &inner),
        }
        at = parent;
    }
    if !body.trim_ascii().is_empty() {
        return Err(Unwritable);
    }
    *body = inner.into_bytes();
    Ok(())
}

/// A new member of an object, or the next element of an array, as it stands before the closing bracket.
fn member(container: &[u8], name: &str, inner: &str) -> Result<String, Unwritable> {
    let count = json::children(container).count();
    let comma = if count == 0 { "" } else { "," };
    match container.first() {
        Some(b'{') => Ok(format!("{comma}{}:{inner}", serde_json::Value::from(name))),
        Some(b'[') if name.parse() == Ok(count) => Ok(format!("{comma}{inner}")),
        _ => Err(Unwritable),
    }
}

/// A value in an object or an array of its own.
fn around(name: &str, inner: &str) -> String {
    if name == "0" { format!("[{inner}]") } else { format!("{{{}:{inner}}}", serde_json::Value::from(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(content_type: &str, query: &str, body: &str) -> Webhook {
        let headers = vec![("content-type".to_owned(), content_type.into()), ("x-a".to_owned(), b"1".to_vec())];
        Webhook { query: query.to_owned(), headers, body: body.into(), ..Webhook::default() }
    }

    #[test]
    fn what_was_put_is_read_and_the_rest_stays() {
        let form = "application/x-www-form-urlencoded";
        for (value, content_type, before, after) in [
            ("json:/a", "", r#"{ "a" : "x", "b":1.10}"#, r#"{ "a" : "new", "b":1.10}"#),
            ("json:/c", "", r#"{ "b":1.10 }"#, r#"{ "b":1.10 ,"c":"new"}"#),
            ("json:/c/0/d", "", "{}", r#"{"c":[{"d":"new"}]}"#),
            ("json:/c/1/d", "", r#"{"c":[{}]}"#, r#"{"c":[{},{"d":"new"}]}"#),
            ("json:/c/d", "", "", r#"{"c":{"d":"new"}}"#),
            ("form:b", form, "a=1&b=2&b=3&c=%20", "a=1&b=new&c=%20"),
            ("form:b", form, "", "b=new"),
            (
                "form:b|json:/c/d",
                form,
                "b=%7B%22c%22%3A%7B%7D%7D&a=1",
                "b=%7B%22c%22%3A%7B%22d%22%3A%22new%22%7D%7D&a=1",
            ),
            ("body", "", "old", "new"),
        ] {
            let mut webhook = with(content_type, "", before);
            let value: Value = value.parse().expect("value");
            put(&mut webhook, &value, b"new").expect("writable");
            assert_eq!(String::from_utf8_lossy(&webhook.body), after);
            assert_eq!(crate::Scope::of(&webhook).value(&value).expect("readable").as_ref(), b"new");
        }
        let mut webhook = with("", "a=1&b=%2b", "");
        put(&mut webhook, &"query:a".parse().expect("value"), b"x y&").expect("writable");
        put(&mut webhook, &"header:X-A".parse().expect("value"), b"2").expect("writable");
        assert_eq!(webhook.query, "a=x+y%26&b=%2b");
        assert_eq!((webhook.header("x-a"), webhook.headers.len()), (Some(&b"2"[..]), 2));
    }

    #[test]
    fn a_number_stays_a_number_if_it_can() {
        for (text, after) in [("17", r#"{"t":17}"#), ("x", r#"{"t":"x"}"#), ("007", r#"{"t":"007"}"#)] {
            let mut webhook = with("", "", r#"{"t":1}"#);
            put(&mut webhook, &"json:/t".parse().expect("value"), text.as_bytes()).expect("writable");
            assert_eq!(String::from_utf8_lossy(&webhook.body), after);
        }
    }

    #[test]
    fn what_has_no_place_is_not_put() {
        for (value, body) in [
            ("json:/a/b", r#"{"a":1}"#),
            ("json:/a", "no JSON"),
            ("json:/a/5", r#"{"a":[]}"#),
            ("json:/a|sha256", "{}"),
            ("form:a", "a=1"),
            ("xml:/a", "<a>1</a>"),
        ] {
            let mut webhook = with("text/plain", "", body);
            assert_eq!(put(&mut webhook, &value.parse().expect("value"), b"x"), Err(Unwritable), "{value}");
            assert_eq!(String::from_utf8_lossy(&webhook.body), body);
        }
    }
}
