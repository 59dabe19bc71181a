//! Planted secrets: no log line, dead letter, error or output of any test may show one. Whoever shows text to people in
//! a test shows it to [`check`] first; what the host logs inside a test is checked as it is written, at every level.

use std::io::Write;
use std::sync::{LazyLock, Once};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

/// What every planted secret contains.
pub const MARK: &str = "planted-5ecret";

/// A signing key.
pub const KEY: &str = "planted-5ecret-key-9f3c";

/// A token.
pub const TOKEN: &str = "planted-5ecret-token-71d0";

/// Fails if the text holds a planted secret, however it is written (see [`holds`]).
pub fn check(what: &str, text: &[u8]) {
    assert!(!shows(text), "{what} shows a planted secret:\n{}", String::from_utf8_lossy(text));
}

/// Whether a text shows a planted secret.
pub fn shows(text: &[u8]) -> bool {
    // Each line that is logged comes here.
    static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| forms(MARK));
    has_one_of(text, &FORMS)
}

/// Whether a text holds a value: as it is, in base64 or base64url (as in Basic authentication, also where other text stands around
/// it), in hex or percent-encoded, in upper or lower case.
pub fn holds(text: &[u8], value: &str) -> bool {
    has_one_of(text, &forms(value))
}

fn has_one_of(text: &[u8], forms: &[String]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    forms.iter().any(|form| text.contains(form))
}

/// A value as careless servers quote it, in lower case.
fn forms(value: &str) -> Vec<String> {
    // At each of its three alignments base64 has a middle of its own.
    let middles = (0..3).flat_map(|shift| {
        let encoded = BASE64.encode([&b"xx"[..shift], value.as_bytes()].concat());
        let middle = encoded.get(4..16).map(str::to_owned);
        middle.into_iter().flat_map(|middle| [middle.replace('+', "-").replace('/', "_"), middle])
    });
    let each = |prefix: &str| value.bytes().map(|byte| format!("{prefix}{byte:02x}")).collect::<String>();
    let written = [value.to_owned(), each(""), each("%")];
    written.into_iter().chain(middles).map(|form| form.to_ascii_lowercase()).collect()
}

/// The ways in which [`echo`] quotes headers.
pub const ECHOES: [&str; 10] =
    ["raw", "upper", "lower", "json", "html", "percent", "base64", "base64url", "hex", "base64 of all"];

/// What a careless server answers that quotes the headers of a request, each value written so.
pub fn echo(how: &str, headers: &[(String, String)]) -> String {
    let written = |value: &str| match how {
        "upper" => value.to_uppercase(),
        "lower" => value.to_lowercase(),
        "json" => serde_json::Value::from(value).to_string().replace('/', "\\/").replace('-', "\\u002d"),
        "html" => value.replace('&', "&amp;").replace('/', "&#x2F;").replace('=', "&#61;").replace('-', "&#45;"),
        "percent" => value.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        "base64" => BASE64.encode(value),
        "base64url" => BASE64.encode(value).replace('+', "-").replace('/', "_").replace('=', ""),
        "hex" => value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        _ => value.to_owned(),
    };
    let lines = headers.iter().map(|(name, value)| format!("{name}: {}\n", written(value)));
    let text = format!("you sent\n{}", lines.collect::<String>());
    if how == "base64 of all" { BASE64.encode(text) } else { text }
}

/// From now on what this process logs is checked. A line that shows a secret ends the whole test run: a panic would be
/// caught by the host as one of its own.
pub fn watch_logs() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let logs = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Checked);
        // The compiler of plugins logs megabytes, and knows no secrets.
        let wanted = Targets::new().with_default(LevelFilter::TRACE).with_target("cranelift", LevelFilter::OFF);
        let logs = logs.with_filter(wanted.with_target("wasmtime", LevelFilter::OFF));
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(logs));
    });
}

struct Checked;

impl Write for Checked {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if shows(line) {
            let _ = writeln!(std::io::stderr(), "a planted secret was logged: {}", String::from_utf8_lossy(line));
            std::process::abort();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
