//! Sessions of browsers, in memory: a restart ends them.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use towpath_operate::token;

use super::session::{Session, digest};

/// A session ends after this long without a request.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// The most sessions. One more ends the one that was not used for longest.
const MOST: usize = 1000;

/// The sessions by the digests of their ids: what is in memory lets nobody in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Open>>);

struct Open {
    session: Session,
    used: Instant,
}

impl Open {
    fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
    }
}

impl Sessions {
    /// Opens a session. Returns its id, which is shown nowhere else.
    pub(crate) fn open(&self, session: Session) -> String {
        let id = token::made();
        let now = Instant::now();
        let mut open = self.0.lock();
        open.retain(|_, open| !open.is_idle(now));
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, open)| open.used).map(|(digest, _)| *digest)
        {
            open.remove(&oldest);
        }
        open.insert(digest(&id), Open { session, used: now });
        id
    }

    /// Whose session this is, unless it has ended.
    pub(crate) fn find(&self, id: &str) -> Option<Session> {
        let now = Instant::now();
        let mut open = self.0.lock();
        let found = open.get_mut(&digest(id)).filter(|open| !open.is_idle(now))?;
        found.used = now;
        Some(found.session.clone())
    }

    /// Ends a session. Returns whose it was.
    pub(crate) fn close(&self, id: &str) -> Option<Session> {
        self.0.lock().remove(&digest(id)).map(|open| open.session)
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::Role;
    use super::*;

    fn ann() -> Session {
        Session { by: "ann".to_owned(), role: Role::Viewer }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_hours_without_a_request_or_when_it_is_closed() {
        let sessions = Sessions::default();
        let id = sessions.open(ann());
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(sessions.find(&id), Some(ann()), "and it counts from here");
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(sessions.find(&id), Some(ann()));
        tokio::time::advance(IDLE).await;
        assert_eq!(sessions.find(&id), None);
        let id = sessions.open(ann());
        assert_eq!(sessions.0.lock().len(), 1, "the one that ended is gone");
        assert_eq!(sessions.close(&id), Some(ann()));
        assert_eq!((sessions.find(&id), sessions.find("")), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_take_no_more_memory_than_a_thousand() {
        let sessions = Sessions::default();
        let first = sessions.open(ann());
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            sessions.open(ann());
        }
        assert_eq!(sessions.find(&first), None);
        assert_eq!(sessions.0.lock().len(), MOST);
    }
}
