use std::path::Path;
use std::sync::LazyLock;

use towpath_config::provider::Provider;
use towpath_config::{Config, NEVER_LEARNED, Secrets};

use super::*;

/// The secrets of all providers, each of which is text, hex and base64.
static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let names = Provider::all().flat_map(|provider| provider.parameters()).filter_map(|parameter| parameter.secret);
    Secrets::of(names.map(|name| (name, "0123456789abcdef".repeat(4))))
});

/// The route of a provider, with a text for each parameter that needs one.
fn route(provider: &Provider) -> Option<Arc<Route>> {
    let texts = provider.parameters().into_iter().filter(|parameter| parameter.secret.is_none());
    let texts: String = texts.map(|text| format!(", {} = {:?}", text.name, "https://hooks.example.com/a")).collect();
    of(&format!("provider = {{ name = {:?}{texts} }}\npath = \"a\"\nplugin = \"a\"", provider.name))
}

fn of(route: &str) -> Option<Arc<Route>> {
    let text = format!("[[route]]\n{route}\n[plugin.a]\npath = \"a\"\n");
    let draft = Config::draft(&text, Path::new("towpath.toml"), &SECRETS).expect("TOML");
    draft.config.routes.iter().next().filter(|_| draft.mistakes.is_empty()).cloned()
}

fn trials(route: &Arc<Route>) -> Trials<'_> {
    Trials { route, now: Timestamp(1_790_000_000_000), key: None }
}

/// Providers whose private key signs: there is none to sign with.
fn is_public(trial: &Skipped) -> bool {
    ["only the sender's private key makes such signatures", "its answer calls the provider, which did not ask"]
        .contains(&trial.why.as_str())
}

#[test]
fn every_provider_can_be_tried_with_a_made_up_event() {
    let mut tried = 0;
    let mut not = Vec::new();
    for provider in Provider::all() {
        // One that cannot be set up by its name yet has no route.
        let Some(route) = route(&provider) else { continue };
        let name = provider.name;
        let event = match made_up(&route, Vec::new()) {
            Ok(event) => event,
            Err(why) => {
                not.push(format!("{name}: {why}"));
                continue;
            }
        };
        tried += 1;
        let tried: Vec<Tried> =
            trials(&route).harmless(&event).into_iter().chain([trials(&route).signed(&event)]).collect();
        for trial in tried {
            match trial {
                Ok(trial) => not.extend(wrong(&route, &trial).map(|why| format!("{name}: {:?}: {why}", trial.kind))),
                Err(skipped) if is_public(&skipped) => {}
                Err(skipped) => not.push(format!("{name}: {:?}: {}", skipped.kind, skipped.why)),
            }
        }
    }
    assert!(tried > 170, "{tried}");
    assert!(not.is_empty(), "{}", not.join("\n"));
}

/// Whether a trial is what it says.
fn wrong(route: &Route, trial: &Trial) -> Option<String> {
    let verify = route.verify.as_ref()?;
    let scope = Scope::of(&trial.webhook);
    let is_handshake = route.answers.iter().any(|answer| scope.meets(&answer.when));
    let holds = check(verify, Evidence::arriving(&trial.webhook, Timestamp(1_790_000_000_000)));
    let is_right = match trial.kind {
        Kind::Handshake | Kind::ForgedHandshake => is_handshake,
        Kind::Unsigned | Kind::Forged => !is_handshake && holds.is_err() && trial.status == 401,
        Kind::Signed => !is_handshake && holds.is_ok() && (200..300).contains(&trial.status),
    };
    (!is_right).then(|| format!("{} {holds:?}", trial.status))
}

fn found(tried: &[Tried], kind: Kind) -> &Trial {
    let of_kind = |trial: &&Trial| trial.kind == kind;
    tried.iter().filter_map(|trial| trial.as_ref().ok()).find(of_kind).expect("a trial of this kind")
}

#[test]
fn a_handshake_is_asked_as_the_sender_asks_and_its_answer_is_known() {
    let zoom = route(&Provider::find("zoom").expect("zoom")).expect("route");
    let event = made_up(&zoom, Vec::new()).expect("event");
    let tried = trials(&zoom).harmless(&event);
    let asked = found(&tried, Kind::Handshake);
    let body: serde_json::Value = serde_json::from_slice(&asked.webhook.body).expect("JSON");
    let token = body["payload"]["plainToken"].as_str().expect("token");
    let key = "0123456789abcdef".repeat(4);
    let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, key.as_bytes(), &[token.as_bytes()]);
    let encrypted: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = format!("{{\"encryptedToken\":\"{encrypted}\",\"plainToken\":\"{token}\"}}");
    assert_eq!((asked.status, asked.body.as_deref()), (200, Some(answer.as_str())));
    assert!(asked.webhook.header("x-zm-signature").is_some());
    assert_eq!(found(&tried, Kind::ForgedHandshake).status, 401);

    let acrobat = route(&Provider::find("adobe-acrobat-sign").expect("known")).expect("route");
    let tried = trials(&acrobat).harmless(&made_up(&acrobat, Vec::new()).expect("event"));
    assert_eq!(found(&tried, Kind::Handshake).headers, [("x-adobesign-clientid".to_owned(), key)]);
    assert_eq!(found(&tried, Kind::ForgedHandshake).status, 403);
}

#[test]
fn nothing_that_would_be_stored_is_sent_as_a_forgery() {
    let kinds = |route: &str| -> Vec<(Kind, bool)> {
        let route = of(&format!("{route}\npath = \"a\"\nplugin = \"a\"\ngroup = \"a/{{json:/id}}\"")).expect("sound");
        let event = made_up(&route, Vec::new()).expect("event");
        let kind = |tried: Tried| tried.map_or_else(|skipped| (skipped.kind, false), |trial| (trial.kind, true));
        trials(&route).harmless(&event).into_iter().map(kind).collect()
    };
    let github = |at: &str| kinds(&format!("verify = {{ scheme = \"github\", secret = \"github\", at = \"{at}\" }}"));
    assert_eq!(github("ingest"), [(Kind::Unsigned, true), (Kind::Forged, true)]);
    assert_eq!(github("pipeline"), [(Kind::Forged, false)]);
    assert_eq!(kinds(""), [(Kind::Forged, false)]);
    // A condition that a made-up event meets makes it a handshake.
    let answered = "[[route.answer]]\nwhen = { present = [\"json:/id\"] }";
    let route = of(&format!(
        "path = \"a\"\nplugin = \"a\"\ngroup = \"a/{{json:/id}}\"\nverify = {{ scheme = \"github\", secret = \"github\" }}\n{answered}"
    ));
    let route = route.expect("sound");
    let event = made_up(&route, Vec::new()).expect("event");
    let why = trials(&route).signed(&event).expect_err("no event").why;
    assert_eq!(why, "the event is a handshake of this route");
}

#[test]
fn what_cannot_be_made_up_needs_a_recorded_event() {
    let route = of("path = \"a\"\nplugin = \"a\"\ngroup = \"a/{xml:/order/id}\"").expect("sound");
    let why = made_up(&route, Vec::new()).expect_err("XML").to_string();
    assert!(why.contains("xml:/order/id") && why.contains("give a recorded one"), "{why}");
    let unwrapped =
        of("path = \"a\"\nplugin = \"a\"\ngroup = \"a/{json:/id}\"\nunwrap = \"form:payload\"").expect("sound");
    let event = made_up(&unwrapped, Vec::new()).expect("event");
    assert!(event.body.starts_with(b"payload=%7B%22id%22%3A%22"), "{}", String::from_utf8_lossy(&event.body));
}

#[test]
fn a_handshake_that_brings_a_secret_is_sent_so_that_it_changes_nothing() {
    let asana = route(&Provider::find("asana").expect("known")).expect("route");
    let learned = asana.learned().expect("a secret").value().expose();
    let tried = trials(&asana).harmless(&made_up(&asana, Vec::new()).expect("event"));
    let right = found(&tried, Kind::Handshake);
    let brings = Brings { secret: "asana".to_owned(), is_given: true };
    assert_eq!((right.status, right.brings.as_ref()), (200, Some(&brings)));
    assert_eq!(right.webhook.header("x-hook-secret"), Some(learned.as_bytes()), "the one that the route knows");
    let forged = found(&tried, Kind::ForgedHandshake);
    assert_eq!(forged.status, 403);
    assert_eq!(forged.webhook.header("x-hook-secret"), Some(NEVER_LEARNED.as_bytes()));
}

#[test]
fn a_handshake_is_sent_to_a_closed_route_and_never_to_an_armed_one() {
    let now = Timestamp(1_790_000_000_000);
    let secret = "0123456789abcdef".repeat(4);
    let refused = format!("forged handshake: 403 {NEVER_LEARNED}");
    let closed = [refused.as_str(), "handshake: no secret is learned yet"];
    let known = [refused.as_str(), &format!("handshake: 200 {secret}")];
    let armed = ["handshake: the route is armed for a new secret"];
    let until = |at: u64| format!("towpath-armed until={}\n", Timestamp(at));
    let cases = [
        ("nothing stored", None, &closed[..]),
        ("armed", Some(until(now.0 + 1)), &armed),
        ("armed again", Some(until(now.0 + 1) + &secret), &armed),
        ("expired", Some(until(now.0)), &closed),
        ("learned", Some(secret.clone()), &known),
    ];
    for (name, stored, expected) in cases {
        let folder = tempfile::TempDir::new().expect("folder");
        let secrets = folder.path().join(".towpath/secrets");
        std::fs::create_dir_all(&secrets).expect("folder");
        stored.into_iter().for_each(|stored| std::fs::write(secrets.join("asana"), stored).expect("stored"));
        let text = "[[route]]\nprovider = \"asana\"\npath = \"a\"\nplugin = \"a\"\n[plugin.a]\npath = \"a\"\n";
        let draft = Config::draft(text, &folder.path().join("towpath.toml"), &Secrets::of([])).expect("TOML");
        let asana = draft.config.routes.iter().next().expect("route");
        let told = |tried: Tried| match tried {
            Ok(trial) => {
                let brought = String::from_utf8_lossy(trial.webhook.header("x-hook-secret")?).into_owned();
                Some(format!("{}: {} {brought}", trial.kind.as_str(), trial.status))
            }
            Err(skipped) => Some(format!("{}: {}", skipped.kind.as_str(), skipped.why)),
        };
        let tried = trials(asana).harmless(&made_up(asana, Vec::new()).expect("event"));
        let found: Vec<String> = tried.into_iter().filter_map(told).collect();
        // Another answer of the route follows, which brings no secret.
        let agree =
            found.len() >= expected.len() && found.iter().zip(expected).all(|(own, own_of)| own.starts_with(own_of));
        assert!(agree, "{name}: {found:#?}");
    }
}
