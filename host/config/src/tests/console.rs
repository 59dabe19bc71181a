//! `[console]`.

use std::path::Path;

use super::{Config, ConsoleConfig, Secrets, mistakes, parse};

const ROUTE: &str = "[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n[plugin.p]\npath = 'p'\n";

fn with(keys: &str) -> String {
    format!("[console]\n{keys}\n{ROUTE}")
}

#[test]
fn a_console_has_defaults_and_is_absent_without_its_table() {
    assert_eq!(parse(ROUTE).expect("config").console, None);
    let console = parse(&with("")).expect("config").console.expect("a console");
    assert_eq!(console, ConsoleConfig::default());
    assert_eq!(console.listen.to_string(), "127.0.0.1:8082");
}

#[test]
fn everything_that_it_can_say_is_read() {
    let keys = "listen = '127.0.0.1:9000'\nread_only = true\nidentity_header = 'X-Forwarded-User'\n\
        trusted_proxies = ['10.0.0.0/8']\noperators = ['ann@example.com']\nallow_hosts = ['console.example.com']\nurl = 'https://console.example.com'";
    let console = parse(&with(keys)).expect("config").console.expect("a console");
    assert!(console.read_only && console.trusted_proxies.contain("10.1.2.3".parse().expect("an address")));
    assert_eq!(console.identity_header.as_deref(), Some("x-forwarded-user"));
    assert_eq!(console.url.as_ref().map(url::Url::as_str), Some("https://console.example.com/"));
    assert_eq!(console.operators, Some(vec!["ann@example.com".to_owned()]));
    assert_eq!((console.listen.port(), console.allow_hosts), (9000, vec!["console.example.com".to_owned()]));
}

#[test]
fn what_would_open_it_to_others_is_a_mistake() {
    let proxy = "trusted_proxies = ['10.0.0.1']\n";
    let cases = [
        ("listen = '127.0.0.1:8080'".to_owned(), "console.listen: 127.0.0.1:8080 is the address of ingest"),
        ("listen = '0.0.0.0:8080'".to_owned(), "console.listen: 0.0.0.0:8080 is the address of ingest"),
        ("identity_header = 'x-user'".to_owned(), "console.trusted_proxies: missing, but identity_header is set"),
        (format!("{proxy}identity_header = 'cookie'"), "console.identity_header: \"cookie\" cannot be such"),
        (format!("{proxy}identity_header = 'a b'"), "console.identity_header: \"a b\" cannot be such"),
        ("operators = ['ann']".to_owned(), "console.operators: needs console.identity_header"),
        (format!("{proxy}identity_header = 'x-user'\noperators = ['']"), "console.operators[0]: \"\" cannot be a name"),
        (format!("{proxy}identity_header = 'x-user'\noperators = [\"a\\nb\"]"), "console.operators[0]: "),
        (
            "allow_hosts = ['https://a.example']".to_owned(),
            "console.allow_hosts[0]: \"https://a.example\" is not a name",
        ),
        ("allow_hosts = ['*.example.com']".to_owned(), "console.allow_hosts[0]: "),
        ("allow_hosts = ['10.0.0.1']".to_owned(), "console.allow_hosts[0]: "),
        ("trusted_proxies = ['proxy']".to_owned(), "console.trusted_proxies[0]: \"proxy\" is not a range of addresses"),
        ("port = 1".to_owned(), "console.port: unknown field `port`"),
    ];
    for (keys, expected) in cases {
        let found = mistakes(&with(&keys));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    }
    assert!(
        parse(&with("listen = '127.0.0.1:0'").replace("[[route]]", "[ingest]\nlisten = '127.0.0.1:0'\n[[route]]"))
            .is_ok()
    );
}

#[test]
fn what_trusts_too_much_is_warned_of() {
    let warnings = |keys: &str| -> Vec<String> {
        let draft = Config::draft(&with(keys), Path::new("towpath.toml"), &Secrets::placeholders()).expect("a draft");
        let ours = draft.warnings.into_iter().filter(|warning| warning.at.starts_with("console."));
        ours.map(|warning| warning.at).collect()
    };
    assert_eq!(warnings(""), [""; 0]);
    assert_eq!(warnings("listen = '10.0.0.5:8082'"), ["console.listen"]);
    assert_eq!(warnings("listen = '10.0.0.5:8082'\ntrusted_proxies = ['10.0.0.1']"), [""; 0]);
    let proxy = "identity_header = 'x-user'\ntrusted_proxies = ['10.0.0.1']";
    assert_eq!(warnings(proxy), ["console.operators"], "everybody would be one");
    for operators in ["[]", "['ann']"] {
        assert_eq!(warnings(&format!("{proxy}\noperators = {operators}")), [""; 0], "{operators}");
    }
    let header = "identity_header = 'x-user'\noperators = ['ann']\ntrusted_proxies = ";
    for range in ["127.0.0.0/8", "::1", "0.0.0.0/0"] {
        assert_eq!(warnings(&format!("{header}['{range}']")), ["console.trusted_proxies"], "{range}");
    }
}
