//! Tags of queues.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, Endpoint, Request, nothing};

/// The most tags of a queue, and the most characters of a key and a value. Source: quotas of SQS.
const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Tag {
    queue_url: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    tag_keys: Option<Vec<String>>,
}

/// Checks the tags that the queue of this name is to have.
pub(super) fn check(name: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(ApiError::invalid(format!("Too many tags added for queue {name}.")));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(ApiError::invalid(format!("Tag keys must be between 1 and {MAX_KEY} characters in length.")));
        }
        if value.chars().count() > MAX_VALUE {
            return Err(ApiError::invalid(format!(
                "Tag values must be between 0 and {MAX_VALUE} characters in length."
            )));
        }
    }
    Ok(())
}

impl Endpoint {
    pub(super) async fn tag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Tag { queue_url, tags, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let tags = tags.filter(|tags| !tags.is_empty()).ok_or_else(|| ApiError::missing("Tags"))?;
        let name = queue.name.clone();
        let tag = move |settings: &mut crate::QueueSettings| {
            settings.tags.extend(tags.clone());
            check(&name, &settings.tags)
        };
        queue.change(tag).await??;
        nothing()
    }

    pub(super) async fn untag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Tag { queue_url, tag_keys, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let keys = tag_keys.filter(|keys| !keys.is_empty()).ok_or_else(|| ApiError::missing("TagKeys"))?;
        let untag = move |settings: &mut crate::QueueSettings| {
            settings.tags.retain(|key, _| !keys.contains(key));
            Ok::<(), ApiError>(())
        };
        queue.change(untag).await??;
        nothing()
    }

    pub(super) async fn list_queue_tags(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Tag>()?.queue_url.as_deref()).await?;
        let settings = queue.current_settings().await?;
        if settings.tags.is_empty() { nothing() } else { Ok(json!({ "Tags": settings.tags })) }
    }
}
