//! Web pages in a browser on the operator's machine, and what listens there.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use towpath_tests::guest::Guest;
use towpath_tests::rig::Rig;
use towpath_tests::target::{Answer, Target};

use super::operate::{Poller, setup};
use super::record::Recorder;
use super::serve::{Server, client, project};
use super::{err, towpath};

type Headers = &'static [(&'static str, &'static str)];

/// What a page of another site sends, and what answers it.
const PAGES: [(&str, Headers, u16); 7] = [
    ("a name that was pointed here", &[("host", "evil.example:9324"), ("sec-fetch-site", "same-origin")], 421),
    ("a simple request", &[("origin", "https://evil.example")], 403),
    ("a frame without an origin", &[("origin", "null")], 403),
    ("an image", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
    ("a frame", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], 403),
    ("another port of this machine", &[("origin", "http://127.0.0.1:1"), ("sec-fetch-site", "same-site")], 403),
    ("a name under localhost", &[("origin", "http://x.localhost:3000"), ("sec-fetch-site", "cross-site")], 403),
];

fn with(mut request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

/// Sends it as every page would, and then as what is no page.
async fn attack(what: &str, request: impl Fn() -> RequestBuilder, fine: u16) {
    for (page, headers, status) in PAGES {
        let answer = with(request(), headers).send().await.unwrap();
        assert_eq!(answer.status(), status, "{what}, {page}");
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")), "{what}, {page}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let cure = if status == 421 { "--allow-host evil.example" } else { "may not call this" };
        assert!(problem["error"].as_str().unwrap().contains(cure), "{what}, {page}: {problem}");
    }
    assert_eq!(request().send().await.unwrap().status(), fine, "{what}");
}

fn sqs(endpoint: &str, action: &str, body: &str) -> RequestBuilder {
    client().post(endpoint).header("x-amz-target", format!("AmazonSQS.{action}")).body(body.to_owned())
}

/// Asks as a browser does before it sends what is no simple request.
async fn preflight(url: &str) {
    let ask = client().request(Method::OPTIONS, url).header("access-control-request-method", "POST");
    let answer = ask.header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(answer.status(), 403, "{url}");
    assert!(!answer.headers().contains_key("access-control-allow-origin"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_reaches_nothing_of_serve_neither_to_read_nor_to_write() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let args = ["serve", "--sqs", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--allow-host", "towpath.internal"];
    let server = Server::start(folder.path(), &args);
    let endpoint = format!("http://{}/", server.sqs());
    let metrics = server.says("metrics ");
    let queue = format!("{{\"QueueUrl\": \"{endpoint}000000000000/events.fifo\"}}");
    for (action, body, fine) in [
        ("ListQueues", "{}", 200),
        ("ReceiveMessage", queue.as_str(), 200),
        ("GetQueueAttributes", &queue, 200),
        // It would be done, were it not for the host that works with the queue.
        ("PurgeQueue", &queue, 400),
    ] {
        attack(action, || sqs(&endpoint, action, body), fine).await;
    }
    let injected = format!(
        "{{\"QueueUrl\": \"{endpoint}000000000000/events.fifo\", \"MessageBody\": \"x\", \"MessageGroupId\": \"g\", \
        \"MessageDeduplicationId\": \"PAGE\"}}"
    );
    for (page, headers, _) in PAGES {
        let sent = with(sqs(&endpoint, "SendMessage", &injected), headers).send().await.unwrap();
        assert!(sent.status().is_client_error(), "{page}");
    }
    for path in ["metrics", "healthz", "readyz"] {
        attack(path, || client().get(metrics.replace("metrics", path)), 200).await;
    }
    attack("the hint", || client().get(&endpoint), 200).await;
    for url in [&endpoint, &metrics, &server.url] {
        preflight(url).await;
    }
    // Names of this host, and the one that was given.
    let port = metrics.rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
    for host in ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "console.localhost", "10.0.0.7", "Towpath.Internal"] {
        let answer = client().get(&metrics).header("host", format!("{host}:{port}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
    let status = towpath(folder.path(), &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["queue"]["messages"], 0, "nothing was injected: {status}");
    // A page that asks a thousand times fills no log.
    let before = server.logs("request of a foreign host or page refused").len();
    for _ in 0..200 {
        client().get(&metrics).header("origin", "null").send().await.unwrap();
    }
    server.signal("-TERM");
    let lines = server.logs("stopped");
    let lines = lines.iter().filter(|line| line.contains("request of a foreign host or page refused")).count();
    assert!(lines <= 4, "{before} lines before, {lines} after");
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_is_called_by_any_name_and_by_no_page_that_the_config_does_not_name() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let pages = "[ingest]\nallow_origins = [\"https://forms.example.com\"]\n";
    std::fs::write(&file, format!("{config}{pages}")).unwrap();
    let server = Server::start(folder.path(), &["serve"]);
    let post = |headers: Headers| with(client().post(&server.url).body("{\"k\":1}"), headers).send();
    let cases: [(Headers, u16); 9] = [
        (&[("host", "hooks.example.com")], 202),
        (&[("host", "towpath:8080")], 202),
        (
            &[("host", "hooks.example.com"), ("origin", "https://forms.example.com"), ("sec-fetch-site", "same-site")],
            202,
        ),
        (&[("origin", "https://evil.example"), ("content-type", "text/plain")], 403),
        (&[("host", "hooks.example.com"), ("origin", "https://evil.example")], 403),
        (
            &[("host", "evil.example:8080"), ("origin", "http://evil.example:8080"), ("sec-fetch-site", "same-origin")],
            403,
        ),
        (&[("origin", "http://forms.example.com")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
    ];
    for (headers, status) in cases {
        let answer = post(headers).await.unwrap();
        assert_eq!(answer.status(), status, "{headers:?}");
        let text = answer.text().await.unwrap();
        let cured = text.contains("ingest.allow_origins") || !headers.iter().any(|(name, _)| *name == "origin");
        assert!(status == 202 || cured, "{text}");
    }
    target.called(3).await;
    server.stop();
    assert_eq!(target.calls().len(), 3, "nothing that a page posted is delivered");
    for wrong in ["forms.example.com", "https://forms.example.com/", "https://*.example.com", "null", "https://x:443"] {
        std::fs::write(&file, format!("{config}[ingest]\nallow_origins = [\"{wrong}\"]\n")).unwrap();
        let checked = towpath(folder.path(), &["config", "check"]);
        let said = [checked.stdout.clone(), checked.stderr.clone()].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(checked.status.code() == Some(1) && said.contains("ingest.allow_origins[0]"), "{wrong}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_does_not_learn_how_a_poller_is() {
    let target = Target::fine().await;
    let setup = setup(&target).await;
    let poller = Poller::start(setup.rig.path(), &["--allow-host", "poller"]).await;
    for path in ["metrics", "healthz", "readyz"] {
        attack(path, || client().get(format!("{}/{path}", poller.health)), 200).await;
    }
    let named = client().get(format!("{}/metrics", poller.health)).header("host", "poller:8081");
    assert_eq!(named.send().await.unwrap().status(), 200, "Prometheus beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_makes_no_cases_of_a_recorder() {
    let rig = Rig::new().await;
    let recorder = Recorder::start(rig.path(), &["--limit", "2", "--allow-host", "abc.tunnel.example"]);
    let post = || client().post(&recorder.url).body("{\"k\":1}");
    for (page, headers, status) in PAGES {
        assert_eq!(with(post(), headers).send().await.unwrap().status(), status, "{page}");
    }
    assert!(!rig.path().join("cases").exists(), "nothing is recorded of a page");
    assert_eq!(post().header("host", "abc.tunnel.example").send().await.unwrap().status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_makes_a_token_for_its_endpoint_and_prints_what_to_paste() {
    let folder = project("http://127.0.0.1:9", Guest::forward());
    let start = || Server::start(folder.path(), &["dev", "--sqs", "127.0.0.1:0", "--no-build"]);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let server = start();
        let endpoint = format!("http://{}", server.sqs());
        let line = server.says("to use it, paste: export ");
        let variables: Vec<(&str, &str)> = line.split(' ').map(|pair| pair.split_once('=').unwrap()).collect();
        let value = |name| variables.iter().find(|(known, _)| *known == name).unwrap().1.to_owned();
        let token = value("AWS_ACCESS_KEY_ID");
        assert_eq!((value("AWS_ENDPOINT_URL_SQS"), token.len()), (endpoint.clone(), 64));
        let signed = format!("AWS4-HMAC-SHA256 Credential={token}/20260302/us-east-1/sqs/aws4_request, Signature=0");
        let list = || sqs(&endpoint, "ListQueues", "{}");
        let without = list().header("authorization", signed.replace(&token, "x")).send().await.unwrap();
        assert_eq!(without.status(), 403);
        let said = without.text().await.unwrap();
        assert!(said.contains("InvalidClientTokenId") && said.contains("`towpath dev` printed"), "{said}");
        assert_eq!(list().send().await.unwrap().status(), 403, "no token at all");
        let fine = || list().header("authorization", &signed);
        assert_eq!(fine().send().await.unwrap().status(), 200);
        // From a container.
        assert_eq!(fine().header("host", "host.docker.internal:9324").send().await.unwrap().status(), 200);
        assert_eq!(fine().header("origin", "https://evil.example").send().await.unwrap().status(), 403);
        // The commands have it from the same line.
        let url = format!("{endpoint}/000000000000/events-dead.fifo");
        let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
        let stats =
            command.args(["dlq", "stats", "--queue-url", &url]).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(stats.status.code(), Some(0), "{}", err(&stats));
        server.signal("-TERM");
        let logged = server.logs("stopped");
        assert!(!logged.iter().any(|line| line.contains(&token)), "the token is in the log");
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
    let given = [("TOWPATH_SECRET_SQS_ENDPOINT", "A5ecretOfTheEndpoint")];
    let server = Server::start_with(folder.path(), &["dev", "--sqs", "127.0.0.1:0", "--no-build"], &given);
    let endpoint = format!("http://{}", server.sqs());
    let bearer = sqs(&endpoint, "ListQueues", "{}").header("authorization", "Bearer A5ecretOfTheEndpoint");
    assert_eq!(bearer.send().await.unwrap().status(), 200);
}
