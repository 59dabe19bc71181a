//! Holds in S3: one object for the operators' decisions, and one per breaker.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use towpath_config::S3Url;
use towpath_types::backoff::Backoff;
use towpath_types::holds::{BreakerReport, Change, HoldState, Holds, HoldsError};

use crate::error::in_words;
use crate::object;

/// Attempts at a change while others change the object concurrently.
const TRIES: u32 = 8;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_millis(400) };

/// The state of holds in S3.
pub struct S3Holds {
    client: Client,
    url: S3Url,
}

impl S3Holds {
    pub fn new(client: Client, url: S3Url) -> S3Holds {
        S3Holds { client, url }
    }

    fn failed<E>(&self, error: SdkError<E>) -> HoldsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.error(in_words(&error))
    }

    fn error(&self, problem: String) -> HoldsError {
        HoldsError { place: self.url.to_string(), problem }
    }

    /// The object's bytes and version; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Option<String>)>, HoldsError> {
        object::get(&self.client, &self.url.bucket, key, object::SETTINGS).await.map_err(|problem| self.error(problem))
    }

    async fn state(&self) -> Result<(HoldState, Option<String>), HoldsError> {
        let Some((bytes, version)) = self.get(&self.url.key).await? else { return Ok((HoldState::default(), None)) };
        let state = serde_json::from_slice(&bytes).map_err(|error| self.error(format!("not a state: {error}")))?;
        Ok((state, version))
    }

    fn breaker(&self, target: &str) -> String {
        format!("{}.breakers/{target}.json", self.url.key)
    }
}

#[async_trait]
impl Holds for S3Holds {
    async fn read(&self) -> Result<HoldState, HoldsError> {
        Ok(self.state().await?.0)
    }

    async fn change(&self, change: Change) -> Result<HoldState, HoldsError> {
        for attempt in 1..=TRIES {
            let (mut state, version) = self.state().await?;
            change.clone().apply(&mut state);
            let body = serde_json::to_vec_pretty(&state).map_err(|error| self.error(error.to_string()))?;
            let put = self.client.put_object().bucket(&self.url.bucket).key(&self.url.key);
            let put = put.content_type("application/json").body(ByteStream::from(body));
            // Written only if nobody else wrote since it was read.
            let put = match version {
                Some(version) => put.if_match(version),
                None => put.if_none_match("*"),
            };
            match put.send().await {
                Ok(_) => return Ok(state),
                Err(error) if matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                    tokio::time::sleep(BACKOFF.plain(attempt)).await;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(self.error(format!("{TRIES} attempts failed because others changed it at the same time; try again")))
    }

    async fn report(&self, report: BreakerReport) -> Result<(), HoldsError> {
        let body = serde_json::to_vec(&report).map_err(|error| self.error(error.to_string()))?;
        let put = self.client.put_object().bucket(&self.url.bucket).key(self.breaker(&report.target));
        put.content_type("application/json").body(ByteStream::from(body)).send().await.map_err(|e| self.failed(e))?;
        Ok(())
    }

    async fn reports(&self, targets: &[String]) -> Result<Vec<BreakerReport>, HoldsError> {
        let mut reports = Vec::new();
        for target in targets {
            if let Some((bytes, _)) = self.get(&self.breaker(target)).await? {
                reports.extend(serde_json::from_slice::<BreakerReport>(&bytes).ok());
            }
        }
        Ok(reports)
    }
}
