use towpath_config::{Config, Secrets};

use super::*;

#[test]
fn a_derived_webhook_id_is_the_same_in_every_version() {
    let text = r#"
        [[route]]
        path = "crm"
        group = "crm/{json:/customer}"
        dedup = "json:/id"
        plugin = "crm"
        [plugin.crm]
        path = "crm.wasm"
    "#;
    let config = Config::parse(text, "towpath.toml".as_ref(), &Secrets::placeholders()).expect("it is sound");
    let body = br#"{"customer":"a","id":"e1"}"#.to_vec();
    let route = config.routes.by_path("crm").expect("the route");
    let keys = keys(route, &Webhook { headers: Vec::new(), body, ..Webhook::default() });
    assert_eq!(keys.dedup.map(|dedup| dedup.webhook_id).as_deref(), Some("msg_8adb72620558a90d15eb1548d53ccbaf"));
}

/// What a plugin sees of this body, on a route with these keys.
fn shown_of(keys: &str, content_type: &str, body: &str) -> String {
    let text = format!("[[route]]\npath = 'a'\ngroup = 'a'\nplugin = 'p'\n{keys}\n[plugin.p]\npath = 'p'\n");
    let config = Config::parse(&text, "towpath.toml".as_ref(), &Secrets::placeholders()).expect("it is sound");
    let headers = vec![("content-type".to_owned(), content_type.as_bytes().to_vec())];
    let webhook = Webhook { headers, body: body.as_bytes().to_vec(), ..Webhook::default() };
    let shown = shown(config.routes.by_path("a").expect("the route"), &webhook).expect("it is small");
    String::from_utf8(shown.into_owned().body).expect("text")
}

#[test]
fn the_payload_of_a_token_is_the_event() {
    // {"alg":"HS256"} . {"id":7} . nothing that is checked here
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6N30.c2ln";
    let verify = |place: &str| {
        format!(
            "verify = {{ scheme = 'jwt', token = '{place}', algorithms = ['HS256'], secret = 's', body_unsigned = true }}"
        )
    };
    let whole = format!("unwrap = 'body|jwt-payload'\n{}", verify("body"));
    assert_eq!(shown_of(&whole, "application/jwt", token), r#"{"id":7}"#);
    let inside = format!("unwrap = 'json:/token|jwt-payload'\n{}", verify("json:/token"));
    assert_eq!(shown_of(&inside, "application/json", &format!(r#"{{"token":"{token}"}}"#)), r#"{"id":7}"#);
    for broken in ["eyJpZCI6N30", "a.eyJpZCI6N30", "a.!.c", "a.b.c.d"] {
        assert_eq!(shown_of(&whole, "application/jwt", broken), broken);
    }
}

#[test]
fn a_token_inside_of_what_is_unwrapped_is_hidden_there() {
    let keys =
        "unwrap = 'form:payload'\nverify = { scheme = 'token', token = 'form:payload|json:/token', secret = 's' }";
    let body = "payload=%7B%22token%22%3A%22s3cret%22%2C%22id%22%3A7%7D";
    assert_eq!(shown_of(keys, "application/x-www-form-urlencoded", body), r#"{"token":"***","id":7}"#);
}
