//! The workload: it sends, receives, deletes and dead-letters messages, and records what it did.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use towpath_local::{LocalQueue, QueueSettings, Store};
use towpath_types::clock::Clock;
use towpath_types::queue::{GroupId, NewMessage, Queue as _, Receive};

/// The WAL is checkpointed at this many pages, so that it happens several times in a run.
const LOG_PAGES: u32 = 400;
const SENDERS: u32 = 4;
const GROUPS_EACH: u32 = 3;

/// The file with the record, in the watched folder.
pub(crate) const BOOKS: &str = "books";

/// The body of a message: its name, and filler that is derived from the name.
pub(crate) fn body(group: &str, n: u32) -> String {
    let mut seeded = fastrand::Rng::with_seed(u64::from(n) * 1000 + group.bytes().map(u64::from).sum::<u64>());
    let length = match seeded.u32(0..10) {
        0..6 => seeded.usize(20..1_000),
        6..9 => seeded.usize(1_000..12_000),
        _ => seeded.usize(12_000..60_000),
    };
    let filler: String = std::iter::repeat_with(|| seeded.alphanumeric()).take(length).collect();
    format!("{group} {n} {filler}")
}

#[derive(Clone)]
struct BooksWriter(Arc<Mutex<File>>);

impl BooksWriter {
    /// Appends one line in one write.
    fn line(&self, what: &str, queue: &str, group: &str, n: u32) {
        let line = format!("{what} {queue} {group} {n}\n");
        self.0.lock().write_all(line.as_bytes()).expect("books");
    }

    async fn send(&self, queue: &LocalQueue, group: &str, n: u32) {
        for _ in 0..3 {
            let message = NewMessage {
                group: GroupId::from(group.to_owned()),
                dedup_id: Some(format!("{group}-{n}").into()),
                body: body(group, n).into(),
                attributes: BTreeMap::new(),
            };
            match queue.send(message).await {
                Ok(_) => return self.line("stored", queue.name(), group, n),
                Err(_) => self.line("refused", queue.name(), group, n),
            }
        }
    }
}

/// Runs the workload in the watched folder with this many messages. With 0 messages it compacts the store instead. Each
/// process on a folder has groups of its own.
pub(crate) async fn run(folder: &Path, messages: u32, process: u32) {
    let books = File::options().create(true).append(true).open(folder.join(BOOKS)).expect("books");
    let books = BooksWriter(Arc::new(Mutex::new(books)));
    if messages == 0 {
        towpath_local::compact(&folder.join("new/store")).expect("compacted");
        return;
    }
    // On a disk that already fails, a process may not get this far. It ends, as `towpath` does.
    let Ok(store) = Store::open_with_log(&folder.join("new/store"), Clock::wall(), LOG_PAGES) else { return };
    let Ok(events) = store.set_queue("events.fifo", QueueSettings::default()).await else { return };
    let Ok(dead) = store.set_queue("dead.fifo", QueueSettings::default()).await else { return };
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let books = books.clone();
        let events = events.clone();
        senders.spawn(async move {
            for n in 0..messages / SENDERS {
                books.send(&events, &format!("p{process}.{sender}.{}", n % GROUPS_EACH), n).await;
            }
        });
    }
    let mut sending = true;
    while sending {
        sending = tokio::select! {
            ended = senders.join_next() => ended.is_some(),
            () = work(&books, &events, &dead) => true,
        };
    }
}

/// Receives ten messages. Those of one group in three are released for later, one in eight is dead-lettered, and the rest is
/// deleted.
async fn work(books: &BooksWriter, events: &LocalQueue, dead: &LocalQueue) {
    let taken = events.receive(Receive { max: 10, ..Receive::default() }).await.unwrap_or_default();
    if taken.is_empty() {
        return tokio::task::yield_now().await;
    }
    for message in taken {
        let group = message.group.to_string();
        let n: u32 = message.body.as_text().and_then(|text| text.split(' ').nth(1)?.parse().ok()).expect("a number");
        if group.ends_with(".0") {
            events.change_visibility(&[(message.handle, std::time::Duration::from_secs(60))]).await;
            continue;
        }
        if n.is_multiple_of(8) {
            books.send(dead, &group, n).await;
        }
        books.line("deleting", events.name(), &group, n);
        events.delete(&[message.handle]).await;
    }
}
