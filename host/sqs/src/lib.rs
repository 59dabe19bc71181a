//! An SQS-compatible endpoint over a local store. It speaks AWS JSON 1.0, for the AWS CLI and every SDK. It does not
//! verify AWS signatures; if a token is set, clients must present it as access key id or bearer token.
//!
//! Source: the API reference of SQS, `https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/`.

mod attributes;
mod batch;
#[cfg(test)]
mod cases;
mod endpoint;
mod error;
mod md5;
mod messages;
mod moves;
mod names;
mod numbers;
mod queues;
mod receive;
mod redrive;
mod request;
mod router;
mod settle;
mod tags;
#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use md5::{of_attributes as md5_of_attributes, of_body as md5_of_body};
pub use names::{REGION, arn, url as queue_url};
pub use receive::SENDER;
pub use router::router;
