"""The built functions over the Lambda Runtime API, with moto's S3, Secrets Manager and SQS."""

import base64
import hmac
import json
from contextlib import closing
from pathlib import Path

import pytest

from conftest import log_lines
from front_ends import http_api
from runtime_api import Function
from setup_site import TOKEN, Site, batch, record, wait_until, won


@pytest.fixture(scope="module")
def crm(towpath, tmp_path_factory):
    """A plugin under development; each version uses another word for "won"."""
    folder = tmp_path_factory.mktemp("plugins")
    assert towpath("plugin", "new", "crm", cwd=folder)[0] == 0
    return folder / "crm"


def write(towpath, crm, word, version):
    """Writes and tests a version that uses this word."""
    source, manifest = crm / "src/lib.rs", crm / "Cargo.toml"
    lines = source.read_text().splitlines(keepends=True)
    changed = [f'            "deal.won" => "{word}",\n' if '"deal.won" =>' in line else line for line in lines]
    source.write_text("".join(changed))
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(f'version = "{version}"\n' if line.startswith("version =") else line for line in lines))
    code, said, wrong = towpath("plugin", "test", crm, "--update")
    assert code == 0, said + wrong


def publish(towpath, crm, site, *more):
    code, said, wrong = towpath("--json", "plugin", "publish", crm, "--to", site.registry, *more)
    assert code == 0, said + wrong
    return json.loads(said)


def digests(function):
    """The digest of each plugin that a function has loaded."""
    return {plugin["name"]: plugin["digest"] for plugin in function.invoke({"towpath": "about"})["plugins"]}


def flip(site, version, file):
    """Flips a bit in an object of a version."""
    key = f"plugins/crm/versions/{version}/{file}"
    body = bytearray(site.s3.get_object(Bucket=site.bucket, Key=key)["Body"].read())
    body[len(body) // 2] ^= 1
    site.s3.put_object(Bucket=site.bucket, Key=key, Body=bytes(body))


def test_a_plugin_is_released_shadowed_promoted_refused_and_rolled_back(aws, towpath, bootstrap, crm, tmp_path):
    key = tmp_path / "release.key"
    code, said, wrong = towpath("--json", "plugin", "keygen", key)
    assert code == 0, wrong
    signed = ["--key", key]
    site = Site(aws, {"shadow": "crm@candidate"}, {"public_key": json.loads(said)["public_key"]})
    write(towpath, crm, "won", "1.0.0")
    one = publish(towpath, crm, site, *signed)
    log = tmp_path / "log"

    def logged(message):
        return [line for line in log_lines(log) if line["fields"].get("message") == message]

    with closing(site.target), closing(Function([bootstrap], site.environment, log)) as function:
        function.ready()
        assert digests(function) == {"crm": one["wasm_sha256"]}
        assert function.invoke(batch(won(1))) == {"batchItemFailures": []}
        assert site.target.bodies() == [{"state": "won", "title": "Ten boats"}]

        # The candidate runs as a shadow: it sees the next message, and none of its requests are sent.
        write(towpath, crm, "gained", "2.0.0")
        two = publish(towpath, crm, site, "--as", "candidate", *signed)
        wait_until(lambda: digests(function).get("crm@candidate") == two["wasm_sha256"], "the candidate is loaded")
        assert function.invoke(batch(won(2))) == {"batchItemFailures": []}
        assert [body["state"] for body in site.target.bodies()] == ["won", "won"]
        assert logged("the shadow differs")[0]["fields"]["differs"] == "request 0: body"
        totals = function.invoke({"towpath": "about"})["totals"]
        assert (totals["delivered"], totals["shadow_differed"], totals["shadow_agreed"]) == (2, 1, 0)

        # The candidate is promoted between two messages.
        code, _, wrong = towpath("plugin", "promote", "crm", "-c", site.config_url)
        assert code == 2 and "--key" in wrong, "pointers are signed too"
        code, _, wrong = towpath("plugin", "promote", "crm", "-c", site.config_url, *signed)
        assert code == 0, wrong
        wait_until(lambda: digests(function)["crm"] == two["wasm_sha256"], "the new version is picked up", 30)
        assert function.invoke(batch(won(3))) == {"batchItemFailures": []}
        assert site.target.bodies()[-1]["state"] == "gained"

        # A version is damaged after it was signed: the last good version keeps running.
        write(towpath, crm, "damaged", "3.0.0")
        three = publish(towpath, crm, site, "--as", "next", *signed)
        flip(site, three["version"], "x86_64-unknown-linux-gnu.cwasm")
        assert towpath("plugin", "promote", "crm", "--from", "next", "-c", site.config_url, *signed)[0] == 0
        refused = "the new version cannot be loaded, the last good one keeps running"
        wait_until(lambda: logged(refused), "the damage is seen")
        assert "changed or damaged" in logged(refused)[0]["fields"]["problem"]
        assert function.invoke(batch(won(4))) == {"batchItemFailures": []}
        assert site.target.bodies()[-1]["state"] == "gained"

    def roll_back(to):
        code, said, wrong = towpath("plugin", "rollback", "crm", "-c", site.config_url, *signed)
        assert code == 0 and to["version"] in said, said + wrong

    # A function that starts does not fall back to an older release by itself: someone with the key must roll back.
    roll_back(two)
    site.target.__init__(TOKEN)
    site.config["target"]["sss"]["url"] = site.target.url
    site.put_config()
    with closing(site.target), closing(Function([bootstrap], site.environment, log)) as function:
        function.ready()
        assert digests(function)["crm"] == two["wasm_sha256"]

        roll_back(one)
        wait_until(lambda: digests(function)["crm"] == one["wasm_sha256"], "the rollback is picked up", 30)
        assert function.invoke(batch(won(5))) == {"batchItemFailures": []}
        assert site.target.bodies()[-1]["state"] == "won"

        # Log lines and dead letters name the build.
        site.target.status = 404
        assert function.invoke(batch(won(6))) == {"batchItemFailures": []}
        letter = site.letters()[0]
        assert (letter["reason"], letter["plugin"], letter["digest"]) == ("refused", "crm", one["wasm_sha256"])
        died = logged("message is in the dead-letter queue")[-1]
        assert one["wasm_sha256"].startswith(died["span"]["digest"]) and len(died["span"]["digest"]) == 12

    code, said, _ = towpath("plugin", "versions", "crm", "-c", site.config_url)
    assert code == 0 and all(release["version"] in said for release in (one, two, three)), said


def test_an_unsigned_release_is_not_published_where_signatures_are_wanted(aws, towpath, crm, tmp_path):
    code, said, _ = towpath("--json", "plugin", "keygen", tmp_path / "key")
    assert code == 0
    site = Site(aws, registry={"public_key": json.loads(said)["public_key"]})
    code, _, wrong = towpath("plugin", "publish", crm, "-c", site.config_url)
    assert code == 2 and "--key" in wrong, wrong
    site.target.close()


def test_secrets_come_from_secrets_manager_and_a_401_renews_them(aws, towpath, bootstrap, crm, tmp_path):
    site = Site(aws)
    publish(towpath, crm, site)
    environment = {**site.environment, "TOWPATH_SECRET_SSS_TOKEN": "from the environment"}
    with closing(site.target), closing(Function([bootstrap], environment, tmp_path / "log")) as function:
        function.ready()
        assert function.invoke(batch(won(1))) == {"batchItemFailures": []}
        site.rotate("planted-5ecret-two")
        assert function.invoke(batch(won(2))) == {"batchItemFailures": []}
        assert [status for _, _, status, _ in site.target.calls] == [200, 401, 200]
        assert site.letters() == []
    assert "from the environment" not in (tmp_path / "log").read_text()


def test_a_function_starts_without_a_secret_names_it_and_uses_it_once_it_is_there(aws, towpath, bootstrap, crm, tmp_path):
    site = Site(aws)
    publish(towpath, crm, site)
    site.config["target"]["sss"]["auth"]["secret"] = "nobody"
    site.put_config()
    event = batch(won(1))
    with closing(site.target), closing(Function([bootstrap], site.environment, tmp_path / "log")) as function:
        function.ready()
        assert len(function.invoke(event)["batchItemFailures"]) == 1 and site.target.calls == []
        aws.client("secretsmanager").create_secret(Name=f"{site.prefix}nobody", SecretString=TOKEN)
        wait_until(lambda: function.invoke(event) == {"batchItemFailures": []}, "the secret is used")
        assert len(site.target.calls) == 1 and site.letters() == []
    missing = [line["fields"] for line in log_lines(tmp_path / "log") if line["fields"].get("event") == "secret-missing"]
    assert missing[0]["what"] == "target sss" and "nobody" in missing[0]["problem"], missing


def test_ingest_stores_a_webhook_whole_and_the_host_delivers_it(aws, towpath, bootstrap, ingest, crm, tmp_path):
    site = Site(aws, {"dedup": "header:x-event-id"})
    publish(towpath, crm, site)
    body = won(1).encode()
    headers = {"content-type": "application/json", "x-event-id": "e-1", "x-odd": "a \"quote\", ümlaut"}
    with closing(Function([ingest], site.environment, tmp_path / "ingest.log")) as function:
        function.ready()
        answer = function.invoke(http_api("POST", "/sqs-hook", headers, body))
        assert answer["statusCode"] == 202, answer
        # The sender retries: the duplicate is not stored again.
        assert function.invoke(http_api("POST", "/sqs-hook", headers, body))["statusCode"] == 202
        assert function.invoke(http_api("POST", "/nowhere", headers, body))["statusCode"] == 404
        binary = bytes(range(256))
        assert function.invoke(http_api("POST", "/sqs-hook", {"x-event-id": "e-2"}, binary))["statusCode"] == 202
    sqs = site.sqs
    stored = []
    while messages := sqs.receive_message(QueueUrl=site.queue, AttributeNames=["All"]).get("Messages"):
        stored += messages
        for message in messages:
            sqs.delete_message(QueueUrl=site.queue, ReceiptHandle=message["ReceiptHandle"])
    assert [message["Attributes"]["MessageGroupId"] for message in stored] == ["crm", "crm"]
    envelopes = [json.loads(message["Body"]) for message in stored]
    assert [base64.b64decode(envelope["body"]) for envelope in envelopes] == [body, binary]
    assert headers.items() <= dict(map(tuple, envelopes[0]["headers"])).items()
    with closing(site.target), closing(Function([bootstrap], site.environment, tmp_path / "host.log")) as function:
        function.ready()
        assert function.invoke({"Records": [record(stored[0]["Body"])]}) == {"batchItemFailures": []}
        assert [body["title"] for body in site.target.bodies()] == ["Ten boats"]


def test_ingest_asks_the_sender_to_try_again_if_it_cannot_store(aws, ingest, tmp_path):
    site = Site(aws)
    site.target.close()
    site.sqs.delete_queue(QueueUrl=site.queue)
    with closing(Function([ingest], site.environment, Path(tmp_path / "log"))) as function:
        function.ready()
        answer = function.invoke(http_api("POST", "/sqs-hook", {}, b"{}"))
        assert answer["statusCode"] == 503 and answer["headers"]["retry-after"] == "5", answer


def test_ingest_verifies_at_the_door_with_its_own_secrets_alone_and_asks_for_a_rotated_one(aws, ingest, tmp_path):
    site = Site(aws, {"verify": {"scheme": "github", "secret": "sss#token", "at": "ingest"}})
    site.target.close()
    # The ingest function neither fetches nor needs a secret that only the host uses.
    site.config["target"]["sss"]["auth"]["secret"] = "not-for-ingest"
    site.put_config()

    def signed(token):
        return {"x-hub-signature-256": "sha256=" + hmac.new(token.encode(), b"{}", "sha256").hexdigest()}

    with closing(Function([ingest], site.environment, Path(tmp_path / "log"))) as function:
        function.ready()
        right = signed(site.target.token)
        assert function.invoke(http_api("POST", "/sqs-hook", right, b"{}"))["statusCode"] == 202
        site.rotate("planted-5ecret-another")
        assert function.invoke(http_api("POST", "/sqs-hook", signed("planted-5ecret-another"), b"{}"))["statusCode"] == 202
        for headers in (right, {}, signed("wrong")):
            answer = function.invoke(http_api("POST", "/sqs-hook", headers, b"{}"))
            assert answer["statusCode"] == 401 and answer["headers"]["www-authenticate"] == "Signature", answer
    assert len(site.sqs.receive_message(QueueUrl=site.queue, MaxNumberOfMessages=10)["Messages"]) == 2
