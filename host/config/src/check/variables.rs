//! Unexpanded variables: the config has none, so they are left over from a template.

use toml::{Table, Value};

use super::super::collect::Mistakes;

/// The values of these keys have braces of their own, or belong to a plugin.
const OTHERS: [&str; 3] = ["group", "signed", "config"];

pub(super) fn find(table: &Table, found: &mut Mistakes) {
    for (key, value) in table {
        look(key, value, found);
    }
}

fn look(at: &str, value: &Value, found: &mut Mistakes) {
    match value {
        Value::String(text) => {
            if let Some(variable) = variable(text) {
                let hint = "the config does not expand variables: write the value itself; for a secret, its name";
                // Further mistakes about such a text are not reported.
                found.break_off(at, at, format!("{variable:?} in {text:?} was not expanded"), hint);
            }
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| look(&format!("{at}[{index}]"), value, found));
        }
        Value::Table(table) => {
            let others = table.iter().filter(|(key, _)| !OTHERS.contains(&key.as_str()));
            others.for_each(|(key, value)| look(&format!("{at}.{key}"), value, found));
        }
        _ => {}
    }
}

/// `${NAME}`, `$(NAME)`, `{{ NAME }}`, `<%= NAME %>`, or `$NAME` in the host of a URL.
fn variable(text: &str) -> Option<&str> {
    let between = |open: &str, close: &str| {
        let start = text.find(open)?;
        let end = text.get(start..)?.find(close)? + close.len();
        text.get(start..start + end)
    };
    let host = || {
        let start = text.find("://$")? + "://".len();
        let rest = text.get(start..)?;
        rest.get(..rest.find(['/', ':']).unwrap_or(rest.len()))
    };
    between("${", "}")
        .or_else(|| between("$(", ")"))
        .or_else(|| between("{{", "}}"))
        .or_else(|| between("<%", "%>"))
        .or_else(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unexpanded_variables_are_found() {
        for (text, found) in [
            ("https://${HOST}/api", Some("${HOST}")),
            ("${QUEUE_URL}", Some("${QUEUE_URL}")),
            ("https://$HOST:8080/api", Some("$HOST")),
            ("{{ .Values.url }}/x", Some("{{ .Values.url }}")),
            ("$(URL)", Some("$(URL)")),
            ("<%= url %>", Some("<%= url %>")),
            ("https://lambda.example/functions/a:$LATEST", None),
            ("crm/{json:/id}", None),
            ("100$", None),
            ("a ${ b", None),
        ] {
            assert_eq!(variable(text), found, "{text}");
        }
    }
}
