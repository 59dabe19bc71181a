//! Operators' actions: inspect queues and letters, redrive, edit, drop, hold, follow. Functions take plain arguments and return plain data.
//! Nothing here prints or knows a command line: errors name things, not options.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(not(feature = "aws"))]
#[path = "no_aws.rs"]
pub mod aws;

pub mod archive;
pub mod audit;
pub mod builds;
pub mod config;
#[cfg(feature = "aws")]
pub mod deploy;
pub mod dlq;
pub mod erase;
pub mod event;
pub mod groups;
pub mod history;
pub mod hold;
pub mod json;
pub mod known;
pub mod letters;
pub mod live;
pub mod moment;
pub mod note_keys;
mod pace;
pub mod place;
pub mod plugins;
pub mod post;
pub mod providers;
pub mod queues;
pub mod record;
pub mod redact;
pub mod releases;
pub mod replay;
pub mod routed;
pub mod secret;
pub mod secret_headers;
pub mod set;
pub mod shown;
pub mod status;
pub mod stop;
pub mod story;
pub mod tail;
pub mod timeline;
pub mod token;
pub mod trace;
pub mod trial;
pub mod verdict;
pub mod views;
pub mod waiting;
