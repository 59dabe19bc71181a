"""Twenty receives from a queue whose maxReceiveCount is 3."""

import json

from probe import Probe, Seen


def make(sqs, name, **attributes):
    """A FIFO queue: its URL and ARN."""
    url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true", **attributes})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def run(deployment, clock):
    sqs, made = deployment.sqs, []
    try:
        dead, arn = make(sqs, f"{deployment.name}-receives-dead")
        made.append(dead)
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        queue, _ = make(sqs, f"{deployment.name}-receives", RedrivePolicy=policy)
        made.append(queue)
        return receive(sqs, queue, dead, clock)
    finally:
        for url in made:
            sqs.delete_queue(QueueUrl=url)


def receive(sqs, queue, dead, clock):
    ids = {}
    for letter in "AB":
        sent = sqs.send_message(QueueUrl=queue, MessageBody=letter, MessageGroupId="g", MessageDeduplicationId=letter)
        ids[letter] = sent["MessageId"]
    seen = ""
    for _ in range(20):
        got = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0, WaitTimeSeconds=1).get("Messages", [])
        seen += "".join(message["Body"] for message in got) or "-"
        clock.pause(0)
    letters = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
    kept = {letter["Body"]: letter["MessageId"] for letter in letters}
    text = f"received {seen}; dead letters: {''.join(kept)}, ids {'kept' if kept == ids else 'changed'}"
    return Seen(text, seen.replace("-", "") == "AAABBB" and list(kept) == ["A", "B"] and kept == ids)


PROBE = Probe(
    "receives", "A is received 3 times and then moved, with its id; then the same of B, which never comes before", run, 120
)
