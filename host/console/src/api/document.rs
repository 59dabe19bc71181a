//! `GET /openapi.json`: the API, described by itself in OpenAPI 3.1.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Viewer;
use crate::{Problem, Shared};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Towpath",
        description = "What an operator does with Towpath, in the shapes of `--json`. Errors are problem details (RFC 9457). A GET has a weak ETag."
    ),
    servers((url = "/api/v1")),
    security(("bearer" = [])),
    components(schemas(Problem)),
    modifiers(&Bearer)
)]
struct Document;

/// Whoever calls proves who they are with a token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The token of the console")).build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(show))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = serde_json::Value)))]
async fn show(_: Viewer) -> Response {
    Json(whole()).into_response()
}

/// The document of all routes, each with the answer to what fails.
fn whole() -> OpenApi {
    let mut document = super::documented().into_openapi();
    document.paths.paths.values_mut().flat_map(operations).for_each(add_problem);
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem =
        ResponseBuilder::new().description("What failed, and what to do").content("application/problem+json", content);
    operation.responses.responses.insert("default".to_owned(), problem.build().into());
}

#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
