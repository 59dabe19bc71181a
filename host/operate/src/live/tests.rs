use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ring::KEPT;
use super::*;

fn line(id: &str, outcome: &str) -> String {
    let line = r#"{"level":"INFO","fields":{"message":"pass","outcome":"OUTCOME","decision":"ack"},"target":"towpath.story",
        "span":{"message_id":"ID","group":"g/1"}}"#;
    format!("{}\n", line.replace("ID", id).replace("OUTCOME", outcome).replace('\n', " "))
}

fn write(path: &Path, lines: impl IntoIterator<Item = String>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(lines.into_iter().collect::<String>().as_bytes()).expect("written");
}

struct Story {
    _folder: TempDir,
    path: PathBuf,
    live: Live,
    stop: CancellationToken,
}

fn story() -> Story {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("story.jsonl");
    let place = StoryPlace {
        config: "none.toml".into(),
        config_was_named: false,
        store: None,
        file: Some(path.clone()),
        logs: None,
    };
    let stop = CancellationToken::new();
    Story { _folder: folder, path, live: Live::new(place, stop.clone()), stop }
}

fn ids(update: &Update) -> Vec<&str> {
    update.entries.iter().map(|entry| entry.field("message_id")).collect()
}

fn failures() -> Filter {
    Filter { failed: true, ..Filter::default() }
}

#[tokio::test(start_paused = true)]
async fn who_watches_gets_the_last_lines_and_then_each_new_one_that_the_filter_selects() {
    let Story { _folder, path, live, .. } = story();
    write(&path, [line("1", "delivered"), line("2", "unavailable"), line("3", "delivered")]);
    let mut all = live.watch(Filter::default(), 2, None).expect("a seat");
    let mut failed = live.watch(failures(), 10, None).expect("a seat");
    let first = all.next().await.expect("lines");
    assert_eq!((first.restarted, ids(&first)), (true, vec!["2", "3"]));
    assert_eq!(ids(&failed.next().await.expect("lines")), ["2"]);
    write(&path, [line("4", "delivered"), line("5", "refused")]);
    let next = all.next().await.expect("lines");
    assert_eq!((next.restarted, next.skipped, ids(&next)), (false, 0, vec!["4", "5"]));
    assert_eq!(ids(&failed.next().await.expect("lines")), ["5"]);
    assert_eq!(live.recent(&failures(), 1).await.expect("read").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_continues_after_the_last_line() {
    let Story { _folder, path, live, .. } = story();
    write(&path, [line("1", "delivered")]);
    let mut watcher = live.watch(Filter::default(), 10, None).expect("a seat");
    let at = watcher.next().await.expect("lines").position;
    write(&path, [line("2", "delivered")]);
    assert_eq!(ids(&watcher.next().await.expect("lines")), ["2"]);
    drop(watcher);
    let again = |at: &str| live.watch(Filter::default(), 10, Position::read(at)).expect("a seat");
    let update = again(&at.to_string()).next().await.expect("lines");
    assert_eq!((update.restarted, ids(&update)), (false, vec!["2"]));
    for (name, at) in
        [("another reader", "1-1"), ("no position", "x"), ("a line that is not there", &format!("{}-99999", at.reader))]
    {
        let update = again(at).next().await.expect("lines");
        assert_eq!((update.restarted, ids(&update)), (true, vec!["1", "2"]), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_skips_lines_and_learns_how_many_and_the_others_do_not_wait() {
    let Story { _folder, path, live, .. } = story();
    let mut slow = live.watch(Filter::default(), 10, None).expect("a seat");
    let mut quick = live.watch(Filter::default(), 10, None).expect("a seat");
    slow.next().await.expect("the beginning");
    quick.next().await.expect("the beginning");
    let over = 7;
    write(&path, (0..KEPT + over).map(|number| line(&number.to_string(), "delivered")));
    let mut seen = 0;
    while seen < KEPT {
        seen += quick.next().await.expect("lines").entries.len();
    }
    let update = slow.next().await.expect("lines");
    assert_eq!((update.skipped, ids(&update).first().copied()), (over as u64, Some("7")));
    assert!(update.entries.len() < KEPT, "an update has a limit");
}

#[tokio::test(start_paused = true)]
async fn there_are_seats_for_sixteen_and_they_are_given_back() {
    let Story { _folder, live, .. } = story();
    let mut watchers: Vec<Watcher> =
        (0..MOST_WATCHERS).map(|_| live.watch(Filter::default(), 1, None).expect("a seat")).collect();
    assert_eq!(live.watch(Filter::default(), 1, None).err(), Some(TooMany));
    watchers.pop();
    assert!(live.watch(Filter::default(), 1, None).is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_watchers_stop_with_the_process() {
    let Story { _folder, path, live, stop } = story();
    let mut watcher = live.watch(Filter::default(), 1, None).expect("a seat");
    watcher.next().await.expect("the beginning");
    let waiting = async {
        tokio::task::yield_now().await;
        stop.cancel();
    };
    let (update, ()) = tokio::join!(watcher.next(), waiting);
    assert_eq!(update, None);
    write(&path, [line("1", "delivered")]);
    assert_eq!(live.watch(Filter::default(), 1, None).expect("a seat").next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_story_that_cannot_be_read_says_why_and_a_later_one_is_found() {
    let Story { _folder, path, live, .. } = story();
    std::fs::create_dir(&path).expect("a folder in its place");
    let mut watcher = live.watch(Filter::default(), 10, None).expect("a seat");
    let update = watcher.next().await.expect("a problem");
    assert!(update.problem.is_some_and(|problem| problem.contains("story.jsonl")));
    std::fs::remove_dir(&path).expect("removed");
    write(&path, [line("1", "delivered")]);
    loop {
        let update = watcher.next().await.expect("lines");
        if update.problem.is_none() {
            assert_eq!((update.restarted, ids(&update)), (true, vec!["1"]));
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_reader_rests_when_nobody_watches_and_starts_again() {
    let Story { _folder, path, live, .. } = story();
    write(&path, [line("1", "delivered")]);
    let mut watcher = live.watch(Filter::default(), 10, None).expect("a seat");
    let at = watcher.next().await.expect("lines").position;
    drop(watcher);
    tokio::time::advance(LINGER * 2).await;
    let mut changed = live.ring.subscribe();
    while live.ring.with(|lines| lines.reader.is_some()) {
        changed.changed().await.expect("the ring lives");
    }
    write(&path, [line("2", "delivered")]);
    let update = live.watch(Filter::default(), 10, Some(at)).expect("a seat").next().await.expect("lines");
    assert_eq!((update.restarted, ids(&update)), (true, vec!["1", "2"]));
}
