//! What a route with a provider becomes, and where its mistakes are.

use std::path::Path;

use crate::route::Route;
use crate::{Config, ConfigError, Secrets};

fn parse(route: &str) -> Result<Config, ConfigError> {
    let text = format!("[[route]]\n{route}\nplugin = \"a\"\n[plugin.a]\npath = \"a\"\n");
    let secret = |name: &str| (name.to_owned(), "k".to_owned());
    let secrets = ["acuity", "new", "old", "square"].map(secret);
    Config::parse(&text, Path::new("towpath.toml"), &Secrets::of(secrets))
}

/// `at: problem` of each mistake.
fn mistakes(route: &str) -> Vec<String> {
    match parse(route) {
        Err(ConfigError::Mistakes { mistakes, .. }) => {
            mistakes.iter().map(|mistake| format!("{}: {}", mistake.at, mistake.problem)).collect()
        }
        other => panic!("expected mistakes, not {other:?}"),
    }
}

fn with_route<T>(route: &str, read: impl FnOnce(&Route) -> T) -> T {
    let config = parse(route).unwrap_or_else(|error| panic!("{route}: {error}"));
    read(config.routes.iter().next().expect("a route"))
}

fn secrets(route: &str) -> Vec<String> {
    with_route(route, |route| route.verify.iter().flat_map(|verify| verify.secret_names()).map(str::to_owned).collect())
}

fn group(route: &str) -> String {
    with_route(route, |route| route.group.as_str().to_owned())
}

const URL: &str = "https://hooks.example.com/hooks/sq";

#[test]
fn a_provider_gives_everything_but_path_and_plugin() {
    let route = "path = 'sq'\nprovider = { name = 'square', url = 'https://hooks.example.com/hooks/sq' }";
    assert_eq!(secrets(route), ["square"]);
    assert_eq!(group("path = 'acuity'\nprovider = 'acuity'"), "acuity/{form:id}");
    assert_eq!(
        with_route(route, |route| route.dedup.as_ref().map(ToString::to_string)).as_deref(),
        Some("json:/event_id")
    );
}

#[test]
fn a_secret_has_the_providers_name_or_those_that_are_given() {
    assert_eq!(secrets("path = 'a'\nprovider = 'acuity'"), ["acuity"]);
    assert_eq!(secrets("path = 'a'\nprovider = { name = 'acuity', secret = 'new' }"), ["new"]);
    assert_eq!(secrets("path = 'a'\nprovider = { name = 'acuity', secret = ['new', 'old'] }"), ["new", "old"]);
}

#[test]
fn what_the_route_says_wins_key_by_key() {
    let order = "path = 'a'\nprovider = 'acuity'\norder = 'json:/own'";
    assert_eq!(group(order), "a/{json:/own}");
    assert_eq!(group("path = 'a'\nprovider = 'acuity'\ngroup = 'own'"), "own");
    assert_eq!(secrets("path = 'a'\nprovider = 'acuity'\nverify = { secret = 'old' }"), ["old"]);
    let own = "path = 'a'\nprovider = 'acuity'\nverify = { scheme = 'github', secret = 'old' }";
    assert_eq!(secrets(own), ["old"], "keys of another scheme are not mixed in");
    let later = "path = 'a'\nprovider = 'acuity'\nverify = { at = 'pipeline' }";
    assert_eq!(with_route(later, |route| route.verify.as_ref().map(|verify| verify.at_ingest)), Some(false));
}

#[test]
fn keys_of_verify_go_into_each_way_of_a_provider_that_has_several() {
    let route = "path = 'a'\nprovider = { name = 'cloudinary', secret = 'new' }\nverify = { tolerance = 'TIME', secret = 'old' }";
    assert_eq!(secrets(&route.replace("TIME", "1m")), ["old", "old"]);
    assert_eq!(mistakes(&route.replace("TIME", "1d")), ["route[0].verify.tolerance: must be between 1s and 3h"]);
}

#[test]
fn order_is_the_value_behind_the_path() {
    assert_eq!(group("path = 'a/b'\norder = 'header:x-id'"), "a/b/{header:x-id}");
    assert_eq!(mistakes("path = 'a'\norder = 'json:/id'\ngroup = 'a'"), ["route[0].order: cannot stand beside group"]);
    assert_eq!(mistakes("path = 'a'\norder = 5"), ["route[0].order: invalid type: integer, expected text"]);
    assert_eq!(mistakes("path = 'a'\norder = 'a/{json:/id}'"), ["route[0].order: \"a/{json:/id}\" is a template"]);
    assert_eq!(
        mistakes("path = 'a'\norder = 'json:id'"),
        ["route[0].order: \"id\" is not a JSON pointer: it must begin with /"]
    );
}

#[test]
fn the_group_has_the_named_segments_of_the_path_and_is_one_without_an_order() {
    let group = super::super::expand::group;
    assert_eq!(group("/tenants/{tenant}/crm/", Some("json:/id")), "tenants/{path:tenant}/crm/{json:/id}");
    assert_eq!(group("files/*", None), "files/all");
    assert_eq!(group("a", None), "a/all");
}

#[test]
fn a_mistake_is_shown_where_the_user_wrote_what_it_follows_from() {
    let url = format!("url = '{URL}'");
    let cases: [(&str, &[&str]); 10] = [
        ("provider = 'acuty'", &["route[0].provider: there is no provider \"acuty\""]),
        ("provider = 5", &["route[0].provider: names no provider"]),
        ("provider = { secret = 'new' }", &["route[0].provider: names no provider"]),
        ("provider = 'square'", &["route[0].provider: \"square\" needs \"url\""]),
        (
            "provider = { name = 'square', url = 'http://a' }",
            &["route[0].provider.url: \"http://a\" is not an https URL"],
        ),
        (
            "provider = { name = 'square', url = 5 }",
            &["route[0].provider.url: invalid type: integer, expected text, or a list of texts"],
        ),
        (
            "provider = { name = 'square', URL, ulr = 'a' }",
            &["route[0].provider.ulr: \"square\" has no such parameter"],
        ),
        (
            "provider = { name = 'acuity', secret = ['new', 'none'] }",
            &["route[0].provider.secret[1]: the secret \"none\" is not set"],
        ),
        ("provider = 'nmi'", &["route[0].provider: the secret \"nmi\" is not set"]),
        ("provider = 'acuity'\nverify = { encoding = 'no' }", &["route[0].verify.encoding: unknown variant `no`"]),
    ];
    for (route, expected) in cases {
        assert_eq!(mistakes(&format!("path = 'a'\n{}", route.replace("URL", &url))), expected, "{route}");
    }
    let long = format!("path = '{}'\nprovider = 'acuity'", "a".repeat(120));
    assert_eq!(mistakes(&long).len(), 1);
    assert!(
        mistakes(&long)[0].starts_with("route[0].provider: order: the template can expand"),
        "{:?}",
        mistakes(&long)
    );
}

#[test]
fn an_unknown_provider_has_a_suggestion_and_a_line() {
    let Err(ConfigError::Mistakes { mistakes, .. }) = parse("path = 'a'\nprovider = 'acuty'") else {
        panic!("it has mistakes")
    };
    assert_eq!(mistakes[0].line, Some(3));
    assert!(mistakes[0].hint.starts_with("did you mean \"acuity\"? "), "{}", mistakes[0].hint);
}
