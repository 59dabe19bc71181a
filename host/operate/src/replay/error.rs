//! Why nothing is replayed.

/// Why nothing is replayed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// No condition was given.
    #[error("no events selected")]
    Everything,
    /// Old requests would overwrite newer state.
    #[error(
        "{groups} groups have later events than the last one selected, and an old request may overwrite newer state"
    )]
    Overtaken {
        /// How many groups.
        groups: usize,
    },
    /// Only a config says which targets there are.
    #[error("the targets are in the config, and no config was read")]
    NoConfig,
    /// On SQS, hosts take another target only with a key of the config.
    #[error(
        "another target must prove that an operator chose it, or whoever can send to the queue could redirect events: name a secret of 32 \
        random bytes in the config, [dead_letters] note_key = \"NAME\", here and for the hosts"
    )]
    NoNoteKey,
    /// The queue of events is in no config.
    #[error("no config names queue.url, where events are sent")]
    NoQueue,
    /// There is no such run.
    #[error("there is no replay {0:?} here")]
    NoRun(String),
    /// The run was started on another deployment.
    #[error("the replay {run} {what} {then}, not {now}")]
    Elsewhere {
        /// Its name.
        run: String,
        /// `sends to the queue` or `reads the archive`.
        what: &'static str,
        /// The queue or archive with which it was started.
        then: String,
        /// The one that is named now.
        now: String,
    },
    /// Nothing is left to do.
    #[error("the replay {0} is complete")]
    Complete(String),
    /// Two at once could send the events of a group out of order, and a replay could bring back what is erased.
    #[error("another replay runs on this store, or an erasure: wait until it ends, or stop it")]
    Running,
}
