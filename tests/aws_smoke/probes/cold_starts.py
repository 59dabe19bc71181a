"""How long the two functions take to start."""

import base64
import json
import re

from probe import Probe, Seen

# After 10 s Lambda gives up an initialization and starts it again, within the time of the first invocation.
LONGEST_MS = 10_000
EVENTS = {
    "host_function_name": {"towpath": "about"},
    "ingest_function_name": {
        "version": "2.0", "routeKey": "$default", "rawPath": "/healthz", "rawQueryString": "", "headers": {"host": "smoke"},
        "requestContext": {
            "accountId": "0", "apiId": "a", "domainName": "smoke", "domainPrefix": "a", "requestId": "r", "routeKey": "$default",
            "stage": "$default", "time": "25/Nov/2026:12:00:00 +0000", "timeEpoch": 1795608000000,
            "http": {"method": "GET", "path": "/healthz", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "smoke"},
        },
        "isBase64Encoded": False,
    },
}


def initialization_ms(log):
    """`Init Duration` of the REPORT line, if the invocation was a cold start."""
    found = re.search(r"Init Duration: ([0-9.]+) ms", log)
    return float(found[1]) if found else None


def measure(functions, name, event, times):
    """The initializations of a function that is changed before each invocation, so that Lambda starts it anew."""
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    took = []
    for number in range(times):
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, "SMOKE": str(number)}})
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
        answer = functions.invoke(FunctionName=name, LogType="Tail", Payload=json.dumps(event))
        took.append(initialization_ms(base64.b64decode(answer.get("LogResult", "")).decode()))
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    return [ms for ms in took if ms is not None]


def judge(took):
    """What the times of each function mean."""
    parts = []
    for name, times in took.items():
        middle = sorted(times)[len(times) // 2] if times else None
        parts.append(f"{name}: {f'median {middle:.0f} ms, max {max(times):.0f} ms of {len(times)}' if times else 'no cold start seen'}")
    everywhere = all(took.values())
    fast = all(max(times) < LONGEST_MS for times in took.values() if times)
    return Seen("; ".join(parts), fast if everywhere or not fast else None)


def run(deployment, _clock):
    functions, times = deployment.client("lambda"), deployment.sizes.cold_starts
    took = {
        output.split("_")[0]: measure(functions, deployment.outputs[output], event, times) for output, event in EVENTS.items()
    }
    return judge(took)


PROBE = Probe(
    "cold-starts", "both functions start within the 10 s that Lambda gives an initialization", run, 300,
    "Lambda reports how long an initialization took", alone=True,
)
