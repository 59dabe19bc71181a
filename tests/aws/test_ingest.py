"""The built ingest function behind each front end of AWS: what it takes, what it answers, which proofs survive."""

import base64
import hashlib
import hmac
import json
from contextlib import closing

import pytest

from front_ends import FRONT_ENDS
from runtime_api import Function
from setup_site import TOKEN, Site

SECRET = "sss#token"
# No route verifies with it.
HANDSHAKE, KEY = "handshake", "planted-5ecret-handshake"
JSON = ("Content-Type", "application/json")


def mac(text, key=TOKEN):
    return hmac.new(key.encode(), text if isinstance(text, bytes) else text.encode(), "sha256").hexdigest()


ROUTES = [
    {"path": "plain", "group": "plain"},
    {
        "path": "tenants/{tenant}/crm", "group": "crm/{path:tenant}/{query:id}", "methods": ["POST", "PUT", "DELETE"],
        "ack": {"status": 200, "headers": {"x-tenant": "{path:tenant}"}, "json": {"ok": True}},
    },
    {"path": "forward/*", "group": "forward/all", "methods": ["GET", "POST"]},
    {
        "path": "meta", "group": "meta",
        "answer": [
            {
                "when": {"method": "GET", "present": ["query:hub.challenge"]},
                "token": "query:hub.verify_token", "secret": HANDSHAKE, "body": "{query:hub.challenge}",
            },
            {"when": {"method": "GET", "present": ["query:crc"]}, "secret": HANDSHAKE, "json": {"token": "{query:crc|hmac-sha256|hex}"}},
            {"when": {"method": "HEAD"}, "status": 200, "body": "nobody sees this"},
            {
                "when": {"method": "OPTIONS", "present": ["header:webhook-request-origin"]},
                "headers": {"webhook-allowed-origin": "{header:webhook-request-origin}"},
            },
        ],
    },
    {"path": "strava", "provider": "strava"},
    {"path": "body", "group": "body", "verify": {"scheme": "github", "secret": SECRET}},
    {
        "path": "pairs", "group": "pairs",
        "verify": {"scheme": "signature", "signature": "header:x-pairs", "signed": "{pair:n}.{body}", "pairs": {"signature": "v1"}, "secret": SECRET},
    },
    {
        "path": "headers", "group": "headers",
        "verify": {"scheme": "signature", "signature": "header:x-sig", "signed": "{header:x-part}.{body}", "secret": SECRET},
    },
    {
        "path": "query", "group": "query",
        "verify": {"scheme": "signature", "signature": "header:x-sig", "signed": "{query}.{body}", "secret": SECRET},
    },
    {
        "path": "parameter", "group": "parameter",
        "verify": {"scheme": "signature", "signature": "query:sig", "signed": "{query:id}.{body}", "secret": SECRET},
    },
    {
        "path": "segment/{name}", "group": "segment",
        "verify": {"scheme": "signature", "signature": "header:x-sig", "signed": "{path:name}.{body}", "secret": SECRET},
    },
    {"path": "token", "group": "token", "verify": {"scheme": "token", "token": "query:token", "secret": SECRET}},
    {"path": "bearer", "group": "bearer", "verify": {"scheme": "bearer", "secret": SECRET}},
    {"path": "cookie", "group": "cookie", "verify": {"scheme": "token", "token": "header:cookie", "prefix": "a=1; key=", "secret": SECRET}},
]


class Door:
    """A running function with these routes."""

    def __init__(self, site, function):
        self.site, self.function = site, function

    def ask(self, event):
        return self.function.invoke(event)

    def stored(self):
        """What was stored since the last call: group and envelope."""
        found = []
        while got := self.site.sqs.receive_message(
            QueueUrl=self.site.queue, AttributeNames=["All"], MaxNumberOfMessages=10
        ).get("Messages"):
            for message in got:
                found.append((message["Attributes"]["MessageGroupId"], json.loads(message["Body"])))
                self.site.sqs.delete_message(QueueUrl=self.site.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def door(aws, ingest, tmp_path_factory):
    site = Site(aws)
    site.target.close()
    for name in (HANDSHAKE, "strava", "strava-verify-token"):
        aws.client("secretsmanager").create_secret(Name=f"{site.prefix}{name}", SecretString=f"planted-5ecret-{name}")
    site.config["ingest"]["prefix"] = "/hooks"
    site.config["route"] = [{"plugin": "crm", **route} for route in ROUTES]
    site.put_config()
    with closing(Function([ingest], site.environment, tmp_path_factory.mktemp("ingest") / "log")) as function:
        function.ready()
        yield Door(site, function)


@pytest.fixture(autouse=True)
def nothing_left(door):
    """What an earlier test stored is none of this one's business."""
    door.stored()


each_front_end = pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS.keys())


@each_front_end
def test_any_method_path_and_query_of_a_route_is_stored_as_it_was_sent(door, front_end):
    for method in ("POST", "PUT", "DELETE"):
        answer = door.ask(front_end(method, "/hooks/tenants/acme%20b/crm?id=7", [JSON, ("X-A", "b")], b'{"n":1}'))
        assert (answer["statusCode"], answer["body"]) == (200, '{"ok":true}'), answer
        # A space is not allowed in the id of a group, so that the answer shows what was read instead.
        assert answer["headers"]["x-tenant"] == "acme b"
        [(_, envelope)] = door.stored()
        assert (envelope.get("method", "POST"), envelope["query"]) == (method, "id=7")
        assert dict(envelope["path"]) == {"tenant": "acme%20b"}
        assert ["x-a", "b"] in envelope["headers"] and base64.b64decode(envelope["body"]) == b'{"n":1}'
    refused = door.ask(front_end("GET", "/hooks/tenants/acme/crm"))
    assert refused["statusCode"] == 405 and refused["headers"]["allow"] == "POST, PUT, DELETE"
    assert door.ask(front_end("POST", "/hooks/nowhere"))["statusCode"] == 404
    assert door.ask(front_end("GET", "/healthz"))["statusCode"] == 200


@each_front_end
def test_what_follows_a_star_is_stored_or_nothing(door, front_end):
    for path, rest in (("/hooks/forward", None), ("/hooks/forward/a/b%3Fc", "a/b%3Fc")):
        assert door.ask(front_end("GET", f"{path}?x=1&y=2"))["statusCode"] == 202
        [(_, envelope)] = door.stored()
        assert dict(envelope.get("path", [])).get("*") == rest and sorted(envelope["query"].split("&")) == ["x=1", "y=2"]


@each_front_end
def test_a_body_that_is_no_text_is_stored_byte_for_byte(door, front_end):
    body = bytes(range(256))
    assert door.ask(front_end("POST", "/hooks/plain", [("content-type", "application/zip")], body))["statusCode"] == 202
    [(_, envelope)] = door.stored()
    assert base64.b64decode(envelope["body"]) == body


@each_front_end
def test_handshakes_are_answered_with_the_secret_of_secrets_manager(door, front_end):
    asked = lambda token: front_end("GET", f"/hooks/meta?hub.mode=subscribe&hub.challenge=1158&hub.verify_token={token}")
    right = door.ask(asked(KEY))
    assert (right["statusCode"], right["body"], right["isBase64Encoded"]) == (200, "1158", False)
    # The function reads no other secrets, and must not take the value that stands for them.
    for wrong in (TOKEN, "guessed", "placeholder", ""):
        assert door.ask(asked(wrong))["statusCode"] == 403, wrong
    crc = door.ask(front_end("GET", "/hooks/meta?crc=abc"))
    assert json.loads(crc["body"]) == {"token": mac("abc", KEY)}
    head = door.ask(front_end("HEAD", "/hooks/meta"))
    assert (head["statusCode"], head["body"]) == (200, "")
    options = door.ask(front_end("OPTIONS", "/hooks/meta", {"WebHook-Request-Origin": "events.example.com"}))
    assert options["headers"]["webhook-allowed-origin"] == "events.example.com"
    assert door.stored() == []


@each_front_end
def test_a_provider_is_connected_by_its_name(door, front_end):
    asked = "/hooks/strava?hub.mode=subscribe&hub.challenge=15f7&hub.verify_token=planted-5ecret-strava-verify-token"
    answer = door.ask(front_end("GET", asked))
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"hub.challenge": "15f7"})
    event = b'{"object_id":7}'
    assert door.ask(front_end("POST", "/hooks/strava?token=planted-5ecret-strava", [JSON], event))["statusCode"] == 200
    assert door.ask(front_end("POST", "/hooks/strava?token=placeholder", [JSON], event))["statusCode"] == 401
    assert [group for group, _ in door.stored()] == ["strava/7"]


# The table in docs/deploy-on-aws.md: each row is a case here. `but` names the front ends that a proof does not survive.
BODY = '{"é":1}'.encode()
PROOFS = {
    "a signature of the body": dict(path="body", headers=[JSON, ("X-Hub-Signature-256", f"sha256={mac(BODY)}")]),
    "a signature of a body that is no text": dict(
        path="body", body=b"\xff\x00", headers=[("X-Hub-Signature-256", f"sha256={mac(bytes([255, 0]))}")]
    ),
    "a signature among pairs with commas": dict(path="pairs", headers=[JSON, ("X-Pairs", f"n=1,v1={mac(b'1.' + BODY)}")]),
    "a signature of headers": dict(path="headers", headers=[JSON, ("X-Part", "p"), ("X-Sig", mac(b"p." + BODY))]),
    "a signature of the first of two headers": dict(
        path="headers", headers=[JSON, ("X-Part", "p"), ("X-Part", "q"), ("X-Sig", mac(b"p." + BODY))],
        but=("http_api", "named_stage", "function_url"),
    ),
    "two signatures, the first of which is right": dict(
        path="headers", headers=[JSON, ("X-Part", "p"), ("X-Sig", mac(b"p." + BODY)), ("X-Sig", "00")]
    ),
    "two signatures, the second of which is right": dict(
        path="headers", headers=[JSON, ("X-Part", "p"), ("X-Sig", "00"), ("X-Sig", mac(b"p." + BODY))], but=("rest_api",)
    ),
    "a signature of the whole query": dict(
        path="query?b=%2f&a=1+2", headers=[JSON, ("X-Sig", mac(b"b=%2f&a=1+2." + BODY))], but=("rest_api",)
    ),
    "a signature of one parameter, in another": dict(
        path=f"parameter?x=1&id=a%2Fb+c&sig={mac(b'a/b c.' + BODY)}", headers=[JSON]
    ),
    "a signature of a segment": dict(path="segment/a%40b", headers=[JSON, ("X-Sig", mac(b"a@b." + BODY))]),
    "a signature of a segment with a slash": dict(
        path="segment/a%2Fb", headers=[JSON, ("X-Sig", mac(b"a/b." + BODY))], but=("http_api", "named_stage")
    ),
    "a token in the query": dict(path=f"token?token={TOKEN}", headers=[JSON]),
    "a bearer token": dict(path="bearer", headers=[JSON, ("Authorization", f"Bearer {TOKEN}")]),
    "a token in a cookie": dict(path="cookie", headers=[JSON, ("Cookie", f"a=1; key={TOKEN}")]),
}


@each_front_end
@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS.keys())
def test_a_proof_survives_what_the_front_end_changes_or_is_refused(door, front_end, proof):
    asked = lambda body, headers: door.ask(front_end("POST", f"/hooks/{proof['path']}", headers, body))
    body, headers = proof.get("body", BODY), proof["headers"]
    survives = front_end.__name__ not in proof.get("but", ())
    answer = asked(body, headers)
    # A path with one more slash is another path.
    lost = (401, 404)
    assert answer["statusCode"] == 202 if survives else answer["statusCode"] in lost, answer
    # The same proof for another event, or none at all, is refused.
    if "token" not in proof["path"] and proof["path"] not in ("bearer", "cookie"):
        assert asked(body + b" ", headers)["statusCode"] in lost
    bare = proof["path"].replace(TOKEN, "wrong").split("sig=")[0]
    nothing = door.ask(front_end("POST", f"/hooks/{bare}", [JSON], body))
    assert nothing["statusCode"] in lost, nothing
    assert len(door.stored()) == (1 if survives else 0)
