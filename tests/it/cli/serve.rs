//! `serve`, `dev` and `dlq` as running processes: posts, kills, signals, hot reload.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::leaks;
use towpath_tests::target::{Answer, Call, Target};

use super::{err, out, towpath};

/// A running `towpath serve` or `dev`. It is killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
    said: mpsc::Receiver<String>,
    log: mpsc::Receiver<String>,
    leaked: Arc<Mutex<Option<String>>>,
}

impl Server {
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Server {
        Server::start_with(folder, args, &[])
    }

    /// `serve` as `nohup` starts it.
    fn ignoring_hangups(folder: &Path) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(binary("towpath")).arg("serve");
        Server::spawn(folder, command)
    }

    /// `serve` under this umask.
    pub(crate) fn under_umask(folder: &Path, umask: &str) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(binary("towpath")).arg("serve");
        Server::spawn(folder, command)
    }

    /// With these environment variables.
    pub(crate) fn start_with(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        let mut command = Command::new(binary("towpath"));
        command.args(args).envs(variables.iter().copied());
        Server::spawn(folder, command)
    }

    fn spawn(folder: &Path, mut command: Command) -> Server {
        let mut process = command
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let leaked = Arc::<Mutex<Option<String>>>::default();
        let found = Arc::clone(&leaked);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if leaks::shows(line.as_bytes()) {
                    *found.lock().unwrap() = Some(line.clone());
                }
                // Whoever does not look at the log any more still has it checked.
                let _ = sender.send(line);
            }
        });
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("POST ").unwrap_or_else(|| panic!("no address: {line:?}")).to_owned();
        // Keep reading, so that it never waits for us.
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Server { process, url, said, log, leaked }
    }

    /// Where its SQS endpoint is, once it says so.
    pub(crate) fn sqs(&self) -> SocketAddr {
        self.says("SQS  http://").parse().unwrap()
    }

    /// What it says behind these words, once it does.
    pub(crate) fn says(&self, words: &str) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(30)).unwrap();
            if let Some(rest) = line.strip_prefix(words) {
                return rest.to_owned();
            }
        }
    }

    /// Waits for a line of its log; what came before it.
    pub(crate) fn logs(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self
                .log
                .recv_timeout(Duration::from_secs(30))
                .unwrap_or_else(|_| panic!("{text:?} is not in {seen:#?}"));
            if line.contains(text) {
                return seen;
            }
            seen.push(line);
        }
    }

    /// Waits for a line of its log.
    fn line(&self, text: &str) -> String {
        let mut lines = std::iter::repeat_with(|| self.log.recv_timeout(Duration::from_secs(30)).expect(text));
        lines.find(|line| line.contains(text)).expect("an endless iterator")
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        self.process.wait().unwrap();
    }

    /// What the system says of the process: `VmRSS` in KiB, `Threads`, and so on.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let leaked = self.leaked.lock().unwrap().take();
        assert!(leaked.is_none() || std::thread::panicking(), "the log shows a planted secret: {leaked:?}");
    }
}

pub(crate) fn project(target: &str, guest: Guest) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("guest.wasm"), guest.build()).unwrap();
    let config = format!(
        "[[route]]\npath = \"g\"\ngroup = \"g/{{json:/k}}\"\nplugin = \"guest\"\n[plugin.guest]\npath = \"guest.wasm\"\n\
        [target.sss]\nurl = \"{target}\"\nallow_private = true\nretry = {{ base = \"50ms\", cap = \"200ms\" }}\n"
    );
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    folder
}

pub(crate) async fn post(client: &reqwest::Client, url: &str, body: &str) -> Option<String> {
    let response = client.post(url).body(body.to_owned()).send().await.ok()?;
    if response.status() != 202 {
        return None;
    }
    let answer: Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
    answer["id"].as_str().map(str::to_owned)
}

pub(crate) fn client() -> reqwest::Client {
    towpath_runtime::install_crypto();
    reqwest::Client::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_nothing_that_was_answered_202() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let client = client();
    let mut accepted: Vec<(usize, String)> = Vec::new();
    let mut number = 0;
    // Killed three times: while it stores, while it tries to deliver.
    for round in 0..3 {
        let mut server = Server::start(folder.path(), &["serve"]);
        let kill_at = accepted.len() + 15 + round * 7;
        let url = server.url.clone();
        let posting = client.clone();
        while accepted.len() < kill_at {
            let body = format!("{{\"k\":{},\"n\":{number}}}", number % 3);
            if let Some(id) = post(&posting, &url, &body).await {
                accepted.push((number, id));
            }
            number += 1;
        }
        // In the middle of more posts.
        let more = async {
            let mut more = Vec::new();
            for _ in 0..50 {
                let body = format!("{{\"k\":{},\"n\":{number}}}", number % 3);
                match post(&posting, &url, &body).await {
                    Some(id) => more.push((number, id)),
                    None => break,
                }
                number += 1;
            }
            number += 1;
            more
        };
        let kill = async {
            target.called(target.calls().len() + 3).await;
            server.process.kill().unwrap();
            server.process.wait().unwrap();
        };
        let (more, ()) = tokio::join!(more, kill);
        accepted.extend(more);
    }
    let before = target.calls().len();
    target.answer(|_| Answer::Status(200, String::new()));
    let server = Server::start(folder.path(), &["serve"]);
    // A killed worker's messages come back when their visibility has run out. A request that was under way
    // at the last kill may be counted late, so it is the ids that are waited for, not their number.
    let ids = |calls: &[Call]| calls.iter().map(|call| call.header("webhook-id").to_owned()).collect::<Vec<_>>();
    let all = target.until(|calls| {
        let delivered: HashSet<String> = ids(&calls[before..]).into_iter().collect();
        accepted.iter().all(|(_, id)| delivered.contains(id))
    });
    let waited = tokio::time::timeout(Duration::from_secs(90), all).await;
    let delivered = ids(&target.calls()[before..]);
    let lost: Vec<_> = accepted.iter().filter(|(_, id)| !delivered.contains(id)).collect();
    assert!(waited.is_ok() && lost.is_empty(), "answered 202 and lost: {lost:?}");
    drop(server);
    for group in 0..3 {
        let sent = accepted.iter().filter(|(number, _)| number % 3 == group).map(|(_, id)| id);
        let places: Vec<_> = sent.map(|id| delivered.iter().position(|other| other == id).unwrap()).collect();
        assert!(places.is_sorted(), "group {group} is out of order: {places:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_releases_what_a_killed_one_held_and_a_stopped_one_leaves_nothing() {
    let target = Target::answering(|_| Answer::Wait).await;
    let folder = project(&target.url, Guest::forward());
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{config}timeout = \"5s\"\n")).unwrap();
    let holders = || {
        let entries = std::fs::read_dir(folder.path().join(".towpath")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("holder-")).count()
    };
    let mut killed = Server::start(folder.path(), &["serve"]);
    post(&client(), &killed.url, "{\"n\":1}").await.expect("accepted");
    target.called(1).await;
    post(&client(), &killed.url, "{\"n\":2}").await.expect("accepted");
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    assert_eq!(holders(), 1, "a killed host leaves its lock file");
    target.answer(|_| Answer::Status(200, String::new()));
    let server = Server::start(folder.path(), &["serve"]);
    // Without the release the message would be visible at the end of its timeout, and not be counted here.
    let released = server.line("leases-released");
    assert!(released.contains("groups=1") && released.contains("messages=1"), "{released}");
    target.called(3).await;
    let bodies: Vec<_> = target.calls().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":1}", "{\"n\":2}"]);
    assert_eq!(holders(), 1);
    server.stop();
    assert_eq!(holders(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signal_drains_whichever_it_is_and_however_often_it_comes_within_a_second() {
    let target = Target::answering(|_| Answer::Wait).await;
    let folder = project(&target.url, Guest::forward());
    for (calls, signals) in
        [(1, ["-TERM", "-TERM"]), (2, ["-INT", "-TERM"]), (3, ["-HUP", "-HUP"]), (4, ["-TERM", "-HUP"])]
    {
        let mut server = Server::start(folder.path(), &["serve"]);
        post(&client(), &server.url, "{}").await.expect("accepted");
        target.called(calls).await;
        server.signal(signals[0]);
        server.signal(signals[1]);
        server.logs("stopping: draining");
        target.release();
        server.logs("stopped");
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "{signals:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_after_a_second_quits_and_a_hangup_never_does() {
    let target = Target::answering(|_| Answer::Wait).await;
    let folder = project(&target.url, Guest::forward());
    let mut server = Server::start(folder.path(), &["serve"]);
    post(&client(), &server.url, "{}").await.expect("accepted");
    target.called(1).await;
    server.signal("-INT");
    server.logs("stopping: draining");
    // Until a second has passed each is only logged.
    loop {
        server.signal("-HUP");
        server.logs("signal=\"SIGHUP\"");
        server.signal("-INT");
        // Between them the delivery that is under way may be told of.
        let answers = |line: &String| line.contains("quitting at once") || line.contains("still draining");
        let next = || server.log.recv_timeout(Duration::from_secs(30)).unwrap();
        if std::iter::repeat_with(next).find(answers).is_some_and(|line| line.contains("quitting at once")) {
            break;
        }
    }
    assert_eq!(server.process.wait().unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_started_to_outlive_its_terminal_does() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::ignoring_hangups(folder.path());
    server.signal("-HUP");
    post(&client(), &server.url, "{}").await.expect("accepted");
    target.called(1).await;
    let mut server = server;
    assert!(server.process.try_wait().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_while_serve_runs() {
    let target = Target::answering(|_| Answer::Status(422, "amount is missing".to_owned())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve"]);
    post(&client(), &server.url, "{\"k\":\"caf\u{e9}\"}").await.expect("accepted");
    server.logs("message is in the dead-letter queue");
    let listed = out(&towpath(folder.path(), &["dlq", "list"]));
    assert!(listed.contains("refused") && listed.contains("422"), "{listed}");
    assert!(out(&towpath(folder.path(), &["dlq", "list", "--reason", "expired"])).contains("no dead letters"));
    let letters: Value = serde_json::from_str(&out(&towpath(folder.path(), &["dlq", "list", "--json"]))).unwrap();
    let id = letters[0]["message_id"].as_str().unwrap();
    let shown = out(&towpath(folder.path(), &["dlq", "show", &id[..8]]));
    for text in ["amount is missing", "POST /t: 422", "{\"k\":\"caf\u{e9}\"}", "guest"] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    let shown: Value = serde_json::from_str(&out(&towpath(folder.path(), &["dlq", "show", id, "--json"]))).unwrap();
    assert_eq!(shown["letter"]["reason"], "refused");
    let unknown = towpath(folder.path(), &["dlq", "show", "nobody"]);
    assert!(err(&unknown).contains("there is no dead letter nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_swaps_a_changed_plugin_and_keeps_the_old_one_if_the_new_one_is_broken() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let mut server = Server::start(folder.path(), &["dev", "--sqs", "127.0.0.1:0", "--real-targets", "--no-build"]);
    let replace = |bytes: &[u8]| {
        let partial = folder.path().join("guest.partial");
        std::fs::write(&partial, bytes).unwrap();
        std::fs::rename(partial, folder.path().join("guest.wasm")).unwrap();
    };
    let client = client();
    post(&client, &server.url, "{}").await.expect("accepted");
    target.called(1).await;
    replace(&Guest::deliver(&[Request { path: "/new", ..Request::default() }]).build());
    server.logs("plugin swapped");
    post(&client, &server.url, "{}").await.expect("accepted");
    target.called(2).await;
    replace(b"broken");
    server.logs("the new build does not load, the old one keeps running");
    post(&client, &server.url, "{}").await.expect("accepted");
    target.called(3).await;
    let paths: Vec<String> = target.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/t", "/new", "/new"]);
    server.signal("-TERM");
    server.logs("stopped");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_points_every_target_at_the_fake_one() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(
        folder.path(),
        &["dev", "--sqs", "127.0.0.1:0", "--no-build", "--chaos", "503:300ms", "--log", "debug"],
    );
    let case = folder.path().join("message.json");
    std::fs::write(&case, r#"{"body": {"k": 1}}"#).unwrap();
    let base = server.url.strip_suffix("/g").unwrap();
    let sent = towpath(folder.path(), &["send", "message.json", "--path", "g", "--to", base]);
    assert!(out(&sent).contains("1 sent, 1 accepted, 0 refused"), "{}", err(&sent));
    server.logs("message will be retried");
    server.logs("message delivered");
    assert!(target.calls().is_empty());
    let refused = towpath(folder.path(), &["send", "message.json", "--path", "other", "--to", base]);
    assert_eq!((refused.status.code(), err(&refused).contains("answered 404")), (Some(2), true));
}
