//! What the console offers to choose from: saved views, and builds.

use serde::Serialize;

use super::Rfc3339;
use crate::{builds, views};

/// A filter with a name.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SavedView))]
pub struct View<'a> {
    name: &'a str,
    /// Whether it shows what ingest turned away, instead of dead letters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
    /// The filter, as in the query of a URL.
    filter: &'a str,
    by: &'a str,
    saved_at: Rfc3339,
}

impl View<'_> {
    /// The shape of a view.
    pub fn of(view: &views::View) -> View<'_> {
        let views::View { name, refused, filter, by, at } = view;
        View { name, refused: *refused, filter, by, saved_at: Rfc3339(*at) }
    }
}

/// A build of a plugin that can be tried on letters.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Build<'a> {
    /// Its name in the folder of builds.
    build: &'a str,
    built_at: Rfc3339,
}

impl Build<'_> {
    /// The shape of a build.
    pub fn of(build: &builds::Build) -> Build<'_> {
        Build { build: &build.name, built_at: Rfc3339(build.built_at) }
    }
}
