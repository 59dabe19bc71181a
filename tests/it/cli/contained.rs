//! What the running process keeps to itself: secrets, and what hostile plugins cost.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::leaks::{self, ECHOES, KEY, MARK, TOKEN, echo};
use towpath_tests::target::{Answer, Target};
use towpath_tests::wire::Wire;

use super::serve::{Server, client};
use super::{err, out, towpath};

/// Waits until there are so many dead letters, which the command line counts.
fn dead(folder: &Path, count: u64) {
    // Each look is a process of its own: so many are minutes, and a failure instead of a run without end.
    for _ in 0..5000 {
        let stats = towpath(folder, &["dlq", "stats", "--json"]);
        let rows: Value = serde_json::from_slice(&stats.stdout).unwrap_or_else(|_| panic!("{}", err(&stats)));
        let letters: u64 = rows.as_array().unwrap().iter().map(|row| row["letters"].as_u64().unwrap()).sum();
        if letters >= count {
            return;
        }
    }
    panic!("there are not {count} dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hostile_plugins_took_is_given_back() {
    let target = Target::fine().await;
    let guests = ["spin", "recurse", "grow", "return-many-requests", "log", "print", "hoard", "random"];
    let folder = TempDir::new().unwrap();
    let mut config =
        format!("[queue]\nconcurrency = 4\n[target.sss]\nurl = \"{}\"\nallow_private = true\n", target.url);
    for name in guests {
        std::fs::write(folder.path().join(format!("{name}.wasm")), Guest::hostile(name).build()).unwrap();
        config += &format!(
            "[[route]]\npath = '{name}'\ngroup = '{name}/x'\nplugin = '{name}'\n[plugin.{name}]\npath = '{name}.wasm'\n"
        );
    }
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    let server = Server::start(folder.path(), &["serve", "--log", "error"]);
    let client = client();
    let base = server.url.rsplit_once('/').unwrap().0.to_owned();
    let mut sent = 0;
    let mut round = async || {
        for name in guests {
            let answer = client.post(format!("{base}/{name}")).body("{}").send().await.unwrap();
            assert_eq!(answer.status(), 202);
            sent += 1;
        }
        dead(folder.path(), sent);
        (server.status("VmRSS"), server.status("Threads"))
    };
    // At first caches fill and pools grow to their size.
    for _ in 0..4 {
        round().await;
    }
    let (memory, threads) = round().await;
    for _ in 0..4 {
        round().await;
    }
    let (memory_now, threads_now) = round().await;
    assert!(memory_now < memory + 16 * 1024, "{memory} KiB became {memory_now} KiB in 40 calls");
    // A thread that a plugin holds would be one more for each call; those of the runtime come and go.
    assert!(threads_now <= threads + 4, "{threads} threads became {threads_now}");
}

/// A config that uses every planted secret in every way.
fn config(target: &str, endpoint: &str) -> String {
    let route = |name: &str, verify: &str, plugin: &str| {
        format!(
            "[[route]]\npath = '{name}'\ngroup = '{name}/x'\nplugin = '{plugin}'\nverify = {{ {verify}, secret = 'key' }}\nmax_age = '1m'\n"
        )
    };
    let target = |name: &str, auth: &str, more: &str| {
        format!(
            "[target.{name}]\nurl = '{target}'\nallow_private = true\nauth = {auth}\nbreaker = {{ failures = 0 }}\n{more}\n"
        )
    };
    [
        route("github", "scheme = 'github', at = 'pipeline'", "guest"),
        // Of its name alone nobody would know that it holds a secret.
        route("header", "scheme = 'header', name = 'x-visitor', at = 'pipeline'", "guest"),
        route("basic", "scheme = 'basic', user = 'me', at = 'ingest'", "guest"),
        route("broken", "scheme = 'bearer'", "broken"),
        "[plugin.guest]\npath = 'guest.wasm'\nsecrets = ['token']\n".to_owned(),
        "[plugin.broken]\npath = 'broken.wasm'\n".to_owned(),
        target("sss", "{ scheme = 'bearer', secret = 'token' }", "plugin_secrets = ['token']"),
        target("two", "{ scheme = 'basic', user = 'me', secret = 'token' }", ""),
        target("three", "{ scheme = 'hmac', header = 'x-sig', secret = ['key', 'token'] }", ""),
        target(
            "four",
            &format!("{{ scheme = 'oauth2', token_url = '{endpoint}', client_id = 'c', secret = 'token', client_auth = 'post' }}"),
            "",
        ),
    ]
    .concat()
}

/// A careless target: it answers what it rejects with every credential it ever received, each time encoded another way.
async fn echoing() -> Target {
    let mut sent = Vec::new();
    let mut refused = 0;
    Target::answering(move |call| {
        sent.extend(call.pairs().into_iter().filter(|(name, _)| ["authorization", "x-key"].contains(&name.as_str())));
        if call.path.ends_with("ok") {
            return Answer::Status(200, String::new());
        }
        refused += 1;
        Answer::Status(404, echo(ECHOES[refused % ECHOES.len()], &sent))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_letter_error_or_output_shows_a_secret_not_even_at_trace() {
    let target = echoing().await;
    let token = format!("{{\"access_token\":\"{MARK}-access\",\"expires_in\":60}}");
    let endpoint = Target::answering(move |_| Answer::Status(200, token.clone())).await;
    let folder = TempDir::new().unwrap();
    let request = |target, path| Request { target, path, ..Request::default() };
    let secret = Request { header: Some(("x-key", "token")), secret: true, ..request("sss", "/ok") };
    let requests = [secret, request("two", "/ok"), request("three", "/ok"), request("four", "/no")];
    let guest = Guest::deliver(&requests).with_targets(&["sss", "two", "three", "four"]);
    std::fs::write(folder.path().join("guest.wasm"), guest.build()).unwrap();
    std::fs::write(folder.path().join("broken.wasm"), Guest::code("(unreachable)").build()).unwrap();
    std::fs::write(folder.path().join("towpath.toml"), config(&target.url, &endpoint.url)).unwrap();
    let secrets = [("TOWPATH_SECRET_KEY", KEY), ("TOWPATH_SECRET_TOKEN", TOKEN)];
    let server = Server::start_with(folder.path(), &["--log", "trace", "serve"], &secrets);
    let client = client();
    let base = server.url.rsplit_once('/').unwrap().0.to_owned();
    let signature = {
        let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, KEY.as_bytes(), &[b"{}"]);
        format!("sha256={}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let posts = [
        ("github", "x-hub-signature-256", signature, 202),
        ("github", "x-hub-signature-256", "sha256=00".to_owned(), 202),
        ("header", "x-visitor", KEY.to_owned(), 202),
        ("header", "x-visitor", format!("{KEY}x"), 202),
        ("broken", "authorization", format!("Bearer {KEY}"), 202),
    ];
    for (path, header, value, status) in &posts {
        let answer = client.post(format!("{base}/{path}")).header(*header, value).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), *status, "{path}");
    }
    let refused = client.post(format!("{base}/basic")).basic_auth("you", Some(KEY)).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    dead(folder.path(), 5);
    assert_eq!(target.calls().len(), 8, "two messages were verified, each with four requests");

    let listed: Value = serde_json::from_str(&out(&towpath(folder.path(), &["dlq", "list", "--json"]))).unwrap();
    let ids: Vec<&str> =
        listed.as_array().unwrap().iter().map(|letter| letter["message_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    // `towpath` checks what each command says.
    for id in ids {
        for json in [&["--json"][..], &[]] {
            let shown = towpath(folder.path(), &[&["dlq", "show", id], json].concat());
            assert!(shown.status.success(), "{}", err(&shown));
        }
    }
    let refused = towpath(folder.path(), &["dlq", "list", "--refused", "--json"]);
    let kept: Value = serde_json::from_str(&out(&refused)).unwrap();
    assert_eq!((kept.as_array().unwrap().len(), &kept[0]["letter"]["reason"]), (1, &json!("unverified")));
    let id = kept[0]["message_id"].as_str().unwrap();
    let shown = out(&towpath(folder.path(), &["dlq", "show", "--refused", id]));
    assert!(shown.contains("authorization: (hidden,"), "{shown}");
    for command in
        [&["status", "--json"][..], &["dlq", "list"], &["config", "check"], &["record", "--dead", "--to", "events"]]
    {
        towpath(folder.path(), command);
    }
    // A letter says itself which header it is: without a config too.
    let elsewhere = TempDir::new().unwrap();
    let store = folder.path().join(".towpath").display().to_string();
    for (place, config) in [(elsewhere.path(), &[][..]), (folder.path(), &["--config", "towpath.toml"])] {
        let place_of = [&["--store", &store], config].concat();
        let list = towpath(place, &[&["dlq", "list", "--route", "header", "--json"], &place_of[..]].concat());
        let listed: Value = serde_json::from_str(&out(&list)).unwrap();
        let id = listed[0]["message_id"].as_str().unwrap();
        for json in [&["--json"][..], &[]] {
            let shown = towpath(place, &[&["dlq", "show", id], json, &place_of].concat());
            assert!(out(&shown).contains("(hidden,") && out(&shown).contains("x-visitor"), "{}", out(&shown));
        }
        let record = ["record", "--dead", "--to", "cases", "--keep-patterns", "--limit", "100"];
        let recorded = towpath(place, &[&record, &place_of[..]].concat());
        assert!(recorded.status.success(), "{}", err(&recorded));
        assert_eq!(
            err(&recorded).contains("no config was read: only headers"),
            config.is_empty(),
            "{}",
            err(&recorded)
        );
        for case in std::fs::read_dir(place.join("cases")).unwrap() {
            leaks::check("a case", &std::fs::read(case.unwrap().path().join("message.json")).unwrap());
        }
        let new = folder.path().join("guest.wasm").display().to_string();
        let diff = towpath(place, &[&["dlq", "diff", "--plugin", &new, "--name", "guest"], &place_of[..]].concat());
        assert!(diff.status.success(), "{}", err(&diff));
    }
    let dropped = towpath(folder.path(), &["dlq", "drop", "--route", "header", "--note", "seen"]);
    assert!(dropped.status.success(), "{}", err(&dropped));
    let audit = out(&towpath(elsewhere.path(), &["dlq", "audit", "--json", "--store", &store]));
    assert!(audit.contains("(hidden,"), "{audit}");
    // Sent on after all, it is verified again: its password is the wrong user's.
    let sent_on = towpath(folder.path(), &["dlq", "redrive", "--refused", "--reason", "unverified"]);
    assert!(sent_on.status.success(), "{}", err(&sent_on));
    dead(folder.path(), 4);
    assert_eq!(out(&towpath(folder.path(), &["dlq", "list", "--refused", "--json"])).trim(), "[]");
    // Nothing but what senders sent along is in the store: the host writes none of its own secrets there.
    let store = std::fs::read(folder.path().join(".towpath/towpath.db")).unwrap();
    assert!(!store.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_used() {
    let proxy = Wire::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None).await;
    let target = Target::fine().await;
    let folder = super::serve::project(&target.url, Guest::forward());
    let at = format!("http://{}", proxy.address);
    let variables = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, at.as_str()));
    let server = Server::start_with(folder.path(), &["serve"], &variables);
    client().post(&server.url).body("{}").send().await.unwrap();
    target.called(1).await;
    assert_eq!(proxy.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_the_endpoint_lets_in_who_shows_it_and_nobody_else() {
    let target = Target::fine().await;
    let folder = super::serve::project(&target.url, Guest::forward());
    let token = "A5ecretOfTheEndpoint";
    let variables = [("TOWPATH_SECRET_SQS_ENDPOINT", token)];
    let server = Server::start_with(folder.path(), &["serve", "--sqs", "127.0.0.1:0"], &variables);
    let endpoint = format!("http://{}/", server.sqs());
    let signed =
        |id: &str| format!("AWS4-HMAC-SHA256 Credential={id}/20260302/eu-west-1/sqs/aws4_request, Signature=0");
    let cases = [
        (None, 403),
        (Some("Bearer".to_owned()), 403),
        (Some(format!("Bearer {}", &token[1..])), 403),
        (Some(signed("local")), 403),
        (Some(signed("")), 403),
        (Some(format!("Bearer {token}")), 200),
        (Some(signed(token)), 200),
    ];
    for (shown, status) in cases {
        let mut request = client().post(&endpoint).header("x-amz-target", "AmazonSQS.ListQueues").body("{}");
        if let Some(shown) = &shown {
            request = request.header("authorization", shown);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{shown:?}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.contains("InvalidClientTokenId"), status == 403, "{text}");
    }
    // A stranger is told so before anything of a body is read.
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://").trim_end_matches('/')).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nx-amz-target: AmazonSQS.ListQueues\r\ncontent-length: 8000000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    // The commands show it by themselves, and say what is wrong where it is not set.
    let url = format!("{endpoint}000000000000/events-dead.fifo");
    let stats = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
        command.args(["dlq", "stats", "--queue-url", &url]).envs(variables.iter().copied()).output().unwrap()
    };
    assert_eq!(stats(&variables).status.code(), Some(0));
    let refused = stats(&[]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("sqs-endpoint"), "{}", err(&refused));
}

#[test]
fn pipes_among_the_files_of_a_plugin_stop_no_command() {
    for name in ["Cargo.toml", "plugin.wasm", "cases/config.json", "cases/one/message.json", "cases/one/expected.json"]
    {
        let folder = super::project();
        let file = folder.path().join("plugins/crm").join(name);
        // Some are there, some are not.
        std::fs::remove_file(&file).ok();
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        let at = folder.path().to_owned();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(towpath(&at, &["plugin", "check", "--no-build", "plugins/crm"])));
        let checked = ended.recv_timeout(std::time::Duration::from_secs(120));
        let checked = checked.unwrap_or_else(|_| panic!("a pipe as {name} stops it"));
        assert!(checked.status.code().is_some(), "{name}: {}", err(&checked));
    }
}
