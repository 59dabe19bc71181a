mod access;
mod admission;
mod agreement;
mod archive;
mod console;
mod direct;
mod fetched;
mod forward;
mod stream;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::plugin::Code;
use crate::registry::Reference;
use crate::route::OnDeadLetter;
use crate::route::OnMissingKey;
use towpath_types::queue::GroupId;

fn parse(text: &str) -> Result<Config, ConfigError> {
    let secrets = Secrets::of([("sss-token".to_owned(), "t".to_owned()), ("hook".to_owned(), "k".to_owned())]);
    Config::parse(text, Path::new("conf/towpath.toml"), &secrets)
}

/// `at: problem` of every mistake.
fn mistakes(text: &str) -> Vec<String> {
    match parse(text) {
        Err(ConfigError::Mistakes { mistakes, .. }) => {
            mistakes.iter().map(|Mistake { at, problem, .. }| format!("{at}: {problem}")).collect()
        }
        other => panic!("expected mistakes, not {other:?}"),
    }
}

const GOOD: &str = r#"
    [[route]]
    path = "approval"
    group = "approval/{json:/workflow/id}"
    dedup = "header:X-Event-Id"
    on_missing_key = "refuse"
    plugin = "approval"
    verify = { scheme = "hmac-sha256", header = "X-Signature", secret = "hook" }
    on_dead_letter = "block"
    max_age = "3d"

    [plugin.approval]
    path = "plugins/approval"
    limits = { memory = "32MiB", fuel = 1_000_000, timeout = "1s" }
    config = { team = "west", levels = [1, 2] }
    secrets = ["hook"]

    [target.sss]
    url = "https://sss.example/api"
    auth = { scheme = "bearer", secret = "sss-token" }
    timeout = "5s"
    retry = { on = ["404", "5xx"], base = "1s", cap = "1m" }
"#;

#[test]
fn a_whole_config_is_read() {
    let config = parse(GOOD).expect("config");
    let route = config.routes.by_group(&GroupId::from("approval/W-1")).expect("route");
    assert_eq!((route.mapping.plugin(), route.on_dead_letter), (Some("approval"), OnDeadLetter::Block));
    assert_eq!(route.max_age, Duration::from_secs(3 * 24 * 3600));
    assert_eq!(route.on_missing_key, OnMissingKey::Refuse);
    let plugin = &config.plugins["approval"];
    assert_eq!(plugin.code.path(), Some(Path::new("conf/plugins/approval")));
    assert_eq!(plugin.config, r#"{"levels":[1,2],"team":"west"}"#);
    assert_eq!((plugin.limits.memory, plugin.limits.fuel), (32 * 1024 * 1024, 1_000_000));
    let target = &config.targets["sss"];
    assert!(target.retry_on.contains(404) && target.retry_on.contains(599) && !target.retry_on.contains(429));
    assert_eq!(config.ingest.body_limit, 1024 * 1024);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let text = format!("{:?}", parse(GOOD).expect("config"));
    assert!(text.contains("Secret(..)") && !text.contains("\"t\""), "{text}");
}

#[test]
fn all_mistakes_are_shown_at_once_with_their_key_paths() {
    let text = r#"
        [queue]
        url = "https://sqs.eu-west-1.amazonaws.com/1/plain"
        concurrency = 0
        [ingest]
        listen = "nowhere"
        prefix = "hooks/"
        [[route]]
        path = "a"
        group = "a/{json:id}"
        plugin = "crm"
        colour = "red"
        max_age = "soon"
        [[route]]
        path = "b"
        group = "b"
        plugin = "missing"
        verify = { scheme = "md5" }
        max_age = "30d"
        [[route]]
        path = "b"
        group = "b"
        [plugin.crm]
        path = "crm.wasm"
        sha256 = "abc"
        limits = { memory = "lots", timeout = "10m" }
        [target.sss]
        url = "ftp://sss"
        retry = { on = ["200", "5xx"], base = "0s" }
        [target.inner]
        url = "http://10.0.0.1/api?x=1"
        auth = [{ scheme = "bearer", secret = "nobody" }, { scheme = "basic", secret = 5 }]
        timeout = 10
        [targets.sss]
        url = "https://sss.example"
    "#;
    let expected = [
        "ingest.listen: invalid socket address syntax",
        "ingest.prefix: \"hooks/\" is not a path such as \"/hooks\"",
        "route[0].colour: unknown field `colour`",
        "route[0].group: \"id\" is not a JSON pointer: it must begin with /",
        "route[0].max_age: \"soon\" is not a duration such as \"10s\", \"15m\" or \"3d\": expected number at 0",
        "route[1].verify.scheme: unknown variant `md5`",
        "route[1].plugin: there is no plugin \"missing\"",
        "route[1].max_age: must be between 1m and 13d",
        "route[2].plugin: missing, and so is target",
        "route[2].path: \"b\" is also the path of route[1]",
        "route[2].group: \"b\" overlaps with \"b\" of route[1]",
        "plugin.crm.sha256: not 64 hex digits",
        "plugin.crm.limits.memory: invalid value: string \"lots\"",
        "plugin.crm.limits.timeout: must be between 10ms and 60s",
        "targets: unknown table",
        "queue.url: \"https://sqs.eu-west-1.amazonaws.com/1/plain\" is not a FIFO queue: its name must end in .fifo",
        "queue.dead_letter_url: missing",
        "queue.concurrency: 0 is not in 1–1000",
        "target.sss.url: \"ftp://sss\" is not an http or https URL",
        "target.sss.retry.on[0]: \"200\" is not a status from 3xx to 5xx",
        "target.sss.retry: base must be positive, and cap must not be smaller than base",
        "target.inner.timeout: invalid type: integer `10`",
        "target.inner.auth[0].secret: the secret \"nobody\" is not set",
        "target.inner.auth[1].secret: invalid type: integer `5`",
        "target.inner.auth[1]: missing field `user`",
        "target.inner.url: a base URL must not have a user, password, query or fragment",
        "target.inner.url: \"http://10.0.0.1/api?x=1\" is a private or local address",
    ];
    let found = mistakes(text);
    for mistake in expected {
        assert!(found.iter().any(|found| found == mistake), "missing: {mistake}\nfound: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_mistake_has_its_line_and_a_suggestion() {
    let text = "[[route]]\npath = 'a'\ngruop = 'a'\ngroup = 'a'\nplugin = 'crn'\nverify = { scheme = 'gitlab' }\n\n\
        [plugin.crm]\npath = 'p'\n[tagret.sss]\nurl = 'https://sss.example'\n";
    let Err(ConfigError::Mistakes { mistakes, .. }) = parse(text) else { panic!("it has mistakes") };
    let found =
        |at: &str| mistakes.iter().find(|mistake| mistake.at == at).unwrap_or_else(|| panic!("{at}: {mistakes:#?}"));
    for (at, line, hint) in [
        ("route[0].gruop", 3, "did you mean \"group\"? expected one of"),
        ("route[0].plugin", 5, "did you mean \"crm\"? known are: crm"),
        ("route[0].verify.scheme", 6, "did you mean \"github\"? expected one of"),
        ("tagret", 10, "did you mean \"target\"? known are"),
    ] {
        assert_eq!(found(at).line, Some(line), "{at}");
        assert!(found(at).hint.starts_with(hint), "{at}: {}", found(at).hint);
    }
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
}

#[test]
fn values_are_checked_against_their_ranges() {
    let text = r#"
        [ingest]
        body_limit = "2MiB"
        prefix = "hooks/"
        [[route]]
        path = "a"
        group = "a/{json:id}"
        plugin = "crm"
        [[route]]
        path = "b"
        group = "b/{json:/id}"
        plugin = "missing"
        dedup = "id"
        max_age = "30d"
        [[route]]
        path = "b"
        group = "b/1"
        plugin = "crm"
        [plugin.crm]
        path = "crm.wasm"
        sha256 = "abc"
        limits = { timeout = "10m", fuel = 0 }
    "#;
    let expected = [
        "ingest.prefix: \"hooks/\" is not a path such as \"/hooks\"",
        "ingest.body_limit: 2097152 bytes do not fit into a message",
        "route[0].group: \"id\" is not a JSON pointer: it must begin with /",
        "route[1].plugin: there is no plugin \"missing\"",
        "route[1].max_age: must be between 1m and 13d",
        "route[1].dedup: \"id\" is not a source: use json:/POINTER, header:NAME, query:NAME, form:NAME, xml:/PATH, raw:/POINTER, body, or another of docs/configure.md#values",
        "route[2].path: \"b\" is also the path of route[1]",
        "route[2].group: \"b/1\" overlaps with \"b/{json:/id}\" of route[1]",
        "plugin.crm.sha256: not 64 hex digits",
        "plugin.crm.limits.timeout: must be between 10ms and 60s",
        "plugin.crm.limits.fuel: must be positive",
    ];
    let found = mistakes(text);
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn garbage_is_an_error_and_never_a_panic() {
    for text in ["[", "= 1", "route = 5", "[route]\npath = 1", "plugin = []", "[[queue]]", "\u{0}", "[target]\nx = 1"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert!(matches!(parse("[queue"), Err(ConfigError::Syntax { .. })));
    for empty in ["", "\n", "# nothing yet\n"] {
        assert_eq!(mistakes(empty), ["conf/towpath.toml: the file is empty"], "{empty:?}");
    }
}

#[test]
fn keys_are_selected_by_pointer_and_required() {
    let route = |key: &str| {
        format!("[[route]]\npath = \"a\"\ngroup = \"a\"\nplugin = \"a\"\n{key}\n[plugin.a]\npath = \"a\"\n")
    };
    let config = parse(&route("")).expect("config");
    assert_eq!(config.routes.iter().next().map(|route| route.on_missing_key), Some(OnMissingKey::Fallback));
    let cases = [
        ("dedup = \"json:/a~b\"", "route[0].dedup: \"/a~b\" is not a JSON pointer: write ~0 for ~ and ~1 for /"),
        ("on_missing_key = \"drop\"", "route[0].on_missing_key: unknown variant `drop`"),
    ];
    for (key, mistake) in cases {
        assert_eq!(mistakes(&route(key)), [mistake]);
    }
}

#[test]
fn holds_breakers_and_parking_are_checked_against_the_queue() {
    let queue = "[queue]\nurl = \"https://sqs.x.amazonaws.com/1/a.fifo\"\ndead_letter_url = \"https://sqs.x.amazonaws.com/1/b.fifo\"\n";
    let route =
        "[[route]]\npath = \"a\"\ngroup = \"a\"\nplugin = \"a\"\non_dead_letter = \"park\"\n[plugin.a]\npath = \"a\"\n";
    let holds = "[holds]\nurl = \"s3://bucket/holds.json\"\n";
    let target = "[target.sss]\nurl = \"https://sss.example\"\nbreaker = { failures = 3, base = \"1m\" }\n";
    assert_eq!(mistakes(&format!("{queue}{route}")), ["route[0].on_dead_letter: \"park\" does not work with SQS"]);
    assert_eq!(mistakes(holds), ["holds.url: is for SQS queues only"]);
    assert_eq!(mistakes(target), ["target.sss.breaker: base must be positive, and cap must not be smaller than base"]);
    let wrong = holds.replace("holds.json", "");
    assert!(mistakes(&format!("{queue}{wrong}"))[0].starts_with("holds.url: \"s3://bucket/\" is not an object"));
    let good = format!("{queue}{holds}{}", target.replace("1m", "5s"));
    let config = parse(&good).expect("config");
    assert_eq!(config.holds.map(|url| url.to_string()).as_deref(), Some("s3://bucket/holds.json"));
    assert_eq!(config.targets["sss"].breaker.failures, 3);
    assert!(parse(route).is_ok(), "the local queue can tell its groups");
}

const REGISTRY: &str = r#"
    [registry]
    url = "s3://bucket/plugins/"
    [secrets]
    prefix = "towpath/"
    [[route]]
    path = "crm"
    group = "crm"
    plugin = "crm"
    shadow = "crm@candidate"
    canary = "2.5%"
    [plugin.crm]
    limits = { fuel = 7 }
    [target.sss]
    url = "https://sss.example"
"#;

#[test]
fn plugins_without_a_path_come_from_the_registry_with_their_candidates() {
    let config = parse(REGISTRY).expect("config");
    assert_eq!(config.registry.expect("registry").url.to_string(), "s3://bucket/plugins");
    assert_eq!(config.secrets_prefix.as_deref(), Some("towpath/"));
    let live = &config.plugins["crm"];
    let candidate = &config.plugins["crm@candidate"];
    assert_eq!(live.code, Code::Registry(Reference::new("crm", "current")));
    assert_eq!(candidate.code, Code::Registry(Reference::new("crm", "candidate")));
    assert_eq!((live.optional, candidate.optional, candidate.limits.fuel), (false, true, 7));
    let key = crate::registry::PublicKey::of([7; 32]);
    let floored = REGISTRY.replace("[registry]", &format!("[registry]\npublic_key = \"{key}\""));
    let floored = parse(&floored.replace("[plugin.crm]", "[plugin.crm]\nmin_sequence = 7")).expect("config");
    assert_eq!(floored.plugins["crm@candidate"].min_sequence, 7, "an old candidate is no way in");
    let pinned = REGISTRY.replace("[plugin.crm]", "[plugin.crm]\nversion = \"1.0.0-abc\"");
    assert_eq!(parse(&pinned).expect("config").plugins["crm"].code, Code::Registry(Reference::new("crm", "1.0.0-abc")));
}

#[test]
fn an_impossible_registry_reference_is_a_mistake() {
    let cases = [
        (
            REGISTRY.replace("s3://bucket/plugins/", "s3://bucket"),
            "registry.url: \"s3://bucket\" is not a registry such as",
        ),
        (REGISTRY.replace("s3:", "https:"), "registry.url: \"https://bucket/plugins/\" is neither a folder nor a URL"),
        (REGISTRY.replace("[registry]", "[registry]\npublic_key = \"x\""), "registry.public_key: not an Ed25519"),
        (
            REGISTRY.replace("[plugin.crm]", "[plugin.crm]\nmin_sequence = 7"),
            "plugin.crm.min_sequence: this plugin has no signed pointer",
        ),
        (REGISTRY.replace("url = \"s3://bucket/plugins/\"", ""), "plugin.crm.path: missing"),
        (
            REGISTRY.replace("[plugin.crm]", "[plugin.crm]\npath = \"x\"\nversion = \"1\""),
            "plugin.crm.version: conflicts with path",
        ),
        (
            REGISTRY.replace("[plugin.crm]", "[plugin.crm]\nversion = \"../1\""),
            "plugin.crm.version: crm@../1 is not a valid name",
        ),
        (REGISTRY.replace("2.5%", "2.5"), "route[0].canary: \"2.5\" is not a share"),
        (REGISTRY.replace("crm@candidate", "erp@candidate"), "route[0].shadow: there is no plugin \"erp\""),
        (REGISTRY.replace("crm@candidate", "crm@a/b"), "route[0].shadow: \"crm@a/b\" is not a plugin with a version"),
    ];
    for (text, expected) in cases {
        let found = mistakes(&text);
        assert!(found.iter().any(|mistake| mistake.starts_with(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn a_config_may_be_json() {
    let table: toml::Table = REGISTRY.parse().expect("toml");
    let text = serde_json::to_string(&table).expect("json");
    let config = Config::parse(&text, Path::new("towpath.json"), &Secrets::of([])).expect("config");
    assert_eq!(config.plugins.len(), 2);
    let broken = Config::parse("{", Path::new("s3://bucket/towpath.json"), &Secrets::of([])).expect_err("no JSON");
    assert!(matches!(broken, ConfigError::Syntax { format: "JSON", .. }), "{broken}");
}

#[test]
fn headers_used_by_keys_and_verification_are_required_in_every_spelling() {
    let text = r#"
        [[route]]
        path = "crm"
        group = "crm/{header:X-Tenant}"
        dedup = "header:X-Event-Id"
        plugin = "crm"
        verify = { scheme = "github", secret = "hook" }
        [plugin.crm]
        path = "crm.wasm"
    "#;
    let config = parse(text).expect("it is sound");
    let route = config.routes.by_path("crm").expect("the route");
    for name in ["x-tenant", "X-TENANT", "x-event-id", "X-Hub-Signature-256", "x-hub-signature-256"] {
        assert!(route.needs_header(name), "{name}");
    }
    assert!(!route.needs_header("content-type"));
}

#[test]
fn keys_and_tokens_that_prove_little_are_mistakes() {
    let route = |verify: &str| {
        format!(
            "[plugin.p]\npath = 'p'\n[target.x]\nurl = 'https://x.example'\n[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\nverify = {{ {verify} }}"
        )
    };
    let rsa = |hex: String| {
        route(&format!("scheme = 'signature', signature = 'header:s', algorithm = 'rsa-sha256', public_key = '{hex}'"))
    };
    let found = mistakes(&rsa(format!("308189{}", "0".repeat(2 * 137))));
    assert!(
        found.len() == 1 && found[0].contains("route[0].verify.public_key: it is an RSA key of less than 2048 bits"),
        "{found:?}"
    );
    assert!(parse(&rsa(format!("3082010a{}", "0".repeat(2 * 266)))).is_ok());
    let jwt = |age: &str| {
        route(&format!(
            "scheme = 'jwt', algorithms = ['HS256'], secret = 'hook', body_unsigned = true, max_age = '{age}'"
        ))
    };
    for age in ["0s", "25h", "3000d"] {
        assert_eq!(mistakes(&jwt(age)), ["route[0].verify.max_age: must be between 1s and 24h"], "{age}");
    }
    assert!(parse(&jwt("24h")).is_ok());
}
