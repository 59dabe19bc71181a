//! The AWS SDK as the host uses it: one HTTP client with ring, and timeouts that fit a Lambda invocation.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long one attempt of an API call may take; a receive gets its wait on top.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Region, credentials and endpoint as the SDK finds them: by its own environment variables, profiles
/// and roles. Only the HTTP client and the timeouts are ours.
async fn sdk_config() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).load().await
}

/// A client of SQS.
pub async fn sqs() -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&sdk_config().await)
}
