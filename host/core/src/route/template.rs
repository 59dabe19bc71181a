//! Group templates: literals, `{json:/pointer}` and `{header:name}`.

use std::collections::HashSet;
use std::str::FromStr;

use super::key::{Key, stable_hash, written};
use super::{HASH_LENGTH, KeyProblem, MAX_ID, Selector};
use crate::envelope::Webhook;
use crate::json::PointerError;
use crate::queue::GroupId;

/// A group template such as `approval/{json:/workflow/id}`. Expanded it gives a group id; matched
/// against a group id each placeholder stands for one or more characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Value(Selector),
}

impl Part {
    fn selector(&self) -> Option<&Selector> {
        match self {
            Part::Literal(_) => None,
            Part::Value(selector) => Some(selector),
        }
    }
}

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the other way round.
    #[error("unbalanced braces in {0:?}")]
    Braces(String),
    /// What stands between braces is not known.
    #[error("{0:?} is neither \"json:/pointer\" nor \"header:name\"")]
    Selector(String),
    /// A pointer that is not written as RFC 6901 says.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A literal has characters that no group id may have.
    #[error("{0:?} is not allowed in a group id: use letters, digits and punctuation, without spaces")]
    Literal(String),
    /// Nothing at all.
    #[error("a group template must not be empty")]
    Empty,
    /// Two placeholders with nothing between them.
    #[error("two placeholders need a literal between them, such as \"/\"")]
    Adjacent,
    /// With every value at its shortest the id would be longer than SQS takes.
    #[error("the template can expand to more than 128 characters: shorten its literals")]
    TooLong,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, value) = match rest.split_once('{') {
                Some((literal, tail)) => (literal, Some(tail)),
                None => (rest, None),
            };
            if literal.contains('}') {
                return Err(TemplateError::Braces(text.to_owned()));
            }
            if !literal.is_empty() {
                if !literal.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(TemplateError::Literal(literal.to_owned()));
                }
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(tail) = value else { break };
            let Some((selector, after)) = tail.split_once('}') else {
                return Err(TemplateError::Braces(text.to_owned()));
            };
            if matches!(parts.last(), Some(Part::Value(_))) {
                return Err(TemplateError::Adjacent);
            }
            parts.push(Part::Value(selector.parse()?));
            rest = after;
        }
        if parts.is_empty() {
            return Err(TemplateError::Empty);
        }
        let template = Template { text: text.to_owned(), parts };
        if template.longest_hashed() > MAX_ID {
            return Err(TemplateError::TooLong);
        }
        Ok(template)
    }
}

impl Template {
    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The group id of a webhook, and what could not be read for it. A value that is missing, or not allowed in a group
    /// id, is replaced by a stable hash; so are all values if the id would be too long. Never fails: a message that
    /// cannot be ordered by its key is still stored. All messages without the key share one group.
    pub(super) fn expand(&self, webhook: &Webhook) -> (GroupId, Vec<KeyProblem>) {
        let mut problems = Vec::new();
        let mut values = Vec::new();
        for selector in self.selectors() {
            let (value, problem) = Key::read(selector, webhook).into_parts();
            problems.extend(problem.map(|why| KeyProblem { key: "group", selector: selector.clone(), why }));
            values.push(value.unwrap_or_default());
        }
        let mut group = self.join(values.iter().map(|value| written(value)));
        if group.len() > MAX_ID {
            group = self.join(values.iter().map(|value| stable_hash(value)));
        }
        (GroupId(group), problems)
    }

    /// Where its values stand.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.parts.iter().filter_map(Part::selector)
    }

    fn join(&self, mut values: impl Iterator<Item = String>) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Value(_) => values.next().unwrap_or_default(),
        });
        parts.collect()
    }

    /// Whether this template can have made the group. Every message's path goes through here, so it
    /// walks the group once: literals stand where they are first found, with something before each.
    pub fn matches(&self, group: &str) -> bool {
        let mut rest = group;
        let mut open = false;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            let Part::Literal(literal) = part else {
                open = true;
                continue;
            };
            let last = parts.peek().is_none();
            let at = match (open, last) {
                (false, _) => rest.starts_with(literal).then_some(0),
                (true, true) => rest.len().checked_sub(literal.len()).filter(|at| *at > 0 && rest.ends_with(literal)),
                (true, false) => rest.get(1..).and_then(|tail| tail.find(literal)).map(|at| at + 1),
            };
            let Some(after) = at.and_then(|at| rest.get(at + literal.len()..)) else { return false };
            rest = after;
            open = false;
        }
        open != rest.is_empty()
    }

    /// Whether some group could have been made by both templates.
    pub fn overlaps(&self, other: &Template) -> bool {
        meet(&self.tokens(), &other.tokens())
    }

    fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => tokens.extend(literal.chars().map(Token::Char)),
                Part::Value(_) => tokens.extend([Token::One, Token::Many]),
            }
        }
        tokens
    }

    fn longest_hashed(&self) -> usize {
        let lengths = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => literal.len(),
            Part::Value(_) => HASH_LENGTH,
        });
        lengths.sum()
    }
}

/// One step of a pattern: this character, any one character, any number of characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Char(char),
    One,
    Many,
}

/// Whether some text is matched by both patterns: a walk over the pairs of positions.
fn meet(left: &[Token], right: &[Token]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        match (left.get(i), right.get(j)) {
            (None, None) => return true,
            (Some(Token::Many), other) => {
                open.push((i + 1, j));
                if other.is_some() {
                    open.push((i, j + 1));
                }
            }
            (other, Some(Token::Many)) => {
                open.push((i, j + 1));
                if other.is_some() {
                    open.push((i + 1, j));
                }
            }
            (Some(a), Some(b)) if a == b || *a == Token::One || *b == Token::One => open.push((i + 1, j + 1)),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::is_id;

    fn expand(template: &str, headers: &[(&str, &[u8])], body: &[u8]) -> (String, Vec<String>) {
        let template: Template = template.parse().expect("template");
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        let webhook = Webhook { headers, body: body.to_vec() };
        let (GroupId(group), problems) = template.expand(&webhook);
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
    fn values_stand_as_they_are_where_a_group_id_allows_it() {
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

    #[test]
    fn what_is_missing_or_not_allowed_becomes_a_stable_hash() {
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
    fn mistakes_are_named() {
        let cases = [
            ("", TemplateError::Empty),
            ("a/{json:/id", TemplateError::Braces("a/{json:/id".into())),
            ("a}", TemplateError::Braces("a}".into())),
            ("a/{id}", TemplateError::Selector("id".into())),
            ("a b", TemplateError::Literal("a b".into())),
            ("a/{json:/a~b}", TemplateError::Pointer(PointerError::Tilde("/a~b".into()))),
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

    #[test]
    fn matching_a_group_is_overlapping_with_it() {
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
}
