//! `GET /openapi.json`: the API, described by itself in OpenAPI 3.1.

use axum::Json;
use axum::response::IntoResponse as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, RefOr, Response};
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
async fn show(_: Viewer) -> axum::response::Response {
    Json(whole()).into_response()
}

/// The document of all routes.
fn whole() -> OpenApi {
    let mut document = super::documented().into_openapi();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            name(path, method, operation);
            add_problems(operation);
        }
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Names an operation after its path, such as `post_letters_id_edit`, and tags it with the first part of it.
fn name(path: &str, method: &str, operation: &mut Operation) {
    let parts = path.split(['/', '{', '}', '-', '.']).filter(|part| !part.is_empty());
    operation.operation_id = Some(std::iter::once(method).chain(parts).collect::<Vec<_>>().join("_"));
    operation.tags = path.split('/').find(|part| !part.is_empty()).map(|part| vec![part.to_owned()]);
}

/// Adds the errors that every such request may have to those that its handler declares, and what they look like to all.
fn add_problems(operation: &mut Operation) {
    let in_query = |parameter: &RefOr<Parameter>| {
        matches!(parameter, RefOr::T(Parameter { parameter_in: ParameterIn::Query, .. }))
    };
    let may_be_wrong = operation.request_body.is_some() || operation.parameters.iter().flatten().any(in_query);
    let responses = &mut operation.responses.responses;
    for status in may_be_wrong.then_some("400").into_iter().chain(["401", "422", "default"]) {
        responses.insert(status.to_owned(), RefOr::T(Response::default()));
    }
    for (status, response) in responses {
        if let (Some(meaning), RefOr::T(response)) = (meaning(status), response) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            meaning.clone_into(&mut response.description);
            response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
        }
    }
}

/// What an error with this status means; `None` for an answer that is none.
fn meaning(status: &str) -> Option<&'static str> {
    Some(match status {
        "400" => "The request makes no sense",
        "401" => "There is no session: send the token",
        "403" => "This session may look and not act",
        "404" => "It does not exist",
        "409" => "What the request relies on has changed, or the state does not allow it",
        "422" => "The operation failed",
        "503" => "There is no room for it now",
        "default" => "What failed, and what to do",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "document/tests/answers.rs"]
mod answers;
#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
