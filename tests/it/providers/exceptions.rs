//! Cases that a provider's file decides otherwise than the script, and why.

use super::case::Case;

/// A sender can prove itself in several ways, and a file takes one of them.
const ANOTHER_PROOF: &[(&str, &[&str])] = &[
    ("alertmanager", &["event", "event.two-items"]),
    ("azure-devops", &["event"]),
    ("buildkite", &["event.token"]),
    ("freshdesk", &["event", "event.put"]),
    ("fusionauth", &["event.hs256"]),
    ("grafana", &["event.basic", "event.bearer", "event.header"]),
    ("newrelic", &["event", "event.header"]),
    ("vapi", &["event.token"]),
    ("zapier-webhooks", &["event", "event.put"]),
];

/// A sender proves nothing, so that the file asks for a secret in the URL. The script does not know of it.
const SECRET_IN_URL: [&str; 3] = ["grain", "miro", "strava"];

/// Why the proof of this case must not hold.
pub(super) fn of_proof(case: &Case) -> Option<&'static str> {
    let (provider, name) = (case.provider.as_str(), case.case.as_str());
    if ANOTHER_PROOF.iter().any(|(own, cases)| *own == provider && cases.contains(&name)) {
        return Some("the file takes another proof of this sender");
    }
    if SECRET_IN_URL.contains(&provider) && name == "event" {
        return Some("the file wants a secret in the URL, where the sender proves nothing");
    }
    match (provider, name) {
        ("deepgram", "event") => {
            Some("dg-token is the id of a key and no secret, so the file takes basic authentication")
        }
        ("green-dot", "event") => Some("the file wants the scope post:webhook, and the script's token has another one"),
        ("microsoft-graph-rich", "refused.client-state-wrong" | "refused.one-item-wrong") => {
            Some("the tokens prove the sender, and the client state is not compared")
        }
        ("utila", "event.longest-salt") => Some("Utila's salt is as long as the hash, and no other is accepted"),
        _ => None,
    }
}

/// Why the handshake is answered otherwise.
pub(super) fn of_handshake(case: &Case) -> Option<&'static str> {
    match (case.provider.as_str(), case.case.as_str()) {
        ("discord", "handshake.interactions") => {
            Some("the file is for webhook events, where type 1 is an event and not the ping of interactions")
        }
        ("ramp", "handshake") => {
            Some("an answer is not kept, and the operator must read the challenge from what was turned away")
        }
        _ => None,
    }
}

/// Why this event cannot be signed.
pub(super) fn of_signing(case: &Case) -> Option<&'static str> {
    match case.provider.as_str() {
        "dropbox-sign" | "x-multipart-fields" | "x-token-in-a-multipart-form" => {
            Some("no field of a multipart form is set")
        }
        "x-token-in-xml" => Some("no element of XML is set"),
        _ => None,
    }
}

/// Why the keys of this case must differ from those that the script expects.
pub(super) fn of_keys(case: &Case) -> Option<&'static str> {
    match (case.provider.as_str(), case.case.as_str()) {
        ("adyen", _) => Some("one pspReference has several events, such as a chargeback and its notice"),
        ("alertmanager", "event.two-items") => Some("a message is one group of alerts, and stays one message"),
        ("grafana", _) => Some("alerts are split, and each is ordered by its fingerprint"),
        ("recurly", _) => Some("the XML root is named after the event, which no path matches"),
        ("wix", _) => Some("the event is inside of a JWT, into which no key points"),
        _ => None,
    }
}
