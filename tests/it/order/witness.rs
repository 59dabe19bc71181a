//! A target over HTTP that keeps its books.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use towpath_tests::server::Server;

use super::Plan;
use super::books::{Answer, Books};

/// The target. It ends when it is dropped.
pub(super) struct Witness {
    pub(super) url: String,
    pub(super) books: Books,
    _server: Server,
}

impl Witness {
    pub(super) async fn start(plans: &[Plan]) -> Witness {
        let books = Books::new(plans);
        let server = Server::start(Router::new().fallback(answer).with_state(books.clone())).await;
        Witness { url: server.url.clone(), books, _server: server }
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
