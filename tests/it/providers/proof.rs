//! Is the webhook verified?

use towpath_verify::{Evidence, Unproven, check_anew};

use super::Verdict;
use super::case::Case;
use super::publisher::Publisher;

pub(super) fn judge(case: &Case) -> Verdict {
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
        let publisher = Publisher::of(&case.published).await;
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        check_anew(verify, evidence, &publisher, deadline).await
    });
    match (checked, must_hold) {
        (Ok(_), true) | (Err(Unproven::Unverified(_)), false) => Verdict::Passed,
        (Ok(_), false) => Verdict::Failed("is verified, and must not be".to_owned()),
        (Err(why), _) => Verdict::Failed(why.to_string()),
    }
}
