//! Sends archived events again, in order, through the queue.

pub mod compare;
mod conditions;
mod error;
mod keys;
pub mod last;
mod places;
mod plan;
mod position;
mod record;
mod run;
mod selected;

pub use conditions::Conditions;
pub use error::ReplayError;
pub use places::Places;
pub use plan::{Overtaken, Plan, plan};
pub use position::Position;
pub use record::{Listed, Record, State, list};
pub use run::{Report, Run};

pub(crate) use conditions::folder as archive_folder;
pub(crate) use record::{folder as state_folder, held, write};

use serde::{Deserialize, Serialize};

use crate::archive::Named;

/// What an operator asks for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// Which events.
    #[serde(rename = "filter")]
    pub conditions: Conditions,
    /// The archive, instead of the config's.
    #[serde(flatten)]
    pub archive: Named,
    /// The target of all requests, instead of those that the mapping names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether each event gets a new `webhook-id`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_ids: bool,
    /// Whether groups with later events are replayed too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overtaken: bool,
    /// Events per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Why; it stays on the messages.
    pub note: String,
}

#[cfg(test)]
mod tests;
