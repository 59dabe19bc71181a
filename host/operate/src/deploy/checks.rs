//! The checks of a deployment, each with its remedy. Source of the rules: `terraform/README.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use towpath_aws::limits;
use towpath_aws::operate::{Alarm, Function, Mapping, Stream};
use towpath_config::Config;
use towpath_plugin::WASMTIME;
use towpath_registry::Release;

/// A deployment, as AWS describes it.
pub(super) struct Deployed {
    /// Where the config was read from.
    pub(super) config_at: String,
    pub(super) queue: BTreeMap<String, String>,
    pub(super) dead_letters: BTreeMap<String, String>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) function: Option<Function>,
    /// The function's answer to `about`, or why there is none.
    pub(super) about: Option<Result<Value, String>>,
    pub(super) alarms: Vec<Alarm>,
    /// The delivery stream of the archive, or why it cannot be inspected; absent if the config names none.
    pub(super) stream: Option<Result<Stream, String>>,
    pub(super) released: Vec<Released>,
}

/// What a plugin's reference resolves to in the registry.
pub(super) struct Released {
    pub(super) plugin: String,
    pub(super) optional: bool,
    pub(super) found: Result<Release, String>,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The thing that was checked.
    pub check: &'static str,
    /// What is wrong, with the remedy; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How long before the end of an invocation the host must answer.
const MARGIN: Duration = Duration::from_secs(2);

/// The bytes of a message that headers may take.
const HEADERS: u64 = 24 * 1024;

/// Runs all checks.
pub(super) fn all(config: &Config, deployed: &Deployed) -> Vec<Row> {
    let checks: [(&'static str, Vec<String>); 7] = [
        ("queue", queue(config, deployed)),
        ("dead-letter queue", dead_letters(deployed)),
        ("mapping", mapping(deployed)),
        ("function", function(config, deployed)),
        ("plugins", plugins(deployed)),
        ("alarms", alarms(config, deployed)),
        ("notify", notify(config)),
    ];
    let row = |(check, problems): (_, Vec<String>)| {
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        Row { check, problem }
    };
    let archive = deployed.stream.as_ref().map(|stream| ("archive", archive(stream)));
    checks.into_iter().chain(archive).map(row).collect()
}

/// A function runs only while there are events, so nobody would look.
fn notify(config: &Config) -> Vec<String> {
    let problem = "a function cannot send alerts: remove the [[notify]] tables, and let CloudWatch alarms do it (`alarm_actions` of the module)";
    if config.notify.is_empty() { Vec::new() } else { vec![problem.to_owned()] }
}

fn number(attributes: &BTreeMap<String, String>, name: &str) -> u64 {
    attributes.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn queue(config: &Config, deployed: &Deployed) -> Vec<String> {
    let attributes = &deployed.queue;
    let mut problems = Vec::new();
    let is = |name: &str, wanted: &str| attributes.get(name).is_some_and(|value| value == wanted);
    if !is("FifoQueue", "true") {
        problems.push("it is not a FIFO queue: order needs one".to_owned());
    }
    let timeout =
        deployed.function.as_ref().map_or(0, |function| u64::try_from(function.timeout_s).unwrap_or_default());
    let visibility = number(attributes, "VisibilityTimeout");
    if visibility < 6 * timeout && !config.queue.extend_visibility {
        problems.push(format!(
            "its visibility timeout is {visibility} s, too short for a batch: it would be delivered again while in flight; set at least {} s, \
            six times the function's timeout, or let the function extend it: queue.extend_visibility = true",
            6 * timeout
        ));
    }
    let largest = number(attributes, "MaximumMessageSize");
    // In base64, with headers. Source: the envelope.
    let needed = (config.ingest.body_limit as u64 + HEADERS) / 3 * 4;
    if needed > largest {
        problems.push(format!(
            "its messages hold {largest} bytes, a body of ingest.body_limit needs {needed}: lower the limit, or raise \
            MaximumMessageSize"
        ));
    }
    let longest = config.routes.iter().map(|route| route.max_age).max().unwrap_or_default();
    let limits = limits(|name| attributes.get(name).map(String::as_str));
    if limits.last_call() < longest {
        problems.push(format!(
            "it deletes messages after {} s, a route's max_age is {} s: waiting messages would be dead-lettered earlier; set \
            MessageRetentionPeriod to 1209600",
            limits.retention.as_secs(),
            longest.as_secs()
        ));
    }
    let redrive: Value =
        attributes.get("RedrivePolicy").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let target = redrive.get("deadLetterTargetArn").and_then(Value::as_str);
    if target.is_none() || target != deployed.dead_letters.get("QueueArn").map(String::as_str) {
        problems.push(
            "its redrive policy does not name the config's dead-letter queue: an unreadable record would be delivered forever"
                .to_owned(),
        );
    }
    problems.extend(limits.problem());
    problems
}

fn dead_letters(deployed: &Deployed) -> Vec<String> {
    let attributes = &deployed.dead_letters;
    let mut problems = Vec::new();
    if attributes.get("FifoQueue").is_none_or(|value| value != "true") {
        problems.push("it is not a FIFO queue: the dead-letter queue of a FIFO queue must be one".to_owned());
    }
    problems.extend(smaller(&deployed.queue, attributes));
    let retention = number(attributes, "MessageRetentionPeriod");
    if retention < 4 * 24 * 3600 {
        problems.push(format!("it deletes letters after {retention} s: set at least 345600, four days"));
    }
    problems
}

/// A message and its letter must fit into the dead-letter queue, or the message blocks its group.
fn smaller(queue: &BTreeMap<String, String>, dead_letters: &BTreeMap<String, String>) -> Option<String> {
    let queue = number(queue, "MaximumMessageSize");
    let dead = number(dead_letters, "MaximumMessageSize");
    (dead < queue).then(|| {
        format!(
            "its messages hold {dead} bytes, the queue's {queue}: a larger message cannot be dead-lettered, and blocks \
            its group; raise MaximumMessageSize to {queue} at least"
        )
    })
}

fn mapping(deployed: &Deployed) -> Vec<String> {
    let [mapping] = deployed.mappings.as_slice() else {
        return vec![match deployed.mappings.len() {
            0 => "nothing takes messages from the queue: is the function deployed?".to_owned(),
            many => format!("{many} functions take messages from the queue, and each gets only some: keep one"),
        }];
    };
    let mut problems = Vec::new();
    if !mapping.partial_responses {
        problems.push(
            "ReportBatchItemFailures is off: MESSAGES THAT THE HOST RELEASES FOR A RETRY ARE DELETED; pause it now, and set \
            function_response_types"
                .to_owned(),
        );
    }
    if mapping.filters > 0 {
        problems.push(format!("it has {} filters, which delete what they do not match: remove them", mapping.filters));
    }
    if mapping.window_s > 0 {
        problems.push(format!(
            "it has a batch window of {} s, which FIFO queues do not support: remove it",
            mapping.window_s
        ));
    }
    if mapping.state != "Enabled" {
        problems.push(format!("it is {}: messages wait until `towpath resume`", mapping.state));
    }
    let reserved = deployed.function.as_ref().and_then(|function| function.reserved_concurrency);
    match (mapping.maximum_concurrency, reserved) {
        (Some(most), Some(reserved)) if reserved < most => problems.push(format!(
            "it runs up to {most} invocations, but only {reserved} are reserved for the function: throttled batches count as received"
        )),
        _ => {}
    }
    problems
}

fn function(config: &Config, deployed: &Deployed) -> Vec<String> {
    let Some(function) = &deployed.function else { return vec!["there is no function".to_owned()] };
    let mut problems = Vec::new();
    if function.runtime != "provided.al2023" {
        problems.push(format!("its runtime is {:?}: the host needs provided.al2023", function.runtime));
    }
    let plugin = config.plugins.values().map(|plugin| plugin.limits.timeout).max().unwrap_or_default();
    let target = config.targets.values().map(|target| target.timeout).max().unwrap_or_default();
    let needed = plugin + target + MARGIN;
    if u64::try_from(function.timeout_s).unwrap_or_default() < needed.as_secs() {
        problems.push(format!(
            "its timeout is {} s, one message may take {} s (plugin {} s, target {} s): raise it, and the queue's visibility \
            timeout with it",
            function.timeout_s,
            needed.as_secs(),
            plugin.as_secs(),
            target.as_secs()
        ));
    }
    match function.variables.get("TOWPATH_CONFIG") {
        Some(at) if deployed.config_at.starts_with("s3://") && *at != deployed.config_at => {
            problems
                .push(format!("it reads the config {at}, but {} is checked here: use one of them", deployed.config_at));
        }
        _ => {}
    }
    let secrets: Vec<&str> =
        function.variables.keys().filter(|name| name.starts_with("TOWPATH_SECRET_")).map(String::as_str).collect();
    if !secrets.is_empty() {
        problems.push(format!("its environment contains {}: move them to Secrets Manager", secrets.join(", ")));
    }
    match &deployed.about {
        Some(Ok(about)) => problems.extend(about_host(about)),
        Some(Err(problem)) => problems.push(problem.clone()),
        None => {}
    }
    problems
}

fn about_host(about: &Value) -> Vec<String> {
    let says = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or("nothing").to_owned();
    let mut problems = Vec::new();
    let host = says("towpath");
    let wasmtime = says("wasmtime");
    if host != env!("CARGO_PKG_VERSION") {
        problems.push(format!(
            "it runs towpath {host}, this is {}: publish plugins with the host's version, or deploy this one",
            env!("CARGO_PKG_VERSION")
        ));
    }
    if wasmtime != WASMTIME {
        problems.push(format!(
            "it runs wasmtime {wasmtime}, this towpath compiles for {WASMTIME}: it would not load what is published from here"
        ));
    }
    let unready = about.get("unready").and_then(Value::as_object).into_iter().flatten();
    problems
        .extend(unready.map(|(what, why)| format!("{what} waits for a secret: {}", why.as_str().unwrap_or_default())));
    problems
}

fn plugins(deployed: &Deployed) -> Vec<String> {
    let running: BTreeMap<&str, &str> = match &deployed.about {
        Some(Ok(about)) => {
            let plugins = about.get("plugins").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            plugins
                .iter()
                .filter_map(|plugin| Some((plugin.get("name")?.as_str()?, plugin.get("digest")?.as_str()?)))
                .collect()
        }
        _ => BTreeMap::new(),
    };
    let is_known = matches!(deployed.about, Some(Ok(_)));
    let mut problems = Vec::new();
    for Released { plugin, optional, found } in &deployed.released {
        match found {
            Err(problem) if !optional => problems.push(format!("{plugin}: {problem}")),
            Err(_) => {}
            Ok(release) => {
                let other = release.builds.iter().find(|build| build.wasmtime != WASMTIME);
                if let Some(build) = other {
                    problems.push(format!(
                        "{plugin}: {} is compiled for wasmtime {}: publish it again",
                        release.version, build.wasmtime
                    ));
                }
                match running.get(plugin.as_str()) {
                    Some(digest) if *digest != release.wasm_sha256 => problems.push(format!(
                        "{plugin}: {} is released, but the host runs another build: its log says why, or it has not \
                        checked yet (every 30 s)",
                        release.version
                    )),
                    None if is_known && !optional => problems.push(format!(
                        "{plugin}: {} is released, but the host runs without the plugin: its log says why, or it has not \
                        checked yet (every 30 s)",
                        release.version
                    )),
                    _ => {}
                }
            }
        }
    }
    problems
}

fn archive(stream: &Result<Stream, String>) -> Vec<String> {
    let stream = match stream {
        Ok(stream) => stream,
        Err(problem) => return vec![problem.clone()],
    };
    let mut problems = Vec::new();
    if stream.status != "ACTIVE" {
        problems.push(format!("its delivery stream is {}, not ACTIVE: events are dropped", stream.status));
    }
    if !stream.is_direct {
        problems.push(
            "its delivery stream reads from another stream: archive.stream needs one of type DirectPut".to_owned(),
        );
    }
    if !stream.writes_to_s3 {
        problems.push("its delivery stream does not write to S3: give it an S3 destination".to_owned());
    }
    problems
}

/// An alarm that goes off later than this does not count: it is meant for what has lasted for days.
const SOON_S: i64 = 3600;

fn alarms(config: &Config, deployed: &Deployed) -> Vec<String> {
    let name =
        |url: &Option<String>| url.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default().to_owned();
    let queue = name(&config.queue.url);
    let dead = name(&config.queue.dead_letter_url);
    let function = deployed.function.as_ref().map(|function| function.name.clone()).unwrap_or_default();
    let wanted = [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", &dead, "dead letters"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", &queue, "the age of the oldest message"),
        ("AWS/Lambda", "Errors", &function, "errors of the function"),
        ("AWS/Lambda", "Throttles", &function, "throttles of the function"),
    ];
    let missing = wanted.into_iter().filter(|(namespace, metric, of, _)| {
        !deployed.alarms.iter().any(|alarm| {
            alarm.namespace == *namespace
                && alarm.metric == *metric
                && alarm.after_s <= SOON_S
                && alarm.of.iter().any(|value| value == *of)
        })
    });
    missing.map(|(.., what)| format!("no alarm watches {what}")).collect()
}
