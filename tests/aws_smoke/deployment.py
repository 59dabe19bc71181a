"""What a probe may do with a deployment, on AWS or on this machine."""

import http.client
import json
import os
import subprocess
import threading
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from probe import TooLate

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass
class Sizes:
    """How much is tried. On this machine less, so that CI can run it."""

    events: int = 1000
    groups: int = 20
    hold_seconds: int = 600
    hold_pause: float = 5
    refuse_seconds: int = 60
    cold_starts: int = 5
    # How long an event may take to its target, and how long hosts take to notice a hold: 10 s.
    delivery_seconds: int = 240
    notice_seconds: int = 12


class Deployment:
    """A deployment that works. `aws` makes clients; `outputs` are those of the Terraform module."""

    def __init__(self, name, outputs, records_url, stage, client, environment, towpath, on_aws, sizes):
        self.name, self.outputs, self.stage, self.on_aws, self.sizes = name, outputs, stage, on_aws, sizes
        self.client, self.environment, self.binary = client, environment, towpath
        self.sqs = client("sqs")
        self.queue_url, self.dead_url, self.records_url = outputs["queue_url"], outputs["dead_letter_queue_url"], records_url
        self._records, self._letters_lock, self._closed = [], threading.Lock(), threading.Event()
        threading.Thread(target=self._collect, daemon=True).start()

    def run_id(self, probe):
        """A text that only this run of a probe puts into its events."""
        return f"{probe}-{uuid.uuid4().hex[:8]}"

    def post(self, route, body, headers=(), stage=None):
        """Posts to a route and returns the status. `headers` are pairs, and stay as they are."""
        url = urlsplit(self.outputs["hook_urls"][route])
        opened = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = opened(url.netloc, timeout=30)
        try:
            connection.putrequest("POST", f"/{stage}{url.path}" if stage else url.path)
            for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def store(self, clock, route, body):
        """Posts an event of the routes that store with 202 until it is stored: a throttled account, or a new one, rejects some."""
        statuses = []

        def stored():
            statuses.append(self.post(route, body))
            return statuses[-1] == 202

        if not clock.holds(stored, "202", 60):
            raise TooLate(f"an event of {route} stored: answered {statuses[-1]}")

    def event(self, run, number, group=None, **more):
        """The body of an event for the routes that forward. Its id is its own, unless `more` has one."""
        said = {"run": run, "group": run if group is None else f"{run}-{group}", "id": f"{run}-{group}-{number}", "n": number}
        return json.dumps({**said, **more}).encode()

    def records(self, run):
        """The requests of a run that the target got so far, in the order of their arrival."""
        return [record for record in list(self._records) if run in record["body"]]

    def _collect(self):
        """Moves what the target recorded from its queue to this program, until `close`."""
        seen = set()
        while not self._closed.is_set():
            try:
                for message in self._receive(self.records_url, 20):
                    if message["MessageId"] not in seen:
                        seen.add(message["MessageId"])
                        self._records.append(json.loads(message["Body"]))
                    self.sqs.delete_message(QueueUrl=self.records_url, ReceiptHandle=message["ReceiptHandle"])
            except (BotoCoreError, ClientError):
                self._closed.wait(1)

    def close(self):
        """Ends the collection of records."""
        self._closed.set()

    def letters(self, group):
        """The dead letters of one group of messages. All letters stay in the queue."""
        with self._letters_lock:
            seen = []
            while got := self._receive(self.dead_url, 1, MessageAttributeNames=["All"], VisibilityTimeout=30):
                seen += got
            for message in reversed(seen):
                self.sqs.change_message_visibility(
                    QueueUrl=self.dead_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )
            return [message for message in seen if message["Attributes"]["MessageGroupId"] == group]

    def _receive(self, url, wait, **more):
        answer = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait, AttributeNames=["All"], **more
        )
        return answer.get("Messages", [])

    def towpath(self, *arguments, cwd=ROOT):
        """Runs `towpath`; an exit code other than 0 is an error."""
        command = [self.binary, *map(str, arguments)]
        environment = {**os.environ, **self.environment, "NO_COLOR": "1", "TOWPATH_LOG": "error"}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=180)
        if done.returncode:
            raise RuntimeError(f"towpath {' '.join(command[1:3])}: exit code {done.returncode}: {done.stderr[-600:]}")
        return done.stdout


def numbers(records):
    """The numbers of the events in records: each as often as it arrived."""
    return [json.loads(record["body"])["n"] for record in records]


def first_times(values):
    """Each value once, where it came first: a repeat with the same webhook-id is allowed."""
    return list(dict.fromkeys(values))
