//! `ingest`: the front door behind API Gateway or a function URL. It stores each webhook in the queue and answers once it is
//! stored.

mod answer;
mod event;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tower::ServiceExt as _;
use towpath_aws::config::{self, LoadError};
use towpath_aws::{SqsQueue, Waiting, client};
use towpath_config::{Config, env};
use towpath_intake::{Ingest, router};
use towpath_telemetry::{Telemetry, logs};
use towpath_types::clock::Clock;
use towpath_verify::note_keys::NoteKeys;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use answer::Answer;
use event::Event;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let level = env::log_level();
    let emf = env::writes_emf();
    let telemetry = Telemetry::of_function(emf.clone().unwrap_or(true))?;
    let logs =
        logs::json(std::io::stdout, Targets::new().with_default(level.clone().unwrap_or(LevelFilter::INFO)), false);
    tracing_subscriber::registry().with(logs).init();
    if let Err(problem) = level {
        tracing::warn!(problem, "TOWPATH_LOG is invalid, logging at info");
    }
    if let Err(problem) = emf {
        tracing::warn!(problem, "TOWPATH_EMF is invalid, writing metrics");
    }
    let fronts = start().await.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "cannot start"))?;
    let (fronts, telemetry) = (&fronts, &telemetry);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let front = fronts.current(load, |config, _| front(config)).await;
        let answer = handle(&front, event.payload).await;
        // The function is frozen once it has answered.
        telemetry.flush();
        answer
    }))
    .await
}

/// The front door.
struct Front {
    router: Router,
    prefix: String,
}

async fn handle(front: &Front, event: Value) -> Result<Answer, Error> {
    let event: Event = serde_json::from_value(event)
        .map_err(|error| format!("the event is not a request of API Gateway or of a function URL: {error}"))?;
    let request = match event.request(&front.prefix) {
        Ok(request) => request,
        Err(invalid) => {
            tracing::info!(detail = %invalid, "invalid request");
            let response = (StatusCode::BAD_REQUEST, format!("{invalid}\n")).into_response();
            return Ok(Answer::of(response, &axum::http::Method::POST).await?);
        }
    };
    let method = request.method().clone();
    let Ok(response) = front.router.clone().oneshot(request).await;
    Ok(Answer::of(response, &method).await?)
}

/// Finds every problem during initialisation, before the first request. Only secrets may come later.
async fn start() -> anyhow::Result<Waiting<Front>> {
    let config = load().await.context("loading the config")?;
    let unready = config.unready();
    Ok(Waiting::new(front(config).await?, unready, Clock::wall()))
}

async fn load() -> Result<Config, LoadError> {
    config::load_front_door(&env::config_file()).await
}

async fn front(config: Config) -> anyhow::Result<Front> {
    let Config { queue, ingest, routes, note_keys, .. } = config;
    let Some(url) = queue.url.clone() else {
        bail!("on Lambda the config needs [queue] with url");
    };
    let events = SqsQueue::new(client::sqs(&url).await, url);
    let front = Ingest::new(routes, Arc::new(events), ingest.body_limit)
        .behind(ingest.trusted_proxies)
        .vouching_by(NoteKeys::new(note_keys));
    let front = match queue.refused_url {
        Some(url) => front.keeping_refused(Arc::new(SqsQueue::new(client::sqs(&url).await, url))),
        None => front,
    };
    Ok(Front { router: router(Arc::new(front), &ingest.prefix), prefix: ingest.prefix })
}
