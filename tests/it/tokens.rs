//! Token endpoints: other servers than the targets, reached in their own way, whose trouble is told by name.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use towpath_engine::pipeline::Settlement;
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, TOKEN, one_route, received};
use towpath_tests::target::{Answer, Target};
use towpath_tests::wire::{Authority, Script, Stream, Wire};

/// Answers a request with 200 and this body.
fn answering(body: &'static str) -> Script {
    Arc::new(move |mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
    })
}

#[tokio::test]
async fn a_token_endpoint_has_its_own_authority_and_certificate_and_none_of_the_targets() {
    let ours = Authority::default();
    let theirs = Authority::default();
    let identities = [&ours, &theirs].map(|authority| {
        let (certificate, key) = authority.issue("towpath");
        format!("{certificate}{key}")
    });
    let its_own = format!(", ca = '''{}'''", theirs.pem());
    let cases = [
        ("its own authority", its_own.clone(), false, true),
        ("the target's is not its", String::new(), false, false),
        ("nor is the target's certificate", its_own.clone(), true, false),
        ("its own certificate", format!("{its_own}, mtls = 'theirs'"), true, true),
    ];
    for (name, keys, wants_certificate, delivered) in cases {
        let target = Wire::start(Some(ours.server("localhost", true)), answering("")).await;
        let grant = answering("{\"access_token\":\"planted-5ecret-access\"}");
        let endpoint = Wire::start(Some(theirs.server("localhost", wants_certificate)), grant).await;
        let oauth2 = format!(
            "{{ scheme = 'oauth2', token_url = 'https://localhost:{}/', client_id = 'c', secret = 'token'{keys} }}",
            endpoint.address.port()
        );
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let text = format!(
            "{}\nca = '''{}'''\nauth = [{oauth2}, {{ scheme = 'mtls', secret = 'ours' }}]\ntimeout = '10s'",
            one_route(&format!("https://localhost:{}", target.address.port())).replace("timeout = \"300ms\"", ""),
            ours.pem()
        );
        let pipeline = rig.pipeline_knowing(&text, &[("ours", &identities[0]), ("theirs", &identities[1])]);
        rig.send("g/1", "{}").await;
        let settlements = rig.run(&pipeline).await;
        assert_eq!(settlements == [Settlement::Ack], delivered, "{name}: {settlements:?}");
        assert_eq!(
            (endpoint.requests(), target.requests()),
            (usize::from(delivered), usize::from(delivered)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_targets_proxy_is_not_its_token_endpoints() {
    let proxy = Wire::start(None, answering("")).await;
    let target = Target::fine().await;
    let grant = "{\"access_token\":\"planted-5ecret-access\"}";
    let endpoint = Target::answering(move |_| Answer::Status(200, grant.to_owned())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let text = format!(
        "{}\nproxy = 'http://{}'\nauth = {{ scheme = 'oauth2', token_url = '{}', client_id = 'c', secret = 'token' }}",
        one_route(&target.url),
        proxy.address,
        endpoint.url
    );
    let pipeline = rig.pipeline(&text);
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    assert_eq!((proxy.requests(), endpoint.calls().len(), target.calls().len()), (1, 1, 0));
}

#[tokio::test]
async fn the_letter_tells_what_is_wrong_with_a_token_endpoint_and_no_secret() {
    let quoting = format!("{{\"error\":\"invalid_client\",\"error_description\":\"{TOKEN} is not right\"}}");
    let cases = [
        (Answer::Status(401, quoting), "the token endpoint answered 401: invalid_client (*** is not right)"),
        (Answer::Status(502, "<html>".to_owned()), "the token endpoint answered 502 (text/plain; charset=utf-8)"),
        (
            Answer::Status(200, "no".to_owned()),
            "200, but its body is not a JSON object (text/plain; charset=utf-8, 2 bytes)",
        ),
        (Answer::Status(200, "{\"token\":1}".to_owned()), "200 without an access_token; its fields are token"),
        (Answer::Endless, "the token endpoint: the answer is longer than 64 KiB"),
        (Answer::Header(307, "location", "/other".to_owned()), "307: redirects are not followed"),
        (Answer::Hang, "the token endpoint did not answer within"),
    ];
    for (answer, says) in cases {
        let scripted = answer.clone();
        let endpoint = Target::answering(move |_| scripted.clone()).await;
        let detail = letter(&endpoint.url).await;
        assert!(detail.contains("no access token: ") && detail.contains(says), "{answer:?}: {detail}");
    }
    let mut nobody = Target::fine().await;
    nobody.stop().await;
    let detail = letter(&nobody.url).await;
    assert!(detail.contains("the token endpoint: cannot connect: Connection refused"), "{detail}");
}

#[tokio::test]
async fn the_letter_does_not_have_the_pair_that_a_token_endpoint_repeats() {
    let endpoint = Target::answering(|call| {
        let pair = call.header("authorization").trim_start_matches("Basic ");
        Answer::Status(400, format!("{{\"error\":\"invalid_request\",\"error_description\":\"what is {pair}?\"}}"))
    });
    let endpoint = endpoint.await;
    let detail = letter(&endpoint.url).await;
    assert!(detail.contains("invalid_request (what is ***?)"), "{detail}");
}

#[tokio::test]
async fn a_token_is_as_old_as_the_question() {
    // With a blocking task running, the paused clock moves only when the test advances it.
    tokio::time::pause();
    let (busy, done) = std::sync::mpsc::channel::<()>();
    let thread = tokio::task::spawn_blocking(move || done.recv());
    let rig = Rig::new().await;
    let target = Target::fine().await;
    rig.write("guest", Guest::forward());
    let signals = Arc::new([Notify::new(), Notify::new()]);
    let script = {
        let signals = Arc::clone(&signals);
        let granting = answering("{\"access_token\":\"planted-5ecret-access\",\"expires_in\":200}");
        move |stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
            let signals = Arc::clone(&signals);
            let granting = Arc::clone(&granting);
            Box::pin(async move {
                let [asked, answer] = &*signals;
                asked.notify_one();
                answer.notified().await;
                granting(stream).await;
            })
        }
    };
    let endpoint = Wire::start(None, Arc::new(script)).await;
    let auth = format!(
        "auth = {{ scheme = 'oauth2', token_url = 'http://{}', client_id = 'c', secret = 'token' }}",
        endpoint.address
    );
    let text = one_route(&target.url).replace("timeout = \"300ms\"", "timeout = \"5m\"");
    let pipeline = rig.pipeline(&format!("{text}\n{auth}"));
    let deliver = async || {
        let lease = Lease::of(Duration::from_secs(3600));
        assert_eq!(pipeline.group(lease).next(&received("g/1", "{}")).await, Settlement::Ack);
    };
    let [asked, answer] = &*signals;
    let answers_late = async {
        asked.notified().await;
        tokio::time::advance(Duration::from_secs(100)).await;
        answer.notify_one();
    };
    tokio::join!(deliver(), answers_late);
    // It is valid for 200 s from the request, and is fetched again after 180 s.
    tokio::time::advance(Duration::from_secs(79)).await;
    deliver().await;
    assert_eq!(endpoint.requests(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    // Who asks now is answered at once.
    answer.notify_one();
    deliver().await;
    assert_eq!((endpoint.requests(), target.calls().len()), (2, 3));
    drop(busy);
    let _ = thread.await;
}

/// What the letter of a message says that was too old to be tried again without a token from here.
async fn letter(token_url: &str) -> String {
    let rig = Rig::new().await;
    let target = Target::fine().await;
    rig.write("guest", Guest::forward());
    let auth = format!("auth = {{ scheme = 'oauth2', token_url = '{token_url}', client_id = 'c', secret = 'token' }}");
    let pipeline = rig.pipeline(&format!("{}\n{auth}", one_route(&target.url)));
    let mut message = received("g/1", "{}");
    message.sent_at = message.sent_at - Duration::from_secs(5 * 24 * 3600);
    let settled = pipeline.group(Lease::of(Duration::from_secs(60))).next(&message).await;
    assert_eq!((settled, target.calls().len()), (Settlement::Buried, 0));
    rig.letters().await.remove(0).detail
}
