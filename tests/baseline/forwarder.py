"""The forwarder that teams write by hand: every message is POSTed to the URL of its group, and any failure fails the batch."""

import os
import urllib.request


def lambda_handler(event, context):
    for record in event["Records"]:
        group = record["attributes"]["MessageGroupId"]
        request = urllib.request.Request(
            f"{os.environ['TARGET_URL']}/{group}",
            data=record["body"].encode(),
            headers={"content-type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()
    return {"statusCode": 200}
