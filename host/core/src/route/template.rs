//! Group templates: literals, `{json:/pointer}` and `{header:name}`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr;

use super::key::{Key, stable_hash, written, written_before};
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

/// What a template makes of a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expanded {
    pub(super) group: GroupId,
    /// The group that earlier versions would have made of it, where that is another one.
    pub(super) former: Option<GroupId>,
    pub(super) problems: Vec<KeyProblem>,
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
    /// id, is replaced by a stable hash; so is one that could be read in two ways where it stands, and so are all values if
    /// the id would be too long. Never fails: a message that cannot be ordered by its key is still stored. All messages without
    /// the key share one group. Other values have other groups: an id can be taken apart in one way only.
    pub(super) fn expand(&self, webhook: &Webhook) -> Expanded {
        let mut problems = Vec::new();
        let mut values = Vec::new();
        for selector in self.selectors() {
            let (value, problem) = Key::read(selector, webhook).into_parts();
            problems.extend(problem.map(|why| KeyProblem { key: "group", selector: selector.clone(), why }));
            values.push(value.unwrap_or_default());
        }
        let group = self.written(&values, |at, value| {
            let text = written(value);
            if self.is_ambiguous(at, &text) { stable_hash(value) } else { text }
        });
        let former = self.written(&values, |_, value| written_before(value));
        let former = (former != group).then_some(former);
        Expanded { group, former, problems }
    }

    fn written(&self, values: &[Cow<'_, [u8]>], write: impl Fn(usize, &[u8]) -> String) -> GroupId {
        let group = self.join(values.iter().enumerate().map(|(at, value)| write(at, value)));
        match group.len() > MAX_ID {
            true => GroupId(self.join(values.iter().map(|value| stable_hash(value)))),
            false => GroupId(group),
        }
    }

    /// Whether the end of this value cannot be told: the literal behind it stands in it, or begins in it. The last value ends
    /// where the id does.
    fn is_ambiguous(&self, at: usize, text: &str) -> bool {
        let mut parts = self.parts.iter().skip_while({
            let mut before = 0;
            move |part| {
                let skip = before <= at;
                before += usize::from(matches!(part, Part::Value(_)));
                skip
            }
        });
        let Some(Part::Literal(literal)) = parts.next() else { return false };
        if parts.next().is_none() {
            return false;
        }
        let whole = format!("{text}{literal}");
        // As it is looked for in a group: with one character before it at least.
        whole.get(1..).and_then(|rest| rest.find(literal.as_str())) != Some(text.len() - 1)
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
mod tests;
