"""Headers that API Gateway writes into a JSON text without code: with a quote in one, and without one."""

from probe import Probe, Seen

# Ends the text of the attribute, and begins another attribute.
FORGERY = 'a"},"x-smoke-forged":{"DataType":"String","StringValue":"yes'


def arrival(deployment, clock, run, status):
    """What the target got of a run. An event that was rejected must not come; that is watched for a shorter time."""
    longest = deployment.sizes.delivery_seconds
    return clock.holds(lambda: deployment.records(run), "the event at the target", longest if 200 <= status < 300 else min(longest, 20))


def works(deployment, clock):
    """Waits until the route takes an event without anything odd: a role or a stage that is new rejects for a while."""
    run = deployment.run_id("direct")
    attempt = lambda: 200 <= deployment.post("direct", deployment.event(run, 0), [("X-Smoke-Mark", "plain")]) < 300
    clock.wait_until(attempt, "an ordinary event is taken", 120)
    clock.wait_until(lambda: deployment.records(run), "an ordinary event at the target")


def quote(deployment, clock):
    works(deployment, clock)
    run = deployment.run_id("quote")
    status = deployment.post("direct", deployment.event(run, 0), [("X-Smoke-Mark", FORGERY)])
    stored, arrived = 200 <= status < 300, arrival(deployment, clock, run, status)
    if not arrived:
        return Seen(f"answered {status}; {'LOST' if stored else 'nothing stored, the sender knows'}", not stored)
    headers = arrived[0]["headers"]
    if "x-smoke-forged" in headers:
        return Seen(f"answered {status}; FORGED: the target got the header x-smoke-forged", False)
    whole = headers.get("x-smoke-mark") == FORGERY
    return Seen(f"answered {status}; delivered with x-smoke-mark: {headers.get('x-smoke-mark')}", whole and stored)


def missing(deployment, clock):
    works(deployment, clock)
    run = deployment.run_id("missing")
    status = deployment.post("direct", deployment.event(run, 0))
    stored, arrived = 200 <= status < 300, arrival(deployment, clock, run, status)
    if arrived:
        return Seen(f"answered {status}; delivered with x-smoke-mark: {arrived[0]['headers'].get('x-smoke-mark')}", False)
    return Seen(f"answered {status}; {'LOST' if stored else 'nothing stored, the sender knows'}", not stored)


NEEDS = "API Gateway maps the headers"
QUOTE = Probe(
    "direct-quote", 'a " in a mapped header: delivered as it was sent or rejected; never forged, never accepted and lost',
    quote, 420, NEEDS,
)
MISSING = Probe("direct-missing", "a request without a mapped header is rejected, and nothing is stored", missing, 420, NEEDS)
