//! Values, templates and conditions.

use std::collections::BTreeMap;

use http::Method;

use super::super::shape;
use super::Checker;
use crate::condition::Condition;
use crate::value::{Besides, Template, Value};

impl Checker<'_> {
    /// A condition.
    pub(super) fn condition(&mut self, at: &str, when: shape::When, besides: &[Besides]) -> Option<Condition> {
        let mut methods = Vec::new();
        for (suffix, name) in when.method.map(shape::Names::indexed).unwrap_or_default() {
            methods.extend(self.method(&format!("{at}.method{suffix}"), &name));
        }
        let mut list = |key: &str, texts: Vec<String>| {
            let texts = texts.into_iter().enumerate();
            texts.map(|(n, text)| self.value(&format!("{at}.{key}[{n}]"), &text, besides)).collect::<Option<Vec<_>>>()
        };
        let present = list("present", when.present);
        let absent = list("absent", when.absent);
        let equal = self.equalities(&format!("{at}.equal"), when.equal, besides);
        Some(Condition { methods, present: present?, absent: absent?, equal: equal?, is_empty: when.empty })
    }

    pub(super) fn method(&mut self, at: &str, name: &str) -> Option<Method> {
        let known = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
        if !known.contains(&name) {
            self.wrong(at, format!("{name:?} is not a method"), format!("use {}", known.join(", ")));
        }
        name.parse().ok()
    }

    pub(super) fn equalities(
        &mut self,
        at: &str,
        equal: BTreeMap<String, String>,
        besides: &[Besides],
    ) -> Option<Vec<(Value, Template)>> {
        let pair = |(value, template): (String, String)| {
            let at = format!("{at}.{value}");
            Some((self.value(&at, &value, besides)?, self.template(&at, &template, besides)?))
        };
        equal.into_iter().map(pair).collect()
    }

    pub(super) fn values(&mut self, at: &str, texts: shape::Names, besides: &[Besides]) -> Option<Vec<Value>> {
        let texts = texts.indexed();
        if texts.is_empty() {
            self.wrong(at, "an empty list", "");
        }
        texts.into_iter().map(|(suffix, text)| self.value(&format!("{at}{suffix}"), &text, besides)).collect()
    }

    pub(super) fn value(&mut self, at: &str, text: &str, besides: &[Besides]) -> Option<Value> {
        match text.parse::<Value>() {
            Ok(value) if value.besides().all(|read| besides.contains(&read)) => Some(value),
            Ok(value) => {
                self.wrong(
                    at,
                    format!("{value} cannot be used here"),
                    "docs/configure.md#values says where each value is known",
                );
                None
            }
            Err(error) => {
                self.wrong(at, error.to_string(), "");
                None
            }
        }
    }

    pub(super) fn template(&mut self, at: &str, text: &str, besides: &[Besides]) -> Option<Template> {
        let template = match text.parse::<Template>() {
            Ok(template) => template,
            Err(error) => {
                self.wrong(at, error.to_string(), "");
                return None;
            }
        };
        let unknown = template.values().find(|value| !value.besides().all(|read| besides.contains(&read)));
        if let Some(value) = unknown {
            let hint = "docs/configure.md#values says where each value is known";
            self.wrong(at, format!("{{{value}}} cannot be used here"), hint);
            return None;
        }
        Some(template)
    }

    pub(super) fn public_url(&mut self, at: &str, url: &str, hint: &str) -> Option<Template> {
        if !url.starts_with("https://") || url.parse::<url::Url>().is_err() {
            self.wrong(format!("{at}.url"), format!("{url:?} is not an https URL"), hint);
            return None;
        }
        self.template(&format!("{at}.url"), url, &[])
    }
}
