//! Templates: a text with values in braces.

use std::fmt;
use std::str::FromStr;

use super::{Besides, Value, ValueError};

/// Literals and values: `{timestamp}.{body|sha256|hex}`. Doubled braces are literal ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    Literal(String),
    Value(Value),
}

/// Why a text is not a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("unbalanced braces in {0:?}: write {{{{ and }}}} for braces themselves")]
    Braces(String),
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl Template {
    /// A single value.
    pub fn of(value: Value) -> Template {
        Template(vec![Part::Value(value)])
    }

    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Value(value) => Some(value),
        })
    }

    /// The text of a template without values.
    pub fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Value(_) => None,
            })
            .collect()
    }

    /// What its values read besides the webhook.
    pub fn besides(&self) -> impl Iterator<Item = Besides> {
        self.values().flat_map(Value::besides)
    }

    pub fn reads(&self, besides: Besides) -> bool {
        self.besides().any(|read| read == besides)
    }

    /// Whether all of the body decides its text.
    pub fn covers_body(&self) -> bool {
        self.values().any(Value::covers_body)
    }

    /// The headers that it reads, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.values().filter_map(|value| value.source.header())
    }
}

impl FromIterator<Part> for Template {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Template {
        Template(parts.into_iter().collect())
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            let doubled = [("{{", '{'), ("}}", '}')].into_iter();
            let doubled = doubled.filter_map(|(two, one)| Some((from.strip_prefix(two)?, one))).next();
            if let Some((after, brace)) = doubled {
                literal.push(brace);
                rest = after;
                continue;
            }
            let inner = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (value, after) = inner.ok_or_else(|| TemplateError::Braces(text.to_owned()))?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value(value.parse()?));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Value(value) => write!(f, "{{{value}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_printed_as_it_was_written() {
        for text in ["", "a", "{body}", "v0:{timestamp}:{body|sha256|hex}!", "{{\"a\":{json:/a}}}", "a\nb"] {
            assert_eq!(text.parse::<Template>().map(|template| template.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_a_template_says_why() {
        let cases = [
            ("{body", "unbalanced braces in \"{body\": write {{ and }}"),
            ("a}b", "unbalanced braces"),
            ("{}", "\"\" is not a source"),
            ("{id}", "\"id\" is not a source"),
            ("{body|x}", "is not a filter"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Template>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_checksum_or_a_part_does_not_cover_the_body() {
        let covers = |text: &str| text.parse::<Template>().expect(text).covers_body();
        assert!(covers("{timestamp}.{body}") && covers("{url}{form*}") && covers("{body|sha256|hex}"));
        assert!(!covers("{json:/id}") && !covers("{body|crc32}") && !covers("{body|json:/id}") && !covers("{secret}"));
        // Whatever is not a form would be unsigned.
        assert!(!covers("{url}{form*?}"));
    }
}
