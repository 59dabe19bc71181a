//! Planted secrets: no log line, dead letter, error or output of any test may show one. Whoever shows text to people in
//! a test shows it to [`check`] first; what the host logs inside a test is checked as it is written, at every level.

use std::io::Write;
use std::sync::Once;

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

/// Fails if the text holds a planted secret, as it is, in base64 (as in Basic authentication), or in hex.
pub fn check(what: &str, text: &[u8]) {
    assert!(!shows(text), "{what} shows a planted secret:\n{}", String::from_utf8_lossy(text));
}

/// Whether a text shows a planted secret.
pub fn shows(text: &[u8]) -> bool {
    let contains = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    // At each of its three alignments base64 has a middle of its own.
    let middles = (0..3).map(|shift| {
        let encoded = BASE64.encode([&b"xx"[..shift], MARK.as_bytes()].concat());
        encoded[4..16].to_owned()
    });
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    contains(MARK.as_bytes())
        || contains(hex.as_bytes())
        || middles.into_iter().any(|middle| contains(middle.as_bytes()))
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
