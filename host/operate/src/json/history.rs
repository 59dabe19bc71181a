//! Rates and latencies of a process.

use std::time::Duration;

use serde::Serialize;

use super::Rfc3339;
use crate::history;

/// Rates and latencies of the last hour, and what waits in the process by target.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct History {
    points: Vec<Point>,
    waiting: Vec<WaitingFor>,
    oldest_head_age_seconds: f64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct Point {
    sampled_at: Rfc3339,
    accepted_per_second: f64,
    turned_away_per_second: f64,
    done_per_second: f64,
    retried_per_second: f64,
    dead_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_median_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_p99_ms: Option<f64>,
}

/// Groups whose head waits for a target; without a target if it failed before it got to one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct WaitingFor {
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    held_groups: u64,
    failed_groups: u64,
}

impl History {
    /// The shape of a history.
    pub fn of(history: &history::History) -> History {
        let (waiting, oldest) = history.waiting();
        let waiting = waiting.into_iter().map(|(target, waiting)| WaitingFor {
            target: target.to_string(),
            held_groups: waiting.held,
            failed_groups: waiting.failed,
        });
        History {
            points: history.points().iter().map(Point::of).collect(),
            waiting: waiting.collect(),
            oldest_head_age_seconds: oldest.as_secs_f64(),
        }
    }
}

impl Point {
    fn of(point: &history::Point) -> Point {
        let millis = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64() * 1000.0);
        Point {
            sampled_at: Rfc3339(point.at),
            accepted_per_second: point.accepted,
            turned_away_per_second: point.turned_away,
            done_per_second: point.done,
            retried_per_second: point.retried,
            dead_per_second: point.dead,
            request_median_ms: millis(point.median),
            request_p99_ms: millis(point.p99),
        }
    }
}
