//! Contradictions, and configs that can never work.

use std::path::Path;

use super::{Config, Secrets, mistakes};

const ROUTE: &str =
    "[[route]]\npath = 'a'\ngroup = 'a'\nallow_from = ['203.0.113.0/24']\nplugin = 'p'\n[plugin.p]\npath = 'p'\n";
const TARGET: &str = "[target.t]\nurl = 'https://t.example'\n";

/// A config with these two queues.
fn queues(url: &str, dead: &str) -> String {
    format!("[queue]\nurl = '{url}'\ndead_letter_url = '{dead}'\n")
}

/// A config with this route, and with this in its target.
fn target(more: &str) -> String {
    format!("{ROUTE}{TARGET}{more}\n")
}

#[test]
fn a_contradiction_is_reported_once() {
    let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo";
    let dead = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead.fifo";
    let prefixed =
        |path: &str| format!("[ingest]\nprefix = ''\n{}", ROUTE.replace("path = 'a'", &format!("path = '{path}'")));
    let verify = |verify: &str| {
        ROUTE.replace("plugin = 'p'\n", &format!("plugin = 'p'\nverify = {{ {verify}, secret = 'hook' }}\n"))
    };
    let cases = [
        (queues(queue, queue), "queue.dead_letter_url: is the same queue as queue.url"),
        (
            queues(queue, "https://SQS.eu-west-1.amazonaws.com:443/123456789012/events.fifo"),
            "queue.dead_letter_url: is the same",
        ),
        (
            queues(queue, "https://eu-west-1.queue.amazonaws.com/123456789012/events.fifo"),
            "queue.dead_letter_url: is the same",
        ),
        (queues("arn:aws:sqs:eu-west-1:1:a.fifo", dead), "queue.url: \"arn:aws:sqs:eu-west-1:1:a.fifo\" is an ARN"),
        (queues("events.fifo", dead), "queue.url: \"events.fifo\" is not a URL"),
        (
            queues(queue, &dead.replace(".fifo", "")),
            "queue.dead_letter_url: \"https://sqs.eu-west-1.amazonaws.com/123456789012/dead\" is not a FIFO",
        ),
        (queues("https://sqs.${REGION}.amazonaws.com/1/a.fifo", dead), "queue.url: \"${REGION}\" in"),
        (prefixed("healthz"), "route[0].path: without ingest.prefix the host itself answers /healthz"),
        (prefixed("readyz/"), "route[0].path: without ingest.prefix the host itself answers /readyz"),
        (prefixed("metrics"), "route[0].path: without ingest.prefix the host itself answers /metrics"),
        ("[ingest]\nprefix = '/a//b'\n".to_owned(), "ingest.prefix: \"/a//b\" is not a path"),
        ("[ingest]\nprefix = '/a b'\n".to_owned(), "ingest.prefix: \"/a b\" is not a path"),
        (ROUTE.replace("path = 'a'", "path = 'a/./b'"), "route[0].path: \"a/./b\" is not a path"),
        (ROUTE.replace("plugin = 'p'\n", "plugin = 'p'\nmax_age = '14d'\n"), "route[0].max_age: must be between"),
        (ROUTE.replace("plugin = 'p'\n", "plugin = 'p'\nshadow = 'p'\n"), "route[0].shadow: is the route's own plugin"),
        (verify("scheme = 'slack', tolerance = '0s'"), "route[0].verify.tolerance: must be between 1s and 3h"),
        (verify("scheme = 'slack', tolerance = '10ms'"), "route[0].verify.tolerance: must be between 1s and 3h"),
        (
            verify("scheme = 'hmac', header = 'x', timestamp = 'X'"),
            "route[0].verify.timestamp: is the header of the signature",
        ),
        (
            verify("scheme = 'hmac', header = 'x', prefix = 'v1, '"),
            "route[0].verify.prefix: \"v1, \" cannot be the prefix",
        ),
        (verify("scheme = 'basic', user = ''"), "route[0].verify.user: empty"),
        (verify("scheme = 'hubspot', url = 'https://${HOST}/a'"), "route[0].verify.url: \"${HOST}\" in"),
        (
            ROUTE.replace("[plugin.p]", "[plugin.p]\nlimits = { memory = '0B' }"),
            "plugin.p.limits.memory: must be between",
        ),
        (
            format!("{ROUTE}[plugin.'p@candidate']\npath = 'p'\n"),
            "plugin.p@candidate: \"p@candidate\" is not a valid plugin name",
        ),
        (target("retry = { cap = '13h' }"), "target.t.retry.cap: must be at most 12h"),
        (
            target("retry = { base = '10m', cap = '5m' }"),
            "target.t.retry: base must be positive, and cap must not be smaller",
        ),
        (target("breaker = { cap = '1d' }"), "target.t.breaker.cap: must be at most 12h"),
        (target("breaker = { base = '1m', cap = '1s' }"), "target.t.breaker: base must be positive"),
        (
            target("auth = { scheme = 'header', name = 'Host', secret = 'hook' }"),
            "target.t.auth.name: the header \"host\" cannot",
        ),
        (
            target("auth = { scheme = 'header', name = 'webhook-id', secret = 'hook' }"),
            "target.t.auth.name: the header \"webhook-id\"",
        ),
        (
            target("auth = { scheme = 'hmac', header = 'x', prefix = \"a\\n\", secret = 'hook' }"),
            "target.t.auth.prefix: \"a\\n\" is not allowed",
        ),
        (
            target("auth = { scheme = 'hmac', header = 'x', secret = ['hook', 'hook'] }"),
            "target.t.auth.secret[1]: \"hook\" is listed twice",
        ),
        (
            target("auth = { scheme = 'oauth2', token_url = 'https://id.example', client_id = '', secret = 'hook' }"),
            "target.t.auth.client_id: \"\" is not a valid",
        ),
        (
            target("").replace("https://t.example", "https://${HOST}/api"),
            "target.t.url: \"${HOST}\" in \"https://${HOST}/api\" was not expanded",
        ),
        (target("").replace("https://t.example", "https://$HOST/api"), "target.t.url: \"$HOST\" in"),
        (target("proxy = 'http://{{ proxy }}:3128'"), "target.t.proxy: \"{{ proxy }}\" in"),
        (
            target("allow_private = true").replace("https://t.example", "http://localhost:8080/x"),
            "target.t.url: is the address that ingest listens on",
        ),
        (format!("[secrets]\nprefix = '${{STAGE}}/'\n{ROUTE}"), "secrets.prefix: \"${STAGE}\" in"),
    ];
    for (text, says) in cases {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].starts_with(says), "{says}\n{text}\n{found:#?}");
    }
    let short =
        ROUTE.replace("plugin = 'p'\n", "plugin = 'p'\nmax_age = '5m'\n") + TARGET + "retry = { base = '10m' }\n";
    assert_eq!(mistakes(&short), ["target.t.retry.base: is not shorter than the max_age of any route"]);
}

#[test]
fn an_unusable_secret_is_a_mistake_that_names_but_never_shows_it() {
    let secrets =
        [("lines", "planted\nvalue"), ("text", "planted value!"), ("empty", "\n"), ("good", "whsec_cGxhbnRlZA==\n")];
    let secrets = Secrets::of(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let parse = |text: &str| Config::parse(text, Path::new("towpath.toml"), &secrets);
    let verify = |verify: &str| ROUTE.replace("plugin = 'p'\n", &format!("plugin = 'p'\nverify = {{ {verify} }}\n"));
    for (text, at) in [
        (target("auth = { scheme = 'bearer', secret = 'lines' }"), "target.t.auth.secret: the secret \"lines\""),
        (
            target("auth = { scheme = 'basic', user = 'u', secret = 'lines' }"),
            "target.t.auth.secret: the secret \"lines\"",
        ),
        (
            target("auth = { scheme = 'header', name = 'x', secret = 'lines' }"),
            "target.t.auth.secret: the secret \"lines\"",
        ),
        (
            target("auth = { scheme = 'standard-webhooks', secret = ['good', 'text'] }"),
            "target.t.auth.secret[1]: the secret \"text\"",
        ),
        (target("auth = { scheme = 'mtls', secret = 'text' }"), "target.t.auth.secret: the secret \"text\""),
        (
            target("auth = { scheme = 'oauth2', token_url = 'https://id.example', client_id = 'c', secret = 'lines' }"),
            "target.t.auth.secret: the secret \"lines\"",
        ),
        (
            target("auth = { scheme = 'hmac', header = 'x', secret = 'empty' }"),
            "target.t.auth.secret: the secret \"empty\"",
        ),
        (
            verify("scheme = 'standard-webhooks', secret = ['text', 'good']"),
            "route[0].verify.secret[0]: the secret \"text\"",
        ),
        (verify("scheme = 'bearer', secret = 'lines'"), "route[0].verify.secret: the secret \"lines\""),
        (verify("scheme = 'header', name = 'x', secret = 'lines'"), "route[0].verify.secret: the secret \"lines\""),
        (verify("scheme = 'github', secret = 'empty'"), "route[0].verify.secret: the secret \"empty\""),
        (ROUTE.replace("[plugin.p]", "[plugin.p]\nsecrets = ['lines']"), "plugin.p.secrets[0]: the secret \"lines\""),
    ] {
        let error = parse(&text).expect_err(at).to_string();
        assert!(error.contains(&format!("{at} cannot be used: ")), "{at}: {error}");
        assert!(!error.contains("planted"), "{error}");
    }
    let good = parse(&target("auth = { scheme = 'standard-webhooks', secret = 'good' }"));
    assert!(good.is_ok(), "{good:?}");
}

#[test]
fn what_is_probably_unintended_is_only_a_warning() {
    let draft = |text: &str| Config::draft(text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("TOML");
    for (text, says) in [
        (TARGET.to_owned(), "route: there is no route"),
        (format!("{ROUTE}[plugin.q]\npath = 'q'\n"), "plugin.q: no route uses it"),
        (
            ROUTE.replace("plugin = 'p'\n", "plugin = 'p'\nunwrap = 'body|jwt-payload'\n"),
            "route[0].unwrap: the payload of a token is used, but nothing checks the token",
        ),
        (
            ROUTE.replace("[plugin.p]", "[plugin.p]\nsecrets = ['s']"),
            "plugin.p.secrets: no target accepts the secret \"s\"",
        ),
        (
            target("auth = { scheme = 'bearer', secret = 's' }").replace("https:", "http:"),
            "target.t.url: secrets are sent over plain http",
        ),
    ] {
        let draft = draft(&text);
        assert!(draft.mistakes.is_empty(), "{:#?}", draft.mistakes);
        let warnings: Vec<String> = draft.warnings.iter().map(|w| format!("{}: {}", w.at, w.problem)).collect();
        assert!(warnings.len() == 1 && warnings[0].starts_with(says), "{says}: {warnings:#?}");
    }
    assert!(draft(ROUTE).warnings.is_empty());
}
