//! The embedded queue: durable FIFO queues with dead-letter queues in one SQLite file, behaving as SQS
//! FIFO does where it matters.
//!
//! **Durability.** A send returns after its fsync, so neither a crash nor a power cut loses an acknowledged message. The
//! message may be received before that. Receives and deletes return after the commit, without an fsync: they survive a crash
//! of the process, but a power cut may undo the last ones. Those messages are then delivered again, in order.
//!
//! **Cost.** An operation reads only the rows that it needs, by index, so its cost does not grow with the backlog. Several
//! processes may open one store.

mod as_read;
mod bodies;
mod browse;
mod checkpoint;
mod compact;
mod connection;
mod counts;
mod disk;
mod erase;
mod error;
mod expired;
mod folder;
mod former;
mod gone;
mod group;
mod handle;
mod heads;
mod holder;
mod holds;
mod lane;
mod letters;
pub mod limits;
mod moves;
mod notes;
mod operations;
mod pace;
mod purge;
mod queue;
mod queues;
mod reader;
mod receive;
mod recover;
mod replace;
mod replay;
mod rows;
mod schema;
mod scrub;
mod seen;
mod send;
mod settings;
mod settle;
mod store;
mod taken;
mod values;
mod waker;
mod wal;
mod writer;

pub use as_read::{AsRead, Still};
pub use browse::{Browsed, Depth, GroupDepth};
pub use compact::{Compacted, compact};
pub use counts::{LetterCount, QueueCounts};
pub use erase::{Match, Searched, Wanted};
pub use error::StoreError;
pub use gone::Released;
pub use group::{Acted, Hastened, MOST_MOVED, Which};
pub use heads::{Head, MOST_BEHIND, Place, Standing};
pub use holder::Holder;
pub use letters::{Hidden, SentBack};
pub use moves::{MAX_MOVES_PER_SECOND, MoveError, MoveStatus, MoveTask};
pub use queue::LocalQueue;
pub use queues::{Made, Refused, Unchanged};
pub use recover::{Recovered, recover};
pub use scrub::Scrubbed;
pub use send::{Extras, content_dedup_id};
pub use settings::{
    DedupScope, KEPT_FOR_EVER, QueueSettings, REDRIVE_ALLOW, RedriveAllow, RedriveAllowError, RedrivePolicy,
};
pub use store::Store;
pub use taken::Taken;
