//! Everything that talks to AWS: Lambda events and their answers, and SQS as the host's queue.

pub mod client;
pub mod event;
pub mod lambda;
mod sqs;

pub use sqs::SqsQueue;
