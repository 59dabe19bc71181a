//! Everything that talks to AWS: Lambda events and their answers, SQS as the host's queue, and
//! holds in S3.

pub mod client;
mod error;
pub mod event;
mod holds;
pub mod lambda;
mod sqs;

pub use holds::S3Holds;
pub use sqs::{SqsDepth, SqsQueue};
