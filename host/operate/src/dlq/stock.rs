//! A store with dead letters, for tests.

use std::path::Path;

use towpath_config::{Config, Secrets};
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::queue::{Attribute, Attributes, NewMessage, Queue as _};

use crate::place::{Backend, Found};
use crate::queues::Queues;

/// Group, reason and body of a letter of the route `crm`.
pub(super) type Kind<'a> = (&'a str, &'a str, &'a str);

/// A config whose route forwards to a target.
pub(super) const CONFIG: &str =
    "[[route]]\npath = 'crm'\ngroup = '{json:/id}'\ntarget = 'sss'\n[target.sss]\nurl = 'https://sss.example'\n";

/// A store in this folder with these letters. The first id of the n-th is `first-n`.
pub(super) async fn stock(folder: &Path, letters: &[Kind<'_>]) -> (Found, Queues) {
    let queues = Queues::open(folder).await.expect("a store");
    for (number, (group, reason, body)) in letters.iter().enumerate() {
        let death = DeadLetter {
            v: 1,
            id: format!("first-{number}"),
            reason: (*reason).to_owned(),
            route: Some("crm".to_owned()),
            verified: true,
            parks: *reason == "parked",
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
    let config = Config::parse(CONFIG, Path::new("towpath.toml"), &Secrets::placeholders()).expect("a config");
    let found = Found::new(Backend::Local(Box::new(queues.clone())), Some(config));
    (Found { by: "ann".to_owned(), ..found }, queues)
}
