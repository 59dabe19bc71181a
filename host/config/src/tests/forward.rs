//! Routes without a plugin.

use std::path::Path;

use http::Method;

use super::{Config, Secrets, mistakes};
use crate::route::Mapping;

fn route(keys: &str) -> String {
    format!(
        "[[route]]\npath = 'in/{{tenant}}/*'\ngroup = 'a'\nallow_from = ['203.0.113.0/24']\n{keys}\n\
         [target.t]\nurl = 'https://t.example'\nauth = {{ scheme = 'header', name = 'x-door', secret = 'hook' }}\n\
         headers = {{ x-api-version = '3' }}\n"
    )
}

#[test]
fn a_route_forwards_to_a_target() {
    let keys =
        "target = 't'\nforward = { method = 'PUT', path = '/v1/{path:tenant}', headers = { x-a = '{query:a}' } }";
    let config = Config::parse(&route(keys), Path::new("towpath.toml"), &Secrets::placeholders()).expect("a config");
    let route = config.routes.iter().next().expect("a route");
    let Mapping::Forward(forward) = &route.mapping else { panic!("{:?}", route.mapping) };
    assert_eq!((forward.target.as_str(), &forward.method), ("t", &Some(Method::PUT)));
    assert_eq!(forward.path.as_ref().map(ToString::to_string).as_deref(), Some("/v1/{path:tenant}"));
    assert_eq!(forward.headers.len(), 1);
    let http = config.targets["t"].http().expect("http");
    assert_eq!(http.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-api-version"]);
}

#[test]
fn what_cannot_be_forwarded_is_a_mistake() {
    let forward = |keys: &str| route(&format!("target = 't'\nforward = {{ {keys} }}"));
    let header = |header: &str| forward(&format!("headers = {{ {header} }}"));
    let headers = |header: &str| route("target = 't'").replace("x-api-version = '3'", header);
    let verify = "verify = { scheme = 'token', token = 'query:key', secret = 'hook' }";
    let cases = [
        (route(""), "route[0].plugin: missing, and so is target"),
        (route("plugin = 'p'\ntarget = 't'"), "route[0].target: conflicts with plugin"),
        (route("target = 'tt'"), "route[0].target: there is no target \"tt\""),
        (route("plugin = 'p'\nforward = {}\n[plugin.p]\npath = 'p'"), "route[0].forward: needs target"),
        (route("target = 't'\nshadow = 'p'"), "route[0].shadow: conflicts with target"),
        (route("target = 't'\ncanary = '5%'"), "route[0].canary: conflicts with target"),
        (route("target = 't'\nmethods = ['POST', 'HEAD']"), "route[0].methods: HEAD cannot be forwarded"),
        (forward("method = 'OPTIONS'"), "route[0].forward.method: OPTIONS cannot be forwarded"),
        (forward("method = 'put'"), "route[0].forward.method: \"put\" is not a method"),
        (forward("colour = 'red'"), "route[0].forward.colour: unknown field"),
        (forward("path = 'v1'"), "route[0].forward.path: \"v1\" is not a path below"),
        (forward("path = '//v1'"), "route[0].forward.path: \"//v1\" is not a path below"),
        (forward("path = '/a/../b'"), "route[0].forward.path: \"/a/../b\" is not a path below"),
        (forward("path = '/a b'"), "route[0].forward.path: \"/a b\" is not a path below"),
        (forward("path = '/a#b'"), "route[0].forward.path: \"/a#b\" is not a path below"),
        (forward("path = '{path:tenant}'"), "route[0].forward.path: \"{path:tenant}\" is not a path below"),
        (forward("path = '/{path:other}'"), "route[0].forward.path: the route's path has no segment {other}"),
        (forward("path = '/{secret}'"), "route[0].forward.path: {secret} cannot be used here"),
        (
            forward(&format!("path = '/{{query:key}}' }}\n{verify}"))
                .replace("secret = 'hook' } }", "secret = 'hook' }"),
            "route[0].forward.path: {query:key} is the secret of verify",
        ),
        (header("host = 'a'"), "route[0].forward.headers.host: \"host\" is set only by the host"),
        (header("x-door = '{query:a}'"), "route[0].forward.headers.x-door: is set by the target \"t\""),
        (header("x-api-version = '4'"), "route[0].forward.headers.x-api-version: is set by the target \"t\""),
        (header("x-forwarded-for = '{query:a}'"), "route[0].forward.headers.x-forwarded-for: can change the path"),
        (
            header("authorization = 'Bearer a'"),
            "route[0].forward.headers.authorization: \"authorization\" looks like a secret",
        ),
        (
            headers("content-length = '1'"),
            "target.t.headers.content-length: \"content-length\" is set only by the host",
        ),
        (headers("content-type = 'a/b'"), "target.t.headers.content-type: \"content-type\" belongs to each request"),
        (headers("x-api-key = 'a'"), "target.t.headers.x-api-key: \"x-api-key\" looks like a secret"),
        (headers("x-door = 'a'"), "target.t.headers.x-door: is set by auth of this target"),
        (headers("x-a = \"a\\nb\""), "target.t.headers.x-a: the value has characters"),
        (headers("'x a' = 'b'"), "target.t.headers.x a: \"x a\" is not a header name"),
    ];
    for (text, says) in cases {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].starts_with(says), "{text}\nexpected {says}\n{found:#?}");
    }
}
