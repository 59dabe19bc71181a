//! `vectors.jsonl`: constructions worked out by hand, each with requests that are accepted and changed ones that are not.

use std::path::Path;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use towpath_config::{Config, Secrets};
use towpath_types::clock::Timestamp;
use url::Url;

use super::publisher::Publisher;
use super::server::{Answered, Front, Request};

const VECTORS: &str = include_str!("../../providers/vectors.jsonl");

/// A request of a vector.
#[derive(Clone)]
struct Asked {
    method: Method,
    url: Url,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Asked {
    /// `url` is the one of the vector, for a request that names none.
    fn read(request: &Value, url: &str) -> Asked {
        let headers = request["headers"].as_object().unwrap().iter();
        Asked {
            method: text(&request["method"]).parse().unwrap(),
            url: request["url"].as_str().unwrap_or(url).parse().unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), text(value).as_bytes().to_vec())).collect(),
            body: STANDARD.decode(text(&request["body_base64"])).unwrap(),
        }
    }

    /// This request with one thing changed.
    fn changed(&self, change: &Value) -> Asked {
        let mut asked = self.clone();
        let (kind, how) = change.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "url" => asked.url = text(how).parse().unwrap(),
            "body_base64" => asked.body = STANDARD.decode(text(how)).unwrap(),
            "replace_in_body" => {
                let body = String::from_utf8(asked.body).unwrap();
                assert!(body.contains(text(&how[0])), "{how}");
                asked.body = body.replace(text(&how[0]), text(&how[1])).into_bytes();
            }
            "header" => {
                let header = asked.headers.iter_mut().find(|(name, _)| name == text(&how[0])).unwrap();
                header.1 = text(&how[1]).as_bytes().to_vec();
            }
            other => panic!("unknown change {other}"),
        }
        asked
    }

    async fn of(&self, front: &Front) -> Answered {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", self.url.path());
        front.ask(&Request { method: &self.method, target, headers: &self.headers, body: &self.body }).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A route for the vector's provider, by its name.
fn config(vector: &Value) -> Config {
    let verify = &vector["verify"];
    let url: Url = text(&vector["request"]["url"]).parse().unwrap();
    let path = url.path().strip_prefix("/hooks/").unwrap();
    let provider = text(&vector["provider"]);
    let parameters = match provider {
        "discord" => format!(", public_key = {}", verify["public_key_hex"]),
        "wise" => format!(", public_key = {}", verify["public_key_pem"]),
        "twilio" => format!(", url = \"https://hooks.example.com{}\"", url.path()),
        _ => String::new(),
    };
    let config = format!(
        "[dead_letters]\nnote_key = \"note\"\n[[route]]\npath = \"{path}\"\nplugin = \"a\"\n\
         provider = {{ name = \"{provider}\"{parameters} }}\n[plugin.a]\npath = \"a\"\n"
    );
    let known = |name: &str| verify[name].as_str().map(str::to_owned);
    let secrets = [
        (provider.to_owned(), known("secret")),
        (format!("{provider}-verify-token"), known("verify_token")),
        ("note".to_owned(), Some("the key that vouches for events".to_owned())),
    ];
    let secrets = secrets.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Config::parse(&config, Path::new("towpath.toml"), &Secrets::of(secrets)).unwrap_or_else(|error| panic!("{error:?}"))
}

#[tokio::test]
async fn a_worked_request_is_accepted_and_a_changed_one_is_not() {
    let mut ran = 0;
    for vector in VECTORS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let id = text(&vector["id"]);
        let at = Timestamp(vector["arrives_at"].as_u64().unwrap() * 1000);
        let front = Front::of(config(&vector), at, Publisher::of(&[]).await).await;
        let url = text(&vector["request"]["url"]);
        let right = Asked::read(&vector["request"], url);
        for negative in vector["negatives"].as_array().unwrap() {
            let answered = right.changed(&negative["change"]).of(&front).await;
            refuses(&format!("{id}: {}", negative["what"]), &negative["expect"], &answered);
        }
        assert_eq!(front.stored().await.len(), 0, "{id}: a changed request is stored");
        let answered = right.of(&front).await;
        accepts(id, &vector["expect"], &answered, &front).await;
        if !vector["also"].is_null() {
            let before = front.stored().await.len();
            let answered = Asked::read(&vector["also"]["request"], url).of(&front).await;
            assert!((200..300).contains(&answered.status), "{id}, also: {answered:?}");
            assert_eq!(front.stored().await.len(), before + 1, "{id}, also");
        }
        if !vector["handshake"].is_null() {
            shakes(id, &vector["handshake"], url, &front).await;
        }
        ran += 1;
    }
    assert_eq!(ran, 6);
}

fn refuses(name: &str, expect: &Value, answered: &Answered) {
    let status = answered.status;
    let is_refused = match text(expect) {
        "refused" => status == 401,
        "status 403, challenge not in the body" => status == 403 && !answered.body.contains("1158201444"),
        "status 4xx" => (400..500).contains(&status),
        "never text/html" => answered.header("content-type").is_none_or(|media| !media.starts_with("text/html")),
        other => panic!("unknown expectation {other}"),
    };
    assert!(is_refused, "{name}: {expect}, and is {answered:?}");
}

async fn accepts(id: &str, expect: &Value, answered: &Answered, front: &Front) {
    let stored = front.stored().await;
    if expect["handshake"] == true {
        assert_eq!(answered.status, expect["answer"]["status"], "{id}: {answered:?}");
        assert_eq!(answered.body, text(&expect["answer"]["body"]), "{id}");
        let media = answered.header("content-type").unwrap_or_default();
        assert!(media.starts_with(text(&expect["answer"]["content_type"])), "{id}: {media}");
        assert_eq!(stored.len(), 0, "{id}: a handshake is stored");
        return;
    }
    assert!((200..300).contains(&answered.status), "{id}: {answered:?}");
    assert_eq!(stored.len(), 1, "{id}");
    if let Some(status) = expect["ack_status"].as_u64() {
        assert_eq!(u64::from(answered.status), status, "{id}");
    }
    if let Some(body) = expect["ack_body"].as_str() {
        assert_eq!(answered.body, body, "{id}");
    }
    if let Some(order) = expect["order_key_value"].as_str() {
        assert!(stored[0].group.as_str().ends_with(order), "{id}: {}", stored[0].group);
    }
}

async fn shakes(id: &str, handshake: &Value, url: &str, front: &Front) {
    let before = front.stored().await.len();
    let asked = Asked::read(&handshake["request"], url);
    let answered = asked.of(front).await;
    assert_eq!(answered.status, handshake["answer"]["status"], "{id}, handshake: {answered:?}");
    assert_eq!(answered.body, text(&handshake["answer"]["body"]), "{id}, handshake");
    let mut forged = asked;
    for (name, value) in &mut forged.headers {
        if name.contains("signature") && !name.contains("timestamp") {
            value.reverse();
        }
    }
    let answered = forged.of(front).await;
    assert_eq!(answered.status, handshake["bad_signature_answer"]["status"], "{id}, forged handshake: {answered:?}");
    assert_eq!(front.stored().await.len(), before, "{id}: a handshake is stored");
}
