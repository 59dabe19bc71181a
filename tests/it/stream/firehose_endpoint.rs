//! As much of Firehose as an archive needs (AWS JSON 1.1): it records what it accepts, and answers as a test says.

use std::sync::{Arc, Mutex};

use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use towpath_tests::server::Server;

/// How it answers a call.
pub(super) enum Answer {
    /// It accepts every record.
    Fine,
    /// It accepts all but those at these positions.
    Refuse(&'static [usize]),
    /// The whole call fails.
    Fail,
    /// It never answers.
    Hang,
}

struct Shared {
    /// The records of each call.
    calls: Mutex<Vec<Vec<String>>>,
    /// The accepted ones.
    accepted: Mutex<Vec<String>>,
    answer: Box<dyn Fn(usize) -> Answer + Send + Sync>,
}

/// The endpoint. It ends when it is dropped.
pub(super) struct FirehoseEndpoint {
    pub(super) url: String,
    shared: Arc<Shared>,
    _server: Server,
}

impl FirehoseEndpoint {
    /// Answers its first call by `answer(0)`, and so on.
    pub(super) async fn answering(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> FirehoseEndpoint {
        let shared = Arc::new(Shared { calls: Mutex::default(), accepted: Mutex::default(), answer: Box::new(answer) });
        let router = Router::new().fallback(put).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let server = Server::start(router).await;
        FirehoseEndpoint { url: server.url.clone(), shared, _server: server }
    }

    pub(super) fn client(&self) -> aws_sdk_firehose::Client {
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "test"))
            .endpoint_url(&self.url)
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_firehose::Client::from_conf(config)
    }

    /// How many records each call had.
    pub(super) fn calls(&self) -> Vec<usize> {
        self.shared.calls.lock().unwrap().iter().map(Vec::len).collect()
    }

    /// The records of a call.
    pub(super) fn call(&self, index: usize) -> Vec<String> {
        self.shared.calls.lock().unwrap()[index].clone()
    }

    pub(super) fn accepted(&self) -> Vec<String> {
        self.shared.accepted.lock().unwrap().clone()
    }
}

async fn put(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["x-amz-target"], "Firehose_20150804.PutRecordBatch");
    let request: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(request["DeliveryStreamName"], "events");
    let records = request["Records"].as_array().unwrap().iter();
    let records: Vec<String> = records
        .map(|record| String::from_utf8(BASE64.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap())
        .collect();
    assert!(records.len() <= 500 && body.len() <= 4 * 1024 * 1024, "{} records, {} bytes", records.len(), body.len());
    let call = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(records.clone());
        calls.len() - 1
    };
    let refused = match (shared.answer)(call) {
        Answer::Fine => &[],
        Answer::Refuse(positions) => positions,
        Answer::Hang => std::future::pending().await,
        Answer::Fail => {
            let problem = json!({ "__type": "ServiceUnavailableException", "message": "Slow down." });
            return (StatusCode::SERVICE_UNAVAILABLE, problem.to_string()).into_response();
        }
    };
    let entries = records.into_iter().enumerate().map(|(at, record)| {
        if refused.contains(&at) {
            json!({ "ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down." })
        } else {
            shared.accepted.lock().unwrap().push(record);
            json!({ "RecordId": "r" })
        }
    });
    let entries: Vec<Value> = entries.collect();
    json!({ "FailedPutCount": refused.len(), "RequestResponses": entries }).to_string().into_response()
}
