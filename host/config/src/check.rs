//! Checks shapes and turns them into a config: references, ranges, addresses, overlaps.

mod admission;
mod agreement;
mod answers;
mod archive;
mod auth;
mod console;
mod direct;
mod fetched;
mod forward;
mod jwt;
mod keep;
mod keys;
mod learning;
mod notify;
mod plugins;
mod queue_url;
mod routes;
mod split;
mod stream;
mod targets;
mod values;
mod variables;
mod verify;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use toml::Table;
use url::Url;

use self::learning::Learning;
use self::queue_url::QueueUrl;
use super::collect::{self, Mistakes};
use super::shape;
use super::{Config, Draft, Form, IngestConfig, QueueConfig, RegistryConfig, RegistryUrl, S3Url, Secret, Secrets};
use crate::plugin::Settings;
use crate::provider::expand_routes;
use crate::route::{Route, Routes};
use crate::target::Target;
use towpath_types::queue::MAX_MESSAGE_BYTES;

/// The largest body that, as base64 in an envelope with headers, still fits into a message.
const MAX_SQS_BODY: usize = MAX_MESSAGE_BYTES / 4 * 3 - 24 * 1024;

/// Operators need time to notice a dead letter.
const SHORTEST_KEEP: Duration = Duration::from_secs(3600);

struct Checker<'a> {
    folder: &'a Path,
    secrets: &'a Secrets,
    found: Mistakes,
    named: BTreeMap<&'static str, Vec<String>>,
    /// Guessable secrets, by name, with the key that names them.
    weak: BTreeMap<String, String>,
    /// The keys that name a secret which nobody learns, by its name.
    used: BTreeMap<String, Vec<String>>,
    learning: Learning,
    /// The keys that name secrets which are not available yet, and why.
    unready: Vec<(String, String)>,
}

pub(super) fn check(mut table: Table, file: &Path, secrets: &Secrets) -> Draft {
    let mut found = Mistakes::default();
    if table.is_empty() {
        found.wrong(
            file.display().to_string(),
            "the file is empty",
            "`towpath init --force` writes a config to start from",
        );
    }
    variables::find(&table, &mut found);
    expand_routes(&mut table, &mut found);
    let shape = collect::shapes(table, &mut found);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut checker = Checker {
        folder,
        secrets,
        found,
        named: shape.named,
        weak: BTreeMap::new(),
        used: BTreeMap::new(),
        learning: Learning::default(),
        unready: Vec::new(),
    };
    let queue = checker.queue(shape.queue);
    checker.learning.store = queue.url.is_none().then(|| queue.store.clone());
    let shape::DeadLetters { keep, note_key } = shape.dead_letters;
    let keep_dead_letters = checker.keep(keep, &queue);
    let note_key = note_key.map(shape::Names::indexed).unwrap_or_default();
    let note_keys =
        if note_key.is_empty() { Vec::new() } else { checker.secrets("dead_letters.note_key", &note_key, Form::Key) };
    // Everybody knows what an empty key makes.
    let note_keys = note_keys.into_iter().filter(|key| !key.expose().is_empty()).collect();
    let note_key_names = note_key.into_iter().map(|(_, name)| name).collect();
    let archive = checker.archive(shape.archive, &queue);
    let ingest = checker.ingest(shape.ingest, &queue);
    let console = shape.console.map(|console| checker.console(console, &ingest));
    let holds = checker.holds(shape.holds, &queue);
    let registry = checker.registry(shape.registry);
    let routes = checker.routes(shape.routes, &queue, &ingest);
    let has_registry = registry.is_some();
    let plugins = shape.plugins.into_iter();
    let plugins =
        plugins.map(|(name, plugin)| (name.clone(), checker.plugin(name, plugin, registry.as_ref()))).collect();
    let plugins = checker.candidates(plugins, &routes, has_registry);
    let targets = shape.targets.into_iter().filter_map(|(name, t)| Some((name.clone(), checker.target(name, t)?)));
    let targets: BTreeMap<String, Target> = targets.collect();
    checker.plugin_secrets(&targets, &plugins);
    let notify = checker.notify(shape.notify);
    let secrets_prefix = shape.secrets.map(|secrets| secrets.prefix);
    let routes = Routes::new(checker.unvouched(routes));
    let file = file.to_owned();
    let config = Config {
        file,
        queue,
        keep_dead_letters,
        note_keys,
        note_key_names,
        archive,
        ingest,
        console,
        holds,
        registry,
        secrets_prefix,
        routes,
        plugins,
        targets,
        notify,
    };
    checker.agreement(&config);
    checker.learned_alone();
    checker.splits(&config);
    let mut warnings = checker.warnings(&config);
    warnings.iter_mut().for_each(|warning| checker.found.origins.relocate(warning));
    let targets = checker.named.remove("target").unwrap_or_default();
    Draft { config, mistakes: checker.found.located(), warnings, targets }
}

impl Checker<'_> {
    fn wrong(&mut self, at: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) {
        self.found.wrong(at, problem, hint);
    }

    fn queue(&mut self, queue: shape::Queue) -> QueueConfig {
        let pairs = [("url", &queue.url, "dead_letter_url"), ("dead_letter_url", &queue.dead_letter_url, "url")];
        for (key, url, other) in pairs {
            let Some(url) = url else { continue };
            self.queue_url(key, url);
            if queue.url.is_none() || queue.dead_letter_url.is_none() {
                self.wrong(format!("queue.{other}"), "missing", "give both, or neither for the local queue");
            }
        }
        if let (Some(url), Some(dead)) = (&queue.url, &queue.dead_letter_url)
            && QueueUrl::same(url, dead)
        {
            let hint = "use two queues: a dead letter would be received as an event again, forever";
            self.wrong("queue.dead_letter_url", "is the same queue as queue.url", hint);
        }
        if let Some(refused) = &queue.refused_url {
            self.queue_url("refused_url", refused);
            let others = [("url", &queue.url), ("dead_letter_url", &queue.dead_letter_url)];
            if queue.url.is_none() {
                let hint = "the local store has its own queue for this: leave it out";
                self.wrong("queue.refused_url", "is for SQS queues only", hint);
            }
            for (key, _) in
                others.iter().filter(|(_, url)| url.as_ref().is_some_and(|url| QueueUrl::same(url, refused)))
            {
                let hint = "use a separate queue: webhooks that were turned away must not be received as events or dead letters";
                self.wrong("queue.refused_url", format!("is the same queue as queue.{key}"), hint);
            }
        }
        let concurrency = queue.concurrency.unwrap_or(16);
        if !(1..=1000).contains(&concurrency) {
            self.wrong("queue.concurrency", format!("{concurrency} is not in 1–1000"), "16 is the default");
        }
        let store = self.folder.join(queue.store.unwrap_or_else(|| ".towpath".into()));
        if store.is_file() {
            self.wrong("queue.store", format!("{} is a file", store.display()), "give a folder");
        }
        let extend_visibility = queue.extend_visibility;
        if extend_visibility && queue.url.is_none() {
            let hint = "the local queue renews its leases: leave it out";
            self.wrong("queue.extend_visibility", "is for SQS queues only", hint);
        }
        let shape::Queue { url, dead_letter_url, refused_url, .. } = queue;
        QueueConfig { url, dead_letter_url, refused_url, store, concurrency, extend_visibility }
    }

    fn queue_url(&mut self, key: &str, url: &str) {
        match QueueUrl::read(url) {
            Err(problem) => {
                let hint = "the queue's URL, such as \"https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo\"";
                self.wrong(format!("queue.{key}"), problem, hint);
            }
            Ok(queue) if !queue.is_fifo() => {
                let hint = "ordering needs a FIFO queue, and the dead-letter queue of a FIFO queue must be FIFO too";
                let problem = format!("{url:?} is not a FIFO queue: its name must end in .fifo");
                self.wrong(format!("queue.{key}"), problem, hint);
            }
            Ok(_) => {}
        }
    }

    fn keep(&mut self, keep: Option<shape::Span>, queue: &QueueConfig) -> Option<Duration> {
        let keep = keep?.0;
        if queue.url.is_some() {
            self.wrong(
                "dead_letters.keep",
                "is for the local store only",
                "SQS deletes dead letters at the end of the queue's retention, 14 days at most: leave it out",
            );
        }
        if keep < SHORTEST_KEEP {
            let hint = "a removed dead letter is lost: leave it out to keep them until an operator drops them";
            self.wrong("dead_letters.keep", "must be at least 1h", hint);
        }
        Some(keep)
    }

    fn ingest(&mut self, ingest: shape::Ingest, queue: &QueueConfig) -> IngestConfig {
        let listen = ingest.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        let prefix = ingest.prefix.unwrap_or_else(|| "/hooks".to_owned());
        if !prefix.is_empty() && !prefix.strip_prefix('/').is_some_and(is_path) {
            self.wrong(
                "ingest.prefix",
                format!("{prefix:?} is not a path such as \"/hooks\""),
                "begin with / and do not end with one, or leave it empty; letters, digits, -, _, . and / are allowed",
            );
        }
        // SQS allows 1 MiB in total; the local queue adds room for the envelope's overhead.
        let (default, most) = match queue.url {
            Some(_) => (MAX_SQS_BODY, MAX_SQS_BODY),
            None => (MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
        };
        let body_limit = ingest.body_limit.map_or(default, |size| usize::try_from(size.0).unwrap_or(usize::MAX));
        if body_limit == 0 || body_limit > most {
            let hint = format!("a message has at most 1 MiB, so a body here has 1–{most} bytes");
            self.wrong("ingest.body_limit", format!("{body_limit} bytes do not fit into a message"), hint);
        }
        let allow_origins = ingest.allow_origins;
        for (number, origin) in allow_origins.iter().enumerate() {
            if !is_origin(origin) {
                self.wrong(
                    format!("ingest.allow_origins[{number}]"),
                    format!("{origin:?} is not an origin such as \"https://forms.example.com\""),
                    "write it as browsers do: scheme, host in lower case, a port if it is not the default, nothing more",
                );
            }
        }
        let trusted_proxies = self.networks("ingest.trusted_proxies", &ingest.trusted_proxies);
        IngestConfig { listen, prefix, body_limit, allow_origins, trusted_proxies }
    }

    fn holds(&mut self, holds: shape::Holds, queue: &QueueConfig) -> Option<S3Url> {
        if holds.url.is_some() && queue.url.is_none() {
            self.wrong("holds.url", "is for SQS queues only", "the local store keeps its own holds: leave it out");
        }
        let url = holds.url?.parse();
        url.map_err(|problem: String| {
            self.wrong("holds.url", problem, "the host and `towpath hold` must both reach it")
        })
        .ok()
    }

    fn registry(&mut self, registry: shape::Registry) -> Option<RegistryConfig> {
        let public_key = registry.public_key.and_then(|key| {
            key.parse()
                .map_err(|error: crate::registry::NotAPublicKey| {
                    self.wrong("registry.public_key", error.to_string(), "give the public key, not the signing key")
                })
                .ok()
        });
        let Some(url) = registry.url else {
            if public_key.is_some() {
                self.wrong("registry.url", "missing", "a folder, or \"s3://bucket/plugins\"");
            }
            return None;
        };
        match url.parse() {
            Ok(RegistryUrl::Folder(path)) => {
                Some(RegistryConfig { url: RegistryUrl::Folder(self.folder.join(path)), public_key })
            }
            Ok(url) => Some(RegistryConfig { url, public_key }),
            Err(problem) => {
                self.wrong("registry.url", problem, "");
                None
            }
        }
    }

    fn secret(&mut self, at: String, name: &str, form: Form) -> Option<Secret> {
        if self.secrets.is_weak(name, form) {
            self.weak.insert(name.to_owned(), at.clone());
        }
        self.used.entry(name.to_owned()).or_default().push(at.clone());
        match self.secrets.get(name, form) {
            Ok(secret) => Some(secret),
            Err(why) => self.unavailable(at, form, why),
        }
    }

    /// A secret that is not available: a mistake, unless the host waits for it.
    fn unavailable(&mut self, at: String, form: Form, (problem, hint): (String, String)) -> Option<Secret> {
        if !self.secrets.may_come() {
            self.wrong(at, problem, hint);
            return None;
        }
        self.unready.push((at, problem));
        // A certificate cannot be empty; nobody asks for it until it is there.
        (form != Form::Identity).then(Secret::absent)
    }

    /// Why what is below this key cannot work yet.
    fn unready(&self, at: &str) -> Option<String> {
        let below = |key: &str| key.strip_prefix(at).is_some_and(|rest| rest.starts_with(['.', '[']));
        self.unready.iter().find(|(key, _)| below(key)).map(|(_, why)| why.clone())
    }

    /// Without the key that proves operators' notes and the front door's verdicts, an edited or split webhook would be taken
    /// for a forgery: no route that verifies can work.
    fn unvouched(&self, mut routes: Vec<Route>) -> Vec<Route> {
        let why = self.unready("dead_letters");
        for route in routes.iter_mut().filter(|route| route.verify.is_some() && route.unready.is_none()) {
            route.unready.clone_from(&why);
        }
        routes
    }

    /// A secret that a target accepts from plugins must belong to a plugin.
    fn plugin_secrets(&mut self, targets: &BTreeMap<String, Target>, plugins: &BTreeMap<String, Settings>) {
        for (name, target) in targets {
            let unknown = |secret: &&String| !plugins.values().any(|plugin| plugin.secrets.contains_key(*secret));
            let listed = target.http().into_iter().flat_map(|http| &http.plugin_secrets);
            for secret in listed.filter(unknown) {
                let hint = format!("add secrets = [{secret:?}] to the plugin that sends it");
                self.wrong(
                    format!("target.{name}.plugin_secrets"),
                    format!("no plugin has the secret {secret:?}"),
                    hint,
                );
            }
        }
    }

    fn reference(&mut self, at: String, kind: &'static str, name: &str) {
        let names = self.named.get(kind).map(Vec::as_slice).unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            let hint = if names.is_empty() {
                format!("add [{kind}.{name}]")
            } else {
                let meant = collect::meant(name, names.iter().map(String::as_str));
                format!("{meant}known are: {}", names.join(", "))
            };
            self.wrong(at, format!("there is no {kind} {name:?}"), hint);
        }
    }
}

/// Whether a text is a web origin as browsers write it (RFC 6454, section 6.2).
fn is_origin(text: &str) -> bool {
    let written = |url: &Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    // The parser accepts a star as part of a name.
    !text.contains('*') && Url::parse(text).is_ok_and(|url| written(&url))
}

/// Whether a text is a valid URL path here: segments of letters, digits, `-`, `_` and `.`, separated by slashes.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain);
    text.split('/').all(segment)
}
