//! Group templates: literals, `{json:/pointer}` and `{header:name}`.

use std::collections::HashSet;
use std::str::FromStr;

use super::{HASH_LENGTH, MAX_ID, Selector, Source, is_id, stable_hash};
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

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the other way round.
    #[error("unbalanced braces in {0:?}")]
    Braces(String),
    /// What stands between braces is not known.
    #[error("{0:?} is neither \"json:/pointer\" nor \"header:name\"")]
    Selector(String),
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

    /// The group id of a webhook. A value that is missing, or not allowed in a group id, is replaced by
    /// a stable hash; so are all values if the id would be too long. Never fails: a message that cannot
    /// be ordered by its key is still stored. All messages without the key share one group.
    pub(super) fn expand(&self, source: &mut Source<'_>) -> GroupId {
        let values: Vec<String> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(_) => String::new(),
                Part::Value(selector) => source.select(selector).unwrap_or_default(),
            })
            .collect();
        let written = self.join(&values, |value| match is_id(value) {
            true => value.to_owned(),
            false => stable_hash(value),
        });
        if written.len() <= MAX_ID {
            return GroupId(written);
        }
        GroupId(self.join(&values, stable_hash))
    }

    fn join(&self, values: &[String], write: impl Fn(&str) -> String) -> String {
        let parts = self.parts.iter().zip(values);
        parts
            .map(|(part, value)| match part {
                Part::Literal(literal) => literal.clone(),
                Part::Value(_) => write(value),
            })
            .collect()
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
    use crate::envelope::Webhook;

    fn group(template: &str, headers: &[(&str, &str)], body: &str) -> String {
        let template: Template = template.parse().expect("template");
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        let webhook = Webhook { headers, body: body.as_bytes().to_vec() };
        let GroupId(group) = template.expand(&mut Source::new(&webhook));
        assert!(is_id(&group), "{group:?} is a group id");
        assert!(template.matches(&group), "{group:?} leads back to {template:?}");
        group
    }

    #[test]
    fn values_stand_as_they_are_where_a_group_id_allows_it() {
        assert_eq!(group("fixed", &[], ""), "fixed");
        assert_eq!(group("a/{json:/w/id}", &[], r#"{"w":{"id":"W-7"}}"#), "a/W-7");
        assert_eq!(group("a/{json:/id}/{header:x-k}", &[("x-k", "k")], r#"{"id":42}"#), "a/42/k");
    }

    #[test]
    fn what_is_missing_or_not_allowed_becomes_a_stable_hash() {
        let missing = group("a/{json:/id}", &[], "not json");
        assert_eq!(missing, group("a/{json:/id}", &[], r#"{"id":null}"#), "one group for all without the key");
        let spaced = group("a/{json:/id}", &[], r#"{"id":"two words"}"#);
        assert_eq!(spaced, "a/~a03f1d611645eb53ad16c1af");
        assert_ne!(spaced, missing);
        let long = "x".repeat(127);
        assert_eq!(group("a/{json:/id}", &[], &format!(r#"{{"id":"{long}"}}"#)).len(), 2 + HASH_LENGTH);
    }

    #[test]
    fn one_mebibyte_of_brackets_has_a_group() {
        group("a/{json:/id}", &[], &"[".repeat(1024 * 1024));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("", TemplateError::Empty),
            ("a/{json:/id", TemplateError::Braces("a/{json:/id".into())),
            ("a}", TemplateError::Braces("a}".into())),
            ("a/{id}", TemplateError::Selector("id".into())),
            ("a b", TemplateError::Literal("a b".into())),
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
