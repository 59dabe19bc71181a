//! Secrets whose names depend on the webhook: `crm-{path:tenant}`.

use std::fmt;

use crate::secrets::{Form, Lookup, Secrets};
use crate::value::{Part, Template, Value};

/// The longest value that becomes a part of a secret's name.
const LONGEST: usize = 128;

/// A name that ends in a value of the webhook, usually that of its tenant.
#[derive(Clone)]
pub struct TenantSecret {
    /// Keeps a webhook from choosing any other secret of the host. Never empty.
    prefix: String,
    tenant: Value,
    form: Form,
    secrets: Secrets,
}

/// Why a text is not such a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotATenantSecret {
    #[error("has no text before the value: a sender could choose any secret of the host")]
    Prefix,
    #[error("does not end in its only value: the secrets of two tenants could have one name")]
    End,
}

impl TenantSecret {
    pub(crate) fn new(name: &Template, form: Form, secrets: &Secrets) -> Result<TenantSecret, NotATenantSecret> {
        match name.parts() {
            [Part::Literal(prefix), Part::Value(tenant)] => {
                Ok(TenantSecret { prefix: prefix.clone(), tenant: tenant.clone(), form, secrets: secrets.clone() })
            }
            [Part::Value(_), ..] => Err(NotATenantSecret::Prefix),
            _ => Err(NotATenantSecret::End),
        }
    }

    /// The value that ends the name.
    pub fn tenant(&self) -> &Value {
        &self.tenant
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The secret of this tenant.
    pub async fn of(&self, tenant: &[u8]) -> Lookup {
        match std::str::from_utf8(tenant) {
            Ok(tenant) if is_name(tenant) => self.secrets.find(&self.prefix, tenant, self.form).await,
            _ => Lookup::Unknown,
        }
    }
}

/// Characters that stand for themselves in every store: `#` and `/` would lead to other secrets.
fn is_name(tenant: &str) -> bool {
    !tenant.is_empty()
        && tenant.len() <= LONGEST
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl fmt::Debug for TenantSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantSecret({}{{{}}})", self.prefix, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use async_trait::async_trait;
    use parking_lot::Mutex;

    use super::*;
    use crate::secrets::late::CHECK_EVERY;
    use crate::secrets::secret::REFRESH_EVERY;
    use crate::secrets::{NotFetched, SecretStore};

    fn named(text: &str, secrets: &Secrets) -> Result<TenantSecret, NotATenantSecret> {
        TenantSecret::new(&text.parse().expect("a template"), Form::Key, secrets)
    }

    async fn found(name: &TenantSecret, tenant: &str) -> Option<String> {
        match name.of(tenant.as_bytes()).await {
            Lookup::Found(secret) => Some(secret.expose().to_string()),
            Lookup::Unknown => None,
            Lookup::Unavailable(why) => panic!("{why}"),
        }
    }

    #[tokio::test]
    async fn a_tenant_has_the_secret_of_its_name_and_of_no_other() {
        let pair = |name: &str| (name.to_owned(), format!("value of {name}"));
        let secrets = Secrets::of([pair("crm-acme"), pair("crm-b-c"), pair("other")]);
        let name = named("crm-{path:tenant}", &secrets).expect("a name");
        assert_eq!(found(&name, "acme").await.as_deref(), Some("value of crm-acme"));
        assert_eq!(found(&name, "b-c").await.as_deref(), Some("value of crm-b-c"));
        // The environment would give these the secret of another tenant.
        for tenant in ["ACME", "b_c", "b.c", "none", "", "acme#x", "../other", "é", &"a".repeat(LONGEST + 1)] {
            assert_eq!(found(&name, tenant).await, None, "{tenant}");
        }
    }

    #[tokio::test]
    async fn a_prefix_may_have_any_characters() {
        let secrets = Secrets::of([("CRM_acme".to_owned(), "k".to_owned())]);
        let name = named("CRM_{path:tenant}", &secrets).expect("a name");
        assert_eq!(found(&name, "acme").await.as_deref(), Some("k"));
    }

    /// Knows `acme`, and answers no other question.
    struct Hanging;

    #[async_trait]
    impl SecretStore for Hanging {
        async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
            if name == "crm-acme" { Ok("k".to_owned()) } else { std::future::pending().await }
        }
    }

    #[tokio::test]
    async fn a_tenant_whose_secret_is_known_waits_for_nobody() {
        let secrets = Secrets::from_store(Arc::new(Hanging), []).await;
        let name = named("crm-{path:tenant}", &secrets).expect("a name");
        assert_eq!(found(&name, "acme").await.as_deref(), Some("k"));
        let mut others = tokio::task::JoinSet::new();
        for stranger in 0..100 {
            let name = name.clone();
            others.spawn(async move { name.of(format!("stranger-{stranger}").as_bytes()).await });
        }
        tokio::task::yield_now().await;
        let known = tokio::time::timeout(std::time::Duration::from_secs(30), found(&name, "acme")).await;
        assert_eq!(known.expect("at once").as_deref(), Some("k"));
    }

    #[test]
    fn a_name_that_could_lead_anywhere_is_refused() {
        let secrets = Secrets::placeholders();
        let problem = |text: &str| named(text, &secrets).err();
        assert_eq!(problem("{path:tenant}"), Some(NotATenantSecret::Prefix));
        assert_eq!(problem("a-{path:tenant}-b"), Some(NotATenantSecret::End));
        assert_eq!(problem("a-{path:tenant}-{path:b}"), Some(NotATenantSecret::End));
        assert_eq!(problem("a"), Some(NotATenantSecret::End));
    }

    struct Store {
        values: Mutex<BTreeMap<&'static str, &'static str>>,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl SecretStore for Store {
        async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
            self.asked.lock().push(name.to_owned());
            match self.values.lock().get(name) {
                Some(&"down") => Err(NotFetched::Failed("no answer".to_owned())),
                Some(value) => Ok((*value).to_owned()),
                None => Err(NotFetched::Unknown("there is none".to_owned())),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_asked_once_for_each_tenant_known_or_not() {
        let values = BTreeMap::from([("crm-acme", "k"), ("crm-broken", "down"), ("crm-empty", "")]);
        let store = Arc::new(Store { values: Mutex::new(values), asked: Mutex::default() });
        let secrets = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, []).await;
        let name = named("crm-{path:tenant}", &secrets).expect("a name");
        for _ in 0..3 {
            assert_eq!(found(&name, "acme").await.as_deref(), Some("k"));
            assert_eq!(found(&name, "none").await, None);
            assert_eq!(found(&name, "empty").await, None);
        }
        assert_eq!(*store.asked.lock(), ["crm-acme", "crm-none", "crm-empty"]);
        // What failed is asked for again, and what is unknown after a while: it may have been added.
        for _ in 0..2 {
            assert!(matches!(name.of(b"broken").await, Lookup::Unavailable(_)));
        }
        tokio::time::advance(REFRESH_EVERY).await;
        assert_eq!(found(&name, "none").await, None);
        assert_eq!(store.asked.lock().iter().filter(|name| name.as_str() == "crm-none").count(), 2);
        assert_eq!(store.asked.lock().iter().filter(|name| name.as_str() == "crm-broken").count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_was_deleted_or_rotated_counts_until_it_is_looked_up_again() {
        let values = BTreeMap::from([("crm-acme", "k"), ("crm-b", "k")]);
        let store = Arc::new(Store { values: Mutex::new(values), asked: Mutex::default() });
        let secrets = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, []).await;
        let name = named("crm-{path:tenant}", &secrets).expect("a name");
        // A request finds the value that is known, and has it looked up again.
        let later = async |tenant: &str| {
            found(&name, tenant).await;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            found(&name, tenant).await
        };
        assert_eq!((later("acme").await.as_deref(), later("b").await.as_deref()), (Some("k"), Some("k")));
        *store.values.lock() = BTreeMap::from([("crm-b", "rotated")]);
        tokio::time::advance(CHECK_EVERY - std::time::Duration::from_secs(1)).await;
        assert_eq!(later("acme").await.as_deref(), Some("k"));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!((later("acme").await.as_deref(), later("b").await.as_deref()), (None, Some("rotated")));
        // It may be added again, and a store that is away takes nothing from anybody.
        *store.values.lock() = BTreeMap::from([("crm-acme", "new"), ("crm-b", "down")]);
        tokio::time::advance(CHECK_EVERY).await;
        assert_eq!((later("acme").await.as_deref(), later("b").await.as_deref()), (Some("new"), Some("rotated")));
    }
}
