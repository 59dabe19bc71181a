//! Who gets in, by every way that somebody could try.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::Queues;
use towpath_operate::story::StoryPlace;

use super::*;
use crate::Console;
use crate::access::{LINK_LASTS, Operator, Proxy, Role, Viewer};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const VIEW: &str = "fedcba9876543210fedcba9876543210";
const HOST: (&str, &str) = ("host", "127.0.0.1:8082");
const OWN: [(&str, &str); 3] = [HOST, ("x-towpath-console", "1"), ("origin", "http://127.0.0.1:8082")];

struct Rig {
    router: Router,
    _folder: TempDir,
}

fn named(by: &str, role: Role) -> Session {
    Session { by: by.to_owned(), role }
}

fn access() -> Access {
    let access = Access::by_token(TOKEN.to_owned(), named("ann", Role::Operator));
    access.and_token(VIEW.to_owned(), named("bob", Role::Viewer)).link("once")
}

impl Rig {
    async fn new(access: Access) -> Rig {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("store");
        let found = Found::new(Backend::Local(Box::new(queues)), None);
        let store = Some(folder.path().to_owned());
        let story = StoryPlace { config: "none.toml".into(), config_was_named: false, store, file: None, logs: None };
        let acts = Router::new().route("/acts", axum::routing::post(async |Operator(session): Operator| session.by));
        let acts = acts.route("/looks", axum::routing::any(async |Viewer(session): Viewer| session.by));
        let access = Arc::new(access);
        let acts = acts.layer(axum::middleware::from_fn_with_state(Arc::clone(&access), check));
        let router = crate::router_with(Console::new(found, story, CancellationToken::new()), access).merge(acts);
        Rig { router, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], peer: Peer, body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path).extension(peer);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        self.router.clone().oneshot(request).await.expect("infallible")
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(method, path, headers, Peer::default(), "").await
    }

    /// Logs in by the form.
    async fn log_in(&self, token: &str, headers: &[(&str, &str)], peer: Peer) -> Response {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [headers, &[form, HOST, ("origin", "http://127.0.0.1:8082")]].concat();
        self.send("POST", "/login", &headers, peer, &format!("token={token}&to=/groups?a=b")).await
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
}

fn cookie(response: &Response) -> String {
    header(response, "set-cookie").split(';').next().expect("a pair").to_owned()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.expect("a body").to_bytes().to_vec()).expect("text")
}

/// Every path of a router, from what its `Debug` shows.
fn paths(router: &Router) -> Vec<String> {
    let shown = format!("{router:?}");
    let quoted = shown.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
    let mut paths: Vec<String> = quoted.map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[tokio::test]
async fn no_path_shows_or_does_anything_without_a_session() {
    let rig = Rig::new(access()).await;
    let paths = paths(&rig.router);
    for known in ["/", "/session", "/api/v1/status", "/login", "/assets/console.css"] {
        assert!(paths.iter().any(|path| path == known), "{known} is not in {paths:?}");
    }
    let open = |path: &str| path.starts_with("/assets/") || path == "/login" || path == "/logout";
    for path in paths.iter().filter(|path| !open(path)) {
        let path = path.replace(['{', '}', '*'], "");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = rig.ask(method, &path, &OWN).await;
            let status = answer.status();
            let led = status == StatusCode::SEE_OTHER && header(&answer, "location").starts_with("/login?to=");
            assert!(led || status == StatusCode::UNAUTHORIZED, "{method} {path}: {status}");
            assert!(
                !led || method == "GET" && !path.starts_with("/api/"),
                "{method} {path}: a program is not redirected"
            );
        }
    }
    let wrong = rig.ask("POST", "/logout", &[HOST]).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN, "a foreign page logs nobody out");
}

#[tokio::test]
async fn programs_get_problems_and_pages_the_login() {
    let rig = Rig::new(access()).await;
    let answer = rig.ask("GET", "/api/v1/status", &[HOST]).await;
    assert_eq!((answer.status(), header(&answer, "www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    let answer = rig.ask("GET", "/?group=a%2Fb", &[HOST]).await;
    assert_eq!(header(&answer, "location"), "/login?to=%2F%3Fgroup%3Da%252Fb");
    let htmx = [HOST, ("hx-request", "true"), ("hx-current-url", "http://127.0.0.1:8082/groups?x=1")];
    let answer = rig.ask("GET", "/", &htmx).await;
    assert_eq!(
        (answer.status(), header(&answer, "hx-redirect")),
        (StatusCode::UNAUTHORIZED, "/login?to=%2Fgroups%3Fx%3D1")
    );
}

#[tokio::test]
async fn a_token_in_authorization_is_whose_it_is() {
    let rig = Rig::new(access()).await;
    for (token, by, acts) in [(TOKEN, "ann", StatusCode::OK), (VIEW, "bob", StatusCode::FORBIDDEN)] {
        let bearer = format!("Bearer {token}");
        let headers = [HOST, ("authorization", bearer.as_str())];
        assert_eq!(text(rig.ask("GET", "/looks", &headers).await).await, by);
        assert_eq!(rig.ask("POST", "/acts", &headers).await.status(), acts, "{by}");
        let me = text(rig.ask("GET", "/api/v1/session", &headers).await).await;
        assert!(me.contains(&format!("\"by\":\"{by}\"")), "{me}");
    }
    for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", &format!("bearer{TOKEN}"), &format!("Bearer {TOKEN}x")] {
        let answer = rig.ask("GET", "/looks", &[HOST, ("authorization", wrong)]).await;
        assert_ne!(answer.status(), StatusCode::OK, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_form_opens_a_session_whose_cookie_no_script_and_no_other_site_has() {
    let rig = Rig::new(access().on_port(8082)).await;
    let answer = rig.log_in(TOKEN, &[], Peer::default()).await;
    assert_eq!((answer.status(), header(&answer, "location")), (StatusCode::SEE_OTHER, "/groups?a=b"));
    let set = header(&answer, "set-cookie").to_owned();
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let (name, id) = pair.split_once('=').expect("a pair");
    assert!(name == "towpath-console-8082" && id.len() == 64 && !TOKEN.contains(id), "{set}");
    let with = ("cookie", pair);
    assert_eq!(text(rig.ask("GET", "/looks", &[HOST, with]).await).await, "ann");
    assert_eq!(rig.ask("GET", "/login?to=/groups", &[HOST, with]).await.status(), StatusCode::SEE_OTHER);
    // A page on another port can add cookies of its own before it.
    let two = format!("a=b; towpath-console-8082=x; {pair}");
    assert_eq!(rig.ask("GET", "/looks", &[HOST, ("cookie", &two)]).await.status(), StatusCode::OK);
    let out = rig.ask("POST", "/logout", &[&OWN[..], &[with]].concat()).await;
    assert!(header(&out, "set-cookie").contains("Max-Age=0") && header(&out, "hx-redirect") == "/login");
    assert_eq!(rig.ask("GET", "/looks", &[HOST, with]).await.status(), StatusCode::SEE_OTHER, "it is over here too");
    let wrong = rig.log_in("wrong", &[], Peer::default()).await;
    assert_eq!((wrong.status(), header(&wrong, "set-cookie")), (StatusCode::UNAUTHORIZED, ""));
}

#[tokio::test]
async fn a_cookie_is_secure_where_a_trusted_proxy_says_that_it_spoke_tls() {
    let rig = Rig::new(access()).await;
    let proxy = Peer { is_proxy: true, ..Peer::default() };
    let cases = [
        (proxy, "https", true),
        (proxy, "http, https", true),
        (proxy, "https, http", false),
        (Peer::default(), "https", false),
    ];
    for (peer, said, expected) in cases {
        let answer = rig.log_in(TOKEN, &[("x-forwarded-proto", said)], peer).await;
        assert_eq!(header(&answer, "set-cookie").contains("; Secure"), expected, "{said}, {peer:?}");
    }
}

#[tokio::test]
async fn with_a_cookie_only_pages_of_the_console_write() {
    let rig = Rig::new(access()).await;
    let cookie = cookie(&rig.log_in(TOKEN, &[], Peer::default()).await);
    let with = ("cookie", cookie.as_str());
    assert_eq!(text(rig.ask("POST", "/acts", &[&OWN[..], &[with]].concat()).await).await, "ann");
    let header = ("x-towpath-console", "1");
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("no header of our own", &[HOST, with, ("origin", "http://127.0.0.1:8082")]),
        ("another origin", &[HOST, with, header, ("origin", "https://evil.example")]),
        ("another port", &[HOST, with, header, ("origin", "http://127.0.0.1:3000")]),
        ("another site", &[HOST, with, header, ("sec-fetch-site", "cross-site")]),
        ("no browser", &[HOST, with, header]),
    ];
    for (name, headers) in cases {
        for path in ["/acts", "/looks"] {
            assert_eq!(rig.ask("POST", path, headers).await.status(), StatusCode::FORBIDDEN, "{name} {path}");
        }
    }
    let form = [("content-type", "application/x-www-form-urlencoded"), HOST, ("origin", "https://evil.example")];
    let answer = rig.send("POST", "/login", &form, Peer::default(), &format!("token={TOKEN}")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "a foreign page logs nobody in");
}

#[tokio::test(start_paused = true)]
async fn the_link_works_once_and_for_ten_minutes() {
    let rig = Rig::new(access()).await;
    let head = rig.ask("HEAD", "/login?once=once", &[HOST]).await;
    assert_eq!(header(&head, "set-cookie"), "");
    let ahead = rig.ask("GET", "/login?once=once", &[HOST, ("sec-purpose", "prefetch")]).await;
    assert_eq!(ahead.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.ask("GET", "/login?once=other", &[HOST]).await.status(), StatusCode::UNAUTHORIZED);
    let answer = rig.ask("GET", "/login?once=once", &[HOST]).await;
    assert_eq!((answer.status(), header(&answer, "location")), (StatusCode::SEE_OTHER, "/"));
    let with = cookie(&answer);
    assert_eq!(text(rig.ask("GET", "/looks", &[HOST, ("cookie", &with)]).await).await, "ann");
    assert_eq!(rig.ask("GET", "/login?once=once", &[HOST]).await.status(), StatusCode::UNAUTHORIZED);
    let late = Rig::new(access()).await;
    tokio::time::advance(LINK_LASTS).await;
    assert_eq!(late.ask("GET", "/login?once=once", &[HOST]).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_leads_to_no_other_host() {
    let rig = Rig::new(access()).await;
    let cookie = cookie(&rig.log_in(TOKEN, &[], Peer::default()).await);
    let cases = [
        ("/groups?a=%26b", "/groups?a=&b"),
        ("//evil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("/%09/evil.example", "/"),
        ("/.//evil.example", "/"),
        ("/x/..//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a%0d%0aset-cookie:%20x=y", "/aset-cookie:%20x=y"),
        ("", "/"),
    ];
    for (given, led) in cases {
        let answer = rig.ask("GET", &format!("/login?to={given}"), &[HOST, ("cookie", &cookie)]).await;
        assert_eq!((answer.status(), header(&answer, "location")), (StatusCode::SEE_OTHER, led), "{given}");
        assert_eq!(header(&answer, "set-cookie"), "", "{given}");
    }
    let shown = text(rig.ask("GET", "/login?to=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", &[HOST]).await).await;
    assert!(!shown.contains("<script"), "{shown}");
}

#[tokio::test]
async fn a_link_from_another_site_asks_again_as_the_page_itself() {
    let rig = Rig::new(access()).await;
    let asked = async |site| rig.ask("GET", "/login?to=/groups", &[HOST, ("sec-fetch-site", site)]).await;
    let shown = text(asked("cross-site").await).await;
    assert!(shown.contains("http-equiv=\"refresh\" content=\"0;url=/login?to=%2Fgroups\""), "{shown}");
    for own in ["same-origin", "none"] {
        assert!(!text(asked(own).await).await.contains("refresh"), "it would never end");
    }
}

#[tokio::test(start_paused = true)]
async fn who_guesses_has_to_wait_by_every_way_and_sessions_go_on() {
    let rig = Rig::new(access()).await;
    let at = |number: u8| Peer { address: Some(IpAddr::from([10, 0, 0, number])), is_proxy: false };
    let cookie = cookie(&rig.log_in(TOKEN, &[], at(1)).await);
    for guess in 0..10 {
        let guessed = match guess % 2 {
            0 => rig.log_in("wrong", &[], at(1)).await,
            _ => rig.send("GET", "/api/v1/session", &[HOST, ("authorization", "Bearer wrong")], at(1), "").await,
        };
        assert_eq!(guessed.status(), StatusCode::UNAUTHORIZED, "{guess}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let api = async |peer| rig.send("GET", "/api/v1/session", &[HOST, ("authorization", &bearer)], peer, "").await;
    for answer in [rig.log_in(TOKEN, &[], at(1)).await, api(at(1)).await] {
        assert_eq!((answer.status(), header(&answer, "retry-after")), (StatusCode::TOO_MANY_REQUESTS, "7"));
    }
    assert_eq!(api(at(2)).await.status(), StatusCode::OK, "another address");
    let looked = rig.send("GET", "/looks", &[HOST, ("cookie", &cookie)], at(1), "").await;
    assert_eq!(looked.status(), StatusCode::OK);
    for number in 3..93 {
        rig.log_in("wrong", &[], at(number)).await;
    }
    assert_eq!(api(at(2)).await.status(), StatusCode::TOO_MANY_REQUESTS, "all addresses together");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(api(at(1)).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn nobody_locks_the_owner_of_a_token_out() {
    let long = TOKEN.repeat(2);
    let rig = Rig::new(access().and_token(long.clone(), named("eve", Role::Operator))).await;
    let own = Peer { address: Some(IpAddr::from([127, 0, 0, 1])), is_proxy: false };
    let foreign = ("sec-fetch-site", "cross-site");
    for _ in 0..20 {
        let opened = rig.send("GET", "/login?once=x", &[HOST, foreign], own, "").await;
        assert_eq!(opened.status(), StatusCode::UNAUTHORIZED);
        let asked = [HOST, foreign, ("authorization", "Bearer wrong")];
        assert_eq!(rig.send("GET", "/looks", &asked, own, "").await.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(rig.log_in(TOKEN, &[], own).await.status(), StatusCode::SEE_OTHER, "pages of other sites do not count");
    for _ in 0..20 {
        rig.log_in("wrong", &[], own).await;
    }
    let wrong = rig.log_in(&"x".repeat(64), &[], own).await;
    assert_eq!(wrong.status(), StatusCode::TOO_MANY_REQUESTS, "a wrong one counts, however long it is");
    assert_eq!(
        rig.log_in(TOKEN, &[], own).await.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "a short one could be guessed"
    );
    assert_eq!(rig.log_in(&long, &[], own).await.status(), StatusCode::SEE_OTHER);
    let link = rig.send("GET", "/login?once=once", &[HOST], own, "").await;
    assert_eq!(link.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_four_streams_and_they_end_when_it_does() {
    let rig = Rig::new(access()).await;
    let cookie = cookie(&rig.log_in(TOKEN, &[], Peer::default()).await);
    let with = ("cookie", cookie.as_str());
    let mut streams = Vec::new();
    for path in ["/live/lines", "/api/v1/tail", "/live/lines", "/api/v1/tail"] {
        let stream = rig.ask("GET", path, &[HOST, with]).await;
        assert_eq!(stream.status(), StatusCode::OK, "{path}");
        streams.push(stream);
    }
    for path in ["/live/lines", "/api/v1/tail"] {
        assert_eq!(rig.ask("GET", path, &[HOST, with]).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    streams.pop();
    streams.push(rig.ask("GET", "/api/v1/tail", &[HOST, with]).await);
    assert_eq!(streams[3].status(), StatusCode::OK, "one that was closed leaves room");
    let out = rig.ask("POST", "/logout", &[&OWN[..], &[with]].concat()).await;
    assert_eq!(out.status(), StatusCode::OK);
    for stream in streams {
        // It would go on for ever otherwise.
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.into_body().collect()).await;
        assert!(ended.is_ok());
    }
}

#[tokio::test]
async fn a_proxy_names_people_and_nobody_else_does() {
    let header = HeaderName::from_static("x-forwarded-user");
    let operators = Some(vec!["ann@example.com".to_owned()]);
    let rig = Rig::new(access().behind(Proxy { header, operators })).await;
    let proxy = Peer { is_proxy: true, ..Peer::default() };
    let named = |name| [&OWN[..], &[("x-forwarded-user", name)]].concat();
    let ann = named("ann@example.com");
    let sent = async |method, path, headers: &[(&str, &str)], peer| rig.send(method, path, headers, peer, "").await;
    assert_eq!(text(sent("POST", "/acts", &ann, proxy).await).await, "ann@example.com");
    assert_eq!(
        sent("GET", "/looks", &ann, Peer::default()).await.status(),
        StatusCode::SEE_OTHER,
        "anybody could say so"
    );
    let carol = named("carol@example.com");
    assert_eq!(text(sent("GET", "/looks", &carol, proxy).await).await, "carol@example.com");
    assert_eq!(sent("POST", "/acts", &carol, proxy).await.status(), StatusCode::FORBIDDEN);
    for wrong in [named(""), named("a\u{202e}b"), [ann.clone(), named("bob")].concat()] {
        assert_eq!(sent("GET", "/looks", &wrong, proxy).await.status(), StatusCode::FORBIDDEN, "{wrong:?}");
    }
    let foreign = [HOST, ("x-forwarded-user", "ann@example.com"), ("origin", "https://evil.example")];
    assert_eq!(
        sent("POST", "/acts", &foreign, proxy).await.status(),
        StatusCode::FORBIDDEN,
        "a page that uses its login"
    );
    let none = sent("GET", "/looks", &[HOST], proxy).await;
    assert_eq!(none.status(), StatusCode::SEE_OTHER, "the token still works behind a proxy");
}

#[tokio::test]
async fn where_nothing_may_be_changed_everybody_is_a_viewer_and_sees_why() {
    let rig = Rig::new(access().read_only("it was started with --read-only")).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [HOST, ("authorization", bearer.as_str())];
    assert_eq!(rig.ask("POST", "/acts", &headers).await.status(), StatusCode::FORBIDDEN);
    let shown = text(rig.ask("GET", "/session", &headers).await).await;
    assert!(shown.contains("it was started with --read-only") && shown.contains("may look, not act"), "{shown}");
    let me = text(rig.ask("GET", "/api/v1/session", &headers).await).await;
    let me: serde_json::Value = serde_json::from_str(&me).expect("JSON");
    assert_eq!(
        me,
        serde_json::json!({ "by": "ann", "read_only": "it was started with --read-only", "role": "viewer" })
    );
}

#[tokio::test]
async fn every_answer_forbids_frames_foreign_scripts_and_caches() {
    let rig = Rig::new(access()).await;
    for path in ["/", "/login", "/session", "/api/v1/status", "/nowhere", "/assets/console.css"] {
        let answer = rig.ask("GET", path, &[HOST]).await;
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        let cached = if path.starts_with("/assets/") { "no-cache" } else { "no-store" };
        assert_eq!(header(&answer, "cache-control"), cached, "{path}");
    }
}
