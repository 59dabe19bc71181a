use axum::http::StatusCode;
use serde_json::json;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::queue::Queue as _;

use crate::Role;
use crate::trying::Trying;

/// A letter of a route whose name is hostile.
async fn bury(trying: &Trying) {
    let seen = Seen { route: Some("a&b <script>"), ..Seen::default() };
    let now = trying.queues.events.store().now();
    let letter = DeadLetter::refused_at_ingest("m-1".to_owned(), seen, "unverified", "forged".to_owned(), now);
    for queue in [&trying.queues.dead_letters, &trying.queues.refused] {
        let message = letter.carried_by("g".into(), "{}".into(), Default::default());
        queue.send(message).await.expect("sent");
    }
}

#[tokio::test]
async fn each_figure_links_to_what_it_counts() {
    let trying = Trying::new().await;
    bury(&trying).await;
    let page = trying.get("/").await.text;
    for link in [
        r#"href="/groups""#,
        r#"href="/letters""#,
        r#"href="/refused""#,
        r#"href="/letters?route=a%26b+%3Cscript%3E&amp;reason=unverified""#,
    ] {
        assert!(page.contains(link), "{link} in {page}");
    }
    assert!(page.contains("a&amp;b &lt;script&gt;") && !page.contains("<script>"), "{page}");
    let fragment = trying.get("/overview").await.text;
    assert!(page.contains(&fragment) || fragment.contains("Dead letters by route"), "{fragment}");
    assert!(!fragment.contains("<html"), "{fragment}");
}

#[tokio::test]
async fn a_target_is_held_with_a_reason_and_a_name_and_resumed_on_the_page() {
    let trying = Trying::new().await;
    let refused = trying.form("/targets/sss/hold", "reason=+&length=1h").await;
    assert_eq!(refused.status, StatusCode::OK, "htmx shows it in the form");
    assert!(
        refused.text.contains("needs a reason") && !refused.headers.contains_key("hx-retarget"),
        "{}",
        refused.text
    );
    let held = trying.form("/targets/sss/hold", "reason=%3Cb%3Erelease&length=45m").await;
    assert_eq!(held.headers["hx-retarget"], "#targets");
    for words in ["sss is on hold for 45m", "by ann", "&lt;b&gt;release", r#"data-state="held""#, "Resume sss"] {
        assert!(held.text.contains(words), "{words} in {}", held.text);
    }
    let targets = trying.get("/api/v1/targets").await.json();
    assert_eq!(
        (&targets["targets"][0]["state"], &targets["targets"][0]["hold"]["by"]),
        (&json!("held"), &json!("ann"))
    );
    let wrong = trying.form("/targets/sss/resume", "per_second=fast").await;
    assert!(wrong.text.contains("above 0"), "{}", wrong.text);
    let resumed = trying.form("/targets/sss/resume", "per_second=2.5").await;
    assert!(resumed.text.contains("sss is resumed") && resumed.text.contains(r#"data-state="ok""#), "{}", resumed.text);
}

#[tokio::test]
async fn the_api_does_the_same() {
    let trying = Trying::new().await;
    let hold = |body| trying.json("/api/v1/targets/sss/hold", body);
    for (name, body, says) in [
        ("no reason", json!({ "reason": "" }), "needs a reason"),
        ("a length of nothing", json!({ "reason": "a", "length_seconds": 0 }), "from 1 second"),
        ("an unknown key", json!({ "reason": "a", "for": "1h" }), "for"),
    ] {
        let answered = hold(body).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{name}: {}", answered.text);
        assert!(answered.json()["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{name}");
    }
    let held = hold(json!({ "reason": "release", "length_seconds": 60 })).await.json();
    assert_eq!((&held["holds"]["sss"]["reason"], &held["holds"]["sss"]["by"]), (&json!("release"), &json!("ann")));
    let resumed = trying.json("/api/v1/targets/sss/resume", json!({})).await;
    assert!(resumed.json()["checked_again"].is_object(), "{}", resumed.text);
    let unknown = trying.json("/api/v1/targets/..%2Fsss/hold", json!({ "reason": "a" })).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unknown.text);
}

#[tokio::test]
async fn who_may_only_look_sees_no_forms_and_holds_nothing() {
    let trying = Trying::as_role(Role::Viewer).await;
    assert!(!trying.get("/").await.text.contains("<form"));
    for path in ["/targets/sss/hold", "/targets/sss/resume"] {
        assert_eq!(trying.form(path, "reason=a").await.status, StatusCode::FORBIDDEN, "{path}");
        let path = format!("/api/v1{path}");
        assert_eq!(trying.json(&path, json!({ "reason": "a" })).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let targets = trying.get("/api/v1/targets").await.json();
    assert_eq!(targets["targets"][0]["state"], "ok");
}

#[tokio::test(start_paused = true)]
async fn what_the_archive_holds_is_read_once_a_minute() {
    let trying = Trying::new().await;
    let archive = async || trying.get("/api/v1/status").await.json().get("archive").cloned();
    assert_eq!(archive().await, None);
    std::fs::create_dir(trying.folder.path().join("archive")).expect("a folder");
    assert_eq!(archive().await, None, "it was read a moment ago");
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(archive().await.map(|archive| archive["events"].clone()), Some(json!(0)));
}

#[tokio::test]
async fn the_history_of_a_process_is_json_too() {
    let trying = Trying::new().await;
    assert_eq!(trying.get("/api/v1/history").await.json()["points"], json!([]));
}
