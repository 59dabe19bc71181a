"""`towpath tail` and `towpath trace` on the logs of functions in CloudWatch."""

import json
import time

ID = "8f3c2b1a-0000-4000-8000-000000000001"
SPAN = {"message_id": ID, "group": "approval/7", "route": "approval", "plugin": "approval", "digest": "6bbc45", "name": "message"}
ATTEMPT = {"target": "sss", "method": "POST", "path": "/t", "status": 503, "error": None, "ms": 12}


def line(message, target="towpath.story", level="INFO", span=SPAN, **fields):
    return json.dumps({"level": level, "fields": {"message": message, **fields}, "target": target, "span": span})


def logged(aws, group, lines):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 5000 + n, "message": text} for n, text in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)


def test_tail_and_trace_tell_the_story_that_functions_logged(aws, towpath):
    stored = line("stored", span={}, message_id=ID, group="approval/7", route="approval", sequence="18")
    attempts = {"attempts": json.dumps([ATTEMPT]), "outcome": "unavailable", "decision": "retry", "retry_after_s": 1.5, "age_s": 0.2}
    logged(aws, "/aws/lambda/towpath-ingest", ["START RequestId: 1", stored])
    other = line("pass", span={**SPAN, "message_id": "other"}, outcome="delivered", decision="ack", attempts="[]", age_s=0.1)
    metrics = json.dumps({"_aws": {"Timestamp": 1}, "towpath.messages": 1})
    logged(aws, "/aws/lambda/towpath-host", [line("pass", **attempts), metrics, other, "REPORT RequestId: 1"])
    groups = ["--log-group", "/aws/lambda/towpath-ingest", "--log-group", "/aws/lambda/towpath-host"]

    code, said, wrong = towpath("tail", "--no-follow", *groups)
    assert code == 0, wrong
    told = said.splitlines()
    assert [entry.split()[1] for entry in told] == ["stored", "unavailable", "delivered"], said
    assert "sss POST /t 503 in 12 ms, again in 1500 ms" in told[1], said
    code, said, wrong = towpath("tail", "--no-follow", "--failed", *groups)
    assert [entry.split()[1] for entry in said.splitlines()] == ["unavailable"], said

    code, said, wrong = towpath("trace", "8f3c2b1a", *groups)
    assert code == 0, wrong
    assert "group approval/7" in said and "stored" in said and "503" in said and "delivered" not in said, said
    code, _, wrong = towpath("trace", "nothing", *groups)
    assert code == 2 and "nothing is known of nothing" in wrong, wrong
    code, _, wrong = towpath("tail", "--no-follow", "--log-group", "/aws/lambda/nobody")
    assert code == 2 and "cannot read the log group /aws/lambda/nobody" in wrong, wrong
