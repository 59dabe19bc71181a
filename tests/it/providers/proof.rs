//! Is the webhook verified?

use std::sync::Arc;

use towpath_keys::Remote;
use towpath_tests::target::{Answer, Target};
use towpath_verify::fetched::{Key, KeySource, Unavailable, Wanted};
use towpath_verify::{Evidence, Unproven, check_anew};

use super::Verdict;
use super::case::Case;

pub(super) fn judge(case: &Case) -> Verdict {
    if case.provider().is_some_and(|provider| provider.lacks().is_some()) {
        return Verdict::NotRun("cannot be set up by its name yet");
    }
    if case.kind() == "handshake" {
        return Verdict::NotRun("handshake");
    }
    let must_hold = match case.outcome() {
        "stored" | "accepted" => true,
        "refused" => false,
        "unsupported" => {
            let is_said = case.provider().is_some_and(|provider| provider.unsupported.is_some());
            return if is_said { Verdict::Passed } else { Verdict::Failed("the file does not say so".to_owned()) };
        }
        other => return Verdict::Failed(format!("unknown outcome {other}")),
    };
    let route = match case.route() {
        Ok(route) => route,
        Err(mistakes) => return Verdict::Failed(format!("{mistakes:?}")),
    };
    let Some(verify) = &route.verify else { return Verdict::Failed("has no verify".to_owned()) };
    let evidence = Evidence::arriving(&case.webhook, case.arrives_at);
    let checked = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let publisher = Publisher::of(case).await;
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        check_anew(verify, evidence, &publisher, deadline).await
    });
    match (checked, must_hold) {
        (Ok(_), true) | (Err(Unproven::Unverified(_)), false) => Verdict::Passed,
        (Ok(_), false) => Verdict::Failed("is verified, and must not be".to_owned()),
        (Err(why), _) => Verdict::Failed(why.to_string()),
    }
}

/// Fetches from a local server what the case's sender publishes.
struct Publisher {
    server: Target,
    remote: Remote,
}

impl Publisher {
    async fn of(case: &Case) -> Publisher {
        let published: Vec<_> =
            case.published.iter().map(|one| (one.url.clone(), one.status, one.body.clone())).collect();
        let server = Target::answering(move |call| {
            let found = published.iter().find(|(url, ..)| call.path.strip_prefix('/') == Some(&local(url)));
            found.map_or(Answer::Status(404, String::new()), |(_, status, body)| Answer::Status(*status, body.clone()))
        });
        Publisher { server: server.await, remote: Remote::default() }
    }
}

/// A URL as one segment of a path.
fn local(url: &str) -> String {
    url.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait::async_trait]
impl KeySource for Publisher {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        let url = format!("{}/{}", self.server.url, local(wanted.url.as_str())).parse().unwrap();
        // The case's clock is not the machine's.
        let arrived = towpath_types::clock::Timestamp(0);
        self.remote.keys(&Wanted { url, allow_private: true, arrived, ..wanted.clone() }).await
    }
}
