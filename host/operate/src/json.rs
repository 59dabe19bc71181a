//! What commands print with `--json`: one shape for each thing, apart from the forms in which it is stored.
//!
//! A time is RFC 3339 in UTC with milliseconds, and its key ends in `_at`. A duration has its unit in the key (`_ms`, `_seconds`). The id
//! under which a message was first stored is `message_id`, everywhere.

mod archive;
mod audit;
mod erase;
mod groups;
mod history;
mod holds;
mod job;
mod letter;
mod plugin;
mod redrive;
mod release;
mod replay;
#[cfg(feature = "schema")]
mod schema;
mod secret;
mod stats;
mod status;
mod story;
mod time;
mod timeline;
mod view;

#[cfg(test)]
mod tests;

pub use archive::{Archived, ArchivedWhole, InArchive};
pub use audit::{Action, AuditPage, Audited};
pub use erase::{Erasure, ErasurePlan};
pub use groups::{Group, GroupAction, Groups};
pub use history::History;
pub use holds::{Holds, Resumed};
pub use job::Job;
pub use letter::{Edited, LetterPage, Listed, Previewed, Whole};
pub use plugin::{Plugin, Plugins};
pub use redrive::{Dropped, Plan, Report};
pub use release::{Pointer, Release, ReleaseDifference, Version};
pub use replay::{Compared, ReplayPlan, ReplayRun, Replayed};
pub use secret::{Secret, SecretValue};
pub use stats::Counted;
pub use status::{Status, Targets};
pub use story::{Traced, line};
pub use time::Rfc3339;
pub use timeline::{EventBody, Timeline};
pub use view::{Build, View};
