//! Group templates: literals and values in braces, such as `{json:/customer/id}`.

use std::collections::HashSet;
use std::str::FromStr;

use super::HASH_LENGTH;
use crate::value::{Value, ValueError};
use towpath_types::queue::{MAX_ID, may_be_in_id};

/// A group template such as `approval/{json:/workflow/id}`. Expanding it gives a group id; when it is matched against a
/// group id, each placeholder matches one or more characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    Literal(String),
    /// A value of the webhook.
    Value(Value),
}

impl Part {
    fn value(&self) -> Option<&Value> {
        match self {
            Part::Literal(_) => None,
            Part::Value(value) => Some(value),
        }
    }
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
                if !literal.bytes().all(may_be_in_id) {
                    return Err(TemplateError::Literal(literal.to_owned()));
                }
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(tail) = value else { break };
            let Some((value, after)) = tail.split_once('}') else {
                return Err(TemplateError::Braces(text.to_owned()));
            };
            if matches!(parts.last(), Some(Part::Value(_))) {
                return Err(TemplateError::Adjacent);
            }
            parts.push(Part::Value(value.parse()?));
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
    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(Part::value)
    }

    /// Whether this template can have produced the group. It runs for every message, so it scans the group once: each
    /// literal matches at its first occurrence after at least one character.
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

    /// Whether both templates can produce the same group.
    pub fn overlaps(&self, other: &Template) -> bool {
        meet(&self.tokens(), &other.tokens())
    }

    fn tokens(&self) -> Vec<PatternStep> {
        let mut tokens = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => tokens.extend(literal.chars().map(PatternStep::Char)),
                Part::Value(_) => tokens.extend([PatternStep::One, PatternStep::Many]),
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

/// Why a template is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the other way round.
    #[error("unbalanced braces in {0:?}")]
    Braces(String),
    /// The text between braces is not a value.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A literal has characters that are not allowed in a group id.
    #[error("{0:?} is not allowed in a group id: use letters, digits and punctuation, without spaces")]
    Literal(String),
    #[error("a group template must not be empty")]
    Empty,
    /// Two placeholders with nothing between them.
    #[error("two placeholders need a literal between them, such as \"/\"")]
    Adjacent,
    /// Even with the shortest values the id could be longer than SQS allows.
    #[error("the template can expand to more than 128 characters: shorten its literals")]
    TooLong,
}

/// One step of a pattern: this character, any one character, any number of characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PatternStep {
    Char(char),
    One,
    Many,
}

/// Whether some text matches both patterns: a search over pairs of positions.
fn meet(left: &[PatternStep], right: &[PatternStep]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        match (left.get(i), right.get(j)) {
            (None, None) => return true,
            (Some(PatternStep::Many), other) => {
                open.push((i + 1, j));
                if other.is_some() {
                    open.push((i, j + 1));
                }
            }
            (other, Some(PatternStep::Many)) => {
                open.push((i, j + 1));
                if other.is_some() {
                    open.push((i + 1, j));
                }
            }
            (Some(a), Some(b)) if a == b || *a == PatternStep::One || *b == PatternStep::One => {
                open.push((i + 1, j + 1))
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
