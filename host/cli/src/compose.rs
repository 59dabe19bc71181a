//! Puts the parts together for one machine: store, queues, plugins, pipeline, ingest.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use towpath_config::plugin::Settings;
use towpath_config::route::Routes;
use towpath_config::{Config, Form, IngestConfig, Secret, Secrets, env};
use towpath_deliver::Deliverer;
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_engine::poll::{self};
use towpath_intake::{Ingest, router};
use towpath_local::{DedupScope, KEPT_FOR_EVER, LocalQueue, QueueSettings, Store};
use towpath_metrics::{self as metrics, Stored};
use towpath_plugin::{Cache, Engine, LoadError, Plugin, Plugins};
use towpath_registry::{Failures, Sequences, Watch};
use towpath_runtime::health::Health;
use towpath_sqs::Endpoint;
use towpath_telemetry::Telemetry;
use towpath_types::clock::Clock;
use towpath_types::queue::Queue as _;
use towpath_verify::note_keys::NoteKeys;
use tracing::{debug, info, warn};

use crate::args::ConfigFile;
use crate::server::{Guard, HostName};
use crate::supervisor::Supervisor;
use crate::{aws, note_keys, pointers, server, upkeep};

/// The names of the queues in a store.
pub(crate) const EVENTS: &str = "events.fifo";
pub(crate) const DEAD_LETTERS: &str = "events-dead.fifo";
pub(crate) const REFUSED: &str = "events-refused.fifo";

/// The action of SQS that is only for the client that asks.
const RECEIVE: &str = "AmazonSQS.ReceiveMessage";

/// The label of the dead letters in metrics.
const DEAD_LETTERS_LABEL: &str = "dead-letters";

/// The story of messages, in the folder of the store.
pub(crate) const STORY: &str = "story.jsonl";

/// How long what the front door refused is kept.
const KEEP_REFUSED: Duration = Duration::from_secs(24 * 3600);

/// A message of the local queue may be this large: a body of 1 MiB in its envelope, with headers.
const MAX_LOCAL_MESSAGE: usize = 2 * 1024 * 1024;

/// Calls besides those of messages: a plugin is tried when it is loaded.
const SPARE_SLOTS: usize = 8;

/// How long holds that were read count: a hold or a resume is felt after this.
pub(crate) const HOLDS_MEMORY: Duration = Duration::from_secs(10);
const HOLDS_MEMORY_HERE: Duration = Duration::from_secs(1);

/// The config file that is meant.
pub(crate) fn config_file(args: &ConfigFile) -> std::path::PathBuf {
    args.config.clone().unwrap_or_else(env::config_file)
}

/// The queues of a store: events, dead letters, and what the front door refused.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) events: LocalQueue,
    pub(crate) dead_letters: LocalQueue,
    pub(crate) refused: LocalQueue,
}

impl Queues {
    /// Opens the store in this folder, or makes it.
    pub(crate) async fn open(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::open(folder, Clock::wall())?;
        let settings = QueueSettings {
            dedup_scope: DedupScope::MessageGroup,
            max_message_bytes: MAX_LOCAL_MESSAGE,
            // The pipeline gives up what is too old, and says why; nothing else does.
            retention: KEPT_FOR_EVER,
            ..QueueSettings::default()
        };
        let dead_letters = store.queue(DEAD_LETTERS, settings.clone()).await?;
        let refused = store.queue(REFUSED, QueueSettings { retention: KEEP_REFUSED, ..settings.clone() }).await?;
        let events = store.queue(EVENTS, settings).await?;
        Ok(Queues { events, dead_letters, refused })
    }

    /// Opens the store in this folder for a look: it stays as it is until something is changed.
    pub(crate) async fn look(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::look(folder, Clock::wall())?;
        Ok(Queues {
            events: store.look_for(EVENTS).await?,
            dead_letters: store.look_for(DEAD_LETTERS).await?,
            refused: store.look_for(REFUSED).await?,
        })
    }
}

/// Loads a config, which may be in S3.
pub(crate) async fn load_config(args: &ConfigFile, secrets: &Secrets) -> anyhow::Result<Config> {
    let file = config_file(args);
    let text = aws::read_config(&file).await?;
    Ok(Config::parse(&text, &file, secrets)?)
}

/// Loads the plugins of a config, from their folders and its registry, for these targets. All that is wrong is told at once. What comes
/// from a registry is to be watched for new versions.
pub(crate) async fn load_plugins(
    engine: &Engine,
    config: &Config,
    targets: Vec<String>,
    sequences: Option<Sequences>,
    clock: Clock,
) -> anyhow::Result<Result<(Plugins, Option<Watch>), Failures>> {
    let registry = match &config.registry {
        Some(at) => Some(towpath_compose::registry(at).await?.remembering(sequences.unwrap_or_default())),
        None => None,
    };
    Ok(towpath_registry::open(engine, &config.plugins, targets, registry, clock).await)
}

/// Loads one plugin from its path and checks that the targets that it names are there.
pub(crate) fn load_plugin<'a>(
    engine: &Engine,
    settings: Settings,
    targets: impl Iterator<Item = &'a String> + Clone,
) -> Result<Plugin, LoadError> {
    let plugin = Plugin::load(engine, settings)?;
    plugin.check_targets(targets.map(String::as_str))?;
    Ok(plugin)
}

/// A new plugin engine for `concurrency` calls at a time, with spare slots for loading plugins. It keeps what it compiles in this
/// user's cache folder, unless others could write there.
pub(crate) fn engine(concurrency: usize) -> anyhow::Result<Engine> {
    let engine = Engine::with_slots(concurrency + SPARE_SLOTS)
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .context("starting the plugin engine")?;
    let (Some(cache), Some(state)) = (env::cache_folder(), env::state_folder()) else {
        debug!("compiled plugins are not kept: this user has no home");
        return Ok(engine);
    };
    match Cache::open(&cache.join("towpath/compiled"), &state.join("towpath/compiled.key")) {
        Ok(cache) => Ok(engine.with_cache(cache)),
        Err(error) => {
            warn!(problem = format!("{:#}", anyhow::Error::new(error)), "compiled plugins are not kept");
            Ok(engine)
        }
    }
}

/// What every host is made of, whatever its queue.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) routes: Routes,
    pub(crate) plugins: Plugins,
    pub(crate) watch: Option<Watch>,
    pub(crate) deliverer: Deliverer,
}

impl Parts {
    /// Loads the plugins and prepares delivery, for so many groups at the same time.
    pub(crate) async fn new(
        config: Config,
        concurrency: usize,
        holds: Option<Watched>,
        clock: Clock,
    ) -> anyhow::Result<Parts> {
        let engine = engine(concurrency)?;
        let targets = config.targets.keys().cloned().collect();
        let (plugins, watch) = load_plugins(&engine, &config, targets, pointers::of_host(&config)?, clock).await??;
        let mut deliverer = Deliverer::new(config.targets, holds, clock).context("preparing delivery")?;
        if deliverer.needs_aws_credentials() {
            deliverer = deliverer.sign_with(aws::credentials().await?);
        }
        Ok(Parts { engine, routes: config.routes, plugins, watch, deliverer })
    }
}

/// Everything that runs on one machine, put together and not yet started.
pub(crate) struct Station {
    pub(crate) engine: Engine,
    pub(crate) queues: Queues,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) ingest: Arc<Ingest>,
    watch: Option<Arc<Watch>>,
    listen: IngestConfig,
    keep_dead_letters: Option<Duration>,
    concurrency: usize,
    health: Arc<Health>,
    guard: Guard,
}

impl Station {
    /// Puts the parts together. Ingest is ready while `health` says so. What listens is called by these names, too.
    pub(crate) async fn new(config: Config, names: &[HostName], health: Arc<Health>) -> anyhow::Result<Station> {
        if config.queue.url.is_some() {
            bail!(
                "{} names an SQS queue: serve and dev run the local one; leave url and dead_letter_url out",
                config.file.display()
            );
        }
        let queues = Queues::open(&config.queue.store).await?;
        let clock = Clock::wall();
        let holds = Watched::new(Arc::new(queues.events.store().clone()), HOLDS_MEMORY_HERE, clock);
        let (ingest, concurrency) = (config.ingest.clone(), config.queue.concurrency);
        let keep_dead_letters = config.keep_dead_letters;
        let note_keys = note_keys::of_store(queues.events.store(), NoteKeys::new(config.note_keys.clone())).await?;
        let parts = Parts::new(config, concurrency, Some(holds), clock).await?;
        let Parts { engine, routes, plugins, watch, deliverer } = parts;
        let dead_letters = Arc::new(queues.dead_letters.clone());
        let source = EVENTS.to_owned();
        let mut pipeline = Pipeline::new(routes.clone(), plugins, deliverer, dead_letters, source, clock);
        pipeline.note_keys = note_keys;
        pipeline.limits.set(queues.events.limits().await?);
        let listen = ingest;
        let ingest = Ingest::new(routes, Arc::new(queues.events.clone()), listen.body_limit);
        let ingest = ingest.ready_with(Arc::clone(&health)).keeping_refused(Arc::new(queues.refused.clone()));
        let ingest = Arc::new(ingest);
        let (pipeline, watch) = (Arc::new(pipeline), watch.map(Arc::new));
        let guard = Guard::of(names);
        Ok(Station { engine, queues, pipeline, ingest, watch, listen, keep_dead_letters, concurrency, health, guard })
    }

    /// Starts ingest and pipeline; both end when the host stops. Returns the address it listens on.
    pub(crate) async fn start(&self, host: &mut Supervisor) -> anyhow::Result<SocketAddr> {
        let address = self.start_ingest(host).await?;
        let options = poll::Options { concurrency: self.concurrency, ..poll::Options::default() };
        let queue = Arc::new(self.queues.events.clone());
        let (pipeline, health) = (Arc::clone(&self.pipeline), Arc::clone(&self.health));
        host.tasks.spawn_fallible("pipeline", poll::run(queue, pipeline, options, health, host.stop.clone()));
        if let Some(watch) = self.watch.clone() {
            watch_registry(watch, host);
        }
        Ok(address)
    }

    /// Shows what is stored to those who read metrics.
    pub(crate) fn show_stored(&self) {
        let queues = self.queues.clone();
        metrics::show_stored(move || {
            let queues =
                [("events", &queues.events), (DEAD_LETTERS_LABEL, &queues.dead_letters), ("refused", &queues.refused)];
            queues.into_iter().filter_map(|(label, queue)| stored(label, queue)).collect()
        });
    }

    /// Keeps the story of messages beside the store, for `towpath tail` and `towpath trace`.
    pub(crate) fn keep_story(&self, telemetry: &Telemetry) -> anyhow::Result<()> {
        let file = self.queues.events.store().file().with_file_name(STORY);
        telemetry.story.open(&file).with_context(|| format!("opening {}", file.display()))
    }

    /// Starts ingest alone, for a pipeline that runs elsewhere.
    pub(crate) async fn start_ingest(&self, host: &mut Supervisor) -> anyhow::Result<SocketAddr> {
        let listen = self.listen.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| {
            format!("listening on {listen}: is another towpath running there? --listen takes another address")
        })?;
        let address = listener.local_addr().context("listening")?;
        let router = router(Arc::clone(&self.ingest), &self.listen.prefix);
        let guard = self.guard.clone().for_any_host().for_pages_of(&self.listen.allow_origins);
        host.tasks.spawn("ingest", server::serve(listener, router, guard, host.stop.clone()));
        host.tasks.spawn("upkeep", upkeep::run(self.queues.clone(), self.keep_dead_letters, host.stop.clone()));
        let prefix = &self.listen.prefix;
        info!(address = %address, prefix, "listening");
        Ok(address)
    }
}

impl Station {
    /// Offers the queues of the store to clients of SQS until the host stops. Returns the address.
    pub(crate) async fn start_sqs(
        &self,
        at: SocketAddr,
        token: Option<Secret>,
        host: &mut Supervisor,
    ) -> anyhow::Result<SocketAddr> {
        let guard = if token.is_some() { self.guard.clone().for_any_host() } else { self.guard.clone() };
        let in_use = vec![EVENTS.to_owned(), DEAD_LETTERS.to_owned(), REFUSED.to_owned()];
        let endpoint = Endpoint::new(self.queues.events.store().clone(), in_use, token).await?;
        let listener = TcpListener::bind(at).await;
        let listener = listener.with_context(|| format!("listening on {at} for SQS: --sqs takes another address"))?;
        let address = listener.local_addr().context("listening for SQS")?;
        let stop = host.stop.clone();
        host.tasks.spawn("SQS endpoint", async move {
            // Clients that wait for messages are broken off: they ask again elsewhere.
            // A message that is received for a client that has gone is not there for the others.
            let takes = |headers: &HeaderMap| headers.get("x-amz-target").is_some_and(|action| action == RECEIVE);
            let router = towpath_sqs::router(endpoint);
            let serve = server::serve_unless(listener, router, guard, CancellationToken::new(), takes);
            stop.run_until_cancelled(serve).await;
        });
        info!(address = %address, "SQS endpoint");
        Ok(address)
    }
}

/// Looks for new versions of plugins until the host stops.
pub(crate) fn watch_registry(watch: Arc<Watch>, host: &mut Supervisor) {
    let stop = host.stop.clone();
    host.tasks.spawn("registry watch", async move {
        stop.run_until_cancelled(watch.run()).await;
    });
}

/// The secret that clients of the SQS endpoint show: their access key id.
const TOKEN: &str = "sqs-endpoint";

/// The variable that it is in.
pub(crate) const ENDPOINT_TOKEN: &str = "TOWPATH_SECRET_SQS_ENDPOINT";

/// The token of the SQS endpoint, if there is one. Beyond this machine there must be.
pub(crate) fn endpoint_token(at: SocketAddr, secrets: &Secrets) -> anyhow::Result<Option<Secret>> {
    if !secrets.is_set(TOKEN) {
        if !at.ip().is_loopback() {
            bail!(
                "others can reach {at}: set TOWPATH_SECRET_SQS_ENDPOINT to a token, which clients then use as their access key id"
            );
        }
        return Ok(None);
    }
    let fits = |token: &Secret| {
        let token = token.expose();
        (16..=128).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // One that is set and cannot be used must not open the endpoint to everybody.
    let token = secrets.get(TOKEN, Form::Header).ok().filter(fits);
    let Some(token) = token else {
        bail!("TOWPATH_SECRET_SQS_ENDPOINT must have 16–128 letters, digits and _: it is used as an access key id");
    };
    Ok(Some(token))
}

/// A random token, or key, of 244 bits.
pub(crate) fn made_token() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// What is stored in a queue; nothing if it cannot be read.
fn stored(label: &'static str, queue: &LocalQueue) -> Option<Stored> {
    let standing = queue.standing().ok()?;
    let oldest = standing.oldest.map(|oldest| queue.store().now().since(oldest));
    let letters = standing.letters.into_iter().filter(|_| label == DEAD_LETTERS_LABEL);
    let letters = letters.map(|letter| (letter.route, letter.reason, letter.messages)).collect();
    Some(Stored { queue: label, messages: standing.messages, oldest, letters })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tempfile::TempDir;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ingest_is_not_ready_once_the_pipeline_gets_nothing_from_its_store() {
        let folder = TempDir::new().expect("folder");
        let text = "[ingest]\nlisten = \"127.0.0.1:0\"\n";
        let file = folder.path().join("towpath.toml");
        let config = Config::parse(text, &file, &Secrets::of([])).expect("config");
        let mut host = Supervisor::new();
        let station = Station::new(config, &[], Arc::clone(&host.health)).await.expect("station");
        station.start(&mut host).await.expect("ingest");
        let (stop, store) = (host.stop.clone(), station.queues.events.store().file().to_owned());
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
