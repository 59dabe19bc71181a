//! `/plugins`: the plugins of the config, their versions in the registry, and moves of their channels.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::json;
use towpath_operate::known::Unknown;
use towpath_operate::plugins::{self, Whole};
use towpath_operate::releases::{self, Compared, NoRegistry, Order, OrderError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Session, Viewer};
use crate::api::events::searching;
use crate::{Console, Problem, Shared};

/// The channel that hosts follow unless their config says otherwise.
const CURRENT: &str = "current";

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(difference))
        .routes(routes!(promote))
        .routes(routes!(rollback))
        .routes(routes!(pin))
}

/// Which channel takes over which version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PromotePlugin {
    /// The version, or a channel to take it from: `candidate` without it.
    from: Option<String>,
    /// The channel to move: `current` without it.
    to: Option<String>,
    /// Why. It is in the audit.
    note: String,
}

/// Which channel goes back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RollPluginBack {
    /// The channel to move: `current` without it.
    channel: Option<String>,
    /// The version: without it, the one before.
    to: Option<String>,
    /// Why. It is in the audit.
    note: String,
}

/// Which channel a publish no longer moves.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinPlugin {
    /// The channel: `current` without it.
    channel: Option<String>,
    /// The version to move it to: without it, it stays where it is.
    to: Option<String>,
    /// Let a publish move it again, instead.
    #[serde(default)]
    off: bool,
    /// Why. It is in the audit.
    note: String,
}

/// Two releases.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sides {
    /// The version to compare with, or a channel.
    pub(crate) old: String,
    /// The other version, or a channel.
    pub(crate) new: String,
}

/// The plugins of the config
///
/// What each resolves to now, the routes that use it, and how often its builds ran.
#[utoipa::path(get, path = "/plugins", responses((status = 200, body = json::Plugins<'static>)))]
async fn list(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let plugins = all(&console).await?;
    Ok(Json(json::Plugins::of(&plugins)).into_response())
}

/// A plugin, its versions and its channels
///
/// Versions are those of the registry of the config, oldest first.
#[utoipa::path(
    get, path = "/plugins/{name}", params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, body = json::Plugin<'static>), (status = 404))
)]
async fn show(_: Viewer, Path(name): Path<String>, State(console): State<Shared>) -> Result<Response, Problem> {
    let whole = whole(&console, &name).await?;
    Ok(Json(json::Plugin::of(&whole)).into_response())
}

/// What differs between two releases of a plugin
///
/// Imports, exports and targets, as the components and their manifests tell. Nothing is run.
#[utoipa::path(
    get, path = "/plugins/{name}/difference", params(("name" = String, Path, description = "The plugin's name"), Sides),
    responses((status = 200, body = json::ReleaseDifference<'static>), (status = 404), (status = 409))
)]
async fn difference(
    _: Viewer,
    Path(name): Path<String>,
    State(console): State<Shared>,
    sides: Result<Query<Sides>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(sides) = sides?;
    let compared = compared(&console, &name, &sides).await?;
    Ok(Json(json::ReleaseDifference::of(&compared)).into_response())
}

/// Promote a version to a channel
///
/// Running hosts that follow the channel swap to it within 30 seconds.
#[utoipa::path(
    post, path = "/plugins/{name}/promote", params(("name" = String, Path, description = "The plugin's name in the registry")),
    request_body = PromotePlugin,
    responses((status = 200, body = json::Pointer<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn promote(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Json<PromotePlugin>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(PromotePlugin { from, to, note }) = said?;
    let from = from.unwrap_or_else(|| "candidate".to_owned());
    posted(&console, &session, &name, &Order::Promote { from, to: or_current(to) }, &note).await
}

/// Roll a channel back
///
/// To a version that it was at: the one before, or the one that is named. If it is pinned, it stays so.
#[utoipa::path(
    post, path = "/plugins/{name}/rollback", params(("name" = String, Path, description = "The plugin's name in the registry")),
    request_body = RollPluginBack,
    responses((status = 200, body = json::Pointer<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn rollback(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Json<RollPluginBack>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(RollPluginBack { channel, to, note }) = said?;
    posted(&console, &session, &name, &Order::RollBack { channel: or_current(channel), to }, &note).await
}

/// Pin or unpin a channel
///
/// A publish to a pinned channel stores its version and moves nothing.
#[utoipa::path(
    post, path = "/plugins/{name}/pin", params(("name" = String, Path, description = "The plugin's name in the registry")),
    request_body = PinPlugin,
    responses((status = 200, body = json::Pointer<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn pin(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Json<PinPlugin>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(PinPlugin { channel, to, off, note }) = said?;
    let channel = or_current(channel);
    let order = match (off, to) {
        (true, Some(_)) => return Err(Problem::bad_request("give a version, or off, and not both")),
        (true, None) => Order::Unpin { channel },
        (false, to) => Order::Pin { channel, to },
    };
    posted(&console, &session, &name, &order, &note).await
}

fn or_current(channel: Option<String>) -> String {
    channel.unwrap_or_else(|| CURRENT.to_owned())
}

async fn posted(
    console: &Console,
    session: &Session,
    name: &str,
    order: &Order,
    note: &str,
) -> Result<Response, Problem> {
    let moved = releases::carry_out(&console.acting(session), &console.releases, name, order, note).await;
    let pointer = moved.map_err(problem)?;
    Ok(Json(json::Pointer::of(&pointer)).into_response())
}

/// The plugins of the config.
pub(crate) async fn all(console: &Console) -> Result<Vec<plugins::Plugin>, Problem> {
    let _searching = searching().await?;
    Ok(plugins::of_place(&console.found, &console.releases, console.history.is_some()).await?)
}

/// One plugin.
pub(crate) async fn whole(console: &Console, name: &str) -> Result<Whole, Problem> {
    let _searching = searching().await?;
    let found = plugins::whole(&console.found, &console.releases, console.history.is_some(), name).await?;
    found.ok_or_else(|| Problem::not_found(format!("neither the config nor its registry has a plugin {name:?}")))
}

/// Two releases of a plugin.
pub(crate) async fn compared(console: &Console, name: &str, sides: &Sides) -> Result<Compared, Problem> {
    let registry = console.releases.registry().map_err(|error| problem(error.into()))?;
    // A component may have 128 MiB.
    let _searching = searching().await?;
    releases::compare(registry, name, &sides.old, &sides.new).await.map_err(problem)
}

/// An error of releases with the status that fits.
pub(crate) fn problem(error: anyhow::Error) -> Problem {
    if let Some(none @ NoRegistry::None) = error.downcast_ref::<NoRegistry>() {
        return Problem::conflict(none.to_string());
    }
    if error.downcast_ref::<Unknown>().is_some() || releases::is_missing(&error) {
        return Problem::not_found(format!("{error:#}"));
    }
    match error.downcast_ref::<OrderError>() {
        Some(own @ OrderError::Note) => Problem::bad_request(own.to_string()),
        Some(own @ OrderError::Conflict(_)) => Problem::conflict(own.to_string()),
        Some(OrderError::Elsewhere { .. }) | None => error.into(),
    }
}
