//! Paths of routes: literal segments, named ones, and whatever follows.

use std::fmt;

use towpath_types::envelope::REST;

/// The name of what follows, for matchit, which takes no star in names. No segment of a route can have it.
pub(super) const TAIL: &str = ".";

/// The path of a route, below the ingest prefix, as written: `crm`, `tenants/{tenant}/crm`, `forward/*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathPattern(String);

impl PathPattern {
    /// Reads a path without leading or trailing slashes; `None` if it is none.
    pub fn read(text: &str) -> Option<PathPattern> {
        let segments: Vec<&str> = text.split('/').collect();
        let (last, before) = segments.split_last()?;
        let is_last = *last == REST && !before.is_empty() || is_segment(last);
        let mut names: Vec<&str> = segments.iter().filter_map(|segment| name(segment)).collect();
        names.sort_unstable();
        let is_unique = names.windows(2).all(|pair| pair.first() != pair.last());
        (is_last && is_unique && before.iter().all(|segment| is_segment(segment))).then(|| PathPattern(text.to_owned()))
    }

    /// Whether it matches only itself.
    pub fn is_literal(&self) -> bool {
        !self.0.split('/').any(|segment| segment == REST || name(segment).is_some())
    }

    /// The names of its segments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter_map(name)
    }

    /// The path that has these segments, where they are known.
    pub fn filled(&self, segments: &[(String, String)]) -> String {
        let value = |segment: &str| {
            let wanted = name(segment).unwrap_or(segment);
            let found = segments.iter().find(|(own, _)| own == wanted).map(|(_, value)| value.clone());
            match (segment, found) {
                (_, Some(value)) if segment == REST || name(segment).is_some() => Some(value),
                (REST, None) => None,
                (segment, _) => Some(segment.to_owned()),
            }
        };
        self.0.split('/').filter_map(value).collect::<Vec<_>>().join("/")
    }

    /// Whether a request could be for either of them, and neither is more specific.
    pub(crate) fn conflicts(&self, other: &PathPattern) -> bool {
        let mut paths = matchit::Router::new();
        self.templates().into_iter().chain(other.templates()).any(|template| paths.insert(template, ()).is_err())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as matchit writes it: a route that takes what follows also takes nothing.
    pub(super) fn templates(&self) -> Vec<String> {
        match self.0.strip_suffix("/*") {
            Some(base) => vec![format!("/{base}"), format!("/{base}/{{*{TAIL}}}")],
            None => vec![format!("/{}", self.0)],
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn is_segment(segment: &str) -> bool {
    let is_plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match name(segment) {
        Some(name) => is_plain(name) && !name.contains('.'),
        None => is_plain(segment) && segment != "." && segment != "..",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["crm", "a/{tenant}/b", "{t}", "forward/*", "{a}/{b}/*", "v1.0/x-y_z"] {
            assert_eq!(PathPattern::read(path).map(|pattern| pattern.to_string()), Some(path.to_owned()));
        }
        for path in ["", "*", "a/*/b", "a/{}/b", "{a}/{a}", "a/x{b}", "{a.b}", "a//b", "..", "a b", "a/{*}", "a/{b"] {
            assert_eq!(PathPattern::read(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_match_the_same_requests_conflict_unless_one_is_more_specific() {
        let conflicts = |one: &str, other: &str| {
            let read = |text| PathPattern::read(text).expect("a path");
            read(one).conflicts(&read(other))
        };
        assert!(conflicts("a/{x}", "a/{y}") && conflicts("a/*", "a"));
        assert!(!conflicts("a/{x}", "a/b") && !conflicts("a/*", "a/b/c") && !conflicts("{x}/a", "b/a"));
    }
}
