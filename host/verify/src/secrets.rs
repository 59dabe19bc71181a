//! The values of the secrets that verify one webhook.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use towpath_config::verify::{Keys, Verification, Way};
use towpath_config::{Lookup, Secret, TenantSecret};
use towpath_select::Scope;
use towpath_types::envelope::Webhook;
use tracing::info;

use crate::fetched::Unavailable;

/// The values of the secrets of a way.
pub(crate) struct Secrets(Vec<Arc<str>>);

impl Secrets {
    /// Without those of tenants.
    pub(crate) fn fixed(way: &Way) -> Secrets {
        Secrets::of(&fixed(way))
    }

    /// Without those that have not been learned yet: everybody knows the MAC with an empty key.
    fn of(secrets: &[Secret]) -> Secrets {
        Secrets(secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| &**secret)
    }
}

/// The secrets of all ways of a verification.
pub(crate) struct Known {
    ways: Vec<Vec<Secret>>,
    /// Why a secret is not among them although there may be one.
    pub(crate) unavailable: Option<Unavailable>,
}

impl Known {
    /// Without those of tenants.
    pub(crate) fn fixed(verification: &Verification) -> Known {
        Known { ways: verification.ways.iter().map(fixed).collect(), unavailable: None }
    }

    /// With those of the webhook's tenant, which are looked up until `deadline`.
    pub(crate) async fn all(verification: &Verification, webhook: &Webhook, deadline: Instant) -> Known {
        let mut known = Known::fixed(verification);
        for (way, secrets) in verification.ways.iter().zip(&mut known.ways) {
            let Keys::OfTenant(names) = &way.keys else { continue };
            // A tenant without a secret takes as long as one with another secret.
            secrets.extend(nobodys());
            for name in names.iter().filter(|_| Scope::of(webhook).meets(&way.when)) {
                match timeout_at(deadline, of_tenant(name, webhook)).await {
                    Ok(Lookup::Found(secret)) => secrets.push(secret),
                    Ok(Lookup::Unknown) => info!(?name, "the tenant of a webhook has no secret"),
                    Ok(Lookup::Unavailable(why)) => known.unavailable = Some(unavailable(why)),
                    Err(_) => known.unavailable = Some(unavailable("no answer in time".to_owned())),
                }
            }
        }
        known
    }

    pub(crate) fn of_ways(&self) -> impl Iterator<Item = Secrets> {
        self.ways.iter().map(|secrets| Secrets::of(secrets))
    }

    pub(crate) fn exposed(&self) -> Vec<Arc<str>> {
        self.ways.iter().flatten().map(Secret::expose).collect()
    }

    /// Whether one of them now has another value than `seen`.
    pub(crate) async fn is_renewed(&self, seen: &[Arc<str>], deadline: Instant) -> bool {
        let mut renewed = false;
        for (secret, seen) in self.ways.iter().flatten().zip(seen) {
            renewed |= timeout_at(deadline, secret.is_renewed(seen)).await.unwrap_or(false);
        }
        renewed
    }
}

fn unavailable(why: String) -> Unavailable {
    Unavailable { from: "the store of secrets".to_owned(), why, after: Duration::from_secs(5) }
}

/// A secret that nobody knows: valid as text, hex and base64.
fn nobodys() -> Option<Secret> {
    static SECRET: OnceLock<Option<Secret>> = OnceLock::new();
    let random = || ring::rand::generate::<[u8; 32]>(&ring::rand::SystemRandom::new()).ok();
    SECRET.get_or_init(|| Some(Secret::new(hex::encode(random()?.expose())))).clone()
}

fn fixed(way: &Way) -> Vec<Secret> {
    way.keys.secrets().iter().map(|secret| secret.value.clone()).collect()
}

async fn of_tenant(name: &TenantSecret, webhook: &Webhook) -> Lookup {
    match Scope::of(webhook).value(name.tenant()) {
        Ok(tenant) => name.of(&tenant).await,
        Err(_) => Lookup::Unknown,
    }
}
