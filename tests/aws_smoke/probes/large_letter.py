"""A dead letter as large as a letter can be."""

import base64
import json

from probe import Probe, Seen


def body_limit(deployment):
    """The longest body that ingest takes: the config says so."""
    bucket, key = deployment.outputs["config_url"].removeprefix("s3://").split("/", 1)
    config = json.loads(deployment.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return config["ingest"]["body_limit"]


def run(deployment, clock):
    run, limit = deployment.run_id("large"), body_limit(deployment)
    event = deployment.event(run, 0, answer=404, answer_size=60_000, filled="")
    event = event.replace(b'"filled": ""', b'"filled": "' + b"x" * (limit - len(event)) + b'"')
    status = deployment.post("plain", event)
    if status != 202:
        return Seen(f"a body of {len(event)} bytes was answered {status}", False)
    letters = clock.wait_until(lambda: deployment.letters(f"plain/{run}"), "the dead letter", 150)
    for letter in letters:
        whole = base64.b64decode(json.loads(letter["Body"])["body"]) == event
    size = len(letters[0]["Body"]) + sum(
        len(name) + len(value["DataType"]) + len(value.get("StringValue", ""))
        for name, value in letters[0].get("MessageAttributes", {}).items()
    )
    text = f"{len(letters)} letter of {size} bytes; its body of {limit} bytes is {'whole' if whole else 'CHANGED'}"
    return Seen(text, whole and len(letters) == 1)


PROBE = Probe(
    "large-letter", "the largest body that ingest takes, refused by the target with a long answer, is one dead letter with the whole body",
    run, 240,
)
