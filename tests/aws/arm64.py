"""Runs the arm64 zips once with qemu-user: the ingest function stores a webhook and the host function delivers it.

`make test-arm64` passes this file to pytest, which does not collect it by itself.
"""

import os
import zipfile
from contextlib import closing

import pytest

from conftest import ROOT
from front_ends import http_api
from runtime_api import Function
from setup_site import Site, record, won
from test_function import crm, publish, write  # noqa: F401  (crm is a fixture)

QEMU = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]


def unpacked(name, folder):
    archive = zipfile.ZipFile(ROOT / f"dist/towpath-{name}-arm64.zip")
    assert archive.namelist() == ["bootstrap"]
    assert archive.getinfo("bootstrap").external_attr >> 16 & 0o111 == 0o111, "bootstrap must be executable"
    archive.extract("bootstrap", folder)
    os.chmod(folder / "bootstrap", 0o755)
    return str(folder / "bootstrap")


@pytest.fixture
def functions(tmp_path_factory):
    return {name: unpacked(name, tmp_path_factory.mktemp(name)) for name in ("host", "ingest")}


def test_a_webhook_goes_through_both_functions(aws, towpath, functions, crm, tmp_path):  # noqa: F811
    site = Site(aws)
    write(towpath, crm, "won", "1.0.0")
    release = publish(towpath, crm, site)
    with closing(Function([*QEMU, functions["ingest"]], site.environment, tmp_path / "ingest.log")) as ingest:
        ingest.ready()
        answer = ingest.invoke(http_api("POST", "/sqs-hook", {"content-type": "application/json"}, won(1).encode()))
        assert answer["statusCode"] == 202, answer
    body = site.sqs.receive_message(QueueUrl=site.queue)["Messages"][0]["Body"]
    with closing(site.target), closing(Function([*QEMU, functions["host"]], site.environment, tmp_path / "host.log")) as host:
        host.ready()
        about = host.invoke({"towpath": "about"})
        assert about["target"] == "aarch64-unknown-linux-gnu"
        assert [plugin["digest"] for plugin in about["plugins"]] == [release["wasm_sha256"]]
        assert host.invoke({"Records": [record(body)]}) == {"batchItemFailures": []}
        assert site.target.bodies() == [{"state": "won", "title": "Ten boats"}]
