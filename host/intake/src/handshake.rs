//! Answers requests that are no events: challenges, tests whether anybody is there, refusals of methods.
//!
//! They are never stored and never delivered.

use std::borrow::Cow;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use towpath_config::Learning;
use towpath_config::answer::{Answer, Call, Keep};
use towpath_config::route::Route;
use towpath_config::secrets::variable;
use towpath_config::value::Part;
use towpath_keys::CallError;
use towpath_metrics::STORY;
use towpath_select::Scope;
use towpath_types::envelope::Webhook;
use towpath_verify::Unproven;
use towpath_verify::fetched::filled;
use tracing::{error, info, warn};
use url::Url;

use crate::budget::SenderAddress;
use crate::ingest::{Ingest, problem};
use crate::later::{again, unavailable};
use crate::refused;
use crate::reply::reply;

/// The answer to a handshake that brings a secret where the environment sets another one.
pub const ANOTHER_IS_SET: &str = "this route takes no secret: its operator has set another one";

/// The answer to a request that is no event; `None` if it is one.
pub(crate) async fn answer(
    ingest: &Ingest,
    route: &Route,
    webhook: &Webhook,
    from: Option<SenderAddress>,
) -> Option<Response> {
    let scope = Scope::of(webhook);
    if let Some(answer) = route.answers.iter().find(|answer| scope.meets(&answer.when)) {
        let answered = shake(ingest, route, answer, webhook, from).await;
        let status = answered.status().as_u16();
        let (path, method) = (&route.path, &webhook.method);
        info!(target: STORY, event = "handshake-answered", route = path, %method, status, "handshake answered");
        return Some(answered);
    }
    (!route.methods.contains(&webhook.method)).then(|| not_allowed(route))
}

async fn shake(
    ingest: &Ingest,
    route: &Route,
    answer: &Answer,
    webhook: &Webhook,
    from: Option<SenderAddress>,
) -> Response {
    let scope = Scope { now: Some(ingest.clock.now()), ..Scope::of(webhook) };
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
        && let Err(why) = refused::check(ingest, route, verification, webhook, from).await
    {
        let why = match why {
            Unproven::Unavailable(why) => return unavailable(route, &why),
            Unproven::Unverified(why) => why,
        };
        warn!(route = route.path, detail = %why, "handshake that is not verified refused");
        return refused::unverified(verification, &why);
    }
    let secret = answer.secrets.first().map(|secret| secret.value.expose());
    let scope = Scope { secret: secret.as_ref().map(|secret| secret.as_bytes()), ..scope };
    let made = reply(&answer.reply, &scope).unwrap_or_else(|why| {
        warn!(route = route.path, detail = %why, "handshake that cannot be answered refused");
        problem(StatusCode::BAD_REQUEST, &format!("the request cannot be answered: {why}"))
    });
    if let Some(keep) = &answer.keep
        && made.status().is_success()
        && let Some(refusal) = learn(ingest, route, keep, &scope).await
    {
        return refusal;
    }
    match &answer.call {
        Some(call) if made.status().is_success() => confirm(ingest, route, call, &scope).await.unwrap_or(made),
        _ => made,
    }
}

/// Learns the secret that a handshake brings, and stores it durably. Returns the answer if it did not succeed.
async fn learn(ingest: &Ingest, route: &Route, keep: &Keep, scope: &Scope<'_>) -> Option<Response> {
    let secret = keep.secret.name();
    let route = &route.path;
    let given = scope.value(&keep.value).unwrap_or(Cow::Borrowed(b""));
    let refused = |reason: &str, cure: &str, status: StatusCode, detail: &str| {
        warn!(event = "handshake-refused", route, secret, reason, cure, "handshake that brings a secret refused");
        Some(problem(status, detail))
    };
    match keep.secret.learn(&given, ingest.clock.now()).await {
        Learning::Learned => {
            info!(event = "secret-learned", route, secret, "secret of a handshake stored, using it");
            None
        }
        Learning::Known => None,
        Learning::NotArmed => {
            let cure =
                format!("if you are creating the webhook, run `towpath secret arm {secret}` and create it again");
            let detail = "this route takes no new secret now: its operator arms it with `towpath secret arm`";
            refused("not armed", &cure, StatusCode::FORBIDDEN, detail)
        }
        Learning::Given => {
            let variable = variable(secret);
            let cure = format!("unset {variable} and restart, to learn the secret from the sender");
            refused(&format!("{variable} is set"), &cure, StatusCode::FORBIDDEN, ANOTHER_IS_SET)
        }
        Learning::Unusable(why) => {
            let detail = format!("the secret in {} cannot be used: {why}", keep.value);
            refused(
                why,
                "the route stays armed: have the sender choose another secret",
                StatusCode::BAD_REQUEST,
                &detail,
            )
        }
        Learning::Unavailable(why) => {
            error!(
                event = "secret-store-failed",
                route,
                secret,
                error = why,
                "secret of a handshake not stored, sender asked to retry"
            );
            Some(again("the secret could not be stored: send the handshake again"))
        }
    }
}

/// Sends the request that confirms a handshake. Returns the answer if it did not succeed: the sender asks again.
async fn confirm(ingest: &Ingest, route: &Route, call: &Call, scope: &Scope<'_>) -> Option<Response> {
    let Some(url) = call_url(call, scope) else {
        warn!(route = route.path, "handshake that wants a call elsewhere refused");
        return Some(problem(StatusCode::BAD_REQUEST, "the URL to call is at none of the hosts of this route"));
    };
    let error = ingest.remote.call(call.method.clone(), url, call.hosts.allow_private).await.err()?;
    warn!(route = route.path, error = %error, "handshake could not be confirmed, sender asked to retry");
    Some(match error {
        CallError::Refused(_) => problem(StatusCode::BAD_GATEWAY, &error.to_string()),
        CallError::Failed(_) => again("the handshake could not be confirmed: send it again"),
    })
}

/// A URL that the request names as a whole, or one with values in it.
fn call_url(call: &Call, scope: &Scope<'_>) -> Option<Url> {
    let text = match call.url.parts() {
        [Part::Value(value)] => String::from_utf8(scope.value(value).ok()?.into_owned()).ok()?,
        _ => filled(&call.url, scope).ok()?,
    };
    call.hosts.url(&text)
}

/// RFC 9110 section 15.5.6: a 405 must say which methods there are.
fn not_allowed(route: &Route) -> Response {
    let mut methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    for method in route.answers.iter().flat_map(|answer| &answer.when.methods) {
        if !methods.contains(&method.as_str()) {
            methods.push(method.as_str());
        }
    }
    let methods = methods.join(", ");
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("the route takes {methods}"));
    if let Ok(allow) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}
