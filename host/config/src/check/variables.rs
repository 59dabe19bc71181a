//! Variables that nobody expanded: the config has none, a template that was not filled in leaves them.

use toml::{Table, Value};

use super::super::collect::Found;

/// Texts of these keys have braces of their own, or are a plugin's.
const OTHERS: [&str; 3] = ["group", "signed", "config"];

/// Finds every text with a variable in it.
pub(super) fn find(table: &Table, found: &mut Found) {
    for (key, value) in table {
        look(key, value, found);
    }
}

fn look(at: &str, value: &Value, found: &mut Found) {
    match value {
        Value::String(text) => {
            if let Some(variable) = variable(text) {
                let hint = "the config expands no variables: write the value itself; secrets are named, not written";
                // Whatever else is said of such a text is no second mistake.
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

/// `${NAME}`, `$(NAME)`, `{{ NAME }}`, `<%= NAME %>`, or `$NAME` where the host of a URL is.
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
    fn what_a_template_left_is_found_and_nothing_else() {
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
