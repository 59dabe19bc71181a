"""`towpath console` over queues of SQS: looking receives nothing, a click receives what it says, and what is done is done in the queues."""

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import REGION, built
from test_logs import ATTEMPT, ID, line, logged


def on_aws(url):
    """The queue's URL as AWS gives it: with moto's own the host would take the queue for one of its own endpoint, which has no regions."""
    return f"https://sqs.{REGION}.amazonaws.com/{url.split('/', 3)[3]}"


class Console:
    """A console in a folder of its own, and the token of an operator."""

    def __init__(self, aws, folder, queue_url, *more):
        command = [built("TOWPATH_BIN", "towpath"), "--json", "console", "--queue-url", on_aws(queue_url), "--listen", "127.0.0.1:0", *more]
        self.log = open(folder / "log", "wb")
        environment = {**os.environ, **aws.environment}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log)
        # The object ends with a line of its own; the process goes on.
        said = ""
        while not said.endswith("\n}\n"):
            line = self.process.stdout.readline().decode()
            assert line, (folder / "log").read_text()
            said += line
        self.url = json.loads(said)["url"].rstrip("/")
        self.tokens = {
            role: (folder / ".towpath" / name).read_text().strip()
            for role, name in [("operator", "console.token"), ("viewer", "console-view.token")]
        }
        self.folder = folder

    def ask(self, path, form=None, role="operator"):
        """Status and text of an answer; with a form it is a POST."""
        body = None if form is None else urllib.parse.urlencode(form).encode()
        headers = {"authorization": f"Bearer {self.tokens[role]}", "x-towpath-console": "1"}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def audit(self):
        file = self.folder / ".towpath" / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


@pytest.fixture
def dead(aws):
    """A dead-letter queue with a letter of SQS's own, and the client that made it."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(
        QueueName="console-dead.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageGroupId="crm/1", MessageBody='{"n":1,"text":"<script>alert(1)</script>"}')
    yield sqs, url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def console(aws, dead, tmp_path):
    console = Console(aws, tmp_path, dead[1])
    yield console
    console.close()


def received(sqs, url):
    """How often the letter was received, this receive too."""
    (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    return int(message["Attributes"]["ApproximateReceiveCount"])


def test_looking_at_every_page_receives_nothing(dead, console):
    for page in ["/", "/groups", "/letters", "/letters?reason=refused", "/refused", "/audit", "/what-if?reason=refused"]:
        status, text = console.ask(page)
        assert status == 200, (page, text)
    status, text = console.ask("/live")
    assert status == 422 and "finding the story" in text, "no log group was named"
    for path in ["status", "letters", "letters/stats", "groups", "events/12345678", "audit", "openapi.json"]:
        status, text = console.ask(f"/api/v1/{path}")
        assert status < 500, (path, text)
    _, text = console.ask("/letters")
    assert "each receive counts" in text
    assert received(*dead) == 1


def test_a_click_receives_and_shows_and_names_who_looked(dead, console):
    status, text = console.ask("/letters/receive", {"filter": ""}, role="viewer")
    assert status == 403, text
    status, text = console.ask("/letters/receive", {"filter": ""})
    assert status == 200 and "crm/1" in text, text
    assert "<script>alert" not in text
    # It is given back at once: this receive gets it.
    assert received(*dead) == 2


@pytest.fixture
def told(aws, dead, tmp_path):
    """A console with the log groups of functions that stored an event and failed once to deliver it."""
    stored = line("stored", span={}, message_id=ID, group="approval/7", route="approval", sequence="18")
    attempts = {"attempts": json.dumps([ATTEMPT]), "outcome": "unavailable", "decision": "retry", "retry_after_s": 1.5, "age_s": 0.2}
    logged(aws, "/console/ingest", ["START RequestId: 1", stored])
    logged(aws, "/console/host", [line("pass", **attempts), "REPORT RequestId: 1"])
    console = Console(aws, tmp_path, dead[1], "--log-group", "/console/ingest", "--log-group", "/console/host")
    yield console
    console.close()


def test_the_story_of_an_event_and_the_live_page_come_from_the_log_groups_of_functions(told):
    status, text = told.ask("/api/v1/events/8f3c2b1a")
    assert status == 200, text
    timeline = json.loads(text)
    assert (timeline["message_id"], timeline["group"]) == (ID, "approval/7"), text
    assert "503" in text and "stored" in text, text
    status, text = told.ask(f"/events/{ID}", role="viewer")
    assert status == 200 and "approval/7" in text and "503" in text, text
    status, text = told.ask("/api/v1/events/nothing-known")
    assert status == 404, text
    status, text = told.ask("/api/v1/tail?follow=false")
    assert status == 200 and [entry.get("outcome", entry["message"]) for entry in json.loads(text)] == ["stored", "unavailable"], text
