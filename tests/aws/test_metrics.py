"""Alarms and dashboard watch metrics that the functions write, by the names and dimensions that these have in the sources."""

import json
import re

import emf_source


def searches(aws, applied):
    """The dashboard's searches: namespace, dimensions, metric, function."""
    body = aws.client("cloudwatch").get_dashboard(DashboardName=applied["dashboard_name"])["DashboardBody"]
    for widget in json.loads(body)["widgets"]:
        for (metric, *_) in widget["properties"].get("metrics", []):
            if isinstance(metric, dict):
                found = re.fullmatch(
                    r"""SEARCH\('\{(\w+),([\w,]+)\} MetricName="([\w.]+)" service="([\w-]+)"', '\w+', 60\)""", metric["expression"]
                )
                assert found, metric["expression"]
                namespace, dimensions, name, function = found.groups()
                yield namespace, frozenset(dimensions.split(",")), name, function


def test_the_sources_can_be_read():
    assert emf_source.constant("NAMESPACE") == ["Towpath"]
    written = emf_source.written()
    assert written["towpath.messages"] == {"outcome", "decision", "reason", "route", "plugin", "digest"}
    assert written["towpath.attempts"] == {"status", "target"} and written["towpath.attempt.duration"] == {"target"}
    assert written["towpath.groups.blocked"] == {"target"} and written["towpath.head.age"] == set()


def test_alarms_watch_what_the_host_writes(aws, applied):
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="towpath-example")["MetricAlarms"]
    ours = [alarm for alarm in alarms if not alarm["Namespace"].startswith("AWS/")]
    assert {alarm["MetricName"] for alarm in ours} >= {"towpath.head.age", "towpath.dead_letter.failures"}
    (namespace,), (service,) = emf_source.constant("NAMESPACE"), emf_source.constant("SERVICE")
    for alarm in ours:
        assert alarm["Namespace"] == namespace
        assert alarm["MetricName"] in emf_source.written(), alarm["AlarmName"]
        # Each metric is written with this dimension alone, and an alarm cannot add up several sets.
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert dimensions == {service: applied["host_function_name"]}, alarm["AlarmName"]


def test_the_dashboard_searches_for_the_dimensions_that_the_host_writes(aws, applied):
    found = list(searches(aws, applied))
    assert len(found) >= 9
    (namespace,), (service,) = emf_source.constant("NAMESPACE"), emf_source.constant("SERVICE")
    written, optional = emf_source.dimensions(), emf_source.optional()
    by_metric = {}
    for where, dimensions, metric, function in found:
        assert (where, function) == (namespace, applied["host_function_name"])
        by_metric.setdefault(metric, set()).add(dimensions)
    for metric, sets in by_metric.items():
        whole = frozenset(written[metric] | {service})
        assert whole in sets, f"{metric} is written with {sorted(whole)}"
        assert all(whole - optional <= dimensions <= whole for dimensions in sets), metric


def test_a_route_without_a_plugin_is_on_the_dashboard(aws, applied):
    assert "plugin" in emf_source.optional()
    for _, dimensions, metric, _ in list(searches(aws, applied)):
        if "plugin" in dimensions and "route" in dimensions:
            without = dimensions - {"plugin"}
            assert any(other == without for _, other, name, _ in searches(aws, applied) if name == metric), metric
