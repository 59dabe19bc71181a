use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::secrets::Secrets;
use crate::secrets::secret::LOOK_EVERY;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const LATER: Timestamp = Timestamp(NOW.0 + 1);
const ONE: &str = "5257a869e7ecebeda32affa62cdca3fa";
const OTHER: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// A store as Secrets Manager is one: versions, and a write that depends on the one that was read.
#[derive(Default)]
struct Store {
    texts: Mutex<BTreeMap<String, (String, u32)>>,
    reads: AtomicU32,
    is_down: Mutex<bool>,
    is_full: Mutex<bool>,
    /// Stored by somebody else between a read and the next write.
    between: Mutex<Option<String>>,
}

impl Store {
    fn set(&self, text: &str) {
        let mut texts = self.texts.lock();
        let (own, version) = texts.entry("asana".to_owned()).or_default();
        text.clone_into(own);
        *version += 1;
    }

    fn text(&self) -> String {
        self.texts.lock().get("asana").map(|(text, _)| text.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        let found = self.texts.lock().get(name).map(|(text, _)| text.clone());
        found.ok_or_else(|| NotFetched::Unknown("there is none".to_owned()))
    }

    fn learned(self: Arc<Self>) -> Option<Arc<dyn LearnedStore>> {
        Some(self)
    }
}

#[async_trait]
impl LearnedStore for Store {
    async fn read(&self, name: &str) -> Result<Option<Version>, String> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if *self.is_down.lock() {
            return Err("no answer".to_owned());
        }
        let texts = self.texts.lock();
        Ok(texts.get(name).map(|(text, version)| Version { text: text.clone(), id: version.to_string(), at: None }))
    }

    async fn replace(&self, _: &str, seen: Option<&Version>, text: &str) -> Result<(), NotReplaced> {
        if *self.is_full.lock() {
            return Err(NotReplaced::Failed("it is full".to_owned()));
        }
        if let Some(other) = self.between.lock().take() {
            self.set(&other);
        }
        let version = self.texts.lock().get("asana").map(|(_, version)| version.to_string());
        if version != seen.map(|seen| seen.id.clone()) {
            return Err(NotReplaced::Changed);
        }
        self.set(text);
        Ok(())
    }

    async fn settle(&self) -> Result<(), String> {
        if *self.is_full.lock() { Err("it is full".to_owned()) } else { Ok(()) }
    }

    fn read_every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn armed(secret: &str) -> String {
    format!("towpath-armed until={LATER}\n{secret}")
}

async fn learned(store: &Arc<Store>) -> Learned {
    let own = Arc::clone(store) as Arc<dyn SecretStore>;
    Secrets::from_store(own, ["asana".to_owned()]).await.learned("asana", Form::Key, None).expect("a secret")
}

async fn with(text: &str) -> (Arc<Store>, Learned) {
    let store = Arc::new(Store::default());
    if !text.is_empty() {
        store.set(text);
    }
    let learned = learned(&store).await;
    (store, learned)
}

#[tokio::test(start_paused = true)]
async fn an_armed_secret_is_learned_once() {
    let (store, learned) = with(&armed("")).await;
    assert!(!learned.value().is_learned());
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned);
    assert_eq!((store.text().as_str(), &*learned.value().expose()), (ONE, ONE));
    assert_eq!(learned.learn(OTHER.as_bytes(), NOW).await, Learning::NotArmed);
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Known, "the sender repeats a handshake");
    assert_eq!(store.text(), ONE);
    *store.is_full.lock() = true;
    let unsettled = learned.learn(ONE.as_bytes(), NOW).await;
    assert!(matches!(unsettled, Learning::Unavailable(_)), "what is seen may not survive a power cut: {unsettled:?}");
}

#[tokio::test]
async fn the_text_that_arms_a_secret_is_no_secret_elsewhere() {
    let (store, _) = with(&Stored::default().text()).await;
    let own = || Arc::clone(&store) as Arc<dyn SecretStore>;
    let secrets = Secrets::from_store(own(), ["asana".to_owned()]).await;
    let (problem, _) = secrets.get("asana", Form::Key).expect_err("no secret");
    assert!(problem.contains("arms a secret"), "{problem}");
    let late = Secrets::from_store(own(), []).await;
    assert!(matches!(late.find("as", "ana", Form::Key).await, crate::secrets::Lookup::Unknown));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_learned_before_it_is_armed_and_after_its_time() {
    let (store, learned) = with("").await;
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::NotArmed);
    store.set(&armed(OTHER));
    assert_eq!(learned.learn(ONE.as_bytes(), LATER).await, Learning::NotArmed);
    assert_eq!(learned.learn(OTHER.as_bytes(), LATER).await, Learning::Known, "the previous secret is in use");
    assert_eq!(store.text(), armed(OTHER));
}

#[tokio::test(start_paused = true)]
async fn the_previous_secret_is_in_use_until_a_new_one_is_learned() {
    let (_, learned) = with(&armed(OTHER)).await;
    assert_eq!(&*learned.value().expose(), OTHER);
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned);
    assert_eq!(&*learned.value().expose(), ONE);
}

#[tokio::test(start_paused = true)]
async fn the_known_secret_disarms() {
    let (store, learned) = with(&armed(ONE)).await;
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned);
    assert_eq!(store.text(), ONE);
}

#[tokio::test(start_paused = true)]
async fn what_is_unusable_is_not_learned_and_disarms_nothing() {
    let (store, learned) = with(&armed("")).await;
    let long = "q7RkXw2LmVt9ZsYb4NcHgA".repeat(24);
    let values: [&[u8]; 10] = [
        b"",
        b" ",
        b"hunter2",
        b"\xff\xfe8f742231b10e8888abcd99yyyzzz85a5",
        b"8f742231b10e8888abcd99yyyzzz85a5 ",
        b"8f742231b10e8888\nabcd99yyyzzz85a5",
        b"towpath-armed until=2099-01-01T00:00:00Z",
        b"towpath-armed8f742231b10e8888abcd99yyyzzz85a5",
        long.as_bytes(),
        NEVER_LEARNED.as_bytes(),
    ];
    for value in values {
        let became = learned.learn(value, NOW).await;
        assert!(matches!(became, Learning::Unusable(_)), "{value:?}: {became:?}");
    }
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned);
    assert_eq!(store.text(), ONE);
}

#[tokio::test(start_paused = true)]
async fn of_two_handshakes_at_once_one_wins() {
    let (store, one) = with(&armed("")).await;
    // Another instance of the function.
    let other = learned(&store).await;
    let (one, other) = tokio::join!(one.learn(ONE.as_bytes(), NOW), other.learn(OTHER.as_bytes(), NOW));
    assert_eq!((one, other), (Learning::Learned, Learning::NotArmed));
    assert_eq!(store.text(), ONE);
}

#[tokio::test(start_paused = true)]
async fn what_others_store_meanwhile_is_not_overwritten() {
    let (store, learned) = with(&armed("")).await;
    *store.between.lock() = Some(OTHER.to_owned());
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::NotArmed);
    assert_eq!(store.text(), OTHER);
    // The operator arms it again meanwhile, for longer.
    store.set(&armed(OTHER));
    *store.between.lock() = Some(armed(OTHER));
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_learned() {
    let (store, learned) = with(&armed("")).await;
    *store.is_down.lock() = true;
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Unavailable("no answer".to_owned()));
    assert!(!learned.value().is_learned());
    *store.is_down.lock() = false;
    *store.is_full.lock() = true;
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Unavailable("it is full".to_owned()));
    assert!(!learned.value().is_learned());
    *store.is_full.lock() = false;
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Learned, "it is still armed");
}

#[tokio::test(start_paused = true)]
async fn strangers_cause_one_read_in_each_second() {
    let (store, learned) = with(ONE).await;
    let learned = Arc::new(learned);
    let begun = Instant::now();
    let mut strangers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let learned = Arc::clone(&learned);
        strangers.spawn(async move { learned.learn(OTHER.as_bytes(), NOW).await });
    }
    while let Some(became) = strangers.join_next().await {
        assert_eq!(became.expect("no panic"), Learning::NotArmed);
    }
    let seconds = begun.elapsed().as_secs();
    let reads = store.reads.load(Ordering::SeqCst);
    assert!(u64::from(reads) <= seconds + 1, "{reads} reads in {seconds} s");
    assert!(seconds <= 2, "they share a read, and wait {seconds} s");
    // A read that began before the operator armed the secret does not count.
    store.set(&armed(ONE));
    assert_eq!(learned.learn(OTHER.as_bytes(), NOW).await, Learning::Learned);
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_learned_is_found_when_a_webhook_is_refused() {
    let (store, learned) = with(&armed("")).await;
    assert!(!learned.value().is_renewed("").await, "it is not learned yet");
    store.set(ONE);
    assert!(!learned.value().is_renewed("").await, "it was asked for a moment ago");
    tokio::time::advance(LOOK_EVERY).await;
    assert!(learned.value().is_renewed("").await);
    assert_eq!(&*learned.value().expose(), ONE);
    // Arming it again changes nothing for webhooks.
    store.set(&armed(ONE));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!learned.value().is_renewed(ONE).await);
    assert_eq!(&*learned.value().expose(), ONE);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_mistake_and_a_secret_that_is_not_there_is_none() {
    struct Down;
    #[async_trait]
    impl SecretStore for Down {
        async fn fetch(&self, _: &str) -> Result<String, NotFetched> {
            Err("AccessDeniedException".into())
        }
    }
    let secrets = Secrets::from_store(Arc::new(Down), ["asana".to_owned()]).await;
    let (problem, _) = secrets.learned("asana", Form::Key, None).expect_err("a mistake");
    assert!(problem.contains("AccessDeniedException"), "{problem}");
    let (_, learned) = with("").await;
    assert!(!learned.value().is_learned() && !learned.value().is(b""));
}

#[tokio::test]
async fn a_value_in_the_environment_wins_over_handshakes() {
    let folder = tempfile::TempDir::new().expect("folder");
    let secrets = Secrets::of([("asana".to_owned(), ONE.to_owned())]);
    let learned = secrets.learned("asana", Form::Key, Some(folder.path())).expect("a secret");
    assert_eq!(learned.learn(OTHER.as_bytes(), NOW).await, Learning::Given);
    assert_eq!(learned.learn(ONE.as_bytes(), NOW).await, Learning::Known);
    let (_, hint) = Secrets::of([]).learned("asana", Form::Key, None).expect_err("no store");
    assert!(hint.contains("TOWPATH_SECRET_ASANA"), "{hint}");
    assert!(!Secrets::of([]).learned("asana", Form::Key, Some(folder.path())).expect("none").value().is_learned());
    assert!(!folder.path().join("secrets").exists(), "reading makes no folder");
}
