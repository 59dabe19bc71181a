//! An HTTP server on a free port.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The server. It ends when it is dropped.
pub struct Server {
    /// Its base URL.
    pub url: String,
    ends: CancellationToken,
    tasks: JoinSet<()>,
}

impl Server {
    /// Serves this.
    pub async fn start(router: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ends = CancellationToken::new();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service).with_graceful_shutdown(ends.clone().cancelled_owned());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { served.await.unwrap() });
        Server { url, ends, tasks }
    }

    /// A server that answers everything and records nothing, and that lives as long as its runtime: its URL.
    pub async fn plain() -> String {
        let router = Router::new().fallback(async |body: axum::body::Bytes| body.len().to_string());
        let server = Server::start(router).await;
        let url = server.url.clone();
        std::mem::forget(server);
        url
    }

    /// Ends it once every request is answered: kept connections are closed, and new ones are refused.
    pub async fn finish(&mut self) {
        self.ends.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }

    /// Ends it at once: from now on connections to its address are refused, and kept ones are closed.
    pub async fn stop(&mut self) {
        self.ends.cancel();
        self.tasks.shutdown().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}
