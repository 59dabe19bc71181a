//! The AWS SDK as the host uses it: one HTTP client with ring, and timeouts that fit a Lambda invocation.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use towpath_config::{Form, Secrets};
use url::{Host, Url};

/// Timeout of one attempt of an API call; a receive adds its wait.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Region, credentials and endpoint as the SDK finds them: its own environment variables, profiles and roles. We set
/// only the HTTP client, the timeouts, and the region where the queue's URL contains it.
pub(crate) async fn sdk_config(region: Option<&str>) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts);
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    config.load().await
}

/// A client for the queue with this URL. For a queue on this machine it uses the endpoint in the URL with dummy
/// credentials; for one on AWS the region in the URL.
pub async fn sqs(queue_url: &str) -> aws_sdk_sqs::Client {
    let Some(origin) = loopback(queue_url) else {
        return aws_sdk_sqs::Client::new(&sdk_config(region(queue_url).as_deref()).await);
    };
    // The endpoint of `towpath serve` may require a token, sent as access key id.
    let token =
        Secrets::from_env().get("sqs-endpoint", Form::Header).map_or_else(|_| "local".into(), |token| token.expose());
    let credentials = Credentials::new(&*token, "local", None, None, "towpath");
    let http = Builder::new().build_http();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(origin)
        .build();
    aws_sdk_sqs::Client::new(&config)
}

/// Whether the queue with this URL is on this machine.
pub fn is_local(queue_url: &str) -> bool {
    loopback(queue_url).is_some()
}

/// Credentials as the SDK finds them, cached and refreshed by it; `None` if there are none.
pub async fn credentials() -> Option<SharedCredentialsProvider> {
    sdk_config(None).await.credentials_provider()
}

pub async fn secrets_manager() -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&sdk_config(None).await)
}

pub async fn s3() -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(&sdk_config(None).await)
}

/// For the archive of the queue with this URL, in the queue's region; without a queue as the SDK finds it.
#[cfg(feature = "operate")]
pub async fn s3_of(queue_url: Option<&str>) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(&sdk_config(queue_url.and_then(region).as_deref()).await)
}

/// For the archive of the queue with this URL, in the queue's region. It does not retry: the archive has little time, and its own second try.
pub async fn firehose(queue_url: &str) -> aws_sdk_firehose::Client {
    let config = sdk_config(region(queue_url).as_deref()).await;
    let once = aws_sdk_firehose::config::Builder::from(&config).retry_config(RetryConfig::disabled());
    aws_sdk_firehose::Client::from_conf(once.build())
}

/// `https://sqs.REGION.amazonaws.com/…`.
pub(crate) fn region(queue_url: &str) -> Option<String> {
    let url = Url::parse(queue_url).ok().filter(|url| url.scheme() == "https")?;
    let (region, _) = url.host_str()?.strip_prefix("sqs.")?.split_once(".amazonaws.com")?;
    Some(region.to_owned())
}

/// Scheme, host and port of a URL on this machine.
fn loopback(queue_url: &str) -> Option<String> {
    let url = Url::parse(queue_url).ok().filter(|url| url.scheme() == "http")?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    local.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_region_or_machine_of_its_queue() {
        let aws = region("https://sqs.eu-west-1.amazonaws.com/1/q.fifo");
        assert_eq!(aws.as_deref(), Some("eu-west-1"));
        assert_eq!(region("http://127.0.0.1:9324/1/q.fifo"), None);
        for url in ["http://127.0.0.1:9324/1/q.fifo", "http://localhost:9324/1/q", "http://[::1]:9324/1/q"] {
            let origin = url.split("/1/").next();
            assert_eq!(loopback(url).as_deref(), origin);
        }
        for url in ["https://sqs.eu-west-1.amazonaws.com/1/q", "http://127.example.com/1/q", "http://10.0.0.1/1/q"] {
            assert_eq!(loopback(url), None, "{url}");
        }
    }
}
