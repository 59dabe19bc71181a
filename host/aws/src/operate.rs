//! Inspects a deployment through AWS: queues, mapping, function, alarms. Also enables and disables the mapping.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_firehose::Client as Firehose;
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::client::sdk_config;
use crate::error::in_words;

/// How long a function may take to answer: the initialisation of a cold start, which Lambda repeats within the first invocation if it took more
/// than 10 s.
const COLD_START: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {problem}")]
pub struct OperateError {
    what: &'static str,
    problem: String,
}

/// An event source mapping.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mapping {
    pub id: String,
    /// The function that it invokes.
    pub function: String,
    /// `Enabled`, `Disabled`, `Enabling` …
    pub state: String,
    /// Whether `ReportBatchItemFailures` is on.
    pub partial_responses: bool,
    /// Number of filters, which delete all messages that they do not match.
    pub filters: usize,
    /// The batching window, in seconds.
    pub window_s: i32,
    /// The most concurrent invocations, if limited.
    pub maximum_concurrency: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Function {
    pub name: String,
    /// `provided.al2023` …
    pub runtime: String,
    /// The timeout of an invocation, in seconds.
    pub timeout_s: i32,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    /// Its reserved concurrency.
    pub reserved_concurrency: Option<i32>,
}

/// A delivery stream of Firehose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stream {
    /// `ACTIVE`, `CREATING`, `CREATING_FAILED` …
    pub status: String,
    /// Whether records are put into it, and not read from another stream.
    pub is_direct: bool,
    pub writes_to_s3: bool,
}

/// What an alarm watches: namespace, metric, the value of each dimension, and for how long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Alarm {
    /// `AWS/SQS` …
    pub namespace: String,
    pub metric: String,
    /// The values of its dimensions.
    pub of: Vec<String>,
    /// How long a problem must last before the alarm fires, in seconds.
    pub after_s: i64,
}

/// Clients of the services that operators need.
pub struct Operator {
    sqs: Sqs,
    lambda: Lambda,
    cloudwatch: CloudWatch,
    firehose: Firehose,
}

impl Operator {
    /// Uses the SDK's credentials, and the region of the queue with this URL, if it names one.
    pub async fn new(queue_url: &str) -> Operator {
        let config = sdk_config(crate::client::region(queue_url).as_deref()).await;
        Operator {
            sqs: Sqs::new(&config),
            lambda: Lambda::new(&config),
            cloudwatch: CloudWatch::new(&config),
            firehose: Firehose::new(&config),
        }
    }

    pub async fn queue(&self, url: &str) -> Result<BTreeMap<String, String>, OperateError> {
        let asked =
            self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
        let attributes =
            asked.map_err(|error| OperateError { what: "inspect the queue", problem: in_words(&error) })?;
        let attributes = attributes.attributes.unwrap_or_default().into_iter();
        Ok(attributes.map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }

    /// The mappings that receive from a queue.
    pub async fn mappings(&self, queue_arn: &str) -> Result<Vec<Mapping>, OperateError> {
        let asked = self.lambda.list_event_source_mappings().event_source_arn(queue_arn).send().await;
        let listed =
            asked.map_err(|error| OperateError { what: "list the queue's mappings", problem: in_words(&error) })?;
        let mappings = listed.event_source_mappings.unwrap_or_default().into_iter();
        Ok(mappings
            .map(|mapping| Mapping {
                id: mapping.uuid.unwrap_or_default(),
                function: mapping.function_arn.unwrap_or_default(),
                state: mapping.state.unwrap_or_default(),
                partial_responses: mapping
                    .function_response_types
                    .is_some_and(|types| types.iter().any(|kind| kind.as_str() == "ReportBatchItemFailures")),
                filters: mapping
                    .filter_criteria
                    .and_then(|criteria| criteria.filters)
                    .map_or(0, |filters| filters.len()),
                window_s: mapping.maximum_batching_window_in_seconds.unwrap_or_default(),
                maximum_concurrency: mapping.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
            })
            .collect())
    }

    /// A function by its name or ARN.
    pub async fn function(&self, name: &str) -> Result<Function, OperateError> {
        let asked = self.lambda.get_function_configuration().function_name(name).send().await;
        let found = asked.map_err(|error| OperateError { what: "inspect the function", problem: in_words(&error) })?;
        let reserved = self.lambda.get_function_concurrency().function_name(name).send().await;
        let reserved = reserved
            .map_err(|error| OperateError { what: "inspect the function's concurrency", problem: in_words(&error) })?;
        Ok(Function {
            name: found.function_name.unwrap_or_default(),
            runtime: found.runtime.map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
            timeout_s: found.timeout.unwrap_or(3),
            variables: found.environment.and_then(|env| env.variables).unwrap_or_default().into_iter().collect(),
            reserved_concurrency: reserved.reserved_concurrent_executions,
        })
    }

    /// Invokes the running host, without messages, to ask for its versions and plugins.
    pub async fn about(&self, function: &str) -> Result<Value, OperateError> {
        let failed = |problem| OperateError { what: "ask the function for its version", problem };
        let payload = Blob::new(br#"{"towpath":"about"}"#.as_slice());
        let timeout = TimeoutConfig::builder().operation_attempt_timeout(COLD_START).build();
        let patient = aws_sdk_lambda::Config::builder().timeout_config(timeout);
        let invoke = self.lambda.invoke().function_name(function).payload(payload);
        let asked = invoke.customize().config_override(patient).send().await;
        let answered = asked.map_err(|error| failed(in_words(&error)))?;
        let payload = answered.payload.map(Blob::into_inner).unwrap_or_default();
        if answered.function_error.is_some() {
            return Err(failed(String::from_utf8_lossy(&payload).into_owned()));
        }
        serde_json::from_slice(&payload).map_err(|error| failed(format!("its answer is not JSON: {error}")))
    }

    pub async fn alarms(&self) -> Result<Vec<Alarm>, OperateError> {
        let mut pages = self.cloudwatch.describe_alarms().into_paginator().send();
        let mut alarms = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| OperateError { what: "list the alarms", problem: in_words(&error) })?;
            alarms.extend(page.metric_alarms().iter().map(|alarm| Alarm {
                namespace: alarm.namespace().unwrap_or_default().to_owned(),
                metric: alarm.metric_name().unwrap_or_default().to_owned(),
                of: alarm.dimensions().iter().filter_map(|d| d.value()).map(str::to_owned).collect(),
                after_s: i64::from(alarm.period().unwrap_or_default())
                    * i64::from(alarm.evaluation_periods().unwrap_or_default()),
            }));
        }
        Ok(alarms)
    }

    /// The delivery stream of an archive.
    pub async fn stream(&self, name: &str) -> Result<Stream, OperateError> {
        let asked = self.firehose.describe_delivery_stream().delivery_stream_name(name).send().await;
        let found =
            asked.map_err(|error| OperateError { what: "inspect the delivery stream", problem: in_words(&error) })?;
        let Some(stream) = found.delivery_stream_description else { return Ok(Stream::default()) };
        Ok(Stream {
            is_direct: stream.delivery_stream_type.as_str() == "DirectPut",
            writes_to_s3: stream.destinations.iter().any(|to| to.extended_s3_destination_description.is_some()),
            status: stream.delivery_stream_status.as_str().to_owned(),
        })
    }

    /// Enables or disables a mapping.
    pub async fn switch(&self, mapping: &str, on: bool) -> Result<(), OperateError> {
        let asked = self.lambda.update_event_source_mapping().uuid(mapping).enabled(on).send().await;
        asked
            .map(drop)
            .map_err(|error| OperateError { what: "enable or disable the mapping", problem: in_words(&error) })
    }
}
