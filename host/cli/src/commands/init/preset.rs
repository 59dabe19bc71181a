//! What a well-known sender's route begins with.

/// The keys that suit a sender. The plugin's author changes them once real events are recorded.
pub(super) struct Preset {
    /// The JSON pointer of the order key.
    pub(super) order: &'static str,
    /// Which events that keeps in order.
    pub(super) events: &'static str,
    /// The id of the event, if the sender has one.
    pub(super) dedup: Option<&'static str>,
    /// What `verify` has besides `scheme` and `secret`.
    pub(super) keys: String,
}

impl Preset {
    /// The keys for a scheme of `verify`, on a route of this name. A scheme that many senders use gets those of an event with an `id`.
    pub(super) fn of(scheme: Option<&str>, route: &str) -> Preset {
        let plain = Preset { order: "/id", events: "events with the same id", dedup: None, keys: String::new() };
        match scheme.unwrap_or_default() {
            "github" => Preset {
                order: "/repository/full_name",
                events: "the events of one repository",
                dedup: Some("header:x-github-delivery"),
                ..plain
            },
            "stripe" => Preset {
                order: "/data/object/customer",
                events: "the events of one customer",
                dedup: Some("json:/id"),
                ..plain
            },
            "slack" => Preset {
                order: "/event/channel",
                events: "the events of one channel",
                dedup: Some("json:/event_id"),
                ..plain
            },
            "shopify" => Preset { dedup: Some("header:x-shopify-webhook-id"), ..plain },
            "hubspot" => Preset {
                order: "/0/objectId",
                events: "batches that begin with the same CRM object",
                dedup: Some("json:/0/eventId"),
                keys: format!(", url = \"https://hooks.example.com/hooks/{route}\""),
            },
            "standard-webhooks" => Preset {
                order: "/data/id",
                events: "the events of one object",
                dedup: Some("header:webhook-id"),
                ..plain
            },
            "hmac" | "hmac-sha256" => Preset { keys: ", header = \"x-signature\"".to_owned(), ..plain },
            "signature" => Preset { keys: ", signature = \"header:x-signature\"".to_owned(), ..plain },
            "jwt" => Preset {
                keys: ", algorithms = [\"HS256\"], claims = { sha256 = \"{body|sha256|hex}\" }".to_owned(),
                ..plain
            },
            "token" => Preset { keys: ", token = \"query:token\"".to_owned(), ..plain },
            "basic" => Preset { keys: format!(", user = \"{route}\""), ..plain },
            "header" => Preset { keys: ", name = \"x-webhook-token\"".to_owned(), ..plain },
            _ => plain,
        }
    }
}
