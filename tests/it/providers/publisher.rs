//! The servers of a case's sender, on a local one: what it publishes, and calls that confirm handshakes.

use std::sync::{Arc, Mutex};

use axum::http::Method;
use towpath_keys::{CallError, Outbound, Remote};
use towpath_tests::target::{Answer, Target};
use towpath_types::clock::Timestamp;
use towpath_verify::fetched::{Key, KeySource, Unavailable, Wanted};
use url::Url;

use super::case::Published;

/// Sends every request of the host to a local server instead of the sender's.
#[derive(Clone)]
pub(super) struct Publisher {
    server: Arc<Target>,
    remote: Remote,
    called: Arc<Mutex<Vec<(Method, String)>>>,
}

impl Publisher {
    pub(super) async fn of(published: &[Published]) -> Publisher {
        let published: Vec<_> = published.iter().map(|one| (local(&one.url), one.status, one.body.clone())).collect();
        let server = Target::answering(move |call| {
            let found = published.iter().find(|(path, ..)| call.path.strip_prefix('/') == Some(path));
            match found {
                Some((_, status, body)) => Answer::Status(*status, body.clone()),
                None if call.path.starts_with(CONFIRM) => Answer::Status(200, String::new()),
                None => Answer::Status(404, String::new()),
            }
        });
        Publisher { server: Arc::new(server.await), remote: Remote::default(), called: Arc::default() }
    }

    /// The calls that confirm handshakes, as they were meant.
    pub(super) fn called(&self) -> Vec<(Method, String)> {
        self.called.lock().unwrap().clone()
    }

    fn here(&self, path: &str) -> Url {
        format!("{}{path}", self.server.url).parse().unwrap()
    }
}

/// Where calls arrive.
const CONFIRM: &str = "/confirm/";

/// A URL as one segment of a path.
fn local(url: &str) -> String {
    url.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait::async_trait]
impl KeySource for Publisher {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        let url = self.here(&format!("/{}", local(wanted.url.as_str())));
        // The case's clock is not the machine's.
        let arrived = Timestamp(0);
        self.remote.keys(&Wanted { url, allow_private: true, arrived, ..wanted.clone() }).await
    }
}

#[async_trait::async_trait]
impl Outbound for Publisher {
    async fn call(&self, method: Method, url: Url, _: bool) -> Result<(), CallError> {
        self.called.lock().unwrap().push((method.clone(), url.to_string()));
        self.remote.call(method, self.here(&format!("{CONFIRM}{}", local(url.as_str()))), true).await
    }
}
