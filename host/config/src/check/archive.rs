//! `[archive]`.

use std::time::Duration;

use towpath_types::json::Pointer;

use super::Checker;
use crate::archive::{ArchiveConfig, KEEP, MAX_SIZE};
use crate::route::Route;
use crate::value::{Filter, Source, Value};
use crate::{Config, QueueConfig, shape};

/// The folder in the store, if the config names none.
const FOLDER: &str = "archive";

/// Segments are looked after once a minute.
const SHORTEST: Duration = Duration::from_secs(60);

const SMALLEST: u64 = 1024 * 1024;

/// The keys that show values which `redact` removes from bodies: where each is, and the pointer.
pub(super) fn unredacted(config: &Config) -> Vec<(String, String)> {
    let redact = redacted(config);
    let mut found = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        for (key, value) in keys(route) {
            let shown = |pointer: &&Pointer| shows(value, pointer);
            found.extend(
                redact.iter().find(shown).map(|pointer| (format!("route[{index}].{key}"), pointer.to_string())),
            );
        }
    }
    found
}

/// The keys of routes whose archived bodies are other documents than their plugins see: where each is, and which document `redact` is about.
pub(super) fn other_documents(config: &Config) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    if redacted(config).is_empty() {
        return found;
    }
    for (index, route) in config.routes.iter().enumerate() {
        if let Some(split) = &route.split {
            let document = if split.rest { "the body with one element" } else { "the element" };
            found.push((format!("route[{index}].split"), document));
        } else if route.unwrap.is_some() {
            found.push((format!("route[{index}].unwrap"), "the body as it was received, around this value"));
        }
    }
    found
}

/// What is removed from bodies that are archived.
fn redacted(config: &Config) -> &[Pointer] {
    let ArchiveConfig { folder, stream, redact, .. } = &config.archive;
    if folder.is_some() || stream.is_some() { redact } else { &[] }
}

fn keys(route: &Route) -> impl Iterator<Item = (&'static str, &Value)> {
    let group = route.group.values().map(|value| ("group", value));
    group.chain(route.dedup.iter().map(|value| ("dedup", value)))
}

/// Whether a value is, or contains, what a pointer names, or is a part of it. A hash shows nothing.
fn shows(value: &Value, redacted: &Pointer) -> bool {
    let source = match (&value.source, value.filters.first()) {
        (Source::Json(pointer) | Source::Raw(pointer) | Source::Item(pointer), _) => pointer,
        (Source::Body, Some(Filter::Json(pointer))) => pointer,
        _ => return false,
    };
    let (source, redacted) = (source.tokens(), redacted.tokens());
    let is_hashed = value.filters.iter().any(|filter| matches!(filter, Filter::Hash(_) | Filter::Mac(_)));
    !is_hashed && (source.starts_with(redacted) || redacted.starts_with(source))
}

impl Checker<'_> {
    pub(super) fn archive(&mut self, archive: shape::Archive, queue: &QueueConfig) -> ArchiveConfig {
        let is_local = queue.url.is_none();
        if !is_local && archive.folder.is_none() {
            let given = [("keep", archive.keep.is_some()), ("max_size", archive.max_size.is_some())];
            for (key, _) in given.into_iter().filter(|(_, given)| *given) {
                let hint = "add folder = \"archive\" for `towpath poll`, or leave it out: functions have no disk";
                self.wrong(format!("archive.{key}"), "with SQS it needs archive.folder", hint);
            }
            if !archive.redact.is_empty() && archive.stream.is_none() {
                let hint = "add the folder or the stream of the archive, or leave it out: nothing is kept";
                self.wrong("archive.redact", "with SQS it needs archive.folder or archive.stream", hint);
            }
        }
        if !is_local && archive.folder.is_some() && archive.stream.is_some() {
            self.wrong("archive", "has a folder and a stream", "an event is kept once: leave one of them out");
        }
        let keep = archive.keep.map_or(KEEP, |keep| keep.0);
        if !keep.is_zero() && keep < SHORTEST {
            self.wrong("archive.keep", "must be at least 1m, or 0s", "7d is the default; \"0s\" keeps nothing");
        }
        let max_size = archive.max_size.map_or(MAX_SIZE, |size| size.0);
        if max_size < SMALLEST {
            self.wrong(
                "archive.max_size",
                "must be at least 1MiB",
                "10GiB is the default; keep = \"0s\" keeps nothing",
            );
        }
        let redact = archive.redact.iter().enumerate().filter_map(|(index, text)| self.redacted(index, text)).collect();
        let named = archive.folder.map(|folder| self.folder.join(folder));
        let folder = named.or_else(|| is_local.then(|| queue.store.join(FOLDER)));
        if let Some(folder) = folder.as_ref().filter(|folder| folder.is_file()) {
            self.wrong("archive.folder", format!("{} is a file", folder.display()), "give a folder");
        }
        let folder = folder.filter(|_| !keep.is_zero());
        let bucket = archive.bucket.and_then(|bucket| self.archive_bucket(&bucket, archive.stream.is_some()));
        let stream = archive.stream.and_then(|stream| self.archive_stream(stream, queue));
        ArchiveConfig { folder, keep, max_size, redact, stream, bucket }
    }

    fn redacted(&mut self, index: usize, text: &str) -> Option<Pointer> {
        let at = format!("archive.redact[{index}]");
        match text.parse::<Pointer>() {
            Ok(pointer) if pointer.tokens().is_empty() => {
                self.wrong(at, "names the whole body", "name a value in it, such as \"/customer/email\"");
                None
            }
            Ok(pointer) => Some(pointer),
            Err(error) => {
                self.wrong(at, error.to_string(), "name a value in JSON bodies, such as \"/customer/email\"");
                None
            }
        }
    }
}
