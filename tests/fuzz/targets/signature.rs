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

const HEADERS: [&str; 13] = [
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
    "content-type",
];

/// A route for every scheme.
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    const SECRET: &str = ", secret = ['a', 'b']";
    let by_secret = [
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
        "'signature', signature = ['header:x-signature', 'query:s'], encoding = 'base64-hex', algorithm = 'hmac-md5'",
        "'signature', signature = 'header:x-signature', pairs = { time = 't', signature = 'v1', between = ';' }, \
         encoding = 'base64url', timestamp_unit = 'iso', algorithm = 'hmac-sha512', \
         signed = '{timestamp}{pair:h}{pair:h|headers|optional}{body|sha256|hex}'",
        "'signature', signature = 'form:s', algorithm = 'hmac-sha1', encoding = 'base64', url = 'https://a.example', \
         signed = '{method}{url}{form*?}{body}', equal = { 'query:b' = '{body|crc32|decimal}' }",
        "'signature', signature = 'json:/s', algorithm = 'sha384', signed = '{body}{secret}'",
        "'signature', signature = 'item:/s', every = '/a', body_unsigned = true, signed = '{item:/id}:{raw:/a|optional}'",
        "'jwt', algorithms = ['HS256', 'HS512'], claims = { h = '{body|sha256|hex}' }, max_age = '5m'",
        "'jwt', token = 'body', algorithms = ['HS384']",
        "'token', token = ['query:s', 'json:/s', 'xml:/a/s', 'form:s']",
        "'token', token = 'item:/s', every = '/a'",
    ];
    let by_public_key = [
        "'signature', signature = 'header:x-signature', algorithm = 'ed25519', public_key = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'",
        "'signature', signature = 'header:x-signature', encoding = 'base64', algorithm = 'ecdsa-p256-sha256', public_key = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjMSrMCeJc/CpiDFAZOm0Rm6Gb3dIlKYxbXaIORtgP5wHqqNManZoO9aJReiFLzkp7bkIqmoSEAAQ7OgVNeOAFQ=='",
        "'jwt', algorithms = ['EdDSA'], detached = '{body}', public_key = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'",
        "'jwt', algorithms = ['ES256'], claims = { h = ['{body|sha256|base64}'] }, public_key = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjMSrMCeJc/CpiDFAZOm0Rm6Gb3dIlKYxbXaIORtgP5wHqqNManZoO9aJReiFLzkp7bkIqmoSEAAQ7OgVNeOAFQ=='",
        "'jwt', algorithms = ['RS256', 'EdDSA'], jwks = { url = 'https://a.example/jwks.json' }, body_unsigned = true",
        "'signature', signature = 'header:x-signature', algorithm = 'rsa-sha256', certificate = { from = 'json:/s', hosts = ['sns.*.amazonaws.com'] }",
        "'signature', signature = 'header:x-signature', algorithm = 'ed25519', fetch = { url = 'https://a.example/{header:x-id}' }",
    ];
    let schemes = by_secret.map(|scheme| format!("{scheme}{SECRET}")).into_iter().chain(by_public_key.map(str::to_owned));
    let route = |(n, scheme): (usize, String)| {
        format!("[[route]]\npath = '{n}'\ngroup = '{n}/x'\nplugin = 'p'\nverify = {{ scheme = {scheme} }}\n")
    };
    let text: String =
        schemes.enumerate().map(route).chain(["[plugin.p]\npath = 'p'\n".to_owned()]).collect();
    // Two keys that nobody knows.
    let secrets = [("a", "whsec_qAyLbmv2bV4eJ9Wr8tPzGg=="), ("b", "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")];
    let secrets = Secrets::of(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Config::parse(&text, Path::new("towpath.toml"), &secrets).expect("config").routes
});

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, Vec<u8>, u64, String)| {
    let (headers, body, arrived, query) = input;
    let headers =
        headers.into_iter().map(|(name, value)| (HEADERS[usize::from(name) % HEADERS.len()].to_owned(), value));
    let webhook = Webhook { headers: headers.collect(), body, query, ..Webhook::default() };
    for route in ROUTES.iter() {
        let verification = route.verify.as_ref().expect("verified");
        let error = check(verification, Evidence::arriving(&webhook, Timestamp(arrived))).expect_err("nobody gets in");
        assert!(!error.to_string().is_empty());
    }
});
