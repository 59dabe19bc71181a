//! Charts of the last hour, as SVG without styles of its own and with a table that says the same.

use maud::{Markup, html};
use towpath_operate::history::{EVERY, History, Point};

/// The size of a chart in its own units: a unit of width for each point of an hour.
const WIDTH: usize = 360;
const HEIGHT: f64 = 80.0;

/// How many rows a table has.
const ROWS: usize = 12;

/// A line of a chart.
struct Line {
    name: &'static str,
    /// The class that colours it.
    class: &'static str,
    value: fn(&Point) -> Option<f64>,
}

const WEBHOOKS: [Line; 2] = [
    Line { name: "accepted", class: "line-good", value: |point| Some(point.accepted) },
    Line { name: "answered with an error", class: "line-bad", value: |point| Some(point.turned_away) },
];

const MESSAGES: [Line; 3] = [
    Line { name: "delivered or skipped", class: "line-good", value: |point| Some(point.done) },
    Line { name: "to be tried again", class: "line-warn", value: |point| Some(point.retried) },
    Line { name: "dead-lettered", class: "line-bad", value: |point| Some(point.dead) },
];

const REQUESTS: [Line; 2] = [
    Line { name: "median", class: "line-good", value: |point| point.median.map(millis) },
    Line { name: "p99", class: "line-warn", value: |point| point.p99.map(millis) },
];

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The charts.
pub(super) fn charts(history: &History) -> Markup {
    let points = history.points();
    html! {
        section {
            h2 { "The last hour of this process" }
            @if points.is_empty() {
                p { "The first figures come " (EVERY.as_secs() * 2) " seconds after the start." }
            } @else {
                div.charts {
                    (chart("Webhooks per second", &WEBHOOKS, &points))
                    (chart("Messages per second", &MESSAGES, &points))
                    (chart("Duration of requests to targets, ms", &REQUESTS, &points))
                }
            }
        }
    }
}

fn chart(title: &str, lines: &[Line], points: &[Point]) -> Markup {
    let most = points.iter().flat_map(|point| lines.iter().filter_map(|line| (line.value)(point))).fold(0.0, f64::max);
    html! {
        figure.chart {
            figcaption { (title) " " small { "(at most " (shown(Some(most))) ")" } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(summary(title, lines, points)) {
                @for line in lines { (drawn(line, points, most)) }
            }
            ul.legend { @for line in lines { li class=(line.class) { (line.name) } } }
            details {
                summary { "As a table" }
                (table(title, lines, points))
            }
        }
    }
}

/// A polyline for each stretch that has values: a gap is not drawn over.
fn drawn(line: &Line, points: &[Point], most: f64) -> Markup {
    let scale = if most > 0.0 { (HEIGHT - 4.0) / most } else { 0.0 };
    let first = WIDTH.saturating_sub(points.len());
    let placed: Vec<Option<String>> = points
        .iter()
        .enumerate()
        .map(|(at, point)| {
            (line.value)(point).map(|value| format!("{},{:.1}", first + at, HEIGHT - 2.0 - value * scale))
        })
        .collect();
    html! {
        @for stretch in placed.split(Option::is_none).filter(|stretch| !stretch.is_empty()) {
            polyline class=(line.class) points=(stretch.iter().flatten().cloned().collect::<Vec<_>>().join(" ")) {}
        }
    }
}

fn summary(title: &str, lines: &[Line], points: &[Point]) -> String {
    let last = points.last();
    let values = lines.iter().map(|line| format!("{} {}", line.name, shown(last.and_then(line.value))));
    format!("{title}, now: {}", values.collect::<Vec<_>>().join(", "))
}

/// The latest point, and one for each five minutes before.
fn table(title: &str, lines: &[Line], points: &[Point]) -> Markup {
    html! {
        table {
            caption { (title) }
            thead { tr { th scope="col" { "Until" } @for line in lines { th scope="col" { (line.name) } } } }
            tbody {
                @for point in points.iter().rev().step_by(WIDTH / ROWS) {
                    tr {
                        th scope="row" { time datetime=(point.at.to_string()) { (time_of_day(&point.at.to_string())) } }
                        @for line in lines { td { (shown((line.value)(point))) } }
                    }
                }
            }
        }
    }
}

fn time_of_day(at: &str) -> String {
    at.split_once('T').map_or(at, |(_, time)| time.get(..5).unwrap_or(time)).to_owned()
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 10.0 || value == 0.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use towpath_types::clock::Timestamp;

    use super::*;

    fn point(accepted: f64, median: Option<u64>) -> Point {
        let median = median.map(Duration::from_millis);
        Point { at: Timestamp(0), accepted, turned_away: 0.0, done: 0.0, retried: 0.0, dead: 0.0, median, p99: None }
    }

    #[test]
    fn a_line_ends_at_the_right_and_its_highest_point_at_the_top() {
        let points = [point(1.0, None), point(4.0, None)];
        let [accepted, _] = &WEBHOOKS;
        let drawn = drawn(accepted, &points, 4.0).into_string();
        assert_eq!(drawn, r#"<polyline class="line-good" points="358,59.0 359,2.0"></polyline>"#);
    }

    #[test]
    fn a_time_without_requests_is_a_gap() {
        let points = [point(0.0, Some(5)), point(0.0, None), point(0.0, Some(10))];
        let [median, _] = &REQUESTS;
        assert_eq!(drawn(median, &points, 10.0).into_string().matches("<polyline").count(), 2);
        assert_eq!(summary("Requests", &REQUESTS, &points), "Requests, now: median 10, p99 –");
        assert_eq!((shown(Some(0.25)), shown(Some(0.0)), shown(Some(12.3))), ("0.2".into(), "0".into(), "12".into()));
    }
}
