use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;

use crate::trying::{Trying, pass};

/// The text of a stream up to these words.
async fn until(body: &mut Body, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let frame = body.frame().await.expect("the stream goes on").expect("a frame");
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default()).expect("text"));
    }
    text
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_the_last_lines_and_then_new_ones_and_ends_with_the_process() {
    let trying = Trying::new().await;
    trying.tell(&[pass("m-1", "delivered", ""), pass("m-2", "unavailable", "no answer")]);
    let (status, headers, mut body) = trying.begun(get("/api/v1/tail?failed=true")).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"text/event-stream".parse().expect("a value")));
    let text = until(&mut body, "event: position").await;
    assert!(text.contains("event: restarted") && text.contains("m-2") && !text.contains("m-1"), "{text}");
    trying.tell(&[pass("m-3", "refused", "400")]);
    let text = until(&mut body, "event: position").await;
    assert!(text.contains(r#""message_id":"m-3""#) && !text.contains("restarted"), "{text}");
    trying.stop.cancel();
    assert!(body.frame().await.is_none(), "a host that drains waits for no browser");
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_comes_back_continues() {
    let trying = Trying::new().await;
    trying.tell(&[pass("m-1", "delivered", "")]);
    let (_, _, mut body) = trying.begun(get("/live/lines")).await;
    let text = until(&mut body, "\nid: ").await + &until(&mut body, "\n").await;
    let id = text.split("\nid: ").nth(1).and_then(|rest| rest.lines().next()).expect("an id").to_owned();
    trying.tell(&[pass("m-2", "delivered", "")]);
    let mut request = get("/live/lines");
    request.headers_mut().insert("last-event-id", id.parse().expect("a value"));
    let (_, _, mut body) = trying.begun(request).await;
    let text = until(&mut body, "event: position").await;
    assert!(text.contains("m-2") && !text.contains("m-1") && !text.contains("restarted"), "{text}");
}

#[tokio::test]
async fn there_is_no_seventeenth_stream() {
    let trying = Trying::new().await;
    let mut bodies = Vec::new();
    for _ in 0..16 {
        let (status, _, body) = trying.begun(get("/api/v1/tail")).await;
        assert_eq!(status, StatusCode::OK);
        bodies.push(body);
    }
    let answered = trying.get("/api/v1/tail").await;
    assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answered.headers["content-type"], "application/problem+json");
    bodies.pop();
    assert_eq!(trying.begun(get("/api/v1/tail")).await.0, StatusCode::OK, "a browser that leaves gives its seat back");
}

#[tokio::test]
async fn without_follow_the_last_lines_are_json() {
    let trying = Trying::new().await;
    assert_eq!(trying.get("/api/v1/tail?follow=false").await.text, "[]");
    trying.tell(&[pass("m-1", "delivered", ""), pass("m-2", "refused", "400"), pass("m-3", "refused", "400")]);
    let lines = trying.get("/api/v1/tail?follow=false&outcome=refused&lines=1").await.json();
    assert_eq!((lines.as_array().map(Vec::len), &lines[0]["message_id"]), (Some(1), &"m-3".into()));
    for (query, says) in [
        ("outcome=nonsense", "nonsense"),
        ("route=none", "none"),
        ("failed=perhaps", "failed"),
        ("colour=red", "colour"),
    ] {
        let answered = trying.get(&format!("/api/v1/tail?follow=false&{query}")).await;
        assert!(answered.status.is_client_error(), "{query}");
        assert!(answered.json()["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_is_escaped_in_the_page_and_in_its_stream() {
    let trying = Trying::new().await;
    let hostile = "<script>alert(1)</script>\r\n\r\nevent: restarted\r\n\"'";
    trying.tell(&[pass("../<b>/%2e%2e\n", hostile, hostile)]);
    let page = trying.get("/live").await.text;
    let (_, _, mut body) = trying.begun(get("/live/lines")).await;
    let stream = until(&mut body, "event: position").await;
    assert!(page.contains(r#"href="/groups/crm%2F7""#), "{page}");
    for text in [&page, &stream] {
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{text}");
        assert!(!text.contains("<script>alert") && !text.contains("<b>"), "{text}");
        assert!(text.contains("/events/..%2F%3Cb%3E%2F%252e%252e%0A"), "{text}");
    }
    assert_eq!(stream.lines().filter(|line| line.starts_with("event: restarted")).count(), 1, "{stream}");
}

#[tokio::test]
async fn the_page_has_the_filter_that_its_address_names() {
    let trying = Trying::new().await;
    trying.tell(&[pass("m-1", "delivered", ""), pass("m-2", "refused", "400")]);
    let page = trying.get("/live?route=crm&outcome=refused&failed=true").await.text;
    assert!(page.contains("m-2") && !page.contains("m-1"), "{page}");
    assert!(page.contains("data-stream=\"/live/lines?route=crm&amp;outcome=refused&amp;failed=true\""), "{page}");
    let wrong = trying.get("/live?route=nothing").await;
    assert!(wrong.status.is_client_error() && wrong.text.contains("role=\"alert\""), "{}", wrong.text);
}
