//! Is the webhook verified?

use towpath_verify::{Evidence, check};

use super::Verdict;
use super::case::{Case, Unreadable};

pub(super) fn judge(case: &Case) -> Verdict {
    if case.has_remote_keys {
        return Verdict::NotRun("keys from elsewhere");
    }
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
        Err(Unreadable::KeysFromElsewhere) => return Verdict::NotRun("keys from elsewhere"),
        Err(Unreadable::Wrong(mistakes)) => return Verdict::Failed(format!("{mistakes:?}")),
    };
    let Some(verify) = &route.verify else { return Verdict::Failed("has no verify".to_owned()) };
    match (check(verify, Evidence::arriving(&case.webhook, case.arrives_at)), must_hold) {
        (Ok(()), true) | (Err(_), false) => Verdict::Passed,
        (Ok(()), false) => Verdict::Failed("is verified, and must not be".to_owned()),
        (Err(why), true) => Verdict::Failed(why.to_string()),
    }
}
