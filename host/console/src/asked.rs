//! Which letters a request is about: the same names in the query of a page, in that of the API, and in JSON.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::{Deserialize, Deserializer, Serialize};
use towpath_operate::dlq::filter::Conditions;
use towpath_operate::moment::Moment;
use towpath_types::clock::Timestamp;
use url::form_urlencoded::Serializer;
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// How many letters a page has, and how many it may have.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 500;

/// The letters that a request names. A name that is not here is an error: a typo must not widen what an action is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = LetterFilter)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Asked {
    /// The route's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// The group; a star at the end matches anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Why they were given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The status of the target's last answer, from 100 to 599; in JSON as text or as a number.
    #[serde(deserialize_with = "text_or_number", skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Given up at this time or later: an age such as `2h`, or a time in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Given up at this time or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// A text in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// An id of one letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The cursor of that letter: then it is found without a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The cursor behind which a page starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// How many letters a page has: 50 without it, at most 500.
    #[serde(deserialize_with = "text_or_number", skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    /// What ingest turned away, instead of dead letters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) refused: bool,
}

/// Which queue a request is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Among {
    /// What ingest turned away, instead of dead letters.
    pub(crate) refused: bool,
}

/// Where one letter is.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OneLetter {
    /// The cursor of the letter, as links of the console have it: then it is found without a search.
    at: Option<String>,
    /// What ingest turned away, instead of a dead letter.
    pub(crate) refused: bool,
}

impl OneLetter {
    /// The cursor of the letter.
    pub(crate) fn at(&self) -> Option<&str> {
        given(&self.at)
    }
}

impl Asked {
    /// Reads a query such as `route=crm&status=500`.
    pub(crate) fn read(query: &str) -> Result<Asked, Problem> {
        let uri = format!("/?{query}").parse::<Uri>().map_err(|_| Problem::bad_request("the filter is no query"))?;
        let read = Query::<Asked>::try_from_uri(&uri);
        read.map(|Query(asked)| asked).map_err(|error| Problem::bad_request(error.body_text()))
    }

    /// The same, of dead letters or of what ingest turned away.
    pub(crate) fn among(self, refused: bool) -> Asked {
        Asked { refused, ..self }
    }

    /// One letter.
    pub(crate) fn of_letter(id: &str, at: &str) -> Asked {
        let at = Some(at.to_owned()).filter(|at| !at.is_empty());
        Asked { id: Some(id.to_owned()), at, ..Asked::default() }
    }

    /// The conditions.
    pub(crate) fn conditions(&self, now: Timestamp) -> Result<Conditions, Problem> {
        let text = |value: &Option<String>| given(value).map(str::to_owned);
        let status = given(&self.status).map(|status| {
            let status = status.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
            status.ok_or_else(|| Problem::bad_request("status is a number from 100 to 599"))
        });
        Ok(Conditions {
            route: text(&self.route),
            group: text(&self.group),
            reason: text(&self.reason),
            status: status.transpose()?,
            since: moment("since", &self.since, now)?,
            until: moment("until", &self.until, now)?,
            text: text(&self.text),
        })
    }

    /// The same with times instead of ages, and nothing from after `now`: what is approved is what was planned.
    pub(crate) fn fixed(&self, now: Timestamp) -> Result<Asked, Problem> {
        let since = moment("since", &self.since, now)?.map(|since| since.to_string());
        let until = moment("until", &self.until, now)?.map_or(now, |until| until.min(now)).to_string();
        // One letter is named by its id, and must not be hidden by its time.
        let until = if self.ids().is_empty() { Some(until) } else { self.until.clone() };
        Ok(Asked { since, until, after: None, limit: None, ..self.clone() })
    }

    /// The id, if one is named.
    pub(crate) fn ids(&self) -> Vec<String> {
        given(&self.id).map(str::to_owned).into_iter().collect()
    }

    /// The cursor behind which a page starts.
    pub(crate) fn after(&self) -> Option<&str> {
        given(&self.after)
    }

    /// The cursor of the letter.
    pub(crate) fn at(&self) -> Option<&str> {
        given(&self.at)
    }

    /// How many letters a page has.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(limit) = given(&self.limit) else { return Ok(PAGE) };
        let limit = limit.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
        limit.ok_or_else(|| Problem::bad_request(format!("limit is a number from 1 to {LONGEST_PAGE}")))
    }

    /// The filter as a query, without the place of the page.
    pub(crate) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in self.fields().into_iter().chain([("id", &self.id), ("at", &self.at)]) {
            if let Some(value) = given(value) {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// The next page.
    pub(crate) fn behind(&self, cursor: &str) -> String {
        let limit = given(&self.limit).map(|limit| format!("&limit={limit}")).unwrap_or_default();
        let mut query = self.query();
        if !query.is_empty() {
            query.push('&');
        }
        format!("{query}after={cursor}{limit}")
    }

    /// The filter of this route and reason.
    pub(crate) fn of_kind(route: &str, reason: &str) -> Asked {
        Asked { route: Some(route.to_owned()), reason: Some(reason.to_owned()), ..Asked::default() }
    }

    /// The filter of this group.
    pub(crate) fn of_group(group: &str) -> Asked {
        Asked { group: Some(group.to_owned()), ..Asked::default() }
    }

    /// The fields of the filter: name and value.
    pub(crate) fn fields(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("route", &self.route),
            ("group", &self.group),
            ("reason", &self.reason),
            ("status", &self.status),
            ("since", &self.since),
            ("until", &self.until),
            ("text", &self.text),
        ]
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked, Problem> {
        Asked::read(parts.uri.query().unwrap_or_default())
    }
}

/// A field that is not left empty, as forms send those that nobody filled in.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.trim().is_empty())
}

fn moment(name: &str, value: &Option<String>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let moment = given(value).map(|value| value.trim().parse::<Moment>().map(|moment| moment.at(now)));
    moment.transpose().map_err(|error| Problem::bad_request(format!("{name}: {error}")))
}

fn text_or_number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(u64),
        Text(String),
    }
    let given = Option::<Given>::deserialize(value)?;
    Ok(given.map(|given| match given {
        Given::Number(number) => number.to_string(),
        Given::Text(text) => text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_819_227_123);

    #[test]
    fn a_filter_survives_its_query_whatever_is_in_it() {
        let query = "route=a%2Fb&group=%3Cscript%3E%26x%3D1&status=500&text=%0A%25&limit=7&after=3";
        let asked = Asked::read(query).expect("a query");
        assert_eq!(asked.query(), "route=a%2Fb&group=%3Cscript%3E%26x%3D1&status=500&text=%0A%25");
        assert_eq!(Asked::read(&asked.behind("9")).expect("a query").after(), Some("9"));
        let conditions = asked.conditions(NOW).expect("conditions");
        assert_eq!((conditions.group.as_deref(), conditions.status), (Some("<script>&x=1"), Some(500)));
        assert_eq!(asked.limit().expect("a limit"), 7);
    }

    #[test]
    fn what_is_left_empty_is_no_condition_and_a_typo_is_an_error() {
        let empty = Asked::read("route=&group=&reason=&status=&since=&until=&text=").expect("a query");
        assert_eq!(empty.conditions(NOW).expect("conditions"), Conditions::default());
        for query in ["raeson=x", "refused=maybe", "status=1&status=2"] {
            Asked::read(query).expect_err(query);
        }
        for query in ["status=x", "status=99", "since=soon", "until=101y"] {
            Asked::read(query).expect("a query").conditions(NOW).expect_err(query);
        }
        for limit in ["0", "501", "x"] {
            Asked::read(&format!("limit={limit}")).expect("a query").limit().expect_err(limit);
        }
    }

    #[test]
    fn a_plan_is_about_times_and_ends_now() {
        let asked = Asked::read("since=2h&reason=refused").expect("a query");
        let fixed =
            asked.fixed(NOW).expect("fixed").conditions(NOW + std::time::Duration::from_secs(60)).expect("conditions");
        assert_eq!((fixed.since, fixed.until), (Some(Timestamp(NOW.0 - 7_200_000)), Some(NOW)));
        let earlier =
            Asked::read("until=1h").expect("a query").fixed(NOW).expect("fixed").conditions(NOW).expect("conditions");
        assert_eq!(earlier.until, Some(Timestamp(NOW.0 - 3_600_000)));
    }
}
