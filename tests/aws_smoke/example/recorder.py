"""The target: records each request in a FIFO queue, then answers as the request's body says.

A body may have `answer` (the status), `refuse_until` (404 until this time, in seconds since 1970) and `answer_size` (bytes of the answer's
body). The queue has one group, so its order is the order in which requests arrived. A request is answered after it is recorded: the next one
of its group cannot overtake it.
"""

import base64
import json
import os
import time
import uuid

import boto3

LONGEST = 100_000


def record(event, sqs, queue_url, path):
    """Records a request that came as payload version 2.0, and returns the answer."""
    if not event["rawPath"].startswith(f"/{path}/"):
        return {"statusCode": 404}
    body = base64.b64decode(event.get("body") or "") if event.get("isBase64Encoded") else (event.get("body") or "").encode()
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    refused = time.time() < said.get("refuse_until", 0)
    status = 404 if refused else said.get("answer", 200)
    seen = {
        "method": event["requestContext"]["http"]["method"],
        "path": event["rawPath"].removeprefix(f"/{path}"),
        "headers": event["headers"],
        "body": body.decode(errors="replace") if len(body) <= LONGEST else "",
        "status": status,
    }
    sqs.send_message(
        QueueUrl=queue_url, MessageBody=json.dumps(seen), MessageGroupId="records", MessageDeduplicationId=str(uuid.uuid4())
    )
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": "x" * said.get("answer_size", 0)}


def handler(event, _context):
    return record(event, boto3.client("sqs"), os.environ["RECORDS"], os.environ["SECRET_PATH"])
