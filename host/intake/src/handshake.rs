//! Answers requests that are no events: challenges, tests whether anybody is there, refusals of methods.
//!
//! They are never stored and never delivered.

use std::borrow::Cow;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use towpath_config::answer::Answer;
use towpath_config::route::Route;
use towpath_metrics::STORY;
use towpath_select::Scope;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_verify::Unverified;
use tracing::{info, warn};

use crate::ingest::problem;
use crate::later::unavailable;
use crate::refused;
use crate::reply::reply;

/// The answer to a request that is no event; `None` if it is one.
pub(crate) async fn answer(route: &Route, webhook: &Webhook) -> Option<Response> {
    let scope = Scope::of(webhook);
    if let Some(answer) = route.answers.iter().find(|answer| scope.meets(&answer.when)) {
        let answered = shake(route, answer, webhook).await;
        let status = answered.status().as_u16();
        let (path, method) = (&route.path, &webhook.method);
        info!(target: STORY, event = "handshake-answered", route = path, %method, status, "handshake answered");
        return Some(answered);
    }
    (!route.methods.contains(&webhook.method)).then(|| not_allowed(route))
}

async fn shake(route: &Route, answer: &Answer, webhook: &Webhook) -> Response {
    let scope = Scope { now: Some(Clock::wall().now()), ..Scope::of(webhook) };
    if let Some(token) = &answer.token {
        let given = scope.value(token).unwrap_or(Cow::Borrowed(b""));
        // Every secret is compared, so that the time does not reveal which one matched.
        let is_one = answer.secrets.iter().fold(false, |is_one, secret| secret.value.is(&given) | is_one);
        if !is_one {
            warn!(route = route.path, value = %token, "handshake with a wrong token refused");
            return problem(StatusCode::FORBIDDEN, &format!("{token} is not the token of this route"));
        }
    }
    if answer.verified
        && let Some(verification) = &route.verify
        && let Err(why) = refused::check(verification, webhook).await
    {
        if let Unverified::Unavailable(why) = &why {
            return unavailable(route, why);
        }
        warn!(route = route.path, detail = %why, "handshake that is not verified refused");
        return refused::unverified(verification, &why);
    }
    let secret = answer.secrets.first().map(|secret| secret.value.expose());
    let scope = Scope { secret: secret.as_ref().map(|secret| secret.as_bytes()), ..scope };
    reply(&answer.reply, &scope).unwrap_or_else(|why| {
        warn!(route = route.path, detail = %why, "handshake that cannot be answered refused");
        problem(StatusCode::BAD_REQUEST, &format!("the request cannot be answered: {why}"))
    })
}

/// RFC 9110 section 15.5.6: a 405 must say which methods there are.
fn not_allowed(route: &Route) -> Response {
    let methods = route.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("the route takes {methods}"));
    if let Ok(allow) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}
