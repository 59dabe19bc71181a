//! The actions that create, find, configure, list, purge and delete queues.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use towpath_types::queue::Queue as _;
use tracing::warn;

use crate::attributes;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::request::Texts;
use crate::request::{Request, nothing};
use crate::{names, redrive, tags};
use towpath_local::{Made, Unchanged};

/// The most queues in a page. Source: the `ListQueues` API.
const PAGE: usize = 1000;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Create {
    queue_name: Option<String>,
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
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    queue_url: Option<String>,
    queue_name_prefix: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Endpoint {
    pub(crate) async fn create_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let Create { queue_name, attributes, tags } = request.read()?;
        let name = queue_name.ok_or_else(|| ApiError::missing("QueueName"))?;
        let fifo = attributes::wants_fifo(&attributes)?;
        names::check(&name, fifo)?;
        tags::check(&name, &tags)?;
        let mut settings = attributes::defaults(fifo);
        attributes::apply(&attributes, &mut settings)?;
        settings.tags = tags;
        let url = json!({ "QueueUrl": names::url(&request.host, &name) });
        match self.store.make_queue(&name, settings).await? {
            Made::New => Ok(url),
            Made::Existing(settings) => match attributes::difference(&attributes, &settings)? {
                Some(attribute) => Err(ApiError::queue_exists(&attribute)),
                None => Ok(url),
            },
            Made::Refused(refused) => Err(redrive::refused(refused, &attributes)),
        }
    }

    pub(crate) async fn delete_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Named>()?.queue_url.as_deref()).await?;
        self.not_in_use(&queue, "stop the host first")?;
        self.store.take_away(queue).await?;
        let store = self.store.clone();
        self.spawn(async move {
            if let Err(error) = store.finish_purges().await {
                warn!(
                    event = "purge-failed",
                    error = &error as &dyn std::error::Error,
                    "cannot empty a deleted queue, retrying later"
                );
            }
        });
        nothing()
    }

    pub(crate) async fn get_queue_url(&self, request: &Request) -> Result<Value, ApiError> {
        let name = request.read::<Named>()?.queue_name.ok_or_else(|| ApiError::missing("QueueName"))?;
        if name.is_empty() {
            return Err(ApiError::invalid(
                "Value for parameter QueueName is invalid. Reason: Must specify a queue name.",
            ));
        }
        let queue = self.store.find(&name).await?.ok_or_else(ApiError::no_queue)?;
        queue.current_settings().await?;
        Ok(json!({ "QueueUrl": names::url(&request.host, &name) }))
    }

    pub(crate) async fn list_queues(&self, request: &Request) -> Result<Value, ApiError> {
        let list: List = request.read()?;
        let mut found = self.store.queue_names().await?;
        found.retain(|name| name.starts_with(&list.queue_name_prefix));
        let mut answer = page("QueueUrls", found, &list, &request.host)?;
        // As in SQS, an empty list is left out.
        if let Some(answer) = answer.as_object_mut() {
            answer.retain(|_, value| value.as_array().is_none_or(|urls| !urls.is_empty()));
        }
        Ok(answer)
    }

    pub(crate) async fn list_dead_letter_source_queues(&self, request: &Request) -> Result<Value, ApiError> {
        let list: List = request.read()?;
        let dead = self.queue(list.queue_url.as_deref()).await?;
        dead.current_settings().await?;
        let mut found = self.store.all_queues().await?;
        found.retain(|(_, settings)| settings.redrive.as_ref().is_some_and(|it| it.dead_letter_queue == dead.name()));
        page("queueUrls", found.into_iter().map(|(name, _)| name).collect(), &list, &request.host)
    }

    pub(crate) async fn get_queue_attributes(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, attribute_names, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let settings = queue.current_settings().await?;
        let texts = attributes::all(queue.name(), &settings, queue.depth().await?);
        let texts = attributes::asked(texts, &attribute_names)?;
        if texts.is_empty() { nothing() } else { Ok(json!({ "Attributes": texts })) }
    }

    pub(crate) async fn set_queue_attributes(&self, request: &Request) -> Result<Value, ApiError> {
        let Named { queue_url, attributes, .. } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        self.not_in_use(&queue, "change its attributes in the config")?;
        let texts = attributes.clone();
        let changed = queue.change(move |settings| attributes::apply(&texts, settings)).await?;
        changed.map_err(|unchanged| match unchanged {
            Unchanged::Refused(reason) => redrive::refused(reason, &attributes),
            Unchanged::Wrong(error) => error,
        })?;
        nothing()
    }

    pub(crate) async fn purge_queue(&self, request: &Request) -> Result<Value, ApiError> {
        let queue = self.queue(request.read::<Named>()?.queue_url.as_deref()).await?;
        self.not_in_use(&queue, "use towpath dlq drop, which keeps an audit, or stop the host first")?;
        if queue.purge_again().await? { nothing() } else { Err(ApiError::purged_recently(queue.name())) }
    }
}

/// One page of queues. The token is the last name of the previous page.
fn page(key: &str, names_found: Vec<String>, list: &List, host: &str) -> Result<Value, ApiError> {
    let most = match list.max_results.map(usize::try_from) {
        None => PAGE,
        Some(Ok(max)) if (1..=PAGE).contains(&max) => max,
        Some(_) => return Err(ApiError::invalid("MaxResults must be an integer between 1 and 1000.")),
    };
    let after = list.next_token.as_deref().unwrap_or_default();
    let mut rest = names_found.into_iter().filter(|name| name.as_str() > after).peekable();
    let page: Vec<String> = rest.by_ref().take(most).collect();
    let urls: Vec<String> = page.iter().map(|name| names::url(host, name)).collect();
    let mut answer = json!({ key: urls });
    // As in SQS, there is a token only if the client set MaxResults.
    if let (Some(last), Some(_), Some(_), Value::Object(answer)) =
        (page.last(), rest.peek(), list.max_results, &mut answer)
    {
        answer.insert("NextToken".to_owned(), Value::from(last.as_str()));
    }
    Ok(answer)
}
