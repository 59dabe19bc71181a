"""Fixtures that the tests share: moto's server, the built binaries, AWS clients."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from applied import ROOT, applied, complete  # noqa: F401 (fixtures)

REGION = "eu-west-1"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Aws:
    """moto's server, and the environment that points clients to it."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def tell(self, path, body):
        """Calls moto's own control API."""
        request = urllib.request.Request(f"{self.url}/moto-api/{path}", json.dumps(body).encode(), {"content-type": "application/json"})
        assert urllib.request.urlopen(request).status in (200, 201)

    def client(self, service, region=REGION):
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
        )


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    port = free_port()
    log = open(tmp_path_factory.mktemp("moto") / "log", "wb")
    command = [sys.executable, str(Path(__file__).with_name("moto_server.py")), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, "moto's server did not start"
    aws = Aws(port)
    # Without Docker, moto's functions return the answers that a test sets.
    aws.tell("config", {"lambda": {"use_docker": False}})
    yield aws
    server.kill()
    server.wait()


def built(variable, what):
    """A binary that `make test-aws` built."""
    path = os.environ.get(variable)
    assert path and Path(path).is_file(), f"{variable} is not the path of a built {what}: run `make test-aws`"
    return path


@pytest.fixture(scope="session")
def towpath(aws):
    """Runs `towpath`; returns its exit code, stdout and stderr. `keys` are variables of the environment; None removes one."""
    binary = built("TOWPATH_BIN", "towpath")

    def run(*arguments, cwd=ROOT, keys=None):
        environment = {**os.environ, **aws.environment, "NO_COLOR": "1", **(keys or {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        done = subprocess.run(
            [binary, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="session")
def bootstrap():
    return built("TOWPATH_BOOTSTRAP", "host function")


@pytest.fixture(scope="session")
def ingest():
    return built("TOWPATH_INGEST", "ingest function")


def log_lines(path):
    """The log lines of a function, without the lines that are metrics."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if "fields" in line]
