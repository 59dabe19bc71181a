//! Can the webhook be signed as its sender signs?

use towpath_config::verify::Verification;
use towpath_select::hide;
use towpath_types::envelope::Webhook;
use towpath_verify::sign::{Unsignable, sign};
use towpath_verify::{Evidence, check};

use super::Verdict;
use super::case::Case;

pub(super) fn judge(case: &Case) -> Verdict {
    if case.kind() != "event" || !matches!(case.outcome(), "stored" | "accepted") {
        return Verdict::NotRun("no event");
    }
    let Ok(route) = case.route() else { return Verdict::NotRun("keys from elsewhere") };
    let Some(verify) = &route.verify else { return Verdict::NotRun("proves nothing") };
    let bare = without_proof(verify, &case.webhook);
    match sign(verify, &bare, case.arrives_at, None) {
        Err(Unsignable::NoPrivateKey) => Verdict::NotRun("the sender has a private key"),
        Err(why) => Verdict::Failed(why.to_string()),
        Ok(signed) if signed == bare => Verdict::Failed("nothing was added".to_owned()),
        // The check is the one that the independent script is compared with.
        Ok(signed) => match check(verify, Evidence::arriving(&signed, case.arrives_at)) {
            Ok(()) => Verdict::Passed,
            Err(why) => Verdict::Failed(why.to_string()),
        },
    }
}

/// The webhook without its signature or token.
fn without_proof(verify: &Verification, webhook: &Webhook) -> Webhook {
    let mut bare = webhook.clone();
    verify.proofs().iter().for_each(|proof| hide(&mut bare, proof));
    bare
}
