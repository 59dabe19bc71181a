//! A host with a store on one machine, for `serve` and `dev`.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use towpath_archive::Segments;
use towpath_config::{Config, IngestConfig, Secret};
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_engine::poll;
use towpath_intake::{Ingest, router};
use towpath_local::{Holder, LocalQueue, Store};
use towpath_metrics::{self as metrics, QueueContents};
use towpath_operate::note_keys;
use towpath_operate::queues::{EVENTS, Queues, STORY};
use towpath_plugin::Engine;
use towpath_registry::Watch;
use towpath_runtime::health::Health;
use towpath_runtime::time::wall_clock;
use towpath_telemetry::Telemetry;
use towpath_types::archive::Archive;
use towpath_types::holds::Holds;
use towpath_types::queue::Queue as _;
use tracing::{info, warn};

use crate::alerts::Rules;
use crate::listen::ListenError;
use crate::parts::Parts;
use crate::plugins::engine;
use crate::server::{self, Guard, HostName};
use crate::supervisor::Supervisor;
use crate::{archive, endpoint, pointers, upkeep};

/// The label of the dead letters in metrics.
const DEAD_LETTERS_LABEL: &str = "dead-letters";

/// How long holds read from the store are used before they are read again.
const HOLDS_MEMORY_HERE: Duration = Duration::from_secs(1);

/// A host on one machine, put together and not yet started.
pub struct Station {
    /// The plugin engine.
    pub engine: Engine,
    /// The queues of its store.
    pub queues: Queues,
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    /// The ingest.
    pub ingest: Arc<Ingest>,
    watch: Option<Arc<Watch>>,
    archive: Option<Arc<Segments>>,
    rules: Option<Rules>,
    listen: IngestConfig,
    keep_dead_letters: Option<Duration>,
    concurrency: usize,
    /// The longest timeout of a target.
    longest_request: Duration,
    health: Arc<Health>,
    guard: Guard,
}

impl Station {
    /// Puts the parts together. Ingest is ready while `health` says so. Its listeners accept these names in `Host`, too.
    pub async fn new(config: Config, names: &[HostName], health: Arc<Health>) -> anyhow::Result<Station> {
        if config.queue.url.is_some() {
            bail!(
                "{} names an SQS queue, but serve and dev use the local one: leave url and dead_letter_url out",
                config.file.display()
            );
        }
        let queues = Queues::open(&config.queue.store).await?;
        let clock = wall_clock();
        let holds = Watched::new(Arc::new(queues.events.store().clone()), HOLDS_MEMORY_HERE, clock);
        let listen = config.ingest.clone();
        let concurrency = config.queue.concurrency;
        let keep_dead_letters = config.keep_dead_letters;
        let longest_request = config.targets.values().map(|target| target.timeout).max().unwrap_or_default();
        let archive = archive::of(&config.archive);
        let rules = Rules::of(&config);
        let sequences = pointers::of_host(&config)?;
        let mut parts = Parts::new(engine(concurrency)?, config, sequences, Some(holds), clock).await?;
        parts.note_keys = note_keys::of_store(queues.events.store(), parts.note_keys).await?;
        let engine = parts.engine.clone();
        let routes = parts.routes.clone();
        let remote = parts.remote.clone();
        let note_keys = parts.note_keys.clone();
        let (mut pipeline, watch) = parts.pipeline(Arc::new(queues.dead_letters.clone()), EVENTS.to_owned());
        pipeline.archive = archive.clone().map(|archive| archive as Arc<dyn Archive>);
        pipeline.limits.set(queues.events.limits().await?);
        let ingest = Ingest::new(routes, Arc::new(queues.events.clone()), listen.body_limit);
        let ingest = ingest
            .behind(listen.trusted_proxies.clone())
            .ready_with(Arc::clone(&health))
            .keeping_refused(Arc::new(queues.refused.clone()))
            .fetching_with(remote)
            .clocked_by(clock)
            .vouching_by(note_keys);
        let ingest = Arc::new(ingest);
        let pipeline = Arc::new(pipeline);
        let watch = watch.map(Arc::new);
        let guard = Guard::of(names);
        Ok(Station {
            engine,
            queues,
            pipeline,
            ingest,
            watch,
            archive,
            rules,
            listen,
            keep_dead_letters,
            concurrency,
            longest_request,
            health,
            guard,
        })
    }

    /// Starts ingest and pipeline, which end when the host stops. Returns the address of ingest.
    pub async fn start(&self, host: &mut Supervisor) -> anyhow::Result<SocketAddr> {
        let address = self.start_ingest(host).await?;
        let options = poll::Options { concurrency: self.concurrency, ..poll::Options::default() };
        let holder = hold(self.queues.events.store(), self.longest_request).await;
        let events =
            holder.as_ref().map_or_else(|| self.queues.events.clone(), |holder| self.queues.events.held_by(holder));
        let pipeline = Arc::clone(&self.pipeline);
        let polling = poll::run(Arc::new(events), pipeline, options, Arc::clone(&self.health), host.stop.clone());
        host.tasks.spawn_fallible("pipeline", async move {
            let ended = polling.await;
            // A pipeline that broke may have left leases, so the next host must find the holder.
            if let (Some(holder), Ok(())) = (holder, &ended) {
                leave(holder).await;
            }
            ended
        });
        if let Some(watch) = self.watch.clone() {
            host.watch_registry(watch);
        }
        if let Some(rules) = self.rules.clone() {
            let holds: Arc<dyn Holds> = Arc::new(self.queues.events.store().clone());
            let ingest = Arc::clone(&self.ingest);
            let unauthorized = move || ingest.refused();
            rules.watch(Arc::clone(&self.pipeline), Some(holds), unauthorized, wall_clock()).start(host);
        }
        Ok(address)
    }

    /// Publishes what is stored as metrics.
    pub fn show_stored(&self) {
        let queues = self.queues.clone();
        metrics::show_stored(move || {
            let queues =
                [("events", &queues.events), (DEAD_LETTERS_LABEL, &queues.dead_letters), ("refused", &queues.refused)];
            queues.into_iter().filter_map(|(label, queue)| stored(label, queue)).collect()
        });
    }

    /// Keeps the story of messages next to the store, for `towpath tail` and `towpath trace`.
    pub fn keep_story(&self, telemetry: &Telemetry) -> anyhow::Result<()> {
        let file = self.queues.events.store().file().with_file_name(STORY);
        telemetry.story.open(&file).with_context(|| format!("opening {}", file.display()))
    }

    /// Starts ingest alone; the pipeline runs elsewhere.
    pub async fn start_ingest(&self, host: &mut Supervisor) -> anyhow::Result<SocketAddr> {
        let listen = self.listen.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.context(ListenError::Ingest(listen))?;
        let address = listener.local_addr().context("listening")?;
        let router = router(Arc::clone(&self.ingest), &self.listen.prefix);
        let guard = self.guard.clone().for_any_host().for_pages_of(&self.listen.allow_origins);
        host.tasks.spawn("ingest", server::serve(listener, router, guard, host.stop.clone()));
        host.tasks.spawn("upkeep", upkeep::run(self.queues.clone(), self.keep_dead_letters, host.stop.clone()));
        if let Some(archive) = self.archive.clone() {
            archive::look_after(archive, wall_clock(), host);
        }
        let prefix = &self.listen.prefix;
        info!(address = %address, prefix, "listening");
        Ok(address)
    }

    /// Starts the SQS endpoint over the queues of the store. Returns its address.
    pub async fn start_sqs(
        &self,
        at: SocketAddr,
        token: Option<Secret>,
        host: &mut Supervisor,
    ) -> anyhow::Result<SocketAddr> {
        endpoint::start(&self.queues, self.guard.clone(), at, token, host).await
    }
}

/// Registers this host with its store, so that the next one releases its leases at once if it is killed. Without that they
/// run out.
async fn hold(store: &Store, longest_request: Duration) -> Option<Holder> {
    match store.hold(longest_request).await {
        Ok(Some(holder)) => Some(holder),
        Ok(None) => {
            info!("locks on the file system of the store prove nothing, leases run out after a kill");
            None
        }
        Err(error) => {
            warn!(error = &error as &dyn Error, "host cannot be registered, its leases run out after a kill");
            None
        }
    }
}

async fn leave(holder: Holder) {
    if let Err(error) = holder.leave().await {
        warn!(error = &error as &dyn Error, "host cannot be unregistered, the next one does it");
    }
}

/// What is stored in a queue; `None` if it cannot be read.
fn stored(label: &'static str, queue: &LocalQueue) -> Option<QueueContents> {
    let standing = queue.standing().ok()?;
    let oldest = standing.oldest.map(|oldest| queue.store().now().since(oldest));
    let letters = standing.letters.into_iter().filter(|_| label == DEAD_LETTERS_LABEL);
    let letters = letters.map(|letter| (letter.route, letter.reason, letter.messages)).collect();
    Some(QueueContents { queue: label, messages: standing.messages, oldest, letters })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tempfile::TempDir;
    use tower::ServiceExt as _;
    use towpath_config::Secrets;
    use towpath_types::dead_letter::{DeadLetter, Seen};

    use super::*;

    #[tokio::test]
    async fn what_is_stored_is_told_with_its_age_and_dead_letters_by_route_and_reason() {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("store");
        let seen = Seen { route: Some("crm"), ..Seen::default() };
        let now = queues.events.store().now();
        let letter = DeadLetter::refused_at_ingest("m-1".to_owned(), seen, "unverified", "forged".to_owned(), now);
        for queue in [&queues.dead_letters, &queues.refused] {
            let message = letter.carried_by("g".into(), "{}".into(), Default::default());
            queue.send(message).await.expect("send");
        }
        let dead = stored(DEAD_LETTERS_LABEL, &queues.dead_letters).expect("read");
        assert_eq!((dead.messages, dead.letters), (1, vec![("crm".to_owned(), "unverified".to_owned(), 1)]));
        assert!(dead.oldest.is_some_and(|age| age < Duration::from_secs(60)), "{:?}", dead.oldest);
        let refused = stored("refused", &queues.refused).expect("read");
        assert_eq!((refused.messages, refused.letters), (1, vec![]), "they are told apart from dead letters");
        assert_eq!(stored("events", &queues.events).expect("read").oldest, None);
    }

    #[tokio::test(start_paused = true)]
    async fn ingest_is_not_ready_once_the_pipeline_gets_nothing_from_its_store() {
        let folder = TempDir::new().expect("folder");
        let text = "[ingest]\nlisten = \"127.0.0.1:0\"\n";
        let file = folder.path().join("towpath.toml");
        let config = Config::parse(text, &file, &Secrets::of([])).expect("config");
        let mut host = Supervisor::new();
        let station = Station::new(config, &[], Arc::clone(&host.health)).await.expect("station");
        station.start(&mut host).await.expect("ingest");
        let stop = host.stop.clone();
        let store = station.queues.events.store().file().to_owned();
        let front = router(Arc::clone(&station.ingest), "/hooks");
        let ready = async || {
            let request = Request::get("/readyz").body(Body::empty()).expect("request");
            front.clone().oneshot(request).await.expect("infallible").status()
        };
        let looked = async {
            assert_eq!(ready().await, StatusCode::OK);
            let store = rusqlite::Connection::open(store).expect("store");
            store.execute_batch("ALTER TABLE groups RENAME TO gone").expect("renamed");
            while ready().await == StatusCode::OK {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(host.run(), looked);
        assert!(ended.is_ok(), "{ended:?}");
    }
}
