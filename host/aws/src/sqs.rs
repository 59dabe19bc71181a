//! SQS as the host's queue.

mod batches;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
};
use towpath_types::clock::Clock;
use towpath_types::queue::{
    Attribute, AttributeValue, DedupId, GroupId, Handle, Holdings, MAX_MESSAGE_BYTES, MAX_RETENTION, MessageId,
    NewMessage, Part, Proof, Queue, QueueError, QueueLimits, Receive, Received, Sent, sent_at,
};
use url::Url;

use crate::client::ATTEMPT_TIMEOUT;
use crate::error::in_words;

/// SQS's approximate message counts of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SqsDepth {
    /// Messages that can be received, or wait behind others of their group.
    pub visible: u64,
    /// In flight.
    pub invisible: u64,
    /// Delayed.
    pub delayed: u64,
}

type Attributes = HashMap<QueueAttributeName, String>;

/// A queue of SQS.
pub struct SqsQueue {
    client: Client,
    url: String,
    name: String,
    /// The size limit of a message in bytes, as far as known: from the queue's attributes, or from a rejected send.
    most: AtomicUsize,
}

impl SqsQueue {
    pub fn new(client: Client, url: impl Into<String>) -> SqsQueue {
        let url = url.into();
        let name = arn(&url).unwrap_or_else(|| url.clone());
        SqsQueue { client, url, name, most: AtomicUsize::new(MAX_MESSAGE_BYTES) }
    }

    /// The approximate number of messages. Also updates the size limit. Fails if there is no such queue.
    pub async fn depth(&self) -> Result<SqsDepth, QueueError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let asked = names.iter().cloned().chain([QueueAttributeName::MaximumMessageSize]).collect();
        let attributes = self.attributes(asked).await?;
        let most = attributes.get(&QueueAttributeName::MaximumMessageSize).and_then(|most| most.parse().ok());
        if let Some(most) = most {
            self.most.store(most, Ordering::Relaxed);
        }
        let count = |name| attributes.get(&name).and_then(|count: &String| count.parse().ok()).unwrap_or_default();
        let [visible, invisible, delayed] = names.map(count);
        Ok(SqsDepth { visible, invisible, delayed })
    }

    /// Records the size limit from a rejected send.
    fn learn(&self, error: QueueError) -> QueueError {
        if let QueueError::TooLong { most: Some(most), .. } = &error {
            self.most.store(*most, Ordering::Relaxed);
        }
        error
    }

    async fn attributes(&self, names: Vec<QueueAttributeName>) -> Result<Attributes, QueueError> {
        let ask = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names));
        Ok(ask.send().await.map_err(|error| self.failed(error))?.attributes.unwrap_or_default())
    }

    fn failed<E>(&self, error: SdkError<E>) -> QueueError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let message = error.message().unwrap_or_default().to_owned();
        known(&code, &message).unwrap_or_else(|| self.odd(&in_words(&error)))
    }

    /// One result per entry. The id of an entry is its position. One that the answer does not mention counts as failed:
    /// nobody knows what became of it.
    fn entries(&self, count: usize, done: &[&str], failed: &[BatchResultErrorEntry]) -> Vec<Result<(), QueueError>> {
        let is = |id: &str, index: usize| id.parse() == Ok(index);
        let entry = |index: usize| match failed.iter().find(|entry| is(&entry.id, index)) {
            None if done.iter().any(|id| is(id, index)) => Ok(()),
            None => Err(self.odd(batches::UNMENTIONED)),
            Some(entry) => {
                let message = entry.message.clone().unwrap_or_default();
                Err(known(&entry.code, &message).unwrap_or_else(|| QueueError::Unavailable {
                    queue: self.name.clone(),
                    source: format!("{}: {message}", entry.code).into(),
                }))
            }
        };
        (0..count).map(entry).collect()
    }
}

/// How long a message can wait in a queue with these attributes.
pub fn limits<'a>(attribute: impl Fn(&'static str) -> Option<&'a str>) -> QueueLimits {
    let retention = attribute("MessageRetentionPeriod").and_then(|seconds| seconds.parse().ok());
    let redrive = attribute("RedrivePolicy").and_then(|policy| serde_json::from_str::<serde_json::Value>(policy).ok());
    // A number, or a number in quotes.
    let receives = redrive.as_ref().and_then(|redrive| redrive.get("maxReceiveCount"));
    let receives = receives.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    QueueLimits {
        retention: retention.map_or(MAX_RETENTION, Duration::from_secs),
        max_receives: receives.and_then(|count| u32::try_from(count).ok()),
    }
}

/// A visibility timeout. SQS counts whole seconds; rounding up makes sure that no lease or backoff ends early.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// Errors with a known meaning. The SDK models few of them, so code and text are matched.
fn known(code: &str, message: &str) -> Option<QueueError> {
    match code.rsplit_once('.').map_or(code, |(_, code)| code) {
        "ReceiptHandleIsInvalid" => Some(QueueError::HandleInvalid),
        "MessageNotInflight" => Some(QueueError::NotInFlight),
        "InvalidParameterValue" if message.contains("receipt handle has expired") => Some(QueueError::HandleExpired),
        "InvalidParameterValue" if message.contains("not available for visibility timeout change") => {
            Some(QueueError::NotInFlight)
        }
        "InvalidParameterValue" if message.contains("Message must be shorter than") => {
            Some(QueueError::TooLong { most: limit(message), said: message.to_owned() })
        }
        "InvalidParameterValue" | "InvalidMessageContents" | "BatchRequestTooLong" | "MissingParameter" => {
            Some(QueueError::Invalid(message.to_owned()))
        }
        _ => None,
    }
}

/// The number in `Message must be shorter than 262144 bytes.`
fn limit(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("shorter than ")?;
    rest.split(' ').next()?.parse().ok()
}

#[async_trait]
impl Queue for SqsQueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn max_message_bytes(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        let mut send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_group_id(message.group)
            .set_message_deduplication_id(message.dedup_id.map(String::from))
            .message_body(message.body.into_text());
        for (name, attribute) in message.attributes {
            send = send.message_attributes(name, written(attribute)?);
        }
        let sent = send.send().await.map_err(|error| self.learn(self.failed(error)))?;
        let id = sent.message_id.ok_or_else(|| self.odd("the answer to a send has no message id"))?;
        Ok(Sent { id: MessageId::from(id), sequence: sent.sequence_number })
    }

    async fn arrive_all(&self, parts: Vec<Part>, _: Option<Proof>) -> Result<Vec<Sent>, QueueError> {
        self.send_in_batches(parts.into_iter().map(|part| part.message).collect()).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(request.wait + ATTEMPT_TIMEOUT).build();
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(request.max).unwrap_or(i32::MAX))
            .wait_time_seconds(i32::try_from(request.wait.as_secs()).unwrap_or(i32::MAX))
            .set_visibility_timeout(request.visibility.map(seconds))
            .set_receive_request_attempt_id(request.attempt_id)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .customize()
            .config_override(aws_sdk_sqs::Config::builder().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        received.messages.unwrap_or_default().into_iter().map(|message| self.received(message)).collect()
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        if handles.is_empty() {
            return Vec::new();
        }
        let entry = |(index, handle): (usize, &Handle)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle.as_str()).build()
        };
        let entries = handles.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let Ok(entries) = entries else { return self.incomplete(handles.len()) };
        let deleted = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        match deleted {
            Ok(deleted) => {
                let done: Vec<&str> = deleted.successful.iter().map(|entry| entry.id.as_str()).collect();
                self.entries(handles.len(), &done, &deleted.failed)
            }
            Err(error) => self.all(handles.len(), error),
        }
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        let names = vec![QueueAttributeName::MessageRetentionPeriod, QueueAttributeName::RedrivePolicy];
        let attributes = self.attributes(names).await?;
        Ok(limits(|name| attributes.get(&name.into()).map(String::as_str)))
    }

    async fn holdings(&self) -> Result<Option<Holdings>, QueueError> {
        let depth = self.depth().await?;
        let messages = depth.visible + depth.invisible + depth.delayed;
        Ok(Some(Holdings { messages, routes: BTreeMap::new() }))
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        Ok(None)
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let entry = |(index, (handle, wait)): (usize, &(Handle, Duration))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(handle.as_str())
                .visibility_timeout(seconds(*wait))
                .build()
        };
        if changes.is_empty() {
            return Vec::new();
        }
        let entries = changes.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
        let Ok(entries) = entries else { return self.incomplete(changes.len()) };
        let request = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries));
        match request.send().await {
            Ok(changed) => {
                let done: Vec<&str> = changed.successful.iter().map(|entry| entry.id.as_str()).collect();
                self.entries(changes.len(), &done, &changed.failed)
            }
            Err(error) => self.all(changes.len(), error),
        }
    }
}

/// An attribute as the SDK writes it.
fn written(attribute: Attribute) -> Result<MessageAttributeValue, QueueError> {
    let value = MessageAttributeValue::builder().data_type(attribute.data_type);
    let value = match attribute.value {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes)),
    };
    value.build().map_err(|error| QueueError::Invalid(error.to_string()))
}

impl SqsQueue {
    fn incomplete(&self, count: usize) -> Vec<Result<(), QueueError>> {
        (0..count).map(|_| Err(self.odd("an entry is incomplete"))).collect()
    }

    fn odd(&self, what: &str) -> QueueError {
        QueueError::Unavailable { queue: self.name.clone(), source: what.into() }
    }

    /// A request that failed as a whole failed for every entry.
    fn all<E>(&self, count: usize, error: SdkError<E>) -> Vec<Result<(), QueueError>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let text = in_words(&error);
        (0..count).map(|_| Err(self.odd(&text))).collect()
    }

    fn received(&self, message: Message) -> Result<Received, QueueError> {
        let mut system = message.attributes.unwrap_or_default();
        let mut take = |name: MessageSystemAttributeName| system.remove(&name);
        let id = MessageId::from(message.message_id.ok_or_else(|| self.odd("a received message has no id"))?);
        let handle = message.receipt_handle.ok_or_else(|| self.odd("a received message has no receipt handle"))?;
        let attributes = message.message_attributes.unwrap_or_default().into_iter().map(|(name, value)| {
            let data_type = value.data_type.into();
            let value = match (value.string_value, value.binary_value) {
                (Some(text), _) => AttributeValue::Text(text),
                (None, blob) => AttributeValue::Binary(blob.map(Blob::into_inner).unwrap_or_default()),
            };
            (name, Attribute { data_type, value })
        });
        let count = take(MessageSystemAttributeName::ApproximateReceiveCount);
        let sent = take(MessageSystemAttributeName::SentTimestamp);
        let first_received = take(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp);
        Ok(Received {
            group: take(MessageSystemAttributeName::MessageGroupId).map_or_else(|| id.as_str().into(), GroupId::from),
            dedup_id: take(MessageSystemAttributeName::MessageDeduplicationId).map(DedupId::from),
            sequence: take(MessageSystemAttributeName::SequenceNumber),
            receive_count: count.and_then(|count| count.parse().ok()).unwrap_or(1),
            sent_at: sent_at(sent.as_deref(), first_received.as_deref(), Clock::wall().now()),
            body: message.body.unwrap_or_default().into(),
            attributes: attributes.collect(),
            trace: take(MessageSystemAttributeName::AwsTraceHeader),
            handle: Handle::from(handle),
            id,
        })
    }
}

/// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME` as an ARN.
fn arn(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    let (region, domain) = url.host_str()?.strip_prefix("sqs.")?.split_once('.')?;
    let partition = match domain {
        "amazonaws.com" => "aws",
        "amazonaws.com.cn" => "aws-cn",
        _ => return None,
    };
    let (account, name) = url.path().strip_prefix('/')?.split_once('/')?;
    Some(format!("arn:{partition}:sqs:{region}:{account}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_by_its_arn_if_its_url_contains_it() {
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo";
        assert_eq!(arn(url).as_deref(), Some("arn:aws:sqs:eu-west-1:123456789012:events.fifo"));
        assert_eq!(arn("http://127.0.0.1:9324/000000000000/events.fifo"), None);
    }

    #[tokio::test]
    async fn a_message_without_a_sent_time_counts_as_young() {
        let url = "http://127.0.0.1:9/000000000000/events.fifo";
        let queue = SqsQueue::new(crate::client::sqs(url).await, url);
        let before = Clock::wall().now();
        let message = || Message::builder().message_id("m-1").receipt_handle("h-1");
        let received = queue.received(message().build()).expect("readable");
        assert!(received.sent_at >= before, "{}", received.sent_at);
        let first = MessageSystemAttributeName::ApproximateFirstReceiveTimestamp;
        let received = queue.received(message().attributes(first, "1700000005000").build()).expect("readable");
        assert_eq!(received.sent_at.0, 1_700_000_005_000);
    }

    #[tokio::test]
    async fn an_entry_that_the_answer_to_a_batch_lacks_has_failed() {
        let url = "http://127.0.0.1:9/000000000000/events.fifo";
        let queue = SqsQueue::new(crate::client::sqs(url).await, url);
        let failed = BatchResultErrorEntry::builder().id("1").code("MessageNotInflight").sender_fault(true).build();
        let results = queue.entries(3, &["0"], &[failed.expect("an entry")]);
        assert!(
            matches!(results.as_slice(), [Ok(()), Err(QueueError::NotInFlight), Err(QueueError::Unavailable { .. })]),
            "{results:?}"
        );
    }

    #[test]
    fn a_visibility_timeout_is_never_shorter_than_requested() {
        for (millis, whole) in [(0, 0), (1, 1), (3999, 4), (4000, 4), (4001, 5)] {
            assert_eq!(seconds(Duration::from_millis(millis)), whole, "{millis} ms");
        }
    }

    #[test]
    fn limits_are_read_from_the_attributes_of_a_queue() {
        let day = Duration::from_secs(24 * 3600);
        let of =
            |policy: Option<&'static str>| limits(|name| if name == "RedrivePolicy" { policy } else { Some("345600") });
        let quoted = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead.fifo","maxReceiveCount":"1000"}"#;
        assert_eq!(of(Some(quoted)), QueueLimits { retention: 4 * day, max_receives: Some(1000) });
        assert_eq!(of(Some(r#"{"maxReceiveCount":5}"#)).max_receives, Some(5));
        assert_eq!(of(None), QueueLimits { retention: 4 * day, max_receives: None });
        assert_eq!(limits(|_| None), QueueLimits::LOCAL);
    }

    #[test]
    fn errors_are_known_by_code_and_text() {
        let expired = "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        assert!(matches!(known("InvalidParameterValue", expired), Some(QueueError::HandleExpired)));
        assert!(matches!(known("AWS.SimpleQueueService.MessageNotInflight", ""), Some(QueueError::NotInFlight)));
        assert!(matches!(known("ReceiptHandleIsInvalid", ""), Some(QueueError::HandleInvalid)));
        let long = "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.";
        let too_long = known("InvalidParameterValue", long);
        assert!(matches!(too_long, Some(QueueError::TooLong { most: Some(262_144), .. })), "{too_long:?}");
        assert!(known("RequestThrottled", "").is_none());
    }
}
