//! Sessions of browsers, in memory: a restart ends them.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;
use towpath_operate::token;

use super::session::{Session, digest};
use super::streams::Streams;

/// A session ends after this long without a request.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// The most sessions. One more ends the one that was not used for longest.
const MOST: usize = 1000;

/// The sessions by the digests of their ids: what is in memory lets nobody in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Open>>);

struct Open {
    session: Session,
    streams: Streams,
    /// Ends the streams.
    _end: DropGuard,
}

impl Open {
    fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.streams.used()) >= IDLE
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
            && let Some(oldest) = open.iter().min_by_key(|(_, open)| open.streams.used()).map(|(digest, _)| *digest)
        {
            open.remove(&oldest);
        }
        let (streams, end) = Streams::new(IDLE);
        open.insert(digest(&id), Open { session, streams, _end: end });
        id
    }

    /// Whose session this is, unless it has ended, and its streams.
    pub(crate) fn find(&self, id: &str) -> Option<(Session, Streams)> {
        let now = Instant::now();
        let open = self.0.lock();
        let found = open.get(&digest(id)).filter(|open| !open.is_idle(now))?;
        found.streams.touch(now);
        Some((found.session.clone(), found.streams.clone()))
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

    fn found(sessions: &Sessions, id: &str) -> Option<Session> {
        sessions.find(id).map(|(session, _)| session)
    }

    fn ann() -> Session {
        Session { by: "ann".to_owned(), role: Role::Viewer }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_hours_without_a_request_or_when_it_is_closed() {
        let sessions = Sessions::default();
        let id = sessions.open(ann());
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(found(&sessions, &id), Some(ann()), "and it counts from here");
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(found(&sessions, &id), Some(ann()));
        tokio::time::advance(IDLE).await;
        assert_eq!(found(&sessions, &id), None);
        let id = sessions.open(ann());
        assert_eq!(sessions.0.lock().len(), 1, "the one that ended is gone");
        assert_eq!(sessions.close(&id), Some(ann()));
        assert_eq!((found(&sessions, &id), found(&sessions, "")), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn streams_end_with_their_session_however_it_ends() {
        let sessions = Sessions::default();
        let id = sessions.open(ann());
        let (_, streams) = sessions.find(&id).expect("a session");
        let began = Instant::now();
        let request = async {
            tokio::time::sleep(IDLE / 2).await;
            assert!(sessions.find(&id).is_some());
        };
        tokio::join!(streams.ended(), request);
        assert_eq!(began.elapsed(), IDLE / 2 + IDLE, "twelve hours after the last request");
        let id = sessions.open(ann());
        let (_, streams) = sessions.find(&id).expect("a session");
        let began = Instant::now();
        sessions.close(&id);
        streams.ended().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_take_no_more_memory_than_a_thousand() {
        let sessions = Sessions::default();
        let first = sessions.open(ann());
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_secs(1)).await;
            sessions.open(ann());
        }
        assert_eq!(found(&sessions, &first), None);
        assert_eq!(sessions.0.lock().len(), MOST);
    }
}
