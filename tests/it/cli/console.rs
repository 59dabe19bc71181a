//! The web console as a browser, and as whoever attacks it, meets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method, Response, redirect};
use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Target};

use super::serve::{Server, client, post, project};

const ANY: &str = "--console=127.0.0.1:0";

/// A console, and what is known to whoever started it.
struct Console {
    server: Server,
    /// `http://127.0.0.1:PORT`.
    url: String,
    link: String,
    token: String,
    folder: TempDir,
}

impl Console {
    async fn start(config: &str) -> Console {
        let target = Target::answering(|_| Answer::Status(200, String::new())).await;
        let folder = project(&target.url, Guest::forward());
        let file = folder.path().join("towpath.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{config}\n{text}")).unwrap();
        let server = Server::start(folder.path(), &["serve", ANY]);
        let link = server.says("console ");
        let url = link.split("/login").next().unwrap().to_owned();
        let token = std::fs::read_to_string(folder.path().join(".towpath/console.token")).unwrap();
        Console { server, url, link, token, folder }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = browser().request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Logs in by the link. Returns the cookie.
    async fn log_in(&self) -> String {
        let answer = browser().get(&self.link).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        header(&answer, "set-cookie").split(';').next().unwrap().to_owned()
    }

    /// What it answers to these bytes: a client library would not send them.
    fn raw(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn browser() -> Client {
    towpath_runtime::install_crypto();
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_the_start_logs_in_once_and_the_token_always() {
    let console = Console::start("").await;
    let answer = browser().get(&console.link).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/"));
    let set = header(&answer, "set-cookie").to_owned();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = set.split(';').next().unwrap();
    assert_eq!(console.send("GET", "/", &[("cookie", cookie)]).await.status(), 200);
    assert_eq!(browser().get(&console.link).send().await.unwrap().status(), 401, "it was used");
    let bearer = format!("Bearer {}", console.token);
    let me: Value = serde_json::from_str(
        &console.send("GET", "/api/v1/session", &[("authorization", &bearer)]).await.text().await.unwrap(),
    )
    .unwrap();
    assert_eq!((me["role"].as_str(), &me["read_only"]), (Some("operator"), &Value::Null));
    for name in ["console.token", "console-view.token"] {
        let file = console.folder.path().join(".towpath").join(name);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let view = std::fs::read_to_string(console.folder.path().join(".towpath/console-view.token")).unwrap();
    let bearer = format!("Bearer {view}");
    let me = console.send("GET", "/api/v1/session", &[("authorization", &bearer)]).await.text().await.unwrap();
    assert!(me.contains("\"role\":\"viewer\""), "{me}");
    let (folder, token) = (console.folder, console.token);
    console.server.stop();
    let server = Server::start(folder.path(), &["serve", ANY]);
    server.says("console ");
    assert_eq!(std::fs::read_to_string(folder.path().join(".towpath/console.token")).unwrap(), token, "it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_pointed_here_and_pages_of_others_get_nothing() {
    let console = Console::start("").await;
    let cookie = console.log_in().await;
    let with = ("cookie", cookie.as_str());
    for host in ["evil.test", "evil.test:8082", "127.0.0.1.evil.test"] {
        assert_eq!(console.send("GET", "/", &[with, ("host", host)]).await.status(), 421, "{host}");
    }
    let own = ("origin", console.url.as_str());
    let header = ("x-towpath-console", "1");
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("another origin", &[with, header, ("origin", "https://evil.test")]),
        ("another port", &[with, header, ("origin", "http://127.0.0.1:1")]),
        ("another site", &[with, header, own, ("sec-fetch-site", "cross-site")]),
        ("another port of this site", &[with, header, own, ("sec-fetch-site", "same-site")]),
        ("no header of our own", &[with, own]),
    ];
    for (name, headers) in cases {
        for path in ["/logout", "/session"] {
            assert_eq!(console.send("POST", path, headers).await.status(), 403, "{name} {path}");
        }
    }
    let image = [with, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    assert_eq!(
        console.send("GET", "/api/v1/status", &image).await.status(),
        403,
        "a page of another site reads nothing"
    );
    let answer = console.send("OPTIONS", "/api/v1/status", &[("origin", "https://evil.test")]).await;
    assert!(answer.status() == 403 && answer.headers().get("access-control-allow-origin").is_none());
    assert_eq!(console.send("GET", "/", &[with]).await.status(), 200, "the session goes on");
    let out = console.send("POST", "/logout", &[with, header, own]).await;
    assert_eq!(out.status(), 200);
    assert_eq!(console.send("GET", "/", &[with]).await.status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_no_path_and_no_header_gets_around_it() {
    let console = Console::start("").await;
    for path in ["/", "/login", "/nowhere", "/assets/console.js"] {
        let answer = console.send("GET", path, &[]).await;
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
        assert!(header(&answer, "content-security-policy").contains("frame-ancestors 'none'"), "{path}");
    }
    let host = console.url.strip_prefix("http://").unwrap().to_owned();
    let targets = [
        "/assets/../api/v1/status",
        "/assets/%2e%2e/api/v1/status",
        "//api/v1/status",
        "/api/v1//status",
        "/API/v1/status",
        "/login/../api/v1/status",
        "/login%2f..%2fsession",
        "http://evil.test/api/v1/status",
        "/assets/../../../../etc/passwd",
        "/login?to=/%0d%0aset-cookie:%20x=y",
    ];
    for target in targets {
        let answer = console.raw(&format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("set-cookie"), "{target}: {head}");
        assert!(!body.contains("\"targets\"") && !body.contains("root:"), "{target}: {body}");
    }
    let split = console.raw(&format!("GET / HTTP/1.1\r\nhost: {host}\r\nhost: evil.test\r\nconnection: close\r\n\r\n"));
    assert!(split.starts_with("HTTP/1.1 421 "), "{split}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_tokens_has_to_wait() {
    let console = Console::start("").await;
    let cookie = console.log_in().await;
    for _ in 0..10 {
        let answer = console.send("GET", "/api/v1/status", &[("authorization", "Bearer guess")]).await;
        assert_eq!(answer.status(), 401);
    }
    let answer = console.send("GET", "/api/v1/status", &[("authorization", "Bearer guess")]).await;
    assert_eq!(answer.status(), 429);
    assert!(header(&answer, "retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait)));
    assert_eq!(console.send("GET", "/", &[("cookie", &cookie)]).await.status(), 200, "sessions go on");
    let bearer = format!("Bearer {}", console.token);
    let answer = console.send("GET", "/api/v1/status", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status(), 200, "whoever has the token is never kept out");
    let log = console.server.logs("console login failed");
    assert!(!log.iter().any(|line| line.contains(&console.token) || line.contains("guess")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_believed_only_from_its_address() {
    let keys = "[console]\nidentity_header = 'x-forwarded-user'\noperators = ['ann']\ntrusted_proxies = ";
    let ann = [("x-forwarded-user", "ann"), ("x-forwarded-for", "10.9.9.9")];
    let console = Console::start(&format!("{keys}['10.9.9.9']")).await;
    assert_eq!(console.send("GET", "/api/v1/session", &ann).await.status(), 401, "anybody could write that");
    let console = Console::start(&format!("{keys}['127.0.0.1']")).await;
    let me = console.send("GET", "/api/v1/session", &ann).await.text().await.unwrap();
    assert!(me.contains("\"by\":\"ann\"") && me.contains("operator"), "{me}");
    let me = console.send("GET", "/api/v1/session", &[("x-forwarded-user", "bob")]).await.text().await.unwrap();
    assert!(me.contains("\"by\":\"bob\"") && me.contains("viewer"), "{me}");
    let two = [("x-forwarded-user", "ann"), ("x-forwarded-user", "bob")];
    assert_eq!(console.send("GET", "/api/v1/session", &two).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_its_console_delivers_and_drains() {
    let target = Target::answering(|_| Answer::Status(200, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("--console={}", taken.local_addr().unwrap());
    let server = Server::start(folder.path(), &["serve", &at]);
    server.logs("console cannot start");
    post(&client(), &server.url, "{\"k\":1}").await.expect("accepted");
    target.called(1).await;
    server.stop();
    assert!(!folder.path().join(".towpath/console.token").exists(), "nothing was opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_has_no_console_unless_it_is_asked_for_one_and_dev_has_one() {
    let target = Target::answering(|_| Answer::Status(200, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    server.says("metrics ");
    assert!(!folder.path().join(".towpath/console.token").exists());
    server.stop();
    let dev = Server::start(folder.path(), &["dev", "--no-build", "--sqs", "127.0.0.1:0", "--console", "127.0.0.1:0"]);
    assert!(dev.says("console ").starts_with("http://127.0.0.1:"));
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `towpath console --json`, and what it says at its start.
fn console(folder: &Path, args: &[&str]) -> (Killed, Value) {
    let mut process = Command::new(binary("towpath"))
        .args(["console", "--json", "--listen", "127.0.0.1:0"])
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        if line == "}" {
            break;
        }
    }
    (Killed(process), serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_by_itself_looks_at_a_store_and_may_be_read_only() {
    let target = Target::answering(|_| Answer::Status(200, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    Server::start(folder.path(), &["serve"]).stop();
    for (args, read_only) in [(&["--store", ".towpath"][..], false), (&["--read-only"][..], true)] {
        let (mut process, said) = console(folder.path(), args);
        let answer = browser().get(said["login"].as_str().unwrap()).send().await.unwrap();
        let cookie = header(&answer, "set-cookie").split(';').next().unwrap().to_owned();
        let session = format!("{}session", said["url"].as_str().unwrap());
        let shown = browser().get(session).header("cookie", cookie).send().await.unwrap().text().await.unwrap();
        assert_eq!(shown.contains("may look, not act"), read_only, "{shown}");
        assert_eq!(said["read_only"].is_string(), read_only);
        assert!(Command::new("kill").args(["-INT", &process.0.id().to_string()]).status().unwrap().success());
        assert!(process.0.wait().unwrap().success(), "Ctrl-C ends it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_past_go_through_another_build_and_none_is_sent() {
    let target = Target::answering(|_| Answer::Status(200, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let file = folder.path().join("towpath.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("[console]\nbuilds = \"builds\"\n{text}")).unwrap();
    std::fs::create_dir(folder.path().join("builds")).unwrap();
    std::fs::write(folder.path().join("builds/same.wasm"), Guest::forward().build()).unwrap();
    std::fs::write(folder.path().join("builds/other.wasm"), Guest::skip("old").build()).unwrap();
    let server = Server::start(folder.path(), &["serve"]);
    for body in ["{\"k\":1}", "{\"k\":2}", "{\"k\":3}"] {
        post(&client(), &server.url, body).await.expect("accepted");
    }
    target.called(3).await;
    server.stop();
    let (_process, said) = console(folder.path(), &[]);
    let url = said["url"].as_str().unwrap();
    let token = std::fs::read_to_string(folder.path().join(".towpath/console.token")).unwrap();
    let ask = async |path: &str, kind: &str, body: String| {
        let request = browser().post(format!("{url}{path}")).bearer_auth(&token).header("x-towpath-console", "1");
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let run = async |route: &str, last: usize, build: &str| {
        let order = serde_json::json!({"route": route, "last": last, "build": build, "plugin": "guest"});
        let (status, text) = ask("api/v1/what-if/events", "application/json", order.to_string()).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, alike) = run("g", 100, "same.wasm").await;
    assert_eq!((status, &alike["events"], &alike["differ"]), (200, &3.into(), &0.into()), "{alike}");
    let (_, differs) = run("g", 2, "other.wasm").await;
    assert_eq!((&differs["events"], &differs["differ"]), (&2.into(), &2.into()), "only the last ones: {differs}");
    let groups = [0, 1].map(|row| differs["rows"][row]["group"].clone());
    assert_eq!(groups, ["g/2", "g/3"]);
    assert_eq!(differs["rows"][0]["difference"], "verdict: deliver becomes skip old");
    for (route, last, build, expected) in [
        ("g", 0, "same.wasm", 400),
        ("g", 501, "same.wasm", 400),
        ("g", 1, "../guest.wasm", 422),
        ("none", 1, "same.wasm", 422),
    ] {
        let (status, answer) = run(route, last, build).await;
        assert_eq!(status, expected, "{answer}");
    }
    let page = browser().get(format!("{url}what-if")).bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<option value=\"g\">") && page.contains("value=\"other.wasm\""), "{page}");
    let form = "route=g&last=1&build=other.wasm&plugin=guest".to_owned();
    let (_, shown) = ask("what-if/events", "application/x-www-form-urlencoded", form).await;
    assert!(shown.contains("1 event of 1 would be told something else") && shown.contains("g/3"), "{shown}");
    let audit = std::fs::read_to_string(folder.path().join(".towpath/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"look\"").count(), 3, "each row is a look: {audit}");
    assert_eq!(target.calls().len(), 3, "nothing was sent");
}
