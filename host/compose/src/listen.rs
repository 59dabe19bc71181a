//! Why a host cannot listen.

use std::net::SocketAddr;

/// An address that a host cannot listen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListenError {
    /// The address of ingest.
    #[error("listening on {0}: is another towpath running there?")]
    Ingest(SocketAddr),
    /// The address of the SQS endpoint.
    #[error("listening on {0} for SQS")]
    Sqs(SocketAddr),
}
