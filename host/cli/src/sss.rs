//! A fake SSS: a target that reports its requests and answers by a script.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_runtime::tasks::Tasks;

use towpath_compose::server::Guard;

/// How long a slow answer takes: longer than any sensible timeout.
const SLOW: Duration = Duration::from_secs(60);

/// One way to misbehave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// Answer with this status.
    Status(StatusCode),
    /// Answer after a minute.
    Slow,
    /// Drop the connection within the answer.
    Reset,
}

/// A script: moods in order, each with a duration; one without never ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chaos(Vec<(Mood, Option<Duration>)>);

impl FromStr for Chaos {
    type Err = String;

    fn from_str(script: &str) -> Result<Chaos, String> {
        let steps = script.split(',').filter(|step| !step.is_empty());
        let step = |step: &str| {
            let (kind, length) = step.split_once(':').map_or((step, None), |(kind, length)| (kind, Some(length)));
            let mood = match kind {
                "slow" => Mood::Slow,
                "reset" => Mood::Reset,
                status => match status.parse::<StatusCode>() {
                    Ok(status) => Mood::Status(status),
                    Err(_) => return Err(format!("{status:?} is not a status, slow or reset")),
                },
            };
            let length = length.map(humantime::parse_duration).transpose();
            Ok((mood, length.map_err(|error| format!("{step:?}: {error}; write 503:30s, for example"))?))
        };
        steps.map(step).collect::<Result<_, _>>().map(Chaos)
    }
}

impl Chaos {
    fn mood(&self, elapsed: Duration) -> Option<Mood> {
        let mut until = Duration::ZERO;
        for (mood, length) in &self.0 {
            until = length.map_or(Duration::MAX, |length| until.saturating_add(length));
            if elapsed < until {
                return Some(*mood);
            }
        }
        None
    }
}

/// One request that the fake SSS answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) webhook_id: String,
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Called for every request.
pub(crate) type Show = Box<dyn Fn(&Call) + Send + Sync>;

/// The fake SSS.
#[derive(Clone)]
pub(crate) struct Sss(Arc<Shared>);

struct Shared {
    script: Mutex<(Chaos, Instant)>,
    show: Show,
}

impl Sss {
    /// Starts on a free port and runs until `stop` is cancelled. Every request is passed to `show`.
    pub(crate) async fn start(
        chaos: Chaos,
        show: Show,
        stop: CancellationToken,
        tasks: &mut Tasks,
    ) -> anyhow::Result<(Sss, SocketAddr)> {
        let shared = Shared { script: Mutex::new((chaos, Instant::now())), show };
        let sss = Sss(Arc::new(shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting the fake SSS")?;
        let address = listener.local_addr().context("starting the fake SSS")?;
        let router = Router::new().fallback(answer).with_state(sss.clone());
        let serve = towpath_compose::server::serve(listener, router, Guard::default(), CancellationToken::new());
        tasks.spawn("fake target", async move {
            stop.run_until_cancelled(serve).await;
        });
        Ok((sss, address))
    }

    /// Starts this script now.
    pub(crate) fn play(&self, chaos: Chaos) {
        *self.0.script.lock() = (chaos, Instant::now());
    }

    fn mood(&self) -> Option<Mood> {
        let script = self.0.script.lock();
        script.0.mood(script.1.elapsed())
    }

    /// Reports a request. Nothing is kept, because `dev` runs for days.
    fn tell(&self, call: &Call) {
        (self.0.show)(call);
    }
}

async fn answer(State(sss): State<Sss>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let webhook_id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let call = |status| Call { method: method.to_string(), path: uri.path().to_owned(), webhook_id, status, body };
    match sss.mood() {
        None => {
            sss.tell(&call(200));
            (StatusCode::OK, "{}\n").into_response()
        }
        Some(Mood::Status(status)) => {
            sss.tell(&call(status.as_u16()));
            let body = format!("the fake SSS answers {status}\n");
            match status {
                StatusCode::TOO_MANY_REQUESTS => (status, [("retry-after", "1")], body).into_response(),
                status => (status, body).into_response(),
            }
        }
        Some(Mood::Slow) => {
            sss.tell(&call(0));
            tokio::time::sleep(SLOW).await;
            (StatusCode::OK, "{}\n").into_response()
        }
        Some(Mood::Reset) => {
            sss.tell(&call(0));
            let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset by script"))]);
            Body::from_stream(broken).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_plays_its_steps_in_order_and_then_the_target_answers_200() {
        let chaos: Chaos = "503:30s,slow:10s,reset:5s".parse().expect("script");
        let at = |seconds| chaos.mood(Duration::from_secs(seconds));
        assert_eq!(at(0), Some(Mood::Status(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(at(30), Some(Mood::Slow));
        assert_eq!(at(44), Some(Mood::Reset));
        assert_eq!(at(45), None);
        let forever: Chaos = "429".parse().expect("script");
        assert_eq!(forever.mood(Duration::from_secs(1_000_000)), Some(Mood::Status(StatusCode::TOO_MANY_REQUESTS)));
        for wrong in ["50x", "503:soon", "99"] {
            assert!(wrong.parse::<Chaos>().is_err(), "{wrong}");
        }
    }
}
