//! Keys that are fetched, and calls.

use std::path::Path;

use super::{Config, Secrets};
use crate::Mistake;

/// The mistakes of a route with these keys, each as `key: problem; hint`.
fn mistakes(verify: &str, answer: &str) -> Vec<String> {
    let text = format!(
        "[[route]]\npath = \"a\"\ngroup = \"a/x\"\nplugin = \"p\"\nverify = {{ {verify} }}\n{answer}\n[plugin.p]\npath = \"p\"\n"
    );
    let draft = Config::draft(&text, Path::new("towpath.toml"), &Secrets::placeholders()).expect(&text);
    let line = |mistake: Mistake| format!("{}: {}; {}", mistake.at, mistake.problem, mistake.hint);
    draft.mistakes.into_iter().map(line).collect()
}

#[test]
fn keys_are_fetched_by_https_from_listed_hosts() {
    let signature = "scheme = 'signature', signature = 'header:x-s', algorithm = 'ed25519'";
    let jwt = "scheme = 'jwt', algorithms = ['RS256'], body_unsigned = true";
    let cases = [
        (jwt, "jwks = { url = 'https://a.example/jwks.json' }", ""),
        (jwt, "jwks = { url = 'https://a.example/k', hosts = ['a.example'] }, key_id = 'header:x-k'", ""),
        (signature, "jwks = { url = 'http://127.0.0.1:9/k', allow_private = true }", ""),
        (signature, "certificate = { from = 'json:/u', hosts = ['sns.*.amazonaws.com'] }", ""),
        (signature, "fetch = { url = 'https://a.example{header:x-p}' }", ""),
        (signature, "fetch = { url = 'https://a.example/{header:x-k}', pointer = '/k', bearer = 'api' }", ""),
        (jwt, "jwks = { url = 'http://a.example/k' }", "is not https"),
        (jwt, "jwks = { url = 'http://a.example/k', allow_private = true }", "is not https"),
        (jwt, "jwks = { url = 'https://10.0.0.1/k' }", "is a private or local address"),
        (jwt, "jwks = { url = 'https://localhost/k' }", "set allow_private = true"),
        (jwt, "jwks = { url = 'https://a.example/k', hosts = ['b.example'] }", "is at none of the hosts"),
        (jwt, "jwks = { url = 'https://a.example/k', hosts = [] }", "an empty list"),
        (jwt, "jwks = { url = 'k' }", "does not begin with https://"),
        (signature, "certificate = { from = 'json:/u', hosts = ['*.com'] }", "among its last two labels"),
        (signature, "certificate = { from = 'json:/u', hosts = ['10.0.0.1'] }", "private or local"),
        (
            signature,
            "certificate = { from = 'json:/u', hosts = ['a.example'] }, at = 'pipeline'",
            "needs at = \"ingest\"",
        ),
        (signature, "fetch = { url = '{header:x-u}' }", "does not begin with https://"),
        (signature, "fetch = { url = 'https://a.example/k', pointer = 'k' }", "must begin with /"),
        (signature, "jwks = { url = 'https://a.example/k' }, secret = 'api'", "cannot stand beside other keys"),
        (signature, "key_id = 'header:x-k', public_key = 'AAAA'", "needs jwks"),
        (signature, "fetch = { url = 'https://a.example/k' }, key_id = 'header:x-k'", "put the id into the URL"),
        (
            "scheme = 'signature', signature = 'header:x-s'",
            "jwks = { url = 'https://a.example/k' }",
            "uses no public key",
        ),
    ];
    for (scheme, keys, says) in cases {
        let found = mistakes(&format!("{scheme}, {keys}"), "");
        match says {
            "" => assert_eq!(found, [""; 0], "{keys}"),
            says => assert!(found.iter().any(|mistake| mistake.contains(says)), "{keys}: {found:?}"),
        }
    }
}

#[test]
fn a_call_needs_a_proof_and_hosts() {
    let verify = "scheme = 'github', secret = 'hook'";
    let answer = |keys: &str| format!("[[route.answer]]\nwhen = {{ method = 'POST', present = ['json:/u'] }}\n{keys}");
    let call = "call = { url = '{json:/u}', hosts = ['sns.*.amazonaws.com'] }";
    assert_eq!(mistakes(verify, &answer(&format!("verified = true\n{call}"))), [""; 0]);
    let found = mistakes(verify, &answer(call));
    assert!(found.iter().any(|mistake| mistake.contains("needs verified = true")), "{found:?}");
    let found = mistakes(verify, &answer("verified = true\ncall = { url = '{json:/u}', hosts = [] }"));
    assert!(found.iter().any(|mistake| mistake.contains("an empty list")), "{found:?}");
}
