//! An event as a command of `curl`, without its secret values.

use towpath_types::envelope::Webhook;

/// A longer body is not put into a command line.
const MOST: usize = 16 * 1024;

/// Where ingest listens unless the config says otherwise.
const INGEST: &str = "http://127.0.0.1:8080";

/// A command that posts the event to ingest. Hidden values are left as they are shown: a verified route refuses it.
pub(super) fn curl(route: Option<&str>, webhook: &Webhook) -> String {
    let query = if webhook.query.is_empty() { String::new() } else { format!("?{}", webhook.query) };
    let url = format!("{INGEST}/{}{query}", route.unwrap_or_default());
    let mut command = format!("curl -X {} {}", quoted(webhook.method.as_str()), quoted(&url));
    for (name, value) in webhook.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
        let value = String::from_utf8_lossy(value);
        command += &format!(" \\\n  -H {}", quoted(&format!("{name}: {value}")));
    }
    let text = std::str::from_utf8(&webhook.body).ok().filter(|text| text.len() <= MOST && !text.starts_with('@'));
    command += " \\\n  --data-binary ";
    command + &text.map_or_else(|| "@body".to_owned(), quoted)
}

/// Headers that curl makes itself.
fn is_of_connection(name: &str) -> bool {
    ["host", "content-length", "connection", "transfer-encoding", "expect"].contains(&name)
}

/// As a shell takes it as one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_event_leaves_its_word_of_the_command() {
        let headers = vec![("x".to_owned(), b"'; rm -rf / #".to_vec()), ("host".to_owned(), b"evil".to_vec())];
        let webhook = Webhook { headers, body: b"{\"a\":\"it's $(id)\"}".to_vec(), ..Webhook::default() };
        let command = curl(Some("crm"), &webhook);
        assert!(command.contains(r"-H 'x: '\''; rm -rf / #'"), "{command}");
        assert!(
            command.ends_with(r#"--data-binary '{"a":"it'\''s $(id)"}'"#) && !command.contains("evil"),
            "{command}"
        );
        for body in [b"@/etc/passwd".to_vec(), vec![0xff], vec![b'x'; MOST + 1]] {
            let webhook = Webhook { body, ..Webhook::default() };
            assert!(curl(None, &webhook).ends_with("--data-binary @body"));
        }
    }
}
