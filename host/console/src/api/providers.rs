//! `/providers`: senders that are known, with a route for each.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use towpath_operate::audit::Audit;
use towpath_operate::place::Backend;
use towpath_operate::providers::{self, Listed, Shown};
use towpath_operate::trial::{Tested, test_provider};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Session, Viewer};
use crate::{Console, Problem, Shared};

/// Which providers to list.
#[derive(Deserialize, Default, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Only those whose name or title has this text, in any case.
    #[serde(default)]
    pub(crate) search: String,
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(test))
}

/// What to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestProvider {
    /// The path of one route, such as `tenants/acme/crm`; without it, all routes of the provider.
    path: Option<String>,
    /// Also send a made-up event with a valid signature: it is stored and delivered.
    #[serde(default)]
    send: bool,
}

/// The senders that `provider` of a route knows
#[utoipa::path(get, path = "/providers", params(Search), responses((status = 200, body = Vec<Listed>)))]
async fn list(_: Viewer, search: Result<Query<Search>, QueryRejection>) -> Result<Json<Vec<Listed>>, Problem> {
    Ok(Json(providers::list(Some(&search?.search))))
}

/// A sender, with a route to paste, the secrets that it needs, and what to do at the sender
#[utoipa::path(
    get, path = "/providers/{name}", params(("name" = String, Path, description = "The provider's name")),
    responses((status = 200, body = Shown), (status = 404))
)]
async fn show(_: Viewer, Path(name): Path<String>) -> Result<Json<Shown>, Problem> {
    found(&name).map(Json)
}

/// Send a test to the routes of a provider
///
/// Handshakes, and webhooks that must be refused, to the ingest of the config on this machine. With `send` also a made-up event with a valid signature,
/// which is stored and delivered. The secrets are those in the environment of this process.
#[utoipa::path(
    post, path = "/providers/{name}/test", params(("name" = String, Path, description = "The provider's name")),
    request_body = TestProvider, responses((status = 200, body = Tested), (status = 403), (status = 404), (status = 409))
)]
async fn test(
    Operator(session): Operator,
    Path(name): Path<String>,
    State(console): State<Shared>,
    order: Result<Json<TestProvider>, JsonRejection>,
) -> Result<Json<Tested>, Problem> {
    let Json(TestProvider { path, send }) = order?;
    tested(&console, &session, &name, path.as_deref(), send).await.map(Json)
}

/// Sends a test to the routes of a provider.
pub(crate) async fn tested(
    console: &Console,
    session: &Session,
    name: &str,
    path: Option<&str>,
    send: bool,
) -> Result<Tested, Problem> {
    found(name)?;
    let Some(config) = &console.found.config else {
        return Err(Problem::conflict("no config was read, so its routes are not known"));
    };
    if let Backend::Sqs { .. } = console.found.backend {
        return Err(Problem::conflict(
            "the events of this config go to SQS, so its ingest is not here: run `towpath provider test --to URL`",
        ));
    }
    Audit::of(&console.acting(session)).test(name, path, send)?;
    Ok(test_provider(&config.file, name, path, send).await?)
}

/// The provider of this name.
pub(crate) fn found(name: &str) -> Result<Shown, Problem> {
    providers::show(name).map_err(|error| Problem::not_found(error.to_string()))
}
