//! Holds in the local store: one row with the operators' holds, and one for each circuit breaker.

use async_trait::async_trait;
use rusqlite::Connection;
use towpath_types::holds::{BreakerReport, Change, HoldState, Holds, HoldsError};
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::notes::{read, write};
use crate::store::Store;
use crate::writer::Durability;

/// The note with the operators' holds, and the prefix of the notes of breakers, before the target's name.
const HOLDS: &str = "holds";
const BREAKER: &str = "breaker:";

#[async_trait]
impl Holds for Store {
    async fn read(&self) -> Result<HoldState, HoldsError> {
        self.read(|connection| read(connection, HOLDS))
            .await
            .and_then(|text| parse(text.as_deref()))
            .map_err(|error| self.holds_error(&error))
    }

    async fn change(&self, change: Change) -> Result<HoldState, HoldsError> {
        let changed = self.run(Durability::Synced, move |connection| {
            let mut state = parse(read(connection, HOLDS).map_err(failed)?.as_deref())?;
            change.clone().apply(&mut state);
            write(connection, HOLDS, &serde_json::to_string(&state).unwrap_or_default()).map_err(failed)?;
            Ok(state)
        });
        changed.await.map_err(|error| self.holds_error(&error))
    }

    async fn report(&self, report: BreakerReport) -> Result<(), HoldsError> {
        let name = format!("{BREAKER}{}", report.target);
        let text = serde_json::to_string(&report).unwrap_or_default();
        let written = self.run(Durability::Written, move |connection| write(connection, &name, &text).map_err(failed));
        written.await.map_err(|error| self.holds_error(&error))
    }

    async fn reports(&self, targets: &[String]) -> Result<Vec<BreakerReport>, HoldsError> {
        let names: Vec<String> = targets.iter().map(|target| format!("{BREAKER}{target}")).collect();
        let read_all = move |connection: &Connection| {
            let texts = names.iter().map(|name| read(connection, name)).collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(texts.into_iter().flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect())
        };
        self.read(read_all).await.map_err(|error| self.holds_error(&error))
    }
}

impl Store {
    fn holds_error(&self, error: &QueueError) -> HoldsError {
        let problem = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        HoldsError { place: self.file().display().to_string(), problem }
    }
}

fn parse(text: Option<&str>) -> Result<HoldState, QueueError> {
    let Some(text) = text else { return Ok(HoldState::default()) };
    serde_json::from_str(text)
        .map_err(|error| QueueError::Unavailable { queue: HOLDS.to_owned(), source: Box::new(error) })
}
