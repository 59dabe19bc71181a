//! Every provider, against webhooks that an independent script signs as the providers do: `tests/providers/sign.py`.

mod case;
mod exceptions;
mod handshake;
mod keys;
mod proof;
mod publisher;
mod server;
mod signed;
mod worked;

use std::collections::{BTreeMap, BTreeSet};

use case::Case;
use towpath_config::provider::Provider;

const REQUESTS: &str = include_str!("../providers/requests.jsonl");

/// What became of a case.
enum Verdict {
    Passed,
    Failed(String),
    /// It needs a server, or keys that it must fetch.
    NotRun(&'static str),
}

fn cases() -> impl Iterator<Item = Case> {
    REQUESTS.lines().map(|line| Case::read(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// Runs every case and fails with all that failed. Exceptions must fail: one that passes is out of date.
fn run(judge: impl Fn(&Case) -> Verdict, reason: impl Fn(&Case) -> Option<&'static str>) {
    let mut failed = Vec::new();
    let mut not_run: BTreeMap<&str, usize> = BTreeMap::new();
    let mut passed = 0;
    let mut excepted = 0;
    for case in cases() {
        let name = format!("{} {}", case.provider, case.case);
        match (judge(&case), reason(&case)) {
            (Verdict::Passed, None) => passed += 1,
            (Verdict::Passed, Some(reason)) => failed.push(format!("{name}: passes, although {reason}")),
            (Verdict::Failed(_), Some(_)) => excepted += 1,
            (Verdict::Failed(why), None) => failed.push(format!("{name}: {why}")),
            (Verdict::NotRun(why), _) => *not_run.entry(why).or_default() += 1,
        }
    }
    let summary = format!("passed: {passed}, exceptions: {excepted}, not run: {not_run:?}, failed: {}", failed.len());
    assert!(failed.is_empty(), "{summary}\n{}", failed.join("\n"));
}

#[test]
fn every_proof_is_accepted_and_every_forgery_is_not() {
    run(proof::judge, exceptions::of_proof);
}

#[test]
fn every_handshake_is_answered_by_the_server_and_stored_by_none() {
    run(handshake::judge, exceptions::of_handshake);
}

#[test]
fn every_event_can_be_signed_as_its_sender_signs() {
    run(signed::judge, exceptions::of_signing);
}

#[test]
fn every_event_has_the_keys_of_its_sender() {
    run(keys::judge, exceptions::of_keys);
}

#[test]
fn every_provider_is_signed_for_unless_it_proves_nothing() {
    let signed: BTreeSet<String> = cases().map(|case| case.provider).collect();
    let unsigned = Provider::all().filter(|provider| !signed.contains(provider.name));
    for provider in unsigned {
        // A secret that the operator puts into the URL.
        assert_eq!(provider.proof(), "token", "{}", provider.name);
        assert!(provider.keys().contains("token = \"query:token\""), "{}", provider.name);
    }
}
