use crate::value::SourceError;
use towpath_types::json::PointerError;

use super::*;

#[test]
fn mistakes_are_named() {
    let cases = [
        ("", TemplateError::Empty),
        ("a/{json:/id", TemplateError::Braces("a/{json:/id".into())),
        ("a}", TemplateError::Braces("a}".into())),
        ("a/{id}", TemplateError::Value(SourceError::Unknown("id".into()).into())),
        ("a b", TemplateError::Literal("a b".into())),
        ("a/{json:/a~b}", TemplateError::Value(SourceError::from(PointerError::Tilde("/a~b".into())).into())),
        ("{json:/a}{json:/b}", TemplateError::Adjacent),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Template>(), Err(error), "{text:?}");
    }
    assert_eq!("x".repeat(129).parse::<Template>(), Err(TemplateError::TooLong));
}

#[test]
fn overlap_is_found_exactly() {
    let cases = [
        ("a", "a", true),
        ("a", "b", false),
        ("a/{json:/x}", "a/b", true),
        ("a/{json:/x}", "a/", false),
        ("a/{json:/x}", "b/{json:/x}", false),
        ("{json:/x}/b", "a/{json:/y}", true),
        ("a/{json:/x}", "a/{json:/x}/tail", true),
        ("{json:/x}-end", "{json:/y}-fin", false),
    ];
    for (a, b, expected) in cases {
        let (left, right): (Template, Template) = (a.parse().expect(a), b.parse().expect(b));
        assert_eq!(left.overlaps(&right), expected, "{a} and {b}");
        assert_eq!(right.overlaps(&left), expected, "{b} and {a}");
    }
}
