"""A small Towpath deployment on moto: a bucket, queues, secrets, a target, a plugin with versions."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Neither this token nor any other of these tests may appear in a log.
TOKEN = "planted-5ecret-one"


class Target:
    """SSS: records every request, and answers 200 if the token is right."""

    def __init__(self, token):
        self.token, self.calls, self.status = token, [], 200
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                known = self.headers.get("authorization") == f"Bearer {target.token}"
                status = target.status if known else 401
                target.calls.append((self.command, self.path, status, body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        return [json.loads(body) for _, _, status, body in self.calls if status == 200]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Site:
    """The deployment, with its config in the bucket."""

    def __init__(self, aws, route=None, registry=None):
        self.aws, self.s3 = aws, aws.client("s3")
        self.bucket = f"towpath-{uuid.uuid4()}"
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.prefix = f"{self.bucket}/"
        aws.client("secretsmanager").create_secret(Name=f"{self.prefix}sss", SecretString=json.dumps({"token": TOKEN}))
        # The host uses this region for a queue whose URL is on this machine.
        self.sqs = sqs = aws.client("sqs", "us-east-1")
        fifo = {"FifoQueue": "true"}
        self.queue = sqs.create_queue(QueueName=f"{self.bucket}-events.fifo", Attributes=fifo)["QueueUrl"]
        self.dead = sqs.create_queue(QueueName=f"{self.bucket}-dead.fifo", Attributes=fifo)["QueueUrl"]
        self.target = Target(TOKEN)
        self.registry = f"s3://{self.bucket}/plugins"
        self.config = {
            "queue": {"url": self.queue, "dead_letter_url": self.dead},
            "ingest": {"prefix": ""},
            "secrets": {"prefix": self.prefix},
            "registry": {"url": self.registry, **(registry or {})},
            "route": [{"path": "sqs-hook", "group": "crm", "plugin": "crm", **(route or {})}],
            "plugin": {"crm": {}},
            "target": {
                "sss": {"url": self.target.url, "allow_private": True, "auth": {"scheme": "bearer", "secret": "sss#token"}}
            },
        }
        self.put_config()

    def put_config(self):
        self.s3.put_object(Bucket=self.bucket, Key="towpath.json", Body=json.dumps(self.config).encode())

    @property
    def config_url(self):
        return f"s3://{self.bucket}/towpath.json"

    @property
    def environment(self):
        return {**self.aws.environment, "TOWPATH_CONFIG": self.config_url, "AWS_MAX_ATTEMPTS": "1"}

    def rotate(self, token):
        """Rotates the token, at the target and in Secrets Manager."""
        self.target.token = token
        value = json.dumps({"token": token})
        self.aws.client("secretsmanager").put_secret_value(SecretId=f"{self.prefix}sss", SecretString=value)

    def letters(self):
        """The parsed `towpath-dead-letter` attributes of the messages in the dead-letter queue."""
        got = self.sqs.receive_message(QueueUrl=self.dead, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
        messages = got.get("Messages", [])
        return [json.loads(m["MessageAttributes"]["towpath-dead-letter"]["StringValue"]) for m in messages]


def record(body, group="crm"):
    """A record of an SQS event, stored just now."""
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "handle",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(int(time.time() * 1000)),
            "MessageGroupId": group,
            "MessageDeduplicationId": str(uuid.uuid4()),
            "SequenceNumber": "1",
        },
        "messageAttributes": {},
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:events.fifo",
    }


def won(number):
    """The CRM's event for a deal that was won."""
    return json.dumps({"kind": "deal.won", "id": f"d-{number}", "title": "Ten boats"})


def batch(*bodies):
    return {"Records": [record(body) for body in bodies]}


def wait_until(condition, what, seconds=45):
    """Waits for a condition. The default timeout allows for hosts that check for new versions every 15 seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return found
