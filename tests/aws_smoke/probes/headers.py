"""Two headers of one name, and two cookies, through payload version 2.0."""

from probe import Probe, Seen

SENT = [("X-Smoke-Twice", "one"), ("X-Smoke-Twice", "two"), ("Cookie", "a=1; b=2")]


def run(deployment, clock):
    run = deployment.run_id("headers")
    status = deployment.post("plain", deployment.event(run, 0), SENT)
    if status != 202:
        return Seen(f"answered {status}", False)
    [got, *_] = clock.wait_until(lambda: deployment.records(run), "the event at the target")
    # The route copies the first value: of a header that API Gateway joined, that is both.
    first, cookies = (got["headers"].get(name) for name in ("x-smoke-first", "x-smoke-cookies"))
    return Seen(f"x-smoke-twice: {first}; cookie: {cookies}", (first, cookies) == ("one,two", "a=1; b=2"))


PROBE = Probe(
    "headers", "two headers of one name arrive as one, with a comma between; cookies as one header, with a semicolon",
    run, 120, "API Gateway makes payload version 2.0",
)
