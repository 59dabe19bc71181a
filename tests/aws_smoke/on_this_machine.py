"""A deployment on this machine: moto's S3, Towpath's own SQS endpoint, the built ingest function, `towpath poll` as the host.

It shows that the probes work and what Towpath does. It shows nothing about AWS: what stands for API Gateway here is ours.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
from botocore.config import Config

from deployment import ROOT, Deployment, Sizes

sys.path[:0] = [str(Path(ROOT, "tests/aws")), str(Path(__file__).with_name("example"))]

from front_ends import http_api, named_stage  # noqa: E402
from recorder import record  # noqa: E402
from runtime_api import Function  # noqa: E402

SIZES = Sizes(events=200, hold_seconds=3, hold_pause=0.2, refuse_seconds=4)
# 256 KiB in base64, minus 24 KiB of headers: what the Terraform module sets.
BODY_LIMIT = 172_032
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def process(command, environment, folder, name):
    """A program with its output in a file; killed at the end. Yields a function that waits until the output matches."""
    log = Path(folder, f"{name}.log")
    with log.open("wb") as out:
        started = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out, cwd=folder)

    def wait_for(pattern):
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, log.read_text())):
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        return found[1]

    try:
        yield wait_for
    finally:
        started.kill()
        started.wait()


def server(answer):
    """An HTTP server: `answer` gets method, path, headers as pairs and body, and returns status, headers and body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, text = answer(self.command, self.path, self.headers.items(), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


@contextmanager
def serving(answer):
    made = server(answer)
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()


def door(function):
    """What stands for API Gateway: passes requests to the ingest function, one at a time. The stage `smoke` has a name."""
    one = threading.Lock()

    def answer(method, path, headers, body):
        shape = http_api
        if path.startswith("/smoke/"):
            shape, path = named_stage, path.removeprefix("/smoke")
        with one:
            said = function.invoke(shape(method, path, headers, body))
        return said["statusCode"], said.get("headers", {}), said.get("body", "").encode()

    return answer


def config(name, bucket, queue_url, dead_url, recorder_url):
    """The config that the Terraform module makes of the example."""
    routes = json.loads(Path(__file__).with_name("example").joinpath("routes.json").read_text())
    target = {"url": f"{recorder_url}/{name}/", "timeout": "10s", "allow_private": True}
    return {
        "queue": {"url": queue_url, "dead_letter_url": dead_url},
        "ingest": {"prefix": "/hooks", "body_limit": BODY_LIMIT},
        "holds": {"url": f"s3://{bucket}/holds.json"},
        "registry": {"url": f"s3://{bucket}/plugins"},
        # The headers of a direct route are for the module only.
        "route": [{key: value for key, value in route.items() if key != "headers"} for route in routes],
        "plugin": {"approval": {}},
        "target": {"recorder": target, "held": target, "sss": target},
    }


@contextmanager
def deployed(name, binaries):
    """A running deployment. `binaries` are the paths of towpath and of the ingest function."""
    towpath, ingest = binaries
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = free_port()
        moto = [sys.executable, f"{ROOT}/tests/aws/moto_server.py", "-H", "127.0.0.1", "-p", str(port)]
        stack.enter_context(process(moto, {}, folder, "moto"))("(Running on)")
        environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_MAX_ATTEMPTS": "1"}

        Path(folder, "towpath.toml").write_text(
            '[queue]\nstore = "store"\n[ingest]\nlisten = "127.0.0.1:0"\n'
            '[[route]]\npath = "unused"\ngroup = "unused"\ntarget = "unused"\n[target.unused]\nurl = "https://example.com"\n'
        )
        serve = [towpath, "serve", "--ingest-only", "--sqs", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        endpoint = stack.enter_context(process(serve, {}, folder, "serve"))(r"SQS +(http://\S+)")

        def client(service):
            url = endpoint if service == "sqs" else environment["AWS_ENDPOINT_URL"]
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": KEYS["AWS_REGION"]}
            return boto3.client(service, endpoint_url=url, config=Config(max_pool_connections=64), **keys)

        sqs, s3 = client("sqs"), client("s3")
        fifo = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        dead, records = (
            sqs.create_queue(QueueName=f"{name}-{kind}.fifo", Attributes=fifo)["QueueUrl"] for kind in ("dead", "records")
        )
        dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1000})
        queue = sqs.create_queue(QueueName=f"{name}-events.fifo", Attributes={**fifo, "RedrivePolicy": policy})["QueueUrl"]

        def recorded(method, path, headers, body):
            said = record(http_api(method, path, headers, body), sqs, records, name)
            return said["statusCode"], said.get("headers", {}), said.get("body", "").encode()

        recorder = stack.enter_context(serving(recorded))
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="towpath.json", Body=json.dumps(config(name, name, queue, dead, recorder)))
        config_url = f"s3://{name}/towpath.json"

        function = stack.enter_context(
            closing(Function([ingest], {**environment, "TOWPATH_CONFIG": config_url}, Path(folder, "ingest.log")))
        )
        function.ready()
        front = stack.enter_context(serving(door(function)))
        poll = [towpath, "poll", "-c", config_url, "--wait", "1s", "--health", "127.0.0.1:0"]
        stack.enter_context(process(poll, environment, folder, "poll"))(r"health: (http://\S+?)/healthz")

        outputs = {
            "queue_url": queue,
            "dead_letter_queue_url": dead,
            "config_url": config_url,
            "registry_url": f"s3://{name}/plugins",
            "hook_urls": {path: f"{front}/hooks/{path}" for path in ("plain", "held", "approval", "direct")},
        }
        deployment = Deployment(name, outputs, records, "smoke", client, environment, towpath, on_aws=False, sizes=SIZES)
        stack.callback(deployment.close)
        yield deployment
