use std::path::Path as FilePath;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tower::ServiceExt as _;
use towpath_config::{Config, Secrets};
use towpath_operate::archive::{ArchivePlace, FoundArchive, Named};
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::Queues;
use towpath_operate::story::StoryPlace;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::envelope::Webhook;
use towpath_types::queue::{NewMessage, Queue as _};

use super::*;
use crate::{Access, Console, Role, Session};

const CONFIG: &str = "
[[route]]
path = 'crm'
group = 'crm/{json:/id}'
target = 'sss'
[target.sss]
url = 'https://sss.example.com/'
";

const HOSTILE: &str = "</pre><script>alert(1)</script>";

struct Setup {
    folder: TempDir,
    router: axum::Router,
    id: String,
}

/// A store with one event, whose body is this.
async fn setup(body: &[u8]) -> Setup {
    setup_with(body, false).await
}

/// The same, with an archive that cannot be read: whoever reads it fails.
async fn setup_with(body: &[u8], has_archive: bool) -> Setup {
    let folder = TempDir::new().expect("folder");
    let queues = Queues::open(folder.path()).await.expect("store");
    let config = Config::parse(CONFIG, FilePath::new("towpath.toml"), &Secrets::placeholders()).expect("config");
    let headers = vec![
        ("authorization".to_owned(), b"Bearer hush-hush".to_vec()),
        ("x-html".to_owned(), HOSTILE.as_bytes().to_vec()),
    ];
    let webhook = Webhook { headers, body: body.to_vec(), ..Webhook::default() };
    let message = NewMessage {
        group: "crm/7".into(),
        dedup_id: Some("1".into()),
        body: webhook.into(),
        attributes: Default::default(),
    };
    let id = queues.events.send(message).await.expect("send").id.to_string();
    let found = Found::new(Backend::Local(Box::new(queues)), Some(config));
    let store = Some(folder.path().to_owned());
    let story = StoryPlace { config: "towpath.toml".into(), config_was_named: false, store, file: None, logs: None };
    let archive = if has_archive { Some(unreadable(&folder).await) } else { None };
    let console = Console { archive, ..Console::new(found, story, tokio_util::sync::CancellationToken::new()) };
    let session = Session { by: "ada".to_owned(), role: Role::Viewer };
    let router = crate::router(console, Access::by_token("token".to_owned(), session));
    Setup { folder, router, id }
}

/// An archive whose one segment is a folder.
async fn unreadable(folder: &TempDir) -> FoundArchive {
    let path = folder.path().join("archive");
    std::fs::create_dir_all(path.join("0001767225600000-9f86d081884c7d65.live")).expect("folders");
    let named = Named { folder: Some(path), bucket: None };
    let place = ArchivePlace { config: folder.path().join("none.toml"), config_was_named: false, named };
    FoundArchive::find(&place).await.expect("an archive")
}

/// A letter whose event has this id.
async fn bury(setup: &Setup, id: &str) {
    let queues = Queues::open(setup.folder.path()).await.expect("store");
    let seen = Seen { route: Some("crm"), ..Seen::default() };
    let now = queues.events.store().now();
    let letter = DeadLetter::refused_at_ingest(id.to_owned(), seen, "unverified", "forged".to_owned(), now);
    queues.dead_letters.send(letter.carried_by("g".into(), id.into(), Default::default())).await.expect("sent");
}

impl Setup {
    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder().uri(path).header("authorization", "Bearer token").header("host", "127.0.0.1");
        let response =
            self.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    fn looks(&self) -> usize {
        let audit = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default();
        audit.lines().filter(|line| line.contains(r#""by":"ada","action":"look""#) && line.contains(&self.id)).count()
    }
}

#[tokio::test]
async fn a_timeline_shows_no_body_and_each_look_at_one_is_in_the_audit() {
    let body = format!("{{\"id\": 7, \"html\": \"{HOSTILE}\"}}");
    let setup = setup(body.as_bytes()).await;
    let own = format!("/events/{}", setup.id);
    for path in [own.clone(), format!("/api/v1{own}")] {
        let (status, _, text) = setup.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(!text.contains("html") || path == own, "{text}");
        assert!(!text.contains("alert(1)") && !text.contains("hush"), "{text}");
    }
    assert_eq!(setup.looks(), 0);
    let looks = ["/panes", "/again", "/body?as=raw", "/body?as=case", "/body"];
    for (at, path) in looks.iter().enumerate() {
        let (status, headers, text) = setup.get(&format!("{own}{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert!(!text.contains("hush"), "{path}: {text}");
        assert_eq!(setup.looks(), at + 1, "{path}");
        let kind = headers["content-type"].to_str().expect("text");
        if kind.starts_with("text/html") {
            assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{path}: {text}");
        } else {
            assert!(["application/json", "application/octet-stream"].contains(&kind), "{kind}");
        }
    }
    let (_, headers, raw) = setup.get(&format!("{own}/body?as=raw")).await;
    assert_eq!(
        (raw, &headers["content-disposition"]),
        (body, &"attachment; filename=\"body\"".parse().expect("a value"))
    );
}

#[tokio::test]
async fn the_verdict_is_computed_again_and_compared_with_what_came_in() {
    let setup = setup(br#"{"id":7}"#).await;
    let (_, _, text) = setup.get(&format!("/events/{}/again", setup.id)).await;
    assert!(text.contains("Computed again now") && text.contains("Request 1: sss POST"), "{text}");
    assert!(text.contains("Its body is what came in."), "{text}");
}

#[tokio::test]
async fn a_case_can_be_read_as_one() {
    let setup = setup(br#"{"id": 7}"#).await;
    let (_, _, text) = setup.get(&format!("/api/v1/events/{}/body?as=case", setup.id)).await;
    let file = setup.folder.path().join("message.json");
    std::fs::write(&file, &text).expect("written");
    let event = towpath_operate::event::Event::read(&file).expect("a recorded event");
    assert_eq!(event.webhook().expect("a webhook").body, br#"{"id": 7}"#);
    assert_eq!(event.group.as_deref(), Some("crm/7"));
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_not_found_whatever_its_id_looks_like() {
    let setup = setup(b"{}").await;
    for id in [
        "12345678-unknown",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "12345678%0D%0Aset-cookie:x",
        "%25%25%25%25%25%25%25%25",
    ] {
        for path in [format!("/events/{id}"), format!("/events/{id}/body"), format!("/api/v1/events/{id}")] {
            let (status, headers, text) = setup.get(&path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
            let is_page = headers["content-type"].to_str().expect("text").starts_with("text/html");
            assert!(!is_page || !text.contains("<script>alert"), "{text}");
            assert!(!headers.contains_key("set-cookie"));
            assert_eq!(headers["x-content-type-options"], "nosniff");
        }
    }
    let (status, _, _) = setup.get("/events/1").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "too short to name one");
}

#[tokio::test]
async fn the_archive_is_searched_only_for_who_wants_that() {
    let setup = setup_with(b"{}", true).await;
    for id in ["12345678-unknown", "..%2F%3Cb%3E-unknown"] {
        let (status, _, text) = setup.get(&format!("/events/{id}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{text}");
        assert!(text.contains(&format!("href=\"/events/{id}?archive=true\"")), "{text}");
        let (status, ..) = setup.get(&format!("/api/v1/events/{id}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        for path in ["/events", "/api/v1/events"] {
            let (status, _, text) = setup.get(&format!("{path}/{id}?archive=true")).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "it was read: {text}");
        }
    }
    let (status, _, text) = setup.get(&format!("/events/{}", setup.id)).await;
    assert!(status == StatusCode::OK && !text.contains("archive=true"), "{text}");
}

#[tokio::test]
async fn the_beginning_of_several_ids_is_an_error_that_names_them() {
    let setup = setup(b"{}").await;
    for id in ["deadbeef-1", "deadbeef-2"] {
        bury(&setup, id).await;
    }
    for path in ["/events/deadbeef", "/api/v1/events/deadbeef"] {
        let (status, _, text) = setup.get(path).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        assert!(text.contains("deadbeef-1, deadbeef-2"), "{text}");
    }
    let (status, _, text) = setup.get("/events/deadbeef-2").await;
    assert!(status == StatusCode::OK && text.contains("deadbeef-2"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_third_search_waits_for_one_of_two() {
    let setup = setup(b"{}").await;
    let searching = crate::api::events::SEARCHES.acquire_many(2).await.expect("both");
    let path = format!("/events/{}", setup.id);
    let mut third = std::pin::pin!(setup.get(&path));
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), &mut third).await;
    assert!(waited.is_err(), "it was not waited for");
    drop(searching);
    assert_eq!(third.await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_shown_cut_and_downloaded_whole() {
    let body = vec![b'x'; 1 << 20];
    let setup = setup(&body).await;
    let (_, _, text) = setup.get(&format!("/events/{}/panes", setup.id)).await;
    assert!(text.contains("The first 256 KiB of 1048576 bytes") && text.len() < 600_000, "{}", text.len());
    let (_, _, raw) = setup.get(&format!("/events/{}/body?as=raw", setup.id)).await;
    assert_eq!(raw.len(), 1 << 20);
}

#[test]
fn bars_are_to_scale() {
    let step = |at: u64, took: u64| Step {
        at: Timestamp(at),
        took: std::time::Duration::from_millis(took),
        what: "delivered".to_owned(),
        detail: String::new(),
        is_failure: false,
        by: None,
        plugin: None,
        attempts: Vec::new(),
    };
    let text = drawn(&[step(1_000, 0), step(2_000, 500), step(5_000, 1_000)]).into_string();
    for bar in [r#"x="0" y="2" width="2""#, r#"x="125" y="18" width="125""#, r#"x="750" y="34" width="250""#] {
        assert!(text.contains(bar), "{bar}: {text}");
    }
    assert!(!text.contains("style="), "{text}");
}
