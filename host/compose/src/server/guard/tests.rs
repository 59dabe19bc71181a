//! What browsers send on behalf of pages, and what others send.

use super::*;

fn asked(guard: &Guard, target: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
    asked_by(&Method::GET, guard, target, headers)
}

fn asked_by(method: &Method, guard: &Guard, target: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().expect("a name");
        map.append(name, axum::http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    let refused = guard.check(method, &target.parse().expect("a target"), &map);
    refused.map_err(|refusal| match refusal {
        Refusal::BadHost | Refusal::Host(_) => 421,
        Refusal::Origin(_) | Refusal::Site => 403,
    })
}

fn guard() -> Guard {
    Guard::of(&["Host.Docker.Internal.".parse().expect("a name")])
}

#[test]
fn only_names_of_this_host_are_answered() {
    let cases: [(&str, &[&str], Result<(), u16>); 44] = [
        ("/", &["localhost"], Ok(())),
        ("/", &["localhost:9324"], Ok(())),
        ("/", &["LOCALHOST.:9324"], Ok(())),
        ("/", &["console.localhost"], Ok(())),
        ("/", &["127.0.0.1"], Ok(())),
        ("/", &["127.0.0.1:9324"], Ok(())),
        ("/", &["10.1.2.3:8081"], Ok(())),
        ("/", &["[::1]"], Ok(())),
        ("/", &["[::1]:9324"], Ok(())),
        ("/", &["host.docker.internal:9324"], Ok(())),
        ("/", &["HOST.docker.internal."], Ok(())),
        ("http://localhost:9324/x", &["localhost:9324"], Ok(())),
        ("http://127.0.0.1/x", &[], Ok(())),
        // A health check of HTTP/1.0.
        ("/", &[], Ok(())),
        ("/", &["evil.example"], Err(421)),
        ("/", &["evil.example:9324"], Err(421)),
        ("/", &["localhost.evil.example"], Err(421)),
        ("/", &["evillocalhost"], Err(421)),
        ("/", &["127.0.0.1.evil.example"], Err(421)),
        ("/", &["docker.internal"], Err(421)),
        ("/", &["x.host.docker.internal"], Err(421)),
        ("/", &[""], Err(421)),
        ("/", &["localhost", "localhost"], Err(421)),
        ("/", &["localhost", "evil.example"], Err(421)),
        ("/", &["evil.example", "localhost"], Err(421)),
        ("/", &["localhost, evil.example"], Err(421)),
        ("/", &["evil.example@localhost"], Err(421)),
        ("/", &["localhost:9324:1"], Err(421)),
        ("/", &["localhost:+80"], Err(421)),
        ("/", &["localhost:99999"], Err(421)),
        ("/", &["localhost:x"], Err(421)),
        ("/", &["local host"], Err(421)),
        ("/", &["%6cocalhost"], Err(421)),
        ("/", &["localhost/evil"], Err(421)),
        ("/", &["localhost.."], Err(421)),
        ("/", &[".localhost"], Err(421)),
        ("/", &["ｌocalhost"], Err(421)),
        ("/", &["[::1"], Err(421)),
        ("/", &["[::1]x"], Err(421)),
        ("/", &["[localhost]"], Err(421)),
        ("/", &["http://localhost"], Err(421)),
        ("http://evil.example/x", &["localhost"], Err(421)),
        ("http://localhost/x", &["evil.example"], Err(421)),
        ("http://evil.example/x", &[], Err(421)),
    ];
    for (target, hosts, expected) in cases {
        let headers: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
        assert_eq!(asked(&guard(), target, &headers), expected, "{target} {hosts:?}");
        assert_eq!(asked(&guard().for_any_host(), target, &headers), Ok(()), "{target} {hosts:?}");
    }
}

#[test]
fn only_pages_that_were_served_by_this_host_may_call() {
    let cases: [(&[&str], &str, Result<(), u16>); 17] = [
        (&["http://localhost:9324"], "localhost:9324", Ok(())),
        (&["http://127.0.0.1:9324"], "127.0.0.1:9324", Ok(())),
        (&["https://host.docker.internal"], "host.docker.internal", Ok(())),
        (&["null"], "localhost:9324", Err(403)),
        (&[""], "localhost:9324", Err(403)),
        (&["http://localhost:3000"], "localhost:9324", Err(403)),
        (&["http://127.0.0.1:9324"], "localhost:9324", Err(403)),
        (&["https://localhost:9324"], "localhost", Err(403)),
        (&["http://evil.example"], "localhost:9324", Err(403)),
        (&["http://evil.example:9324"], "localhost:9324", Err(403)),
        (&["http://evil.example@localhost:9324"], "localhost:9324", Err(403)),
        (&["http://localhost:9324/"], "localhost:9324", Err(403)),
        (&["file://"], "localhost", Err(403)),
        (&["chrome-extension://abcdef"], "localhost:9324", Err(403)),
        (&["http://localhost:9324", "http://evil.example"], "localhost:9324", Err(403)),
        (&["http://localhost:9324", "http://localhost:9324"], "localhost:9324", Err(403)),
        (&["http://localhost:9324, http://evil.example"], "localhost:9324", Err(403)),
    ];
    for (origins, host, expected) in cases {
        let mut headers = vec![("host", host)];
        headers.extend(origins.iter().map(|origin| ("origin", *origin)));
        assert_eq!(asked(&guard(), "/", &headers), expected, "{origins:?} at {host}");
        assert_eq!(asked(&guard().for_any_host(), "/", &headers), expected, "{origins:?} at any {host}");
    }
    // Where any name is answered, a page of a name that was pointed here is as foreign as any other.
    let rebound =
        [("host", "evil.example:8080"), ("origin", "http://evil.example:8080"), ("sec-fetch-site", "same-origin")];
    assert_eq!(asked(&guard().for_any_host(), "/", &rebound), Err(403));
}

#[test]
fn what_a_browser_says_of_the_site_of_a_page_counts_where_it_says_it() {
    for (sites, expected) in [
        (&["none"][..], Ok(())),
        (&["same-origin"], Ok(())),
        (&["same-site"], Err(403)),
        (&["cross-site"], Err(403)),
        (&["Cross-Site"], Err(403)),
        (&[""], Err(403)),
        (&["none", "cross-site"], Err(403)),
    ] {
        let mut headers = vec![("host", "localhost")];
        headers.extend(sites.iter().map(|site| ("sec-fetch-site", *site)));
        assert_eq!(asked(&guard(), "/", &headers), expected, "{sites:?}");
        assert_eq!(asked(&guard().for_any_host(), "/", &headers), expected, "{sites:?}");
    }
}

#[test]
fn a_request_without_a_host_is_still_refused_if_a_page_sent_it() {
    assert_eq!(asked(&guard(), "/", &[("origin", "http://localhost")]), Err(403));
    assert_eq!(asked(&guard(), "/", &[("sec-fetch-site", "cross-site")]), Err(403));
}

#[test]
fn a_link_on_a_page_of_another_site_works_and_nothing_else_of_that_page_does() {
    const LINK: [(&str, &str); 4] = [
        ("host", "localhost"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for guard in [guard(), guard().for_any_host()] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(asked_by(&method, &guard, "/metrics", &LINK), Ok(()), "{method}");
        }
        for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
            assert_eq!(asked_by(&method, &guard, "/metrics", &LINK), Err(403), "{method}");
        }
        for (name, value) in [
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "object"),
            ("sec-fetch-dest", "image"),
            ("sec-fetch-dest", "empty"),
        ] {
            let changed = LINK.map(|(known, said)| (known, if known == name { value } else { said }));
            assert_eq!(asked(&guard, "/metrics", &changed), Err(403), "{name}: {value}");
            let twice = [&LINK[..], &[(name, value)]].concat();
            assert_eq!(asked(&guard, "/metrics", &twice), Err(403), "{name}: {value} too");
            let without: Vec<_> = LINK.into_iter().filter(|(known, _)| *known != name).collect();
            assert_eq!(asked(&guard, "/metrics", &without), Err(403), "no {name}");
        }
        let posted = [&LINK[..], &[("origin", "https://evil.example")]].concat();
        assert_eq!(asked(&guard, "/metrics", &posted), Err(403));
    }
    let rebound = LINK.map(|(name, said)| (name, if name == "host" { "evil.example" } else { said }));
    assert_eq!(asked(&guard(), "/metrics", &rebound), Err(421));
}

#[test]
fn pages_that_are_named_may_post() {
    let guard = Guard::default().for_any_host().for_pages_of(&["https://forms.example.com".to_owned()]);
    let of = |origin| [("host", "hooks.example.com"), ("origin", origin), ("sec-fetch-site", "same-site")];
    assert_eq!(asked(&guard, "/", &of("https://forms.example.com")), Ok(()));
    for origin in ["http://forms.example.com", "https://forms.example.com:8443", "https://x.forms.example.com", "null"]
    {
        assert_eq!(asked(&guard, "/", &of(origin)), Err(403), "{origin}");
    }
}

#[test]
fn what_is_no_name_is_not_allowed() {
    for wrong in ["", "*", "*.ngrok.app", "http://x", "x:80", "127.0.0.1", "[::1]", "a..b", "a b"] {
        assert!(wrong.parse::<HostName>().is_err(), "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_does_not_fill_the_log() {
    let guard = guard();
    let state = || {
        let logged = guard.logged.lock();
        (logged.last, logged.without)
    };
    for _ in 0..1000 {
        guard.log(&Refusal::Site);
    }
    let (first, without) = state();
    assert_eq!(without, 999, "one request is logged, the other 999 are only counted");
    tokio::time::advance(LOG_EVERY).await;
    guard.clone().log(&Refusal::Site);
    assert!(state().0 > first && state().1 == 0, "the next line tells of them");
}
