//! A whole host for tests: guests, a config text, a local store, a pipeline.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::Credentials;
use tempfile::TempDir;
use towpath_config::target::{Http, Kind};
use towpath_config::{Config, Secrets};
use towpath_deliver::holds::Watched;
use towpath_deliver::{AwsCredentials, Deliverer};
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_local::{DedupScope, LocalQueue, QueueSettings, Store};
use towpath_plugin::{Engine, Plugin, Plugins};
use towpath_runtime::lease::Lease;
use towpath_runtime::time::wall_clock;
use towpath_types::backoff::Backoff;
use towpath_types::body::Body;
use towpath_types::clock::Clock;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::envelope::Webhook;
use towpath_types::queue::{MAX_VISIBILITY, NewMessage, Queue, Receive, Received};

use crate::guest::Guest;
use crate::leaks;
pub use crate::leaks::{KEY, TOKEN};

/// A store in a folder that goes away, with the two queues of a host.
pub struct Rig {
    /// The folder.
    pub folder: TempDir,
    /// The store.
    pub store: Store,
    /// The queue.
    pub events: LocalQueue,
    /// The dead-letter queue.
    pub dead_letters: LocalQueue,
    /// What the front door refuses.
    pub refused: LocalQueue,
    /// How its pipelines wait where no target says how.
    pub backoff: Backoff,
    clock: Clock,
}

impl Rig {
    /// A fresh one.
    pub async fn new() -> Rig {
        Rig::with_clock(wall_clock()).await
    }

    /// A fresh one with this clock.
    pub async fn with_clock(clock: Clock) -> Rig {
        // Benchmarks are about the host, not about formatting every line at every level.
        if cfg!(debug_assertions) {
            leaks::watch_logs();
        }
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path(), clock).unwrap();
        let settings = QueueSettings {
            dedup_scope: DedupScope::MessageGroup,
            max_message_bytes: 2 * 1024 * 1024,
            ..QueueSettings::default()
        };
        let dead_letters = store.queue("events-dead.fifo", settings.clone()).await.unwrap();
        let refused = store.queue("events-refused.fifo", settings.clone()).await.unwrap();
        let events = store.queue("events.fifo", settings).await.unwrap();
        Rig { folder, store, events, dead_letters, refused, backoff: Backoff::default(), clock }
    }

    /// Writes a guest into the folder as the plugin of this name.
    pub fn write(&self, name: &str, guest: Guest) {
        std::fs::write(self.folder.path().join(format!("{name}.wasm")), guest.build()).unwrap();
    }

    /// Reads a config whose plugins lie in the folder.
    pub fn config(&self, text: &str) -> Config {
        self.config_knowing(text, &[])
    }

    fn config_knowing(&self, text: &str, secrets: &[(&str, &str)]) -> Config {
        let known = [("key", KEY), ("token", TOKEN)].iter().chain(secrets);
        let secrets = Secrets::of(known.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Config::parse(text, &self.folder.path().join("towpath.toml"), &secrets).unwrap()
    }

    /// A pipeline by this config that sends its dead letters to the rig's queue.
    pub fn pipeline(&self, text: &str) -> Arc<Pipeline> {
        self.pipeline_to(text, Arc::new(self.dead_letters.clone()))
    }

    /// A pipeline by this config, with more secrets than the rig's own.
    pub fn pipeline_knowing(&self, text: &str, secrets: &[(&str, &str)]) -> Arc<Pipeline> {
        self.pipeline_of(self.config_knowing(text, secrets), Arc::new(self.dead_letters.clone()), None)
    }

    /// A pipeline by this config that sends its dead letters there.
    pub fn pipeline_to(&self, text: &str, dead_letters: Arc<dyn Queue>) -> Arc<Pipeline> {
        self.pipeline_with(text, dead_letters, None)
    }

    /// A pipeline by this config that keeps to these holds.
    pub fn pipeline_with(&self, text: &str, dead_letters: Arc<dyn Queue>, holds: Option<Watched>) -> Arc<Pipeline> {
        self.pipeline_of(self.config(text), dead_letters, holds)
    }

    /// A pipeline by a config that was read, and perhaps changed.
    pub fn pipeline_of(&self, config: Config, dead_letters: Arc<dyn Queue>, holds: Option<Watched>) -> Arc<Pipeline> {
        let engine = Engine::new().unwrap();
        let load = |settings: &towpath_config::plugin::Settings| Plugin::load(&engine, settings.clone()).unwrap();
        let plugins = Plugins::new(config.plugins.values().map(load));
        let mut deliverer = Deliverer::new(config.targets, holds, self.clock).unwrap();
        if deliverer.needs_aws_credentials() {
            let credentials = Credentials::new("AKIDEXAMPLE", TOKEN, Some("session".to_owned()), None, "test");
            deliverer = deliverer.sign_with(AwsCredentials::new(credentials));
        }
        let source = "arn:test:events.fifo".to_owned();
        let mut pipeline = Pipeline::new(config.routes, plugins, deliverer, dead_letters, source, self.clock);
        pipeline.backoff = self.backoff;
        pipeline.key_source = Arc::new(towpath_keys::Remote::default());
        pipeline.note_keys = towpath_verify::note_keys::NoteKeys::new(config.note_keys);
        Arc::new(pipeline)
    }

    /// Sends a webhook with this body to a group.
    pub async fn send(&self, group: &str, body: &str) {
        self.send_webhook(group, &[], body.as_bytes()).await;
    }

    /// Sends a webhook to a group.
    pub async fn send_webhook(&self, group: &str, headers: &[(&str, &str)], body: &[u8]) {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        let webhook = Webhook { headers, body: body.to_vec(), ..Webhook::default() };
        self.send_raw(group, webhook).await;
    }

    /// Sends a queue body as it is.
    pub async fn send_raw(&self, group: &str, body: impl Into<Body>) {
        let message = NewMessage {
            group: group.into(),
            dedup_id: Some(format!("d-{:?}", std::time::Instant::now()).replace(' ', "").into()),
            body: body.into(),
            attributes: Default::default(),
        };
        self.events.send(message).await.unwrap();
    }

    /// Receives what there is.
    pub async fn receive(&self) -> Vec<Received> {
        self.events.receive(Receive::default()).await.unwrap()
    }

    /// Takes what there is through a pipeline, group by group as a driver does; what is acked is deleted.
    pub async fn run(&self, pipeline: &Pipeline) -> Vec<Settlement> {
        let received = self.receive().await;
        self.process(pipeline, received).await
    }

    /// The same; what must be tried again can be received again at once.
    pub async fn run_and_release(&self, pipeline: &Pipeline) -> Vec<Settlement> {
        let received = self.receive().await;
        let released: Vec<_> = received.iter().rev().map(|m| (m.handle.clone(), Duration::ZERO)).collect();
        let settlements = self.process(pipeline, received).await;
        // Those that were deleted are gone.
        self.events.change_visibility(&released).await;
        settlements
    }

    async fn process(&self, pipeline: &Pipeline, received: Vec<Received>) -> Vec<Settlement> {
        let mut settlements = Vec::new();
        for group in towpath_engine::poll::by_group(received) {
            let mut run = pipeline.group(Lease::of(MAX_VISIBILITY));
            for message in &group {
                let settlement = run.next(message).await;
                if !matches!(settlement, Settlement::Retry(_)) {
                    self.events.delete(std::slice::from_ref(&message.handle)).await.remove(0).unwrap();
                }
                settlements.push(settlement);
                run.settled().await;
            }
        }
        settlements
    }

    /// The letters in the dead-letter queue, with their queue messages.
    pub async fn letters(&self) -> Vec<DeadLetter> {
        let letters = self.dead_letters.browse(None, 100).await.unwrap();
        letters.iter().for_each(|message| leaks::check("a dead letter", format!("{message:?}").as_bytes()));
        letters.iter().map(|message| DeadLetter::read(&message.attributes).unwrap()).collect()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A received message that no queue handed out.
pub fn received(group: &str, body: &str) -> Received {
    let webhook = Webhook { headers: Vec::new(), body: body.as_bytes().to_vec(), ..Webhook::default() };
    Received {
        id: "m-1".into(),
        group: group.into(),
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: wall_clock().now(),
        body: webhook.into(),
        attributes: Default::default(),
        trace: None,
        handle: "h-1".into(),
    }
}

/// A config with one route `g` to the plugin `guest` and one target `sss` at this URL.
pub fn one_route(url: &str) -> String {
    format!(
        r#"
        [[route]]
        path = "g"
        group = "g/{{json:/k}}"
        plugin = "guest"
        [plugin.guest]
        path = "guest.wasm"
        [target.sss]
        url = "{url}"
        allow_private = true
        timeout = "300ms"
        "#
    )
}

/// A target of a config as an HTTP service, to change it.
pub fn http<'a>(config: &'a mut Config, target: &str) -> &'a mut Http {
    let Kind::Http(http) = &mut config.targets.get_mut(target).unwrap().kind;
    http
}
