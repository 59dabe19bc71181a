//! Secrets: their sources, their errors, and that they are never shown.

use super::secret::REFRESH_EVERY;
use super::*;
use async_trait::async_trait;
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns `1`, `2`, … for each fetch, and fails for `away`.
#[derive(Default)]
struct Counting(AtomicU32);

#[async_trait]
impl SecretStore for Counting {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        match name {
            "away" => Err("AccessDeniedException".into()),
            _ => Ok((self.0.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
        }
    }
}

/// Returns this value for every name.
struct Fixed(Mutex<String>);

#[async_trait]
impl SecretStore for Fixed {
    async fn fetch(&self, _: &str) -> Result<String, NotFetched> {
        Ok(self.0.lock().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_secret_is_refreshed_at_a_limited_rate() {
    let secrets = Secrets::from_store(Arc::new(Counting::default()), ["token".to_owned()]).await;
    let (secret, other) =
        (secrets.get("token", Form::Key).expect("token"), secrets.get("token", Form::Key).expect("token"));
    assert_eq!(&*secret.expose(), "1");
    assert!(secret.is_renewed("1").await);
    assert_eq!(&*other.expose(), "2", "clones share the value");
    assert!(other.is_renewed("1").await, "somebody else asked already");
    assert!(!secret.is_renewed("2").await, "it was asked for a moment ago");
    tokio::time::advance(REFRESH_EVERY).await;
    assert!(secret.is_renewed("2").await);
    assert!(!Secret::new("x").is_renewed("x").await, "a value from the environment does not change");
}

#[tokio::test]
async fn an_unavailable_secret_is_reported_by_name() {
    let secrets = Secrets::from_store(Arc::new(Counting::default()), ["away".to_owned()]).await;
    let (problem, _) = secrets.get("away", Form::Key).expect_err("away");
    assert_eq!(problem, "the secret \"away\" is not available: AccessDeniedException");
}

#[test]
fn placeholders_record_the_requested_names() {
    let secrets = Secrets::placeholders();
    assert!(secrets.get("b", Form::Header).is_ok() && secrets.clone().get("a", Form::Header).is_ok());
    assert_eq!(secrets.asked(), ["a".to_owned(), "b".to_owned()].into());
}

#[test]
fn a_secret_is_found_under_the_name_of_its_variable() {
    assert_eq!(variable("sss-token"), "TOWPATH_SECRET_SSS_TOKEN");
    assert!(Secrets::of([("a.b".to_owned(), "x".to_owned())]).get("a-b", Form::Key).is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_final_line_break_is_ignored_whatever_the_source() {
    for (value, expected) in [
        ("token\n", "token"),
        ("token\r\n", "token"),
        ("token\n\n", "token\n"),
        ("token \n", "token "),
        ("to\nken", "to\nken"),
    ] {
        let of = Secrets::of([("token".to_owned(), value.to_owned())]);
        let store = Arc::new(Fixed(Mutex::new(value.to_owned())));
        let stored = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, ["token".to_owned()]).await;
        for secrets in [of, stored.clone()] {
            let secret = secrets.get("token", Form::Key).expect("token");
            assert_eq!(&*secret.expose(), expected, "{value:?}");
        }
        *store.0.lock() = format!("new-{value}");
        let secret = stored.get("token", Form::Key).expect("token");
        assert!(secret.is_renewed(expected).await, "{value:?}");
        assert_eq!(*secret.expose(), format!("new-{expected}"), "{value:?}");
        *store.0.lock() = format!("new-{expected}\n");
        tokio::time::advance(REFRESH_EVERY).await;
        let renewed = secret.is_renewed(&format!("new-{expected}")).await;
        assert!(!renewed, "{value:?}: with another line break it is the same");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_value_never_replaces_a_usable_one() {
    let store = Arc::new(Fixed(Mutex::new("good".to_owned())));
    let secrets = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, ["token".to_owned()]).await;
    let secret = secrets.get("token", Form::Header).expect("token");
    for malformed in ["", "\n", "to\nken", "to\u{0}ken", " token"] {
        *store.0.lock() = malformed.to_owned();
        tokio::time::advance(REFRESH_EVERY).await;
        assert!(!secret.is_renewed("good").await, "{malformed:?}");
        assert_eq!(&*secret.expose(), "good");
    }
}

#[test]
fn an_unusable_value_is_reported_only_by_the_name_of_its_secret() {
    let secrets = Secrets::of([("sss-token".to_owned(), "planted\nvalue".to_owned())]);
    let (problem, hint) = secrets.get("sss-token", Form::Header).expect_err("a line break");
    assert_eq!(problem, "the secret \"sss-token\" cannot be used: it has a control character, such as a line break");
    assert!(hint.contains("TOWPATH_SECRET_SSS_TOKEN") && !format!("{problem}{hint}").contains("planted"));
    let (problem, _) = Secrets::of([("a".to_owned(), "\n".to_owned())]).get("a", Form::Key).expect_err("empty");
    assert_eq!(problem, "the secret \"a\" cannot be used: it is empty");
}
