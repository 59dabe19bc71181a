//! How the host proves to targets who it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::join_all;
use towpath_config::target::Auth;
use towpath_config::value::Digest;
use towpath_config::{Config, Secret, Secrets};
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::rig::{KEY, Rig, TOKEN, http, one_route};
use towpath_tests::target::{Answer, Call, Target};

/// A rig whose target proves itself so, with one message in it.
async fn rig(target: &Target, auth: &str) -> (Rig, Arc<Pipeline>) {
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&format!("{}\nauth = {auth}", one_route(&target.url)));
    rig.send("g/1", "{\"k\":1}").await;
    (rig, pipeline)
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    towpath_verify::mac(Digest::Sha256, key, &[text.as_bytes()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn each_scheme_sets_what_its_specification_says() {
    let basic = format!("Basic {}", BASE64.encode(format!("me:{TOKEN}")));
    let cases = [
        ("{ scheme = 'bearer', secret = 'token' }", "authorization", format!("Bearer {TOKEN}")),
        ("{ scheme = 'basic', user = 'me', secret = 'token' }", "authorization", basic),
        ("{ scheme = 'header', name = 'X-Key', secret = 'token' }", "x-key", TOKEN.to_owned()),
    ];
    for (auth, header, value) in cases {
        let target = Target::fine().await;
        let (rig, pipeline) = rig(&target, auth).await;
        assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
        assert_eq!(target.calls()[0].header(header), value, "{auth}");
    }
}

#[tokio::test]
async fn a_signature_covers_what_is_sent_and_a_rotated_key_signs_beside_the_new_one() {
    let target = Target::fine().await;
    let auth = "[{ scheme = 'hmac', header = 'x-sig', prefix = 'v1=', secret = ['token', 'key'] },
        { scheme = 'bearer', secret = 'token' }]";
    let (rig, pipeline) = rig(&target, &auth.replace('\n', "")).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let call = &target.calls()[0];
    let text = format!("{}.{{\"k\":1}}", call.header("webhook-timestamp"));
    let one = |key: &str| format!("v1={}", hex(&hmac(key.as_bytes(), &text)));
    assert_eq!(call.header("x-sig"), format!("{},{}", one(TOKEN), one(KEY)));
    assert_eq!(call.header("authorization"), format!("Bearer {TOKEN}"), "schemes go together");
}

#[tokio::test]
async fn a_scheme_that_signs_comes_last_so_that_it_can_cover_the_others() {
    let target = Target::fine().await;
    let auth = "[{ scheme = 'hmac', header = 'x-sig', signed = '{header:authorization} {body}', secret = 'key' }, \
        { scheme = 'bearer', secret = 'token' }]";
    let (rig, pipeline) = rig(&target, auth).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let covered = format!("Bearer {TOKEN} {{\"k\":1}}");
    assert_eq!(target.calls()[0].header("x-sig"), hex(&hmac(KEY.as_bytes(), &covered)));
}

#[tokio::test]
async fn standard_webhooks_signs_id_timestamp_and_body_with_the_decoded_key() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let auth = "auth = { scheme = 'standard-webhooks', secret = 'signing' }";
    let secret = format!("whsec_{}", BASE64.encode(KEY));
    let pipeline = rig.pipeline_knowing(&format!("{}\n{auth}", one_route(&target.url)), &[("signing", &secret)]);
    rig.send("g/1", "{\"k\":1}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let call = &target.calls()[0];
    let id = call.header("webhook-id");
    let at = call.header("webhook-timestamp");
    let signature = BASE64.encode(hmac(KEY.as_bytes(), &format!("{id}.{at}.{{\"k\":1}}")));
    assert_eq!(call.header("webhook-signature"), format!("v1,{signature}"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_no_reason_to_give_a_message_up() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    // No config holds such a secret, and no rotation brings one.
    let mut config = rig.config(&one_route(&target.url));
    let secret = Secret::new("planted-5ecret\nwith a line break");
    http(&mut config, "sss").auth = vec![Auth::Bearer(secret)];
    let pipeline = rig.pipeline_of(config, Arc::new(rig.dead_letters.clone()), None);
    rig.send("g/1", "{}").await;
    let settlements = rig.run(&pipeline).await;
    assert!(matches!(settlements[..], [Settlement::Retry(_)]), "{settlements:?}");
    assert!(target.calls().is_empty());
}

#[tokio::test]
async fn one_malformed_signing_secret_of_two_leaves_the_signature_of_the_other() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let auth = "auth = { scheme = 'standard-webhooks', secret = 'signing' }";
    let secrets = [("signing", format!("whsec_{}", BASE64.encode(KEY)))];
    let secrets = Secrets::of(secrets.map(|(name, value)| (name.to_owned(), value)));
    let text = format!("{}\n{auth}", one_route(&target.url));
    let mut config = Config::parse(&text, &rig.path().join("towpath.toml"), &secrets).unwrap();
    let auth = &mut http(&mut config, "sss").auth;
    let Auth::Signed(signing) = &mut auth[0] else { panic!("it signs") };
    signing.secrets.insert(0, Secret::new("planted-5ecret!"));
    let pipeline = rig.pipeline_of(config, Arc::new(rig.dead_letters.clone()), None);
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let signature = target.calls()[0].header("webhook-signature").to_owned();
    assert!(signature.starts_with("v1,") && !signature.contains(' '), "{signature}");
}

/// A request's signature, made anew from what arrived. Source: "Create a signed AWS API request" in AWS's IAM guide.
fn aws_signature(call: &Call, secret: &str) -> String {
    let authorization = call.header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split(',').next().unwrap().trim().to_owned()
    };
    let scope = part("Credential=AKIDEXAMPLE/");
    let names = part("SignedHeaders=");
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", call.header(name))).collect();
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let body = call.header("x-amz-content-sha256");
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{body}", call.method);
    let at = call.header("x-amz-date");
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", towpath_plugin::digest(canonical.as_bytes()));
    let start = format!("AWS4{secret}").into_bytes();
    hex(&hmac(&scope.split('/').fold(start, |key, part| hmac(&key, part)), &text))
}

#[tokio::test]
async fn aws_signatures_are_those_of_the_specification() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::deliver(&[Request { path: "/prod/t?a=1&b=2", ..Request::default() }]));
    let auth = "auth = { scheme = 'aws-sigv4', service = 'execute-api', region = 'eu-west-1' }";
    let pipeline = rig.pipeline(&format!("{}\n{auth}", one_route(&target.url)));
    rig.send("g/1", "{\"k\":1}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let call = &target.calls()[0];
    let authorization = call.header("authorization");
    assert!(authorization.contains("/eu-west-1/execute-api/aws4_request"), "{authorization}");
    assert!(authorization.ends_with(&format!("Signature={}", aws_signature(call, TOKEN))), "{authorization}");
    assert_ne!(aws_signature(call, TOKEN), aws_signature(call, KEY));
    assert_eq!(call.header("x-amz-content-sha256"), towpath_plugin::digest(b"{\"k\":1}"));
    assert_eq!(call.header("x-amz-security-token"), "session");
}

/// A token endpoint that hands out `planted-5ecret-access-1`, `-2` and so on, good for so many seconds.
async fn endpoint(expires_in: u64) -> (Target, String) {
    let counter = AtomicUsize::new(0);
    let endpoint = Target::answering(move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("planted-5ecret-access-{number}");
        Answer::Status(
            200,
            format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":{expires_in}}}"),
        )
    })
    .await;
    let auth = oauth2(&endpoint.url);
    (endpoint, auth)
}

fn oauth2(url: &str) -> String {
    format!("{{ scheme = 'oauth2', token_url = '{url}/token', client_id = 'c d', secret = 'token', scope = 'a b' }}")
}

fn bearer(target: &Target) -> Vec<String> {
    target
        .calls()
        .iter()
        .map(|call| call.header("authorization").replace("Bearer planted-5ecret-access-", ""))
        .collect()
}

#[tokio::test]
async fn a_token_is_fetched_by_one_for_all_and_kept() {
    let target = Target::fine().await;
    let (endpoint, auth) = endpoint(3600).await;
    let (rig, pipeline) = rig(&target, &auth).await;
    for group in 2..=8 {
        rig.send(&format!("g/{group}"), "{\"k\":1}").await;
    }
    let messages = rig.receive().await;
    let deliver = async |message| pipeline.group(Lease::of(Duration::from_secs(60))).next(message).await;
    assert_eq!(join_all(messages.iter().map(deliver)).await, [Settlement::Ack; 8]);
    assert_eq!((endpoint.calls().len(), bearer(&target)), (1, vec!["1".to_owned(); 8]));
    let call = &endpoint.calls()[0];
    assert_eq!(call.header("authorization"), format!("Basic {}", BASE64.encode(format!("c+d:{TOKEN}"))));
    assert_eq!(call.body, "grant_type=client_credentials&scope=a+b");
}

#[tokio::test]
async fn a_token_that_ends_is_fetched_anew_before_it_does() {
    let target = Target::fine().await;
    let (endpoint, auth) = endpoint(0).await;
    let (rig, pipeline) = rig(&target, &auth).await;
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack; 2]);
    assert_eq!((endpoint.calls().len(), bearer(&target)), (2, vec!["1".to_owned(), "2".to_owned()]));
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_anew_once_and_the_endpoint_is_left_alone() {
    let target = Target::answering(|call| match call.header("authorization") {
        "Bearer planted-5ecret-access-2" => Answer::Status(200, String::new()),
        _ => Answer::Status(401, String::new()),
    })
    .await;
    let (endpoint, auth) = endpoint(3600).await;
    let (rig, pipeline) = rig(&target, &auth).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    assert_eq!(bearer(&target), ["1", "2"]);
    assert!(rig.letters().await.is_empty());
    // From now on the target refuses everybody: that is final, and no reason to ask for a token each time.
    target.answer(|_| Answer::Status(401, String::new()));
    for group in 2..=5 {
        rig.send(&format!("g/{group}"), "{}").await;
    }
    rig.run(&pipeline).await;
    assert_eq!((endpoint.calls().len(), rig.letters().await.len()), (2, 4));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_nothing_dies() {
    let answers = [
        Answer::Status(401, format!("{{\"error\":\"invalid_client\",\"error_description\":\"{TOKEN} is wrong\"}}")),
        Answer::Status(503, TOKEN.to_owned()),
        Answer::Status(200, "no json".to_owned()),
        Answer::Header(302, "location", "http://127.0.0.1:9/".to_owned()),
        Answer::Endless,
        Answer::Hang,
    ];
    for answer in answers {
        let endpoint = Target::answering(|_| Answer::Hang).await;
        let target = Target::fine().await;
        let scripted = answer.clone();
        endpoint.answer(move |_| scripted.clone());
        let (rig, pipeline) = rig(&target, &oauth2(&endpoint.url)).await;
        let settlements = rig.run(&pipeline).await;
        assert!(matches!(settlements[..], [Settlement::Retry(_)]), "{answer:?}: {settlements:?}");
        assert_eq!((target.calls().len(), rig.letters().await.len()), (0, 0), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_may_say_who_it_is_in_the_form() {
    let target = Target::fine().await;
    let (endpoint, auth) = endpoint(3600).await;
    let auth = auth.replace(" }", ", audience = 'https://api', client_auth = 'post' }");
    let (rig, pipeline) = rig(&target, &auth).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let call = &endpoint.calls()[0];
    let form = format!(
        "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi&client_id=c+d&client_secret={TOKEN}"
    );
    assert_eq!((call.body.as_ref(), call.header("authorization")), (form.as_bytes(), ""));
}

#[tokio::test]
async fn a_plugins_secret_goes_only_where_plugin_and_target_both_allow_it() {
    let secret = Request { header: Some(("x-key", "key")), secret: true, ..Request::default() };
    let cases = [
        ("", "", "is not among the secrets of the plugin's table"),
        ("secrets = ['key']", "", "is not among the plugin_secrets of the target \"sss\""),
        ("secrets = ['key', 'token']", "plugin_secrets = ['token']", "is not among the plugin_secrets"),
        ("secrets = ['key']", "plugin_secrets = ['key']", ""),
    ];
    for (plugin, accepts, says) in cases {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::deliver(&[secret]));
        let text = one_route(&target.url).replace("path = \"guest.wasm\"", &format!("path = \"guest.wasm\"\n{plugin}"));
        let pipeline = rig.pipeline(&format!("{text}\n{accepts}"));
        rig.send("g/1", "{}").await;
        let settled = if says.is_empty() { Settlement::Ack } else { Settlement::Buried };
        assert_eq!(rig.run(&pipeline).await, [settled]);
        let sent: Vec<String> = target.calls().iter().map(|call| call.header("x-key").to_owned()).collect();
        let died: Vec<String> = rig.letters().await.into_iter().map(|letter| letter.detail).collect();
        match says {
            "" => assert_eq!((sent, died), (vec![KEY.to_owned()], vec![]), "{plugin} {accepts}"),
            says => assert!(sent.is_empty() && died[0].contains(says), "{plugin} {accepts}: {died:?}"),
        }
    }
}

#[tokio::test]
async fn a_plugin_sets_no_header_that_proves_who_the_host_is() {
    let cases = [
        ("{ scheme = 'standard-webhooks', secret = 'signing' }", "webhook-signature"),
        ("{ scheme = 'aws-sigv4', service = 's3', region = 'eu-west-1' }", "x-amz-date"),
        ("{ scheme = 'basic', user = 'u', secret = 'key' }", "authorization"),
    ];
    let signing = format!("whsec_{}", BASE64.encode(KEY));
    for (auth, header) in cases {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::deliver(&[Request { header: Some((header, "x")), ..Request::default() }]));
        let text = format!("{}\nauth = {auth}", one_route(&target.url));
        let pipeline = rig.pipeline_knowing(&text, &[("signing", &signing)]);
        rig.send("g/1", "{}").await;
        rig.run(&pipeline).await;
        assert_eq!(rig.letters().await[0].reason, "bad-request", "{auth}");
        assert!(target.calls().is_empty(), "{auth}");
    }
}
