//! Recorded events: the `message.json` of a case, which `send` posts.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use towpath_files::regular::{self, MAX_EVENT};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;

/// The name of the file in the folder of a case.
pub const FILE: &str = "message.json";

/// How values that are not UTF-8 are encoded.
const ENCODING: &str = "base64";

/// A recorded event. Its body is `body` (JSON, sent byte for byte), `body_text` or `body_base64`; without any of them it is empty.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The message id [default: the folder's name].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The ingest path to post it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The method [default: POST].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The query, without the question mark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The named segments of the route's path, as in the envelope; what follows the route is named `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    path_segments: Vec<(String, String)>,
    /// The group [default: the path].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// When it was stored, RFC 3339 [default: 1970-01-01T00:00:00Z].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    /// The headers in order, as in the envelope: `["name", "value"]`, or `["name", "<base64>", "base64"]` if the value is not UTF-8.
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Header {
    Text(String, String),
    Encoded(String, String, String),
}

impl Header {
    fn of((name, value): (String, Vec<u8>)) -> Header {
        match String::from_utf8(value) {
            Ok(text) => Header::Text(name, text),
            Err(other) => Header::Encoded(name, BASE64.encode(other.as_bytes()), ENCODING.to_owned()),
        }
    }

    fn read(&self) -> anyhow::Result<(String, Vec<u8>)> {
        match self {
            Header::Text(name, text) => Ok((name.clone(), text.clone().into_bytes())),
            Header::Encoded(name, text, encoding) if encoding == ENCODING => {
                let value = BASE64.decode(text).with_context(|| format!("the header {name:?} is not base64"))?;
                Ok((name.clone(), value))
            }
            Header::Encoded(name, _, encoding) => bail!("the header {name:?} has the unknown encoding {encoding:?}"),
        }
    }
}

impl Event {
    /// An event as a recorder writes it. A JSON body stays JSON, including its whitespace.
    pub fn of(path: &str, webhook: &Webhook) -> Event {
        let body = &webhook.body;
        let headers = webhook.headers.iter().cloned().map(Header::of).collect();
        let text = std::str::from_utf8(body).ok();
        // Whitespace around a body would be lost in the file.
        let json =
            text.filter(|text| text.trim() == *text).and_then(|text| RawValue::from_string(text.to_owned()).ok());
        let body_text = text.filter(|text| json.is_none() && !text.is_empty()).map(str::to_owned);
        let body_base64 = text.is_none().then(|| BASE64.encode(body));
        Event {
            id: None,
            path: Some(path.to_owned()),
            method: (webhook.method != Method::POST).then(|| webhook.method.to_string()),
            query: webhook.query.clone(),
            path_segments: webhook.path.clone(),
            group: None,
            sent_at: None,
            headers,
            body: json,
            body_text,
            body_base64,
        }
    }

    /// Writes it into the folder of a case.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let file = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).context("writing a recorded event")?;
        std::fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))
    }

    /// Reads a recorded event.
    pub fn read(file: &Path) -> anyhow::Result<Event> {
        let text = regular::read_text(file, MAX_EVENT).with_context(|| format!("reading {}", file.display()))?;
        let event: Event =
            serde_json::from_str(&text).with_context(|| format!("{} is not a recorded event", file.display()))?;
        event.webhook().with_context(|| format!("{} is not a recorded event", file.display()))?;
        Ok(event)
    }

    /// What was received: everything but the ingest path.
    pub fn webhook(&self) -> anyhow::Result<Webhook> {
        let method = self.method.as_deref().unwrap_or("POST");
        let headers = self.headers.iter().map(Header::read);
        let lower = |(name, value): (String, Vec<u8>)| (name.to_ascii_lowercase(), value);
        Ok(Webhook {
            method: method.parse().with_context(|| format!("{method:?} is not a method such as POST"))?,
            path: self.path_segments.clone(),
            query: self.query.clone(),
            headers: headers.map(|header| header.map(lower)).collect::<anyhow::Result<_>>()?,
            body: self.body()?,
        })
    }

    fn body(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.body, &self.body_text, &self.body_base64) {
            (None, None, None) => Ok(Vec::new()),
            (Some(json), None, None) => Ok(json.get().as_bytes().to_vec()),
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(base64)) => BASE64.decode(base64).context("body_base64 is not base64"),
            _ => bail!("give only one of body, body_text and body_base64"),
        }
    }

    /// The message that a plugin receives for it.
    pub fn message(&self, file: &Path) -> anyhow::Result<Message> {
        let folder = file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let path = self.path.clone().unwrap_or_else(|| "test".to_owned());
        Ok(Message {
            id: self.id.clone().or(folder).unwrap_or_else(|| "m-1".to_owned()).into(),
            group: self.group.clone().unwrap_or(path).into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: self.sent_at()?,
            source: format!("file:{}", file.file_name().unwrap_or_default().to_string_lossy()),
            aws_trace: None,
            replayed_at: None,
            webhook: self.webhook()?.into(),
        })
    }

    fn sent_at(&self) -> anyhow::Result<Timestamp> {
        let Some(text) = &self.sent_at else { return Ok(Timestamp(0)) };
        let time = humantime::parse_rfc3339(text)
            .with_context(|| format!("sent_at {text:?} is not a time such as 2026-03-02T09:15:00Z"))?;
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(Timestamp(u64::try_from(millis).unwrap_or_default()))
    }
}

/// The files of recorded events: each path itself, or all below it if it is a folder, sorted by name.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_file() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        search(path, &mut found)?;
        if found.len() == before {
            bail!("there is no {FILE} in {}", path.display());
        }
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().with_context(|| format!("reading {}", folder.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            search(&path, found)?;
        } else if entry.file_name() == FILE {
            found.push(path);
        }
    }
    Ok(())
}
