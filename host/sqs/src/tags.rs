//! `TagQueue`, `UntagQueue` and `ListQueueTags`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use towpath_types::queue::Queue as _;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::request::{Request, nothing};

/// The most tags of a queue, and the most characters in a key and in a value. Source: quotas of SQS.
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

/// The prefix of AWS's own keys, in upper or lower case.
const RESERVED: &str = "aws:";

/// Checks the tags of a new queue.
pub(crate) fn check(name: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    check_count(name, tags)?;
    check_each(tags)
}

fn check_count(name: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    match tags.len() {
        count if count > MAX_TAGS => Err(ApiError::invalid(format!("Too many tags added for queue {name}."))),
        _ => Ok(()),
    }
}

fn check_each(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for (key, value) in tags {
        if key.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED)) {
            return Err(ApiError::invalid(format!("Tag keys cannot start with {RESERVED}, which is reserved.")));
        }
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
    pub(crate) async fn tag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Tag { queue_url, tags, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let tags = tags.filter(|tags| !tags.is_empty()).ok_or_else(|| ApiError::missing("Tags"))?;
        check_each(&tags)?;
        let name = queue.name().to_owned();
        let tag = move |settings: &mut towpath_local::QueueSettings| {
            settings.tags.extend(tags.clone());
            check_count(&name, &settings.tags)
        };
        queue.change(tag).await??;
        nothing()
    }

    pub(crate) async fn untag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Tag { queue_url, tag_keys, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let keys = tag_keys.filter(|keys| !keys.is_empty()).ok_or_else(|| ApiError::missing("TagKeys"))?;
        let untag = move |settings: &mut towpath_local::QueueSettings| {
            settings.tags.retain(|key, _| !keys.contains(key));
            Ok::<(), ApiError>(())
        };
        queue.change(untag).await??;
        nothing()
    }

    pub(crate) async fn list_queue_tags(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Tag>()?.queue_url.as_deref()).await?;
        let settings = queue.current_settings().await?;
        if settings.tags.is_empty() { nothing() } else { Ok(json!({ "Tags": settings.tags })) }
    }
}
