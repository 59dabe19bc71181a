//! Schemas of the fields that [`field`](crate::dlq::field) makes: a body is text, or base64 if it is not UTF-8.

use utoipa::ToSchema;

/// A body: one of the two.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Body {
    body: Option<String>,
    /// If it is not UTF-8.
    body_base64: Option<String>,
}

/// The body before an edit: one of the two.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Before {
    before: Option<String>,
    /// If it is not UTF-8.
    before_base64: Option<String>,
}

/// The body after an edit: one of the two.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct After {
    after: Option<String>,
    /// If it is not UTF-8.
    after_base64: Option<String>,
}
