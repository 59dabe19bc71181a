use tempfile::TempDir;

use super::*;
use crate::dlq::filter::Conditions;
use crate::dlq::stock::stock;

async fn look(found: &Found, conditions: &Conditions, cursor: Option<&str>, limit: usize) -> anyhow::Result<Page> {
    let mut letters = open(&found.backend, false, cursor, limit).await?;
    page(found, &mut *letters, Filter::new(conditions.clone(), Vec::new()), limit, cursor.is_none()).await
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_and_none_is_missed_or_seen_twice() {
    let folder = TempDir::new().expect("folder");
    let kinds: Vec<(String, &str)> =
        (0..25).map(|number| (format!("{number}"), if number % 3 == 0 { "refused" } else { "rejected" })).collect();
    let kinds: Vec<_> = kinds.iter().map(|(body, reason)| ("g", *reason, body.as_str())).collect();
    let (found, _) = stock(folder.path(), &kinds).await;
    for (reason, limit, expected) in
        [(None, 10, 25), (None, 25, 25), (Some("refused"), 4, 9), (Some("rejected"), 1, 16)]
    {
        let conditions = Conditions { reason: reason.map(str::to_owned), ..Conditions::default() };
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = look(&found, &conditions, cursor.as_deref(), limit).await.expect("a page");
            assert!(page.letters.len() <= limit && page.all == 25);
            seen.extend(page.letters.into_iter().map(|letter| letter.death.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let before = seen.len();
        seen.dedup();
        assert_eq!((before, seen.len()), (expected, expected), "{reason:?} by {limit}");
    }
}

#[tokio::test]
async fn a_look_for_what_is_not_there_is_bounded_and_says_where_to_go_on() {
    let folder = TempDir::new().expect("folder");
    let most = usize::try_from(MOST_LOOKED_AT).expect("a number");
    let kinds = vec![("g", "refused", "x"); most + 5];
    let (found, _) = stock(folder.path(), &kinds).await;
    let nothing = Conditions { text: Some("nowhere".to_owned()), ..Conditions::default() };
    let first = look(&found, &nothing, None, 50).await.expect("a page");
    assert_eq!((first.letters.len(), first.looked_at, first.all), (0, MOST_LOOKED_AT, MOST_LOOKED_AT + 5));
    let last = look(&found, &nothing, first.next.as_deref(), 50).await.expect("a page");
    assert_eq!((last.looked_at, last.next), (5, None));
}

#[tokio::test]
async fn a_name_that_is_nowhere_is_an_error_and_not_an_empty_page() {
    let folder = TempDir::new().expect("folder");
    let (found, _) = stock(folder.path(), &[("g", "refused", "x")]).await;
    let typo = Conditions { route: Some("cmr".to_owned()), ..Conditions::default() };
    let error = look(&found, &typo, None, 50).await.expect_err("a typo").to_string();
    assert_eq!(error, "there is no route \"cmr\"; known are: crm");
}

#[tokio::test]
async fn the_store_counts_letters_and_knows_the_others_of_a_group() {
    let folder = TempDir::new().expect("folder");
    let kinds = [("a", "refused", "1"), ("b", "refused", "2"), ("a", "parked", "3"), ("a", "parked", "4")];
    let (found, _) = stock(folder.path(), &kinds).await;
    let counts = standing(&found.backend, false).await.expect("read").expect("a local store");
    let counts: Vec<_> = counts.iter().map(|one| (one.route.as_deref(), one.reason.as_str(), one.letters)).collect();
    assert_eq!(counts, [(Some("crm"), "parked", 2), (Some("crm"), "refused", 2)]);
    assert_eq!(standing(&found.backend, true).await.expect("read"), Some(Vec::new()));
    let of_a = look(&found, &Conditions::default(), None, 1).await.expect("a page").letters.remove(0);
    for (most, expected, more) in [(1, 1, true), (2, 2, false), (9, 2, false)] {
        let (others, is_more) = neighbours(&found.backend, false, &of_a, most).await.expect("read").expect("local");
        assert_eq!((others.len(), is_more), (expected, more), "{most}");
    }
}

#[tokio::test]
async fn a_long_page_of_large_letters_reads_little_more_than_its_budget() {
    let folder = TempDir::new().expect("folder");
    let large = "x".repeat(1_000_000);
    let (found, _) = stock(folder.path(), &[("g", "refused", large.as_str()); 40]).await;
    let mut letters = open(&found.backend, false, None, 500).await.expect("letters");
    let filter = Filter::new(Conditions::default(), Vec::new());
    let page = page(&found, &mut *letters, filter, 500, true).await.expect("a page");
    assert_eq!((page.letters.len(), page.next.is_some()), (MOST_BYTES.div_ceil(large.len()), true));
    let rest = letters.next().await.expect("letters");
    assert_eq!(rest.len(), 40 - 2 * AT_A_TIME, "they were not read before");
}
