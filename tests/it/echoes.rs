//! Targets and token endpoints that quote what they were sent. What proves who the host is must not come back in a letter, a
//! story or a log: what the host logs is checked as it is written, at every level (`leaks`).

use std::sync::Arc;
use std::time::Duration;

use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::leaks::{self, ECHOES, echo};
use towpath_tests::rig::{Rig, TOKEN, one_route, received};
use towpath_tests::target::{Answer, Call, Target};

/// The headers that prove who the host is.
const PROOFS: [&str; 5] = ["x-amz-security-token", "x-key", "x-sig", "webhook-signature", "authorization"];

/// What a call carried of them.
fn proofs(call: &Call) -> Vec<String> {
    let values = PROOFS.into_iter().map(|name| call.header(name)).filter(|value| !value.is_empty());
    // Of a value of several parts, the long ones: `v1,…`, `Signature=…`. Which key signed what is no secret.
    let parts = values.flat_map(|value| value.split([' ', ',', '='])).filter(|part| part.len() > 20);
    parts.filter(|part| !part.starts_with("AKID") && !part.contains(';')).map(str::to_owned).collect()
}

/// A target that refuses everything and quotes the proofs that it was sent, written as the body says.
async fn echoing() -> Target {
    Target::answering(|call| {
        let sent = PROOFS.map(|name| (name.to_owned(), call.header(name).to_owned()));
        let sent: Vec<(String, String)> = sent.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let how: usize = std::str::from_utf8(&call.body).unwrap().parse().unwrap();
        Answer::Status(404, echo(ECHOES[how], &sent))
    })
    .await
}

/// Schemes with their secrets; `ENDPOINT` is the token endpoint's.
const SCHEMES: [&str; 8] = [
    "{ scheme = 'bearer', secret = 'token' }",
    "{ scheme = 'basic', user = 'me', secret = 'token' }",
    "{ scheme = 'header', name = 'x-key', secret = 'token' }",
    "{ scheme = 'hmac', header = 'x-sig', prefix = 'v1=', secret = ['token', 'key'] }",
    "{ scheme = 'standard-webhooks', secret = 'signing' }",
    "{ scheme = 'oauth2', token_url = 'ENDPOINT', client_id = 'c', secret = 'token' }",
    "{ scheme = 'aws-sigv4', service = 'execute-api', region = 'eu-west-1' }",
    "[{ scheme = 'bearer', secret = 'token' }, { scheme = 'hmac', header = 'x-sig', encoding = 'base64', secret = 'key' }]",
];

async fn pipeline(rig: &Rig, target: &Target, endpoint: &str, auth: &str) -> Arc<Pipeline> {
    let text = format!("{}\nbreaker = {{ failures = 0 }}\nauth = {auth}", one_route(&target.url));
    let text = text.replace("ENDPOINT", endpoint).replace("300ms", "10s");
    rig.pipeline_knowing(&text, &[("signing", "whsec_cGxhbnRlZC01ZWNyZXQta2V5LTlmM2M=")])
}

#[tokio::test]
async fn what_a_target_quotes_of_its_headers_is_in_no_letter_story_or_log() {
    let endpoint = Target::answering(|_| {
        Answer::Status(200, "{\"access_token\":\"planted-5ecret-access\",\"expires_in\":60}".to_owned())
    })
    .await;
    for auth in SCHEMES {
        let rig = Rig::new().await;
        let target = echoing().await;
        rig.write("guest", Guest::forward());
        let pipeline = pipeline(&rig, &target, &endpoint.url, auth).await;
        for how in 0..ECHOES.len() {
            rig.send(&format!("g/{how}"), &how.to_string()).await;
            assert_eq!(rig.run(&pipeline).await, [Settlement::Buried], "{auth}");
        }
        // The letters themselves are checked for planted secrets; what was made of them is new each time.
        let letters = rig.letters().await;
        assert_eq!(letters.len(), ECHOES.len());
        for (letter, call) in letters.iter().zip(target.calls()) {
            assert!(letter.excerpt.contains("***"), "{auth}: {}", letter.excerpt);
            let proofs = proofs(&call);
            assert!(!proofs.is_empty());
            for proof in proofs {
                assert!(!leaks::holds(format!("{letter:?}").as_bytes(), &proof), "{auth}: {proof}: {letter:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_secret_of_a_plugin_and_one_of_an_earlier_request_come_back_hidden() {
    for how in ECHOES {
        let target = Target::answering(move |call| match call.path.as_str() {
            "/first" => Answer::Status(200, String::new()),
            // It remembers who called before.
            _ => Answer::Status(409, echo(how, &[("x-key".to_owned(), TOKEN.to_owned()), call.pairs()[0].clone()])),
        })
        .await;
        let rig = Rig::new().await;
        let secret = Request { path: "/first", header: Some(("x-key", "token")), secret: true, ..Request::default() };
        rig.write("guest", Guest::deliver(&[secret, Request { path: "/second", ..Request::default() }]));
        let text =
            one_route(&target.url).replace("path = \"guest.wasm\"", "path = \"guest.wasm\"\nsecrets = [\"token\"]");
        let pipeline = rig.pipeline(&format!("{text}\nplugin_secrets = ['token']"));
        rig.send("g/1", "{}").await;
        assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
        let letters = rig.letters().await;
        assert!(letters[0].excerpt.contains("***"), "{}: {}", how, letters[0].excerpt);
        assert_eq!(target.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_secret_across_the_end_of_an_excerpt_does_not_show_its_beginning() {
    let target = Target::answering(|call| {
        let before: usize = std::str::from_utf8(&call.body).unwrap().parse().unwrap();
        Answer::Status(404, format!("{}{}", "-".repeat(before), call.header("authorization")))
    })
    .await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = pipeline(&rig, &target, "", SCHEMES[0]).await;
    for before in 980..1024 {
        rig.send(&format!("g/{before}"), &before.to_string()).await;
        rig.run(&pipeline).await;
        let excerpt = rig.letters().await.pop().unwrap().excerpt;
        let shown = excerpt.trim_start_matches('-');
        assert!("Bearer ***".starts_with(shown.trim_end_matches('…')), "{before}: {shown}");
    }
}

#[tokio::test]
async fn what_a_token_endpoint_quotes_in_an_error_is_in_no_story_or_log() {
    let target = Target::fine().await;
    for how in ECHOES {
        for post in ["", ", client_auth = 'post'"] {
            let endpoint = Target::answering(move |call| {
                let body = String::from_utf8_lossy(&call.body).into_owned();
                let form = reqwest::Url::parse(&format!("http://a/?{body}")).unwrap();
                let form = form.query_pairs().into_owned();
                let sent: Vec<(String, String)> = call.pairs().into_iter().chain(form).collect();
                let secrets: Vec<(String, String)> = sent
                    .into_iter()
                    .filter(|(name, _)| ["authorization", "client_secret"].contains(&name.as_str()))
                    .collect();
                let said = serde_json::json!({ "error": "invalid_client", "error_description": echo(how, &secrets) });
                Answer::Status(401, said.to_string())
            })
            .await;
            let auth = SCHEMES[5].replace(" }", &format!("{post} }}"));
            let rig = Rig::new().await;
            rig.write("guest", Guest::forward());
            let pipeline = pipeline(&rig, &target, &endpoint.url, &auth).await;
            let settled = pipeline.group(Lease::of(Duration::from_secs(60))).next(&received("g/1", "{}")).await;
            assert!(matches!(settled, Settlement::Retry(_)), "{how}: {settled:?}");
            assert_eq!(endpoint.calls().len(), 1);
        }
    }
    assert!(target.calls().is_empty());
}
