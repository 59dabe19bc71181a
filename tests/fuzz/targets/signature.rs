//! Headers that should hold a signature: whatever they hold, nobody gets in without the secret.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use towpath_types::clock::Timestamp;
use towpath_config::{Config, Secrets};
use towpath_types::envelope::Webhook;
use towpath_config::route::Routes;
use towpath_verify::{Evidence, check};

const HEADERS: [&str; 12] = [
    "x-signature",
    "x-timestamp",
    "stripe-signature",
    "x-slack-signature",
    "x-slack-request-timestamp",
    "x-hub-signature-256",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "authorization",
    "x-id",
];

/// A route for every scheme.
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let schemes = [
        "'github'",
        "'stripe'",
        "'slack'",
        "'shopify'",
        "'standard-webhooks'",
        "'bearer'",
        "'basic', user = 'u'",
        "'hubspot', url = 'https://a.example'",
        "'header', name = 'x-signature'",
        "'hmac', header = 'x-signature', timestamp = 'x-timestamp', signed = '{header:x-id}{timestamp}{body}'",
    ];
    let route = |(n, scheme)| {
        format!(
            "[[route]]\npath = '{n}'\ngroup = '{n}/x'\nplugin = 'p'\nverify = {{ scheme = {scheme}, secret = ['a', 'b'] }}\n"
        )
    };
    let text: String =
        schemes.into_iter().enumerate().map(route).chain(["[plugin.p]\npath = 'p'\n".to_owned()]).collect();
    // Two keys that nobody knows.
    let secrets = [("a", "whsec_qAyLbmv2bV4eJ9Wr8tPzGg=="), ("b", "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")];
    let secrets = Secrets::of(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Config::parse(&text, Path::new("towpath.toml"), &secrets).expect("config").routes
});

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, Vec<u8>, u64)| {
    let (headers, body, arrived) = input;
    let headers =
        headers.into_iter().map(|(name, value)| (HEADERS[usize::from(name) % HEADERS.len()].to_owned(), value));
    let webhook = Webhook { headers: headers.collect(), body, ..Webhook::default() };
    for route in ROUTES.iter() {
        let verification = route.verify.as_ref().expect("verified");
        let error = check(verification, Evidence::arriving(&webhook, Timestamp(arrived))).expect_err("nobody gets in");
        assert!(!error.to_string().is_empty());
    }
});
