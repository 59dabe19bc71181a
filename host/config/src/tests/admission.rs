//! Who may send to a route, and how fast.

use std::path::Path;

use super::{Config, Secrets, mistakes, parse};

fn route(keys: &str) -> String {
    format!("[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n{keys}\n[plugin.p]\npath = 'p'\n")
}

#[test]
fn ranges_and_single_addresses_are_read() {
    let config = parse(&route("allow_from = ['203.0.113.0/24', '2001:db8::7']\nrate = 0.5")).expect("config");
    let admission = &config.routes.iter().next().expect("route").admission;
    let contains = |address: &str| admission.from.contain(address.parse().expect("an address"));
    assert!(contains("203.0.113.255") && contains("::ffff:203.0.113.0") && contains("2001:db8::7"));
    assert!(!contains("203.0.114.0") && !contains("2001:db8::8") && !contains("::203.0.113.1"));
    let rate = admission.rate.expect("a rate");
    assert_eq!((rate.interval().as_secs(), rate.burst()), (2, 1));
}

#[test]
fn what_is_no_range_or_rate_is_reported() {
    let cases = [
        (route("allow_from = ['example.com']"), "route[0].allow_from[0]: \"example.com\" is not a range of addresses"),
        (route("allow_from = ['10.0.0.0/8', '10.0.0.0/33']"), "route[0].allow_from[1]: "),
        (route("allow_from = ['10.0.0.1/8']"), "route[0].allow_from[0]: \"10.0.0.1/8\" has bits behind its prefix"),
        (route("rate = 0"), "route[0].rate: must be between 0.01 and 100000"),
        (route("rate = nan"), "route[0].rate: must be between"),
        ("[ingest]\ntrusted_proxies = ['proxy']\n".to_owned(), "ingest.trusted_proxies[0]: \"proxy\" is not a range"),
    ];
    for (text, expected) in cases {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_route_that_anybody_can_send_to_is_warned_of() {
    let warnings = |text: &str| -> Vec<String> {
        let secrets = Secrets::placeholders();
        let draft = Config::draft(text, Path::new("towpath.toml"), &secrets).expect("a draft");
        draft.warnings.iter().map(|warning| format!("{}: {}", warning.at, warning.problem)).collect()
    };
    let open = warnings(&route(""));
    assert!(open.iter().any(|warning| warning.starts_with("route[0]: no proof of the sender")), "{open:?}");
    for closed in ["verify = { scheme = 'github', secret = 'hook' }", "allow_from = ['10.0.0.0/8']"] {
        assert_eq!(warnings(&route(closed)), [""; 0], "{closed}");
    }
    // One mistake is not two.
    assert!(warnings(&route("verify = { scheme = 'gitlab' }")).is_empty());
}
