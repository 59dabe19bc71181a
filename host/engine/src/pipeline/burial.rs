//! Stores a dead letter, cut down to the size limit of its queue.

use towpath_config::route::Route;
use towpath_types::body::Body;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::{GroupId, Queue, QueueError, Received};
use towpath_verify::note_keys::NoteKeys;
use towpath_verify::{door, moved};

/// The assumed limit of a queue that rejects a letter without naming its limit. Source: the default
/// `MaximumMessageSize` of SQS until 2025.
const USUAL_LIMIT: usize = 256 * 1024;

/// If the queue's limit is lower than was known, the letter is cut down further. An error means that the letter is not
/// stored, so the message must stay in its queue.
pub(super) async fn store(
    queue: &dyn Queue,
    letter: &DeadLetter,
    received: &Received,
    route: Option<&Route>,
    note_keys: &NoteKeys,
) -> Result<(), String> {
    let keeps = |name: &str| route.is_none_or(|route| route.needs_header(name));
    let mut most = queue.max_message_bytes();
    loop {
        let seal = |group: &GroupId, body: &Body| moved::seal(note_keys, letter, group, body);
        let mut message = letter.pack(received, most, keeps, seal).map_err(|error| error.to_string())?;
        // The front door vouched for the body with all of its headers.
        door::renew(note_keys, received, &mut message);
        let refused = match queue.send(message).await {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        let less = match &refused {
            QueueError::TooLong { most: limit, .. } => limit.unwrap_or(USUAL_LIMIT),
            _ => return Err(format!("{refused:?}")),
        };
        if less >= most {
            return Err(format!("{refused:?}"));
        }
        most = less;
    }
}
