//! The embedded queue: durable FIFO queues with dead-letter queues in one SQLite file, behaving as SQS
//! FIFO does where it matters.
//!
//! Kill the process at any moment and nothing that was answered is lost: a send is synced to the disk
//! before it returns, and may be received before that. Receives and deletes do not wait for a sync: a crash
//! of the process keeps them, a power cut may undo the last ones, and then messages come again, in order.
//!
//! Every operation costs the same whatever the backlog: each touches the rows that it is about, found by
//! index. Several processes may open one file.

mod browse;
mod checkpoint;
mod compact;
mod connection;
mod counts;
mod disk;
mod error;
mod expired;
mod folder;
mod former;
mod handle;
mod holds;
mod lane;
mod letters;
pub mod limits;
mod moves;
mod notes;
mod operations;
mod purge;
mod queue;
mod queues;
mod reader;
mod receive;
mod recover;
mod replay;
mod rows;
mod schema;
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

pub use browse::{Browsed, Depth, GroupDepth};
pub use compact::{Compacted, compact};
pub use counts::{LetterCount, Standing};
pub use error::StoreError;
pub use letters::{Hidden, SentBack};
pub use moves::{MAX_MOVES_PER_SECOND, MoveError, MoveStatus, MoveTask};
pub use queue::LocalQueue;
pub use queues::{Made, Refused, Unchanged};
pub use recover::{Recovered, recover};
pub use send::{Extras, content_dedup_id};
pub use settings::{
    DedupScope, KEPT_FOR_EVER, QueueSettings, REDRIVE_ALLOW, RedriveAllow, RedriveAllowError, RedrivePolicy,
};
pub use store::Store;
pub use taken::Taken;
