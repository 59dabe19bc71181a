//! `ingest`: the front door behind API Gateway. It stores each webhook in the queue and answers once it is stored.
//! Requests use payload version 2.0 of an HTTP API, or of a function URL.

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::extract::Request;
use axum::middleware;
use axum::response::Response;
use lambda_http::request::RequestContext;
use lambda_http::{Error, RequestExt as _};
use towpath_aws::{SqsQueue, client, config};
use towpath_config::{Config, env};
use towpath_intake::{Ingest, Peer, router};
use towpath_telemetry::{Telemetry, logs};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let level = env::log_level();
    let telemetry = Arc::new(Telemetry::of_function()?);
    let logs =
        logs::json(std::io::stdout, Targets::new().with_default(level.clone().unwrap_or(LevelFilter::INFO)), false);
    tracing_subscriber::registry().with(logs).init();
    if let Err(problem) = level {
        tracing::warn!(problem, "TOWPATH_LOG is invalid, logging at info");
    }
    let (ingest, prefix) =
        start().await.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "cannot start"))?;
    // The function is frozen once it has answered.
    let flush = middleware::map_response(move |answer: Response| {
        telemetry.flush();
        ready(answer)
    });
    let from = middleware::map_request(|mut request: Request| {
        let source = request.request_context_ref().and_then(source);
        if let Some(source) = source {
            request.extensions_mut().insert(source);
        }
        ready(request)
    });
    lambda_http::run(router(Arc::new(ingest), &prefix).layer(flush).layer(from)).await
}

/// The sender's address, as seen by API Gateway.
fn source(context: &RequestContext) -> Option<Peer> {
    let RequestContext::ApiGatewayV2(context) = context else { return None };
    let address: IpAddr = context.http.source_ip.as_deref()?.parse().ok()?;
    Some(Peer(address))
}

async fn start() -> anyhow::Result<(Ingest, String)> {
    let file = env::config_file();
    let Config { queue, ingest, routes, .. } = config::load_front_door(&file).await.context("loading the config")?;
    let Some(url) = queue.url.clone() else {
        bail!("on Lambda the config needs [queue] with url");
    };
    let events = SqsQueue::new(client::sqs(&url).await, url);
    let front = Ingest::new(routes, Arc::new(events), ingest.body_limit).behind(ingest.trusted_proxies);
    let front = match queue.refused_url {
        Some(url) => front.keeping_refused(Arc::new(SqsQueue::new(client::sqs(&url).await, url))),
        None => front,
    };
    Ok((front, ingest.prefix))
}
