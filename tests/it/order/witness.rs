//! A target over HTTP that keeps its books.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use tokio::task::JoinSet;

use super::Plan;
use super::books::{Answer, Books};

/// The target. It ends when it is dropped.
pub(super) struct Witness {
    pub(super) url: String,
    pub(super) books: Books,
    _server: JoinSet<()>,
}

impl Witness {
    pub(super) async fn start(plans: &[Plan]) -> Witness {
        let books = Books::new(plans);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(books.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Witness { url, books, _server: server }
    }
}

async fn answer(State(books): State<Books>, body: Bytes) -> StatusCode {
    let number = std::str::from_utf8(&body).unwrap().parse().unwrap();
    match books.call(number, None).await {
        Answer::Taken => StatusCode::OK,
        Answer::NotNow => StatusCode::SERVICE_UNAVAILABLE,
        Answer::Refused => StatusCode::NOT_FOUND,
    }
}
