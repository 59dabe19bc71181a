//! Queue URLs: which are valid, and which two mean the same queue.

use url::{Host, Url};

/// The parts of a queue URL that identify the queue.
pub(super) struct QueueUrl {
    server: Server,
    /// The account, if the URL has one.
    account: Option<String>,
    name: String,
}

#[derive(PartialEq, Eq)]
enum Server {
    /// SQS in this region, under any of its names.
    Aws(String),
    /// This machine, on this port.
    Loopback(Option<u16>),
    /// Another host, in lower case, and a port.
    Other(String, Option<u16>),
}

impl QueueUrl {
    /// Parses a URL; the error says what is wrong.
    pub(super) fn read(text: &str) -> Result<QueueUrl, String> {
        if text.starts_with("arn:") {
            return Err(format!("{text:?} is an ARN, not a URL"));
        }
        let url: Url = text.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        match QueueUrl::of_url(&url) {
            Some(queue) if plain && matches!(url.scheme(), "http" | "https") => Ok(queue),
            _ => Err(format!("{text:?} is not a queue URL")),
        }
    }

    /// Whether two URLs or ARNs mean the same queue.
    pub(super) fn same(one: &str, other: &str) -> bool {
        let read = |text: &str| QueueUrl::of_arn(text).or_else(|| QueueUrl::of_url(&text.parse().ok()?));
        match (read(one), read(other)) {
            (Some(one), Some(other)) => {
                let accounts = one.account == other.account || one.account.is_none() || other.account.is_none();
                one.server == other.server && one.name == other.name && accounts
            }
            _ => one == other,
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    fn of_url(url: &Url) -> Option<QueueUrl> {
        let mut segments = url.path_segments()?.rev().filter(|segment| !segment.is_empty());
        let name = segments.next()?.to_owned();
        let account = segments.next().map(str::to_owned);
        let server = match url.host()? {
            Host::Ipv4(v4) if v4.is_loopback() => Server::Loopback(url.port_or_known_default()),
            Host::Ipv6(v6) if v6.is_loopback() => Server::Loopback(url.port_or_known_default()),
            Host::Domain("localhost") => Server::Loopback(url.port_or_known_default()),
            host => match aws_region(&host.to_string()) {
                Some(region) => Server::Aws(region),
                None => Server::Other(host.to_string(), url.port_or_known_default()),
            },
        };
        Some(QueueUrl { server, account, name })
    }

    /// `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    fn of_arn(text: &str) -> Option<QueueUrl> {
        let mut parts = text.strip_prefix("arn:")?.split(':').skip(1);
        let sqs = parts.next()? == "sqs";
        let region = parts.next()?.to_owned();
        let account = parts.next()?.to_owned();
        let name = parts.next()?.to_owned();
        sqs.then_some(QueueUrl { server: Server::Aws(region), account: Some(account), name })
    }
}

/// The region in a host name of SQS: `sqs.REGION.amazonaws.com`, `REGION.queue.amazonaws.com`, and those for FIPS, dual
/// stack, private links and China.
/// Source: "Amazon Simple Queue Service endpoints and quotas" in the AWS General Reference.
fn aws_region(host: &str) -> Option<String> {
    let inside =
        [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(|end| host.strip_suffix(end))?;
    let of_sqs = |label: &str| label == "sqs" || label == "sqs-fips" || label == "queue";
    if !inside.split('.').any(of_sqs) {
        return None;
    }
    // `queue.amazonaws.com` is the old name of us-east-1.
    let region =
        inside.split('.').find(|label| label.ends_with(|c: char| c.is_ascii_digit()) && !label.starts_with("vpce"));
    Some(region.unwrap_or("us-east-1").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_the_same_however_its_url_is_written() {
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo";
        for same in [
            queue,
            "https://SQS.eu-west-1.AmazonAWS.com/123456789012/events.fifo",
            "https://sqs.eu-west-1.amazonaws.com:443/123456789012/events.fifo",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo/",
            "http://sqs.eu-west-1.amazonaws.com//123456789012/events.fifo",
            "https://eu-west-1.queue.amazonaws.com/123456789012/events.fifo",
            "https://sqs-fips.eu-west-1.amazonaws.com/123456789012/events.fifo",
            "https://sqs.eu-west-1.api.aws/123456789012/events.fifo",
            "https://vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com/123456789012/events.fifo",
            "arn:aws:sqs:eu-west-1:123456789012:events.fifo",
        ] {
            assert!(QueueUrl::same(queue, same) && QueueUrl::same(same, queue), "{same}");
        }
        for other in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead.fifo",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/Events.fifo",
            "https://sqs.eu-west-2.amazonaws.com/123456789012/events.fifo",
            "https://sqs.eu-west-1.amazonaws.com/210987654321/events.fifo",
            "https://sqs.eu-west-1.example.com/123456789012/events.fifo",
            "arn:aws:sqs:eu-west-2:123456789012:events.fifo",
        ] {
            assert!(!QueueUrl::same(queue, other), "{other}");
        }
        let local = "http://127.0.0.1:9324/000000000000/events.fifo";
        assert!(QueueUrl::same(local, "http://localhost:9324/000000000000/events.fifo/"));
        assert!(QueueUrl::same(local, "http://[::1]:9324/events.fifo"), "there is one account");
        assert!(!QueueUrl::same(local, "http://127.0.0.1:9325/000000000000/events.fifo"));
    }

    #[test]
    fn an_invalid_queue_url_says_why() {
        for (text, says) in [
            ("arn:aws:sqs:eu-west-1:1:a.fifo", "is an ARN"),
            ("events.fifo", "is not a URL"),
            ("https://sqs.eu-west-1.amazonaws.com", "is not a queue URL"),
            ("https://sqs.eu-west-1.amazonaws.com/1/a.fifo?x=1", "is not a queue URL"),
            ("ftp://host/1/a.fifo", "is not a queue URL"),
            ("https:///a.fifo/", "is not a queue URL"),
        ] {
            let problem = QueueUrl::read(text).err();
            assert!(problem.as_ref().is_some_and(|problem| problem.contains(says)), "{text}: {problem:?}");
        }
        assert!(QueueUrl::read("http://127.0.0.1:9324/000000000000/a.fifo").is_ok_and(|queue| queue.is_fifo()));
    }
}
