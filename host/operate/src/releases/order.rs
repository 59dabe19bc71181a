//! Moves of channels: promote, roll back, pin and unpin.

use towpath_registry::{Move, Pointer, PublishError, Registry, RegistryError};
use towpath_types::clock::Clock;

use super::{Releases, check_name, check_plugin, chosen};
use crate::audit::Audit;
use crate::place::Found;

/// The longest note.
const LONGEST_NOTE: usize = 500;

/// How to move a channel of a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// To the version of another channel, or to a version.
    Promote {
        /// The other channel, or the version.
        from: String,
        /// The channel that moves.
        to: String,
    },
    /// Back to a version that it had before.
    RollBack {
        /// The channel that moves.
        channel: String,
        /// The version; absent for the one before.
        to: Option<String>,
    },
    /// A publish no longer moves it.
    Pin {
        /// The channel.
        channel: String,
        /// The version; absent for the one that it is at.
        to: Option<String>,
    },
    /// A publish moves it again.
    Unpin {
        /// The channel.
        channel: String,
    },
}

impl Order {
    /// Its name in the audit and in the moves of a pointer.
    pub fn action(&self) -> &'static str {
        match self {
            Order::Promote { .. } => "promote",
            Order::RollBack { .. } => "rollback",
            Order::Pin { .. } => "pin",
            Order::Unpin { .. } => "unpin",
        }
    }

    /// The channel that moves.
    pub fn channel(&self) -> &str {
        match self {
            Order::Promote { to, .. } => to,
            Order::RollBack { channel, .. } | Order::Pin { channel, .. } | Order::Unpin { channel } => channel,
        }
    }

    /// The version that the operator named.
    fn version(&self) -> Option<&str> {
        match self {
            Order::Promote { from, .. } => Some(from),
            Order::RollBack { to, .. } | Order::Pin { to, .. } => to.as_deref(),
            Order::Unpin { .. } => None,
        }
    }

    /// The command that does the same.
    pub fn command(&self, name: &str) -> String {
        let to = |to: &Option<String>| to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
        match self {
            Order::Promote { from, to } => format!("towpath plugin promote {name} --from {from} --to {to}"),
            Order::RollBack { channel, to: version } => {
                format!("towpath plugin rollback {name}{} --channel {channel}", to(version))
            }
            Order::Pin { channel, to: version } => {
                format!("towpath plugin pin {name}{} --channel {channel}", to(version))
            }
            Order::Unpin { channel } => format!("towpath plugin pin {name} --off --channel {channel}"),
        }
    }

    /// Moves the channel, in somebody's name.
    pub async fn apply(&self, registry: &Registry, name: &str, by: &str) -> anyhow::Result<Pointer> {
        check_name("channel", self.channel())?;
        let at = Clock::wall().now();
        let made =
            |version: &str| Move { version: version.to_owned(), how: self.action().to_owned(), at, by: by.to_owned() };
        Ok(match self {
            Order::Promote { from, to } => {
                let seen = registry.look(name, to).await?;
                let chosen = chosen(registry, name, from).await?;
                // A release that hosts would not load is not promoted.
                registry.release(name, &chosen).await?;
                let made = made(&chosen.version);
                registry.advance(name, to, seen, chosen, made).await?
            }
            Order::RollBack { channel, to } => registry.roll_back(name, channel, to.as_deref(), made).await?,
            Order::Pin { channel, to } => {
                let to = match to {
                    Some(version) => Some(chosen(registry, name, version).await?),
                    None => None,
                };
                if let Some(to) = &to {
                    registry.release(name, to).await?;
                }
                registry.pin(name, channel, to, true, made).await?
            }
            Order::Unpin { channel } => registry.pin(name, channel, None, false, made).await?,
        })
    }
}

/// Why a channel was not moved.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The operator gave no reason, or not in one line.
    #[error("say why, in a note of one line and at most {LONGEST_NOTE} bytes")]
    Note,
    /// The channel is not where it must be, or it is pinned.
    #[error("{0}")]
    Conflict(PublishError),
    /// This process cannot move it; somebody else may.
    #[error("{problem}. Nothing was moved. Where that is possible, run `{command}`")]
    Elsewhere {
        /// What is missing here.
        problem: String,
        /// The command.
        command: String,
    },
}

/// Moves a channel in the name of `found.by`, and writes before and after it to the audit. It signs nothing: a channel whose pointers are signed is
/// moved by the command, where the key is.
pub async fn carry_out(
    found: &Found,
    releases: &Releases,
    name: &str,
    order: &Order,
    note: &str,
) -> anyhow::Result<Pointer> {
    let note = note.trim();
    if note.is_empty() || note.len() > LONGEST_NOTE || note.chars().any(char::is_control) {
        return Err(OrderError::Note.into());
    }
    check_name("channel", order.channel())?;
    order.version().map_or(Ok(()), |version| check_name("version", version))?;
    let registry = releases.registry()?;
    check_plugin(registry, name).await?;
    let audit = Audit::of(found);
    audit.moves(order.action(), note, name, order.channel(), order.version())?;
    let done = order.apply(registry, name, &found.by).await;
    let (outcome, version) = match &done {
        Ok(pointer) => ("done", Some(pointer.current.version.as_str())),
        Err(_) => ("failed", None),
    };
    let recorded = audit.moved(order.action(), outcome, name, order.channel(), version);
    let pointer = done.map_err(|error| in_words(error, order, name))?;
    recorded?;
    Ok(pointer)
}

/// The error, with the command to run where this process cannot do it.
fn in_words(error: anyhow::Error, order: &Order, name: &str) -> anyhow::Error {
    let elsewhere = |problem: String, option: &str| {
        let command = format!("{}{option}", order.command(name));
        OrderError::Elsewhere { problem, command }
    };
    let error = match error.downcast::<PublishError>() {
        Ok(PublishError::NoKey { .. }) => {
            let channel = order.channel();
            let problem = format!("pointers of this registry are signed, and the console has no key to move {channel}");
            return elsewhere(problem, " --key FILE").into();
        }
        Ok(PublishError::Registry(RegistryError::Artifacts(error))) => {
            return elsewhere(format!("the registry cannot be written: {error}"), "").into();
        }
        Ok(error @ (PublishError::Registry(_) | PublishError::Taken { .. })) => return error.into(),
        Ok(error) => return OrderError::Conflict(error).into(),
        Err(error) => error,
    };
    match error.downcast::<RegistryError>() {
        Ok(RegistryError::Artifacts(error)) => elsewhere(format!("the registry cannot be read: {error}"), "").into(),
        Ok(error) => error.into(),
        Err(error) => error,
    }
}
