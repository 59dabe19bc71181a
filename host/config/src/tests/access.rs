//! Access: `verify` of routes, and targets.

use std::path::Path;

use super::{Config, ConfigError, Secrets, mistakes, parse};
use crate::Mistake;
use crate::target::Auth;

/// A config without its secrets.
fn unfilled(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("conf/towpath.toml"), &Secrets::placeholders())
}

/// A config with this `verify` and these keys in its target, besides its URL.
fn with(verify: &str, target: &str) -> String {
    format!(
        "[[route]]\npath = \"a\"\ngroup = \"a/x\"\nplugin = \"p\"\n{verify}\n[plugin.p]\npath = \"p\"\nsecrets = [\"hook\"]
        [target.t]\nurl = \"https://t.example\"\n{target}"
    )
}

#[test]
fn every_verification_scheme_is_read() {
    let cases = [
        "scheme = 'github', secret = 'hook', at = 'pipeline'",
        "scheme = 'shopify', secret = ['hook', 'sss-token']",
        "scheme = 'stripe', secret = 'hook', tolerance = '1m'",
        "scheme = 'stripe', secret = 'hook', header = 'Calendly-Webhook-Signature'",
        "scheme = 'slack', secret = 'hook'",
        "scheme = 'hubspot', secret = 'hook', url = 'https://hooks.example.com/hooks/a'",
        "scheme = 'standard-webhooks', secret = 'hook'",
        "scheme = 'hmac', secret = 'hook', header = 'x', algorithm = 'sha512', encoding = 'base64'",
        "scheme = 'hmac', secret = 'hook', header = 'x', timestamp = 'y', timestamp_unit = 'ms', signed = 'v0:{timestamp}:{body}'",
        "scheme = 'basic', user = 'u', secret = 'hook'",
        "scheme = 'bearer', secret = 'hook'",
        "scheme = 'header', name = 'X-Gitlab-Token', secret = 'hook'",
    ];
    for case in cases {
        let config =
            unfilled(&with(&format!("verify = {{ {case} }}"), "")).unwrap_or_else(|error| panic!("{case}: {error}"));
        let route = config.routes.iter().next().expect("route");
        let verification = route.verify.as_ref().expect(case);
        assert_eq!(verification.secrets().count(), if case.contains('[') { 2 } else { 1 }, "{case}");
        assert_eq!(verification.at_ingest, !case.contains("pipeline"), "{case}");
    }
}

#[test]
fn an_invalid_verification_is_reported() {
    let cases = [
        ("scheme = 'git', secret = 'hook'", "unknown variant `git`"),
        ("scheme = 'github'", "missing field `secret`"),
        ("scheme = 'github', secret = 'none'", "the secret \"none\" is not set"),
        ("scheme = 'github', secret = []", "an empty list"),
        ("scheme = 'github', secret = 1", "expected the name of a secret, or a list of names"),
        ("scheme = 'github', secret = 'hook', prefix = 'x'", "unknown field `prefix`"),
        ("scheme = 'github', secret = 'hook', at = 'door'", "unknown variant `door`"),
        ("scheme = 'slack', secret = 'hook', tolerance = '4h'", "must be between 1s and 3h"),
        ("scheme = 'hubspot', secret = 'hook', url = 'hooks.example.com'", "is not an https URL"),
        ("scheme = 'hmac', secret = 'hook', header = 'a b'", "is not a header name"),
        ("scheme = 'hmac', secret = 'hook', header = 'x', algorithm = 'md4'", "unknown variant `md4`"),
        ("scheme = 'hmac', secret = 'hook', header = 'x', signed = '{timestamp}'", "leaves out {body}"),
        (
            "scheme = 'hmac', secret = 'hook', header = 'x', signed = '{timestamp}.{body}'",
            "missing, although it is signed",
        ),
        (
            "scheme = 'hmac', secret = 'hook', header = 'x', timestamp = 'y', signed = '{body}'",
            "leaves out {timestamp}",
        ),
        ("scheme = 'hmac', secret = 'hook', header = 'x', tolerance = '1m'", "needs a timestamp"),
        ("scheme = 'basic', user = 'a:b', secret = 'hook'", "is not a valid user name"),
    ];
    for (case, says) in cases {
        let found = mistakes(&with(&format!("verify = {{ {case} }}"), ""));
        assert!(
            found.len() == 1 && found[0].starts_with("route[0].verify") && found[0].contains(says),
            "{case}: {found:?}"
        );
    }
}

#[test]
fn every_target_authentication_is_read() {
    let cases = [
        ("{ scheme = 'bearer', secret = 'hook' }", 1),
        ("{ scheme = 'basic', user = 'u', secret = 'hook' }", 1),
        ("{ scheme = 'header', name = 'x', secret = 'hook' }", 1),
        ("{ scheme = 'hmac', header = 'x', secret = ['hook', 'sss-token'] }", 1),
        ("{ scheme = 'standard-webhooks', secret = 'hook' }", 1),
        ("{ scheme = 'oauth2', token_url = 'https://id.example/token', client_id = 'c', secret = 'hook' }", 1),
        ("{ scheme = 'aws-sigv4', service = 'execute-api', region = 'eu-west-1' }", 1),
        ("[{ scheme = 'mtls', secret = 'hook' }, { scheme = 'bearer', secret = 'hook' }]", 1),
        ("[{ scheme = 'standard-webhooks', secret = 'hook' }, { scheme = 'bearer', secret = 'hook' }]", 2),
        ("[]", 0),
    ];
    for (case, schemes) in cases {
        let config = unfilled(&with("", &format!("auth = {case}"))).unwrap_or_else(|error| panic!("{case}: {error}"));
        let target = &config.targets["t"];
        let target = target.http().expect("http");
        assert_eq!((target.auth.len(), target.reach.identity.is_some()), (schemes, case.contains("mtls")), "{case}");
    }
}

#[test]
fn an_invalid_target_is_reported() {
    let oauth2 = |url| format!("auth = {{ scheme = 'oauth2', token_url = '{url}', client_id = 'c', secret = 'hook' }}");
    let cases = [
        ("auth = { scheme = 'magic' }".to_owned(), "t.auth.scheme: unknown variant `magic`"),
        ("auth = [{ scheme = 'bearer' }]".to_owned(), "t.auth: missing field `secret`"),
        ("auth = 'bearer'".to_owned(), "t.auth: invalid type"),
        (
            "auth = [{ scheme = 'bearer', secret = 'hook' }, { scheme = 'basic', user = 'u', secret = 'hook' }]"
                .to_owned(),
            "t.auth[1]: the header \"authorization\" is already set by another scheme",
        ),
        (oauth2("http://id.example/token"), "t.auth.token_url: \"http://id.example/token\" is not https"),
        (oauth2("https://169.254.169.254/"), "t.auth.token_url: \"https://169.254.169.254/\" is a private"),
        ("auth = { scheme = 'aws-sigv4', service = '', region = 'x' }".to_owned(), "needs a service and a region"),
        ("auth = { scheme = 'hmac', header = 'x', signed = 'x', secret = 'hook' }".to_owned(), "leaves out {body}"),
        ("ca = 'none.pem'".to_owned(), "t.ca: cannot read conf/none.pem"),
        ("ca = '-----BEGIN CERTIFICATE-----'".to_owned(), "t.ca: contains no certificate"),
        ("proxy = 'localhost:3128'".to_owned(), "t.proxy: \"localhost:3128\" is not an http or https URL"),
        (oauth2("https://id.example/', ca = 'none.pem"), "t.auth.ca: cannot read conf/none.pem"),
        (oauth2("https://id.example/', proxy = 'localhost:3128"), "t.auth.proxy: \"localhost:3128\" is not an http"),
        (oauth2("https://id.example/', mtls = 'none"), "t.auth.mtls: the secret \"none\" is not set"),
        (oauth2("https://id.example/', identity = 'hook"), "t.auth.identity: unknown field `identity`"),
        ("connection_max_age = '0s'".to_owned(), "t.connection_max_age: must be between 1s and 24h"),
        ("connection_max_age = '2d'".to_owned(), "t.connection_max_age: must be between 1s and 24h"),
        ("concurrency = 0".to_owned(), "t.concurrency: must be between 1 and 1000"),
        ("rate = 0".to_owned(), "t.rate: must be between 0.01 and 100000"),
        ("rate = nan".to_owned(), "t.rate: must be between 0.01 and 100000"),
        ("rate = '10/s'".to_owned(), "t.rate: invalid type"),
        ("retry = { on = ['default', 200] }".to_owned(), "t.retry.on[1]: \"200\" is not a status from 3xx to 5xx"),
        ("retry = { on = [true] }".to_owned(), "t.retry.on[0]: expected a status such as 429"),
        ("breaker = { on = ['4xx', '404-401'] }".to_owned(), "t.breaker.on[1]: \"404-401\" is not a status"),
        ("plugin_secrets = ['other']".to_owned(), "t.plugin_secrets: no plugin has the secret \"other\""),
        ("plugin_headers = ['x-team']".to_owned(), "t.plugin_headers: \"x-team\" is always allowed"),
        (
            "plugin_headers = ['Host']".to_owned(),
            "t.plugin_headers: \"Host\" is set only by the host, never by a plugin",
        ),
        ("plugin_headers = ['x a']".to_owned(), "t.plugin_headers: \"x a\" is not a header name"),
    ];
    for (case, says) in cases {
        let found = mistakes(&with("", &case));
        assert!(found.len() == 1 && found[0].contains(says), "{case}: {found:?}");
    }
}

#[test]
fn a_private_address_is_found_in_every_spelling() {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "10.0.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "localhost.",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0.0.1",
    ];
    for host in hosts {
        let text = with("", "").replace("https://t.example", &format!("https://{host}/"));
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].contains("is a private or local address"), "{host}: {found:?}");
    }
}

#[test]
fn retry_and_breaker_statuses_have_short_forms() {
    let on = |keys: &str| {
        let config = parse(&with("", keys)).unwrap_or_else(|error| panic!("{keys}: {error}"));
        let target = &config.targets["t"];
        let in_both = |status: &u16| (target.retry_on.contains(*status), target.breaker_on.contains(*status));
        [401, 404, 429, 503].map(|status| in_both(&status))
    };
    let no = (false, false);
    let both = (true, true);
    let retried = (true, false);
    let counted = (false, true);
    assert_eq!(on(""), [no, no, both, both]);
    assert_eq!(on("retry = { on = ['default', 401, '403-404'] }"), [retried, retried, both, both]);
    assert_eq!(on("retry = { on = ['5xx'] }"), [no, no, no, both], "what is refused is no trouble of the target");
    assert_eq!(
        on("retry = { on = ['default', 404] }\nbreaker = { on = [404, 401] }"),
        [counted, both, retried, retried]
    );
    assert_eq!(on("breaker = { on = [] }"), [no, no, retried, retried]);
}

#[test]
fn a_token_endpoint_has_its_own_reach() {
    let oauth2 = |keys: &str| {
        let auth = "scheme = 'oauth2', token_url = 'https://10.0.0.1/', client_id = 'c', secret = 'hook'";
        with(
            "",
            &format!(
                "allow_private = true\nproxy = 'http://p.example'\nconnection_max_age = '7s'
            auth = [{{ {auth}{keys} }}, {{ scheme = 'mtls', secret = 'hook' }}]"
            ),
        )
    };
    let config = unfilled(&oauth2(", proxy = 'http://q.example'")).expect("a config");
    let target = &config.targets["t"];
    let target = target.http().expect("http");
    let [Auth::Oauth2(oauth)] = target.auth.as_slice() else { panic!("{:?}", target.auth) };
    assert!(oauth.reach.allow_private && oauth.reach.identity.is_none() && target.reach.identity.is_some());
    let proxies = [&target.reach, &oauth.reach].map(|reach| reach.proxy.as_ref().map(url::Url::as_str));
    assert_eq!(proxies, [Some("http://p.example/"), Some("http://q.example/")]);
    assert_eq!([target.reach.max_age, oauth.reach.max_age], [std::time::Duration::from_secs(7); 2]);
    let found = unfilled(&oauth2(", allow_private = false")).expect_err("a private address").to_string();
    assert!(found.contains("has 1 mistake") && found.contains("target.t.auth[0].token_url"), "{found}");
}

#[test]
fn an_answer_that_gives_something_away_is_reported() {
    let cases = [
        ("when = {}", "gives no condition"),
        ("when = { method = 'GET' }\nsecret = 'hook'\nbody = '{secret}'", "shows the secret"),
        ("when = { method = 'GET' }\nsecret = 'hook'\nbody = '{secret|hex}'", "shows the secret"),
        (
            "when = { method = 'GET' }\nsecret = 'hook'\nbody = '{query:a|unbase64|hmac-sha256|hex}'",
            "signs what a stranger",
        ),
        ("when = { method = 'GET' }\nbody = '{query:a|hmac-sha256|hex}'", "answer[0].secret: missing"),
        ("when = { method = 'GET' }\nsecret = 'hook'", "is not used"),
        ("when = { method = 'GET' }\nverified = true", "the route has no verify"),
        ("when = { method = 'GET' }\nstatus = 302", "is not a success"),
        ("when = { method = 'GET' }\nheaders = { Location = 'x' }", "cannot be set by an answer"),
        ("when = { method = 'GET' }\nbody = 'a'\njson = {}", "cannot stand beside body"),
        ("when = { method = 'FETCH' }", "is not a method"),
        ("when = { present = ['timestamp'] }", "cannot be used here"),
    ];
    for (answer, says) in cases {
        let draft = Config::draft(
            &format!(
                "[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n[[route.answer]]\n{answer}\n[plugin.p]\npath = 'p'\n"
            ),
            Path::new("towpath.toml"),
            &Secrets::placeholders(),
        );
        let mistakes: Vec<String> = draft
            .expect("TOML")
            .mistakes
            .iter()
            .map(|mistake| format!("{}: {}", mistake.at, mistake.problem))
            .collect();
        assert!(mistakes.iter().any(|mistake| mistake.contains(says)), "{answer}: {mistakes:?}");
    }
}

const LEARNING: &str = "verify = { scheme = 'github', secret = 'asana' }";
const KEEPS: &str = "when = { present = ['header:x-hook-secret'] }\nkeep = 'header:x-hook-secret'";

/// The mistakes of a config whose route `a` has this `verify` and answer, with more below it.
fn of_keep(verify: &str, answer: &str, more: &str) -> Vec<String> {
    let text = format!(
        "[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n{verify}\n[[route.answer]]\n{answer}\n{more}\n[plugin.p]\npath = 'p'\n"
    );
    let draft = Config::draft(&text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("TOML");
    let told = |mistake: &Mistake| format!("{}: {}; {}", mistake.at, mistake.problem, mistake.hint);
    draft.mistakes.iter().map(told).collect()
}

#[test]
fn an_answer_keeps_the_only_secret_of_its_route() {
    assert_eq!(of_keep(LEARNING, KEEPS, ""), [""; 0]);
    let two_ways =
        "verify = [{ scheme = 'github', secret = 'a' }, { scheme = 'token', token = 'header:x', secret = 'a' }]";
    assert_eq!(of_keep(two_ways, KEEPS, ""), [""; 0]);
    let other = "[[route]]\npath = 'b'\ngroup = 'b'\nplugin = 'p'\nverify = { scheme = 'github', secret = 'asana' }";
    let other_keeps = format!("{other}\n[[route.answer]]\n{KEEPS}");
    let cases = [
        ("", KEEPS, "", "route[0].answer[0].keep: the route has no verify"),
        (LEARNING, &format!("{KEEPS}\nverified = true"), "", "verified: cannot stand beside keep"),
        (LEARNING, &format!("{KEEPS}\ntoken = 'header:x'\nsecret = 's'"), "", "token: cannot stand beside keep"),
        (LEARNING, "when = { method = 'POST' }\nkeep = 'hook'", "", "keep: \"hook\" is not a source"),
        ("verify = { scheme = 'github', secret = ['a', 'b'] }", KEEPS, "", "keep needs exactly one secret"),
        ("verify = { scheme = 'github', secret = 'a-{header:t}' }", KEEPS, "", "secrets with fixed names"),
        ("verify = { scheme = 'github', secret = 'a#b' }", KEEPS, "", "cannot be the name of a secret that is kept"),
        ("verify = { scheme = 'github', secret = 'asana', at = 'pipeline' }", KEEPS, "", "needs at = \"ingest\""),
        (LEARNING, KEEPS, other_keeps.as_str(), "is the secret that route[0] keeps; each webhook has"),
        (LEARNING, KEEPS, other, "route[1].verify.secret: \"asana\" is the secret that route[0] keeps: whoever"),
    ];
    for (verify, answer, more, says) in cases {
        let found = of_keep(verify, answer, more);
        assert!(found.iter().any(|mistake| mistake.contains(says)), "{verify} {answer} {more}: {found:?}");
    }
}

#[test]
fn a_secret_that_is_not_learned_yet_is_no_mistake_and_one_in_the_environment_is_a_warning() {
    let folder = tempfile::TempDir::new().expect("folder");
    let text = format!(
        "[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n{LEARNING}\n[[route.answer]]\n{KEEPS}\n[plugin.p]\npath = 'p'\n"
    );
    let draft = |secrets: &Secrets| Config::draft(&text, &folder.path().join("towpath.toml"), secrets).expect("TOML");
    let unlearned = draft(&Secrets::of([]));
    assert_eq!((unlearned.mistakes, unlearned.warnings), (vec![], vec![]));
    let given = draft(&Secrets::of([("asana".to_owned(), "5257a869e7ecebeda32affa62cdca3fa".to_owned())]));
    assert_eq!(given.mistakes, []);
    assert!(
        given.warnings.iter().any(|warning| warning.problem.contains("is set in the environment")),
        "{:?}",
        given.warnings
    );
    let store = folder.path().join(".towpath/secrets");
    std::fs::create_dir_all(store.join("asana")).expect("a folder instead of a file");
    let unreadable = draft(&Secrets::of([])).mistakes;
    assert!(unreadable.iter().any(|mistake| mistake.problem.contains("cannot be read")), "{unreadable:?}");
}
