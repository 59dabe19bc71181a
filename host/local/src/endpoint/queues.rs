//! Queues and their tags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{self, Texts};
use super::{ApiError, Endpoint, Request, names, nothing};

/// The most queues that a list tells at a time. Source: the `ListQueues` API.
const PAGE: usize = 1000;

/// The most tags of a queue. Source: quotas of SQS.
const MAX_TAGS: usize = 50;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    queue_name: String,
    attributes: Texts,
    #[serde(alias = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    queue_url: Option<String>,
    queue_name: Option<String>,
    attribute_names: Vec<String>,
    attributes: Texts,
    tags: BTreeMap<String, String>,
    tag_keys: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    queue_url: Option<String>,
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

impl Endpoint {
    pub(super) async fn create_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Create { queue_name: name, attributes, tags } = request.read()?;
        let fifo = match attributes.get("FifoQueue").map(String::as_str) {
            None => false,
            Some("true") => true,
            // A queue of which that is said to be false is none of SQS.
            Some(_) => return Err(ApiError::attribute_value("FifoQueue")),
        };
        names::check(&name, fifo)?;
        let url = json!({ "QueueUrl": names::url(&request.host, &name) });
        if let Some(queue) = self.store.find(&name).await? {
            return match attributes::difference(&attributes, &queue.settings())? {
                Some(attribute) => Err(ApiError::queue_exists(&attribute)),
                None => Ok(url),
            };
        }
        let mut settings = attributes::defaults(fifo);
        attributes::apply(&attributes, &mut settings)?;
        self.dead_letter_queue_exists(&settings).await?;
        settings.tags = tags;
        self.store.set_queue(&name, settings).await?;
        Ok(url)
    }

    async fn dead_letter_queue_exists(&self, settings: &crate::QueueSettings) -> Result<(), ApiError> {
        let Some(redrive) = &settings.redrive else { return Ok(()) };
        match self.store.find(&redrive.dead_letter_queue).await? {
            Some(_) => Ok(()),
            None => {
                Err(ApiError::value("RedrivePolicy", &redrive.dead_letter_queue, "Dead letter target does not exist."))
            }
        }
    }

    pub(super) async fn delete_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Named>()?.queue_url.as_deref()).await?;
        if self.in_use.contains(&queue.name) {
            return Err(ApiError::unsupported(format!(
                "A running host works with the queue {}: stop it first, or use PurgeQueue.",
                queue.name
            )));
        }
        self.store.remove(queue).await?;
        nothing()
    }

    pub(super) async fn get_queue_url(&self, request: &Request) -> Result<Value, ApiError> {
        let name = request.read::<Named>()?.queue_name.ok_or_else(|| ApiError::missing("QueueName"))?;
        match self.store.find(&name).await? {
            Some(_) => Ok(json!({ "QueueUrl": names::url(&request.host, &name) })),
            None => Err(ApiError::no_queue()),
        }
    }

    pub(super) async fn list_queues(&self, request: &Request) -> Result<Value, ApiError> {
        let list: List = request.read()?;
        let mut found = self.store.queue_names().await?;
        found.retain(|name| name.starts_with(&list.queue_name_prefix));
        page("QueueUrls", found, &list, &request.host)
    }

    pub(super) async fn list_dead_letter_source_queues(&self, request: &Request) -> Result<Value, ApiError> {
        let list: List = request.read()?;
        let dead = self.queue(list.queue_url.as_deref()).await?;
        let mut found = Vec::new();
        for name in self.store.queue_names().await? {
            let Some(queue) = self.store.find(&name).await? else { continue };
            if queue.settings().redrive.as_ref().is_some_and(|policy| policy.dead_letter_queue == dead.name) {
                found.push(name);
            }
        }
        page("queueUrls", found, &list, &request.host)
    }

    pub(super) async fn get_queue_attributes(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, attribute_names, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let texts = attributes::all(&queue.name, &queue.settings(), queue.depth().await?);
        let texts = attributes::asked(texts, &attribute_names)?;
        if texts.is_empty() { nothing() } else { Ok(json!({ "Attributes": texts })) }
    }

    pub(super) async fn set_queue_attributes(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, attributes, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let mut settings = (*queue.settings()).clone();
        attributes::apply(&attributes, &mut settings)?;
        self.dead_letter_queue_exists(&settings).await?;
        self.store.set_queue(&queue.name, settings).await?;
        nothing()
    }

    pub(super) async fn purge_queue(&self, request: &Request) -> Result<Value, ApiError> {
        self.queue(request.read::<Named>()?.queue_url.as_deref()).await?.purge().await?;
        nothing()
    }

    pub(super) async fn tag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, tags, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let mut settings = (*queue.settings()).clone();
        settings.tags.extend(tags);
        if settings.tags.len() > MAX_TAGS {
            return Err(ApiError::invalid(format!("Too many tags added for queue {}.", queue.name)));
        }
        self.store.set_queue(&queue.name, settings).await?;
        nothing()
    }

    pub(super) async fn untag_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, tag_keys, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let mut settings = (*queue.settings()).clone();
        settings.tags.retain(|key, _| !tag_keys.contains(key));
        self.store.set_queue(&queue.name, settings).await?;
        nothing()
    }

    pub(super) async fn list_queue_tags(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Named>()?.queue_url.as_deref()).await?;
        let tags = &queue.settings().tags;
        if tags.is_empty() { nothing() } else { Ok(json!({ "Tags": tags })) }
    }
}

/// One page of queues; the token is the last name of the page before.
fn page(key: &str, names_found: Vec<String>, list: &List, host: &str) -> Result<Value, ApiError> {
    if list.max_results.is_some_and(|max| !(1..=PAGE).contains(&max)) {
        return Err(ApiError::invalid("MaxResults must be an integer between 1 and 1000."));
    }
    let after = list.next_token.as_deref().unwrap_or_default();
    let mut rest = names_found.into_iter().filter(|name| name.as_str() > after).peekable();
    let most = list.max_results.unwrap_or(PAGE);
    let page: Vec<String> = rest.by_ref().take(most).collect();
    let urls: Vec<String> = page.iter().map(|name| names::url(host, name)).collect();
    let mut answer = json!({ key: urls });
    // A token comes only to those who asked for pages, as SQS does it.
    if let (Some(last), Some(_), Some(_), Value::Object(answer)) =
        (page.last(), rest.peek(), list.max_results, &mut answer)
    {
        answer.insert("NextToken".to_owned(), Value::from(last.as_str()));
    }
    Ok(answer)
}
