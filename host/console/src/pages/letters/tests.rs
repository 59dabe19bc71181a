//! Pages and the API of letters, over a store with letters of many kinds.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use towpath_config::{Config, Secrets};
use towpath_operate::dlq::page::Standing;
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::Queues;
use towpath_operate::story::StoryPlace;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::queue::{Attribute, Attributes, NewMessage, Queue as _};

use crate::{Access, Console, Role, Session, router};

const CONFIG: &str = "[[route]]\npath = 'crm'\ngroup = 'crm/{json:/id}'\ntarget = 'sss'\n[target.sss]\nurl = 'https://sss.example'\n\
    [console]\nbuilds = 'builds'\n";

/// A group, a reason and a body that try to break out of the page and of its links.
const HOSTILE: (&str, &str, &str) =
    ("a/../<script>alert(1)</script>%2F\"&'", "refused", "</pre><script>alert(2)</script>");

struct Place {
    _folder: TempDir,
    queues: Queues,
    found: Found,
    pages: Router,
}

/// A store with these letters: group, reason and body. The first id of the n-th is `first-n`.
async fn place(letters: &[(&str, &str, &str)], role: Role) -> Place {
    let folder = TempDir::new().expect("folder");
    let queues = Queues::open(folder.path()).await.expect("a store");
    for (number, (group, reason, body)) in letters.iter().enumerate() {
        let death = DeadLetter {
            v: 1,
            id: format!("first-{number}"),
            reason: (*reason).to_owned(),
            detail: format!("<b>{reason}</b>"),
            route: Some("crm".to_owned()),
            verified: *reason != "unverified",
            failed_at: Clock::wall().now(),
            sent_at: Timestamp(1_000 + number as u64),
            ..DeadLetter::default()
        };
        let text = serde_json::to_string(&death).expect("JSON");
        let attributes = Attributes::from([(DEAD_LETTER_ATTRIBUTE.to_owned(), Attribute::text(text))]);
        let dedup_id = Some(format!("dead-{number}").into());
        let letter = NewMessage { group: (*group).into(), dedup_id, body: (*body).into(), attributes };
        queues.dead_letters.send(letter).await.expect("stored");
    }
    over(folder, queues.clone(), Backend::Local(Box::new(queues)), role)
}

/// The console over this backend.
fn over(folder: TempDir, queues: Queues, backend: Backend, role: Role) -> Place {
    let file = folder.path().join("towpath.toml");
    let config = Config::parse(CONFIG, &file, &Secrets::placeholders()).expect("config");
    let found = Found::new(backend, Some(config));
    let story =
        StoryPlace { config: "towpath.toml".into(), config_was_named: false, store: None, file: None, logs: None };
    std::fs::create_dir_all(folder.path().join("builds/crm-2")).expect("made");
    std::fs::write(folder.path().join("builds/crm-2/plugin.wasm"), b"no component").expect("written");
    let console = Console::new(found.clone(), story, CancellationToken::new());
    let access = Access::by_token("t".to_owned(), Session { by: "ann".to_owned(), role });
    Place { _folder: folder, queues, found, pages: router(console, access) }
}

impl Place {
    async fn ask(&self, method: Method, to: &str, kind: &str, body: String) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(to).header(AUTHORIZATION, "Bearer t");
        let request = request.header(CONTENT_TYPE, kind).body(Body::from(body)).expect("a request");
        let response = self.pages.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn get(&self, to: &str) -> String {
        let (status, text) = self.ask(Method::GET, to, "text/plain", String::new()).await;
        assert_eq!(status, StatusCode::OK, "{to}: {text}");
        text
    }

    async fn form(&self, to: &str, fields: &[(&str, &str)]) -> String {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let (status, text) = self.ask(Method::POST, to, "application/x-www-form-urlencoded", body).await;
        assert_eq!(status, StatusCode::OK, "{to}: {text}");
        text
    }

    async fn json(&self, method: Method, to: &str, body: Value) -> (StatusCode, Value) {
        let (status, text) = self.ask(method, to, "application/json", body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The job once it has ended.
    async fn ended(&self, id: &str) -> Value {
        loop {
            let (_, job) = self.json(Method::GET, &format!("/api/v1/jobs/{id}"), Value::Null).await;
            if job["ended_at"].is_string() {
                return job;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn dead(&self) -> Vec<String> {
        let letters = self.queues.dead_letters.browse(None, 1_000).await.expect("read");
        letters.into_iter().map(|letter| letter.body.into_text()).collect()
    }

    async fn waiting(&self) -> Vec<String> {
        let waiting = self.queues.events.browse(None, 1_000).await.expect("read");
        waiting.into_iter().map(|message| message.body.into_text()).collect()
    }

    /// Where the page of the n-th letter is.
    async fn at(&self, number: usize) -> (String, String) {
        let letters = self.queues.dead_letters.browse(None, 1_000).await.expect("read");
        (letters[number].id.to_string(), letters[number].sequence.clone())
    }

    fn audit(&self) -> Vec<(String, String)> {
        let recent = towpath_operate::audit::Audit::of(&self.found).recent(None, 100).expect("the audit");
        recent.lines.into_iter().rev().map(|line| (line.by, line.action)).collect()
    }
}

/// What the first tag with this beginning has in this attribute.
fn attribute(page: &str, tag: &str, name: &str) -> String {
    let tag = &page[page.find(tag).unwrap_or_else(|| panic!("{tag} in {page}"))..];
    let value = &tag[tag.find(&format!("{name}=\"")).expect("the attribute") + name.len() + 2..];
    value[..value.find('"').expect("its end")].replace("&amp;", "&").replace("&quot;", "\"")
}

#[tokio::test]
async fn a_list_is_its_url_and_links_each_count_to_its_letters() {
    let place = place(&[("a", "refused", "1"), ("b", "rejected", "2"), ("a", "refused", "3")], Role::Operator).await;
    let page = place.get("/letters").await;
    assert!(page.contains(r#"<a href="/letters?route=crm&amp;reason=refused">2</a>"#), "{page}");
    assert!(page.contains("3 letters"), "{page}");
    let kind = |route: Option<&str>, reason: &str, letters| Standing {
        route: route.map(str::to_owned),
        reason: reason.to_owned(),
        letters,
    };
    let rows = [kind(Some("crm"), "refused", 1), kind(None, "unrouted", 2), kind(None, "other", 3)];
    let counts = super::counts(super::Which::Dead, &rows).into_string();
    assert_eq!(counts.matches("<a ").count(), 1, "no filter has only letters without a route, or the others: {counts}");
    assert!(counts.contains("<td>2</td>") && counts.contains("<td>3</td>"), "{counts}");
    let page = place.get("/letters?reason=rejected&group=&status=").await;
    assert!(page.contains(">first-1</a>") && !page.contains(">first-0</a>"), "{page}");
    let page = place.get("/letters?text=3").await;
    assert!(page.contains(">first-2</a>") && page.contains("1 letter here; looked at 3 of about 3"), "{page}");
    let first = place.get("/letters?limit=2").await;
    let next = attribute(&first, "<a class=\"button\" rel=\"next\"", "href");
    let second = place.get(&next).await;
    assert!(second.contains(">first-2</a>") && !second.contains(">first-1</a>"), "{second}");
    assert!(place.get("/refused").await.contains("0 letters"));
}

#[tokio::test]
async fn hostile_groups_bodies_and_details_are_text_and_their_links_work() {
    let place = place(&[HOSTILE], Role::Operator).await;
    let list = place.get("/letters").await;
    let of_group = attribute(&list, "<td><a href=\"/letters?group=", "href");
    let same = place.get(&of_group).await;
    assert!(same.contains(">first-0</a>"), "{same}");
    let to = attribute(&list, "<td><a href=\"/letters/", "href");
    let letter = place.get(&to).await;
    let (id, at) = place.at(0).await;
    let mut all = vec![list, same, letter, place.get(&format!("/letters/{id}/edit?at={at}")).await];
    for format in ["pretty", "raw", "hex"] {
        all.push(place.get(&format!("/letters/{id}/body?at={at}&format={format}")).await);
    }
    all.push(place.get("/audit").await);
    for page in all {
        assert!(
            !page.contains("<script>alert") && !page.contains("<b>refused") && !page.contains("</pre><script"),
            "{page}"
        );
    }
    for odd in ["/letters/..%2F..%2Fetc", "/letters/%0A", "/letters/%3Cscript%3E", "/letters/%25", "/letters/x?at=%00"]
    {
        let (status, page) = place.ask(Method::GET, odd, "text/plain", String::new()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{odd}: {page}");
        assert!(!page.contains("<script>"), "{page}");
    }
    let (status, page) = place.ask(Method::GET, "/letters?raeson=x", "text/plain", String::new()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{page}");
}

#[tokio::test]
async fn a_plan_is_confirmed_with_its_number_and_done_with_who_and_why() {
    let letters = [("a", "refused", "1"), ("b", "rejected", "2"), ("a", "refused", "3")];
    let place = place(&letters, Role::Operator).await;
    let plan = place.form("/letters/plan", &[("filter", "reason=refused"), ("action", "redrive")]).await;
    assert!(plan.contains("Redrive 2 letters of 1 group?"), "{plan}");
    let filter = attribute(&plan, "<input type=\"hidden\" name=\"filter\"", "value");
    assert!(filter.contains("until="), "letters that arrive later are not part of the plan: {filter}");
    let digest = attribute(&plan, "<input type=\"hidden\" name=\"plan\"", "value");
    let order = |letters, plan, note| {
        [("filter", filter.as_str()), ("action", "redrive"), ("letters", letters), ("plan", plan), ("note", note)]
    };
    for (letters, plan, note, expected) in [
        ("3", digest.as_str(), "ticket 7", "Conflict"),
        ("2", "", "ticket 7", "Conflict"),
        ("2", "0123456789abcdef", "ticket 7", "not all of them"),
        ("2", &digest, " ", "a note is required"),
    ] {
        let answer = place.form("/letters/act", &order(letters, plan, note)).await;
        assert!(answer.contains("role=\"alert\"") && answer.contains(expected), "{answer}");
        assert_eq!((place.dead().await.len(), place.waiting().await.len()), (3, 0));
    }
    let started = place.form("/letters/act", &order("2", &digest, "ticket 7")).await;
    let id = attribute(&started, "id=\"job\"", "hx-get").replace("/jobs/", "");
    let job = place.ended(&id).await;
    assert_eq!((&job["state"], &job["done"], &job["by"]), (&json!("complete"), &json!(2), &json!("ann")));
    assert_eq!(
        (place.waiting().await, place.dead().await),
        (vec!["1".to_owned(), "3".to_owned()], vec!["2".to_owned()])
    );
    let shown = place.get(&format!("/jobs/{id}")).await;
    assert!(shown.contains("2 of 2 letters") && !shown.contains("hx-trigger"), "{shown}");
    let audit = place.get("/audit").await;
    assert!(audit.matches("ticket 7").count() == 2 && audit.contains("ann"), "{audit}");
}

#[tokio::test]
async fn an_empty_filter_is_refused_by_page_and_api() {
    let place = place(&[("a", "refused", "1")], Role::Operator).await;
    for action in ["redrive", "drop"] {
        let answer = place.form("/letters/plan", &[("filter", ""), ("action", action)]).await;
        assert!(answer.contains("no letters selected"), "{answer}");
        let (status, problem) =
            place.json(Method::POST, &format!("/api/v1/letters/{action}/plan"), json!({"filter": {}})).await;
        assert_eq!((status, &problem["status"]), (StatusCode::BAD_REQUEST, &json!(400)));
        let order = json!({"filter": {}, "letters": 1, "plan": "", "note": "all of them"});
        let (status, _) = place.json(Method::POST, &format!("/api/v1/letters/{action}"), order).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let typo = json!({"filter": {"raeson": "refused"}});
        let (status, _) = place.json(Method::POST, &format!("/api/v1/letters/{action}/plan"), typo).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(place.dead().await, ["1"]);
}

#[tokio::test]
async fn the_api_plans_starts_shows_and_cancels() {
    let letters: Vec<(String, String)> = (0..6).map(|number| (format!("g{number}"), number.to_string())).collect();
    let letters: Vec<_> = letters.iter().map(|(group, body)| (group.as_str(), "refused", body.as_str())).collect();
    let place = place(&letters, Role::Operator).await;
    let (_, list) = place.json(Method::GET, "/api/v1/letters?limit=4", Value::Null).await;
    assert_eq!((list["letters"].as_array().map(Vec::len), &list["all"]), (Some(4), &json!(6)));
    let next = list["next"].as_str().expect("a cursor");
    let (_, rest) = place.json(Method::GET, &format!("/api/v1/letters?after={next}"), Value::Null).await;
    assert_eq!(rest["letters"][0]["message_id"], "first-4");
    let (_, stats) = place.json(Method::GET, "/api/v1/letters/stats", Value::Null).await;
    assert_eq!((&stats[0]["reason"], &stats[0]["letters"]), (&json!("refused"), &json!(6)));
    let wanted = json!({"filter": {"reason": "refused"}});
    let (_, plan) = place.json(Method::POST, "/api/v1/letters/redrive/plan", wanted).await;
    assert_eq!(plan["plan"]["letters"], 6);
    let digest = &plan["plan"]["digest"];
    let order = |letters: u64, rate| json!({"filter": plan["filter"], "letters": letters, "plan": digest, "note": "n", "per_second": rate});
    let (status, _) = place.json(Method::POST, "/api/v1/letters/redrive", order(5, 1.0)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let mut others = order(6, 1.0);
    others["plan"] = json!("0123456789abcdef");
    assert_eq!(place.json(Method::POST, "/api/v1/letters/redrive", others).await.0, StatusCode::CONFLICT);
    // So slow that it can only end by being cancelled.
    let (status, job) = place.json(Method::POST, "/api/v1/letters/redrive", order(6, 0.0001)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let id = job["job"].as_str().expect("an id").to_owned();
    let (status, other) = place.json(Method::POST, "/api/v1/letters/drop", order(6, 1.0)).await;
    assert_eq!(status, StatusCode::CONFLICT, "one at a time: {other}");
    let (status, _) = place.json(Method::DELETE, &format!("/api/v1/jobs/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let job = place.ended(&id).await;
    assert_eq!(job["state"], "cancelled");
    let sent = place.waiting().await.len();
    assert_eq!(json!(sent), job["done"]);
    assert_eq!(
        (sent + place.dead().await.len(), place.audit().len()),
        (6, sent),
        "nothing is lost, and all is in the audit"
    );
}

#[tokio::test]
async fn each_look_at_a_body_is_in_the_audit_with_its_actor_and_lists_are_not() {
    let place = place(&[("a", "refused", r#"{"id":1,"n":[1,2]}"#)], Role::Viewer).await;
    let (id, at) = place.at(0).await;
    place.get("/letters").await;
    let page = place.get(&format!("/letters/{id}?at={at}")).await;
    assert!(!page.contains("[1,2]"), "{page}");
    assert!(place.audit().is_empty());
    let pretty = place.get(&format!("/letters/{id}/body?at={at}&format=pretty")).await;
    assert!(pretty.contains("[\n    1,\n    2\n  ]"), "{pretty}");
    let hex = place.get(&format!("/letters/{id}/body?at={at}&format=hex")).await;
    assert!(hex.contains("00000000  7b 22 69 64"), "{hex}");
    assert_eq!(place.get(&format!("/api/v1/letters/{id}/body")).await, r#"{"id":1,"n":[1,2]}"#);
    let (_, whole) = place.json(Method::GET, "/api/v1/letters/first-0", Value::Null).await;
    assert_eq!(whole["message_id"], "first-0");
    assert_eq!(place.audit(), vec![("ann".to_owned(), "look".to_owned()); 4]);
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_and_can_do_nothing() {
    let place = place(&[("a", "refused", "1")], Role::Viewer).await;
    let (id, at) = place.at(0).await;
    for page in ["/letters?reason=refused".to_owned(), format!("/letters/{id}?at={at}")] {
        let page = place.get(&page).await;
        assert!(!page.contains("hx-post"), "{page}");
    }
    let form = "filter=reason%3Drefused&action=drop&letters=1&note=x&name=x&body=2&at=".to_owned();
    for to in ["plan", "act", "views", "views/remove", "first-0/edit", "first-0/preview"] {
        for path in ["/letters", "/refused"] {
            let to = format!("{path}/{to}");
            let (status, _) = place.ask(Method::POST, &to, "application/x-www-form-urlencoded", form.clone()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{to}");
        }
    }
    for (method, to) in [
        (Method::POST, "letters/redrive"),
        (Method::POST, "letters/drop"),
        (Method::POST, "letters/first-0/edit"),
        (Method::POST, "letters/first-0/preview"),
        (Method::DELETE, "jobs/1"),
        (Method::POST, "views"),
        (Method::DELETE, "views/x"),
    ] {
        let (status, problem) = place.json(method, &format!("/api/v1/{to}"), json!({})).await;
        assert_eq!((status, &problem["status"]), (StatusCode::FORBIDDEN, &json!(403)), "{to}");
    }
    assert_eq!((place.dead().await.len(), place.audit().len()), (1, 0));
}

#[tokio::test]
async fn an_edit_shows_its_change_and_verdict_before_it_is_saved_and_changes_no_line_end() {
    let before = "{\"id\":1,\n\"n\":\"<i>\"}";
    let place = place(&[("crm/1", "refused", before)], Role::Operator).await;
    let (id, at) = place.at(0).await;
    let form = place.get(&format!("/letters/{id}/edit?at={at}")).await;
    assert!(form.contains(">\n{&quot;id&quot;:1,\n&quot;n&quot;:&quot;&lt;i&gt;&quot;}</textarea>"), "{form}");
    // A browser sends CRLF.
    let same = before.replace('\n', "\r\n");
    let unchanged = place
        .form(&format!("/letters/{id}/preview"), &[("at", at.as_str()), ("body", same.as_str()), ("set", "")])
        .await;
    assert!(unchanged.contains("the edit changes nothing"), "{unchanged}");
    let new = same.replace("\"id\":1", "\"id\":2");
    let fields = [("at", at.as_str()), ("body", new.as_str()), ("set", ""), ("note", "ticket 7")];
    let preview = place.form(&format!("/letters/{id}/preview"), &fields).await;
    for expected in ["<ins>+ ", "<del>- ", "crm/1 → crm/2", "It stays the same", "Save the edit"] {
        assert!(preview.contains(expected), "{expected}: {preview}");
    }
    assert_eq!(place.dead().await, [before], "a preview changes nothing");
    let without = place.form(&format!("/letters/{id}/edit"), &fields[..3]).await;
    assert!(without.contains("a note is required"), "{without}");
    let mark = attribute(&preview, "<input id=\"previewed\"", "value");
    let other = new.replace("\"id\":2", "\"id\":3");
    for body in [&new, &other] {
        let mark = if body == &new { "" } else { mark.as_str() };
        let fields = [("at", at.as_str()), ("body", body.as_str()), ("note", "ticket 7"), ("previewed", mark)];
        let again = place.form(&format!("/letters/{id}/edit"), &fields).await;
        assert!(again.contains("Nothing is saved yet") && again.contains("<ins>+ "), "not previewed: {again}");
        assert_eq!(place.dead().await, [before]);
    }
    let fields = [("at", at.as_str()), ("body", new.as_str()), ("note", "ticket 7"), ("previewed", mark.as_str())];
    let saved = place.form(&format!("/letters/{id}/edit"), &fields).await;
    assert!(saved.contains("The edit is saved"), "{saved}");
    let letter = place.queues.dead_letters.browse(None, 9).await.expect("read").remove(0);
    let body = towpath_types::message::webhook(&letter.body, &letter.attributes).expect("unpacked").body.clone();
    assert_eq!(
        (String::from_utf8_lossy(&body).as_ref(), letter.group.as_str()),
        ("{\"id\":2,\n\"n\":\"<i>\"}", "crm/2")
    );
    assert_eq!(place.audit().last(), Some(&("ann".to_owned(), "edit".to_owned())));
    let set = json!({"set": ["/n=7"], "note": "ticket 8"});
    let (status, edited) = place.json(Method::POST, &format!("/api/v1/letters/{id}/edit"), set).await;
    assert_eq!((status, &edited["after"]), (StatusCode::OK, &json!("{\"id\":2,\n\"n\":7}")));
}

#[tokio::test]
async fn an_edit_does_not_undo_what_somebody_else_edited_meanwhile() {
    let place = place(&[("crm/1", "refused", r#"{"id":1}"#)], Role::Operator).await;
    let (id, at) = place.at(0).await;
    let form = place.get(&format!("/letters/{id}/edit?at={at}")).await;
    let made_for = attribute(&form, "<input type=\"hidden\" name=\"made_for\"", "value");
    let mut fields = vec![("at", at.as_str()), ("made_for", &made_for), ("body", r#"{"id":1,"a":2}"#), ("note", "n")];
    let preview = place.form(&format!("/letters/{id}/preview"), &fields).await;
    let mark = attribute(&preview, "<input id=\"previewed\"", "value");
    fields.push(("previewed", &mark));
    let other = json!({"body": r#"{"id":1,"b":3}"#, "note": "ticket 8"});
    let (status, _) = place.json(Method::POST, &format!("/api/v1/letters/{id}/edit"), other).await;
    assert_eq!(status, StatusCode::OK);
    let edited = place.dead().await;
    for to in ["edit", "preview"] {
        let answer = place.form(&format!("/letters/{id}/{to}"), &fields).await;
        assert!(answer.contains("Conflict") && answer.contains("meanwhile: look again"), "{to}: {answer}");
    }
    assert_eq!(place.dead().await, edited);
}

#[tokio::test]
async fn a_letter_that_was_never_verified_is_edited_only_by_who_vouches_for_it() {
    let place = place(&[("crm/1", "unverified", r#"{"id":1}"#)], Role::Operator).await;
    let (id, at) = place.at(0).await;
    let mut fields = vec![("at", at.as_str()), ("set", "/id=2"), ("note", "ticket 7")];
    let refused = place.form(&format!("/letters/{id}/edit"), &fields).await;
    assert!(refused.contains("never proved where it comes from"), "{refused}");
    fields.push(("accept_unverified", "on"));
    let preview = place.form(&format!("/letters/{id}/preview"), &fields).await;
    let mark = attribute(&preview, "<input id=\"previewed\"", "value");
    fields.push(("previewed", &mark));
    assert!(place.form(&format!("/letters/{id}/edit"), &fields).await.contains("The edit is saved"));
}

#[tokio::test]
async fn a_view_is_a_name_for_a_filter() {
    let place = place(&[("a", "refused", "1")], Role::Operator).await;
    let saved = place.form("/letters/views", &[("name", "<mine>"), ("filter", "reason=refused")]).await;
    assert!(saved.contains(r#"<a href="/letters?reason=refused">&lt;mine&gt;</a>"#), "{saved}");
    assert!(!place.get("/refused").await.contains("mine"));
    let (_, views) = place.json(Method::GET, "/api/v1/views", Value::Null).await;
    assert_eq!((&views[0]["filter"], &views[0]["by"]), (&json!("reason=refused"), &json!("ann")));
    let removed = place.form("/letters/views/remove", &[("name", "<mine>"), ("filter", "")]).await;
    assert!(!removed.contains("mine"), "{removed}");
    let other = json!({"name": "b", "filter": {"status": 500, "refused": true}});
    assert_eq!(place.json(Method::POST, "/api/v1/views", other).await.0, StatusCode::NO_CONTENT);
    assert_eq!(place.json(Method::DELETE, "/api/v1/views/none", Value::Null).await.0, StatusCode::NOT_FOUND);
    assert!(place.get("/refused").await.contains("/refused?status=500"));
}

#[tokio::test]
async fn on_sqs_nothing_is_received_by_looking_and_a_viewer_can_receive_nothing() {
    for role in [Role::Operator, Role::Viewer] {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("a store");
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead.fifo".to_owned();
        let backend = Backend::Sqs { events: None, dead_letters: url.clone(), refused: Some(url) };
        let place = over(folder, queues, backend, role);
        // Each answers without a call to SQS, which could only fail here.
        for page in ["/letters?reason=refused", "/refused", "/letters/first-0"] {
            let page = place.get(page).await;
            assert!(page.contains("each receive counts"), "{page}");
            assert_eq!(page.contains("Receive and show"), role == Role::Operator, "{page}");
        }
        for to in ["letters", "letters/stats", "letters/x", "letters/x/body"] {
            let (status, _) = place.json(Method::GET, &format!("/api/v1/{to}"), Value::Null).await;
            assert_eq!(status, StatusCode::CONFLICT, "{to}");
        }
    }
    let place = place(&[], Role::Viewer).await;
    for to in ["/letters/receive", "/refused/receive", "/letters/x/receive"] {
        let (status, _) = place.ask(Method::POST, to, "application/x-www-form-urlencoded", "filter=".to_owned()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{to}");
    }
}

#[tokio::test]
async fn another_build_is_chosen_by_its_name_in_one_folder_for_letters_of_a_filter() {
    let place = place(&[("crm/1", "refused", "1")], Role::Operator).await;
    let list = place.get("/letters?reason=refused").await;
    let page = place.get(&attribute(&list, "<a class=\"button\" href=\"/what-if", "href")).await;
    assert!(page.contains("value=\"crm-2\"") && page.contains("reason=refused"), "{page}");
    let run = |filter, build| [("filter", filter), ("build", build)];
    for (filter, build, expected) in [
        ("", "crm-2", "no letters selected"),
        ("reason=refused", "../builds/crm-2", "there is no build"),
        ("reason=refused", "/etc/passwd", "there is no build"),
        ("reason=refused", "crm-2", "loading"),
    ] {
        let answer = place.form("/what-if", &run(filter, build)).await;
        assert!(answer.contains("role=\"alert\"") && answer.contains(expected), "{build}: {answer}");
    }
    let (_, builds) = place.json(Method::GET, "/api/v1/builds", Value::Null).await;
    assert_eq!(builds[0]["build"], "crm-2");
    let order = json!({"filter": {"reason": "refused"}, "build": "../crm-2"});
    let (status, _) = place.json(Method::POST, "/api/v1/what-if", order).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}
