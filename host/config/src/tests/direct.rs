//! `ingress = "direct"`.

use super::mistakes;

/// The mistakes of a config with SQS queues and a direct route that has these keys.
fn of_direct(keys: &str) -> Vec<String> {
    let sqs = "https://sqs.eu-west-1.amazonaws.com/123456789012";
    let (path, keys) = if keys.contains("path =") { ("", keys) } else { ("path = \"a\"\n", keys) };
    mistakes(&format!(
        "[queue]\nurl = \"{sqs}/events.fifo\"\ndead_letter_url = \"{sqs}/dead.fifo\"\n[target.x]\nurl = \"no URL\"\n\
         [plugin.p]\npath = \"p\"\n[[route]]\n{path}ingress = \"direct\"\nplugin = \"p\"\n{keys}"
    ))
    .into_iter()
    .filter(|mistake| !mistake.starts_with("target.x"))
    .collect()
}

#[test]
fn a_route_that_api_gateway_can_store_is_fine() {
    for keys in [
        "group = \"a/{json:/customer/id}-{header:x-shop}\"\ndedup = \"header:x-id\"",
        "group = \"a\"\nmethods = [\"POST\"]\ndedup = \"json:/data/id\"",
        "order = \"json:/id\"\nverify = { scheme = \"github\", secret = \"hook\", at = \"pipeline\" }",
    ] {
        assert_eq!(of_direct(keys), Vec::<String>::new(), "{keys}");
    }
}

#[test]
fn what_api_gateway_cannot_do_is_a_mistake_of_its_key() {
    let github = "group = \"a\"\nverify = { scheme = \"github\", secret = \"hook\"";
    let token =
        "group = \"a\"\nverify = { scheme = \"token\", token = \"query:token\", secret = \"hook\", at = \"pipeline\" }";
    let query = "group = \"a\"\nverify = { scheme = \"signature\", signature = \"header:x-sig\", signed = \"{query}{body}\", \
                 secret = \"hook\", at = \"pipeline\" }";
    let of_signature = |keys: &str| {
        format!(
            "group = \"a\"\nverify = {{ scheme = \"signature\", signature = \"header:x-sig\", {keys}, at = \"pipeline\" }}"
        )
    };
    let claim = "group = \"a\"\nverify = { scheme = \"jwt\", algorithms = [\"HS256\"], claims = { q = \"{query:k}\", b = \"{body}\" }, \
                 secret = \"hook\", at = \"pipeline\" }";
    for (keys, at) in [
        ("group = \"a\"\nmethods = [\"POST\", \"PUT\"]", "methods"),
        ("path = \"a/{tenant}\"\ngroup = \"a\"", "path"),
        ("path = \"a/*\"\ngroup = \"a\"", "path"),
        ("group = \"a\"\nack = { status = 200 }", "ack"),
        ("group = \"a\"\nallow_from = [\"10.0.0.0/8\"]", "allow_from"),
        ("group = \"a\"\nrate = 5", "rate"),
        ("group = \"a\"\nsplit = \"/events\"", "split"),
        ("group = \"a\"\nunwrap = \"form:payload\"", "unwrap"),
        ("group = \"a\"\non_missing_key = \"refuse\"", "on_missing_key"),
        ("group = \"a/{form:From}\"", "group"),
        ("group = \"a/{json:/id|lower}\"", "group"),
        ("group = \"a/{json:/a~1b}\"", "group"),
        ("group = \"a\"\ndedup = \"body|sha256|hex\"", "dedup"),
        (&format!("{github} }}"), "verify.at"),
        (token, "verify"),
        (query, "verify"),
        (&of_signature("timestamp = \"query:t\", signed = \"{timestamp}.{body}\", secret = \"hook\""), "verify"),
        (&of_signature("key = \"{secret}{query:k}\", secret = \"hook\""), "verify"),
        (
            &of_signature("algorithm = \"ed25519\", jwks = { url = \"https://a.example/k\" }, key_id = \"query:k\""),
            "verify",
        ),
        (claim, "verify"),
        ("group = \"a\"\n[[route.answer]]\nwhen = { method = \"GET\" }", "answer"),
    ] {
        let found = of_direct(keys);
        let expected = format!("route[0].{at}: ");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{keys}: {found:?}");
    }
}

#[test]
fn api_gateway_stores_nothing_in_the_local_queue() {
    let found = mistakes(
        "[plugin.p]\npath = \"p\"\n[[route]]\npath = \"a\"\ngroup = \"a\"\nplugin = \"p\"\ningress = \"direct\"",
    );
    assert_eq!(found, ["route[0].ingress: \"direct\" needs queue.url"]);
    let odd =
        mistakes("[plugin.p]\npath = \"p\"\n[[route]]\npath = \"a\"\ngroup = \"a\"\nplugin = \"p\"\ningress = \"api\"");
    assert!(odd.len() == 1 && odd[0].starts_with("route[0].ingress: "), "{odd:?}");
}
