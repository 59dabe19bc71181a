//! Everything that talks to AWS: SQS as the host's queue; holds, configs and the plugin registry in S3; the archive, written by Firehose;
//! Secrets Manager.

#[cfg(feature = "operate")]
pub mod archived;
mod artifacts;
pub mod client;
pub mod config;
mod error;
pub mod firehose;
mod holds;
#[cfg(feature = "operate")]
pub mod logs;
mod object;
#[cfg(feature = "operate")]
pub mod operate;
mod secrets;
mod sqs;
mod waiting;

pub use artifacts::S3Artifacts;
pub use firehose::Firehose;
pub use holds::S3Holds;
pub use secrets::SecretsManager;
pub use sqs::{SqsDepth, SqsQueue, limits};
pub use waiting::Waiting;
