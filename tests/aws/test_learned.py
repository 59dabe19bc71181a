"""Secrets that senders send in a handshake: the built ingest function stores them in Secrets Manager."""

import hashlib
import hmac
import json
from contextlib import ExitStack, closing

import pytest

from front_ends import FRONT_ENDS
from runtime_api import Function
from setup_site import Site

ONE, OTHER = "planted-5ecret-q7RkXw2LmVt9ZsYb4NcHgA", "planted-5ecret-Zz81Lp0QvKcXn3TyWe6RuM"
EVENT = b'{"events":[{"action":"changed","resource":{"gid":"1201"}}]}'
POST = next(iter(FRONT_ENDS.values()))


class Deployment:
    """A route for Asana, and instances of the function that start before there is a secret."""

    def __init__(self, aws, towpath):
        self.aws, self.run, self.site = aws, towpath, Site(aws)
        self.site.target.close()
        secrets = aws.client("secretsmanager")
        secrets.create_secret(Name=f"{self.site.prefix}notes", SecretString="planted-5ecret-notes-q7RkXw2LmVt9ZsYb4NcHgA")
        self.site.config["ingest"]["prefix"] = "/hooks"
        self.site.config["dead_letters"] = {"note_key": "notes"}
        self.site.config["route"] = [{"path": "asana", "plugin": "crm", "provider": "asana"}]
        self.site.put_config()
        self.functions = []

    def towpath(self, *arguments):
        code, out, problem = self.run(*arguments, "-c", self.site.config_url, "--json")
        assert code == 0, problem
        return json.loads(out)

    def text(self):
        secrets = self.aws.client("secretsmanager")
        return secrets.get_secret_value(SecretId=f"{self.site.prefix}asana")["SecretString"]

    def handshake(self, function, secret):
        answer = function.invoke(POST("POST", "/hooks/asana", [("X-Hook-Secret", secret)], b""))
        assert answer["statusCode"] != 200 or answer["headers"]["x-hook-secret"] == secret
        return answer["statusCode"]

    def event(self, function, secret):
        proof = hmac.new(secret.encode(), EVENT, hashlib.sha256).hexdigest()
        headers = [("Content-Type", "application/json"), ("X-Hook-Signature", proof)]
        return function.invoke(POST("POST", "/hooks/asana", headers, EVENT))["statusCode"]


@pytest.fixture
def deployment(aws, towpath, ingest, tmp_path):
    with ExitStack() as stack:
        made = Deployment(aws, towpath)
        for number in range(2):
            function = Function([ingest], made.site.environment, tmp_path / f"log-{number}")
            made.functions.append(stack.enter_context(closing(function)))
            function.ready()
        yield made


def test_a_secret_is_learned_once_by_whichever_instance_gets_the_handshake(deployment):
    one, other = deployment.functions
    assert deployment.handshake(one, ONE) == 403, "nobody opened the route"
    assert deployment.towpath("secret", "list")[0]["state"] == "unlearned"
    assert deployment.towpath("secret", "arm", "asana")["armed_until_at"]
    assert deployment.text().startswith("towpath-armed until=")

    assert deployment.handshake(one, ONE) == 200
    assert deployment.text() == ONE
    assert deployment.event(one, ONE) == 202
    # The other instance finds it with the first webhook that it would refuse.
    assert deployment.event(other, ONE) == 202
    assert [deployment.handshake(function, OTHER) for function in (one, other)] == [403, 403]
    assert [deployment.handshake(function, ONE) for function in (one, other)] == [200, 200]
    assert deployment.text() == ONE
    assert deployment.towpath("secret", "show", "asana") == {"secret": "asana", "value": ONE}

    armed = deployment.towpath("secret", "arm", "asana", "--for", "1h")
    assert armed["state"] == "learned"
    assert deployment.event(one, ONE) == 202, "the previous secret verifies until a new one is learned"
    assert deployment.handshake(other, OTHER) == 200
    assert (deployment.text(), deployment.event(other, OTHER)) == (OTHER, 202)


def test_a_version_is_followed_by_one_text_only(deployment):
    """What Towpath relies on: the service refuses a second text for one ClientRequestToken."""
    secrets = deployment.aws.client("secretsmanager")
    name, token = f"{deployment.site.prefix}asana", "0" * 64
    secrets.create_secret(Name=name, SecretString="first")
    put = lambda text: secrets.put_secret_value(SecretId=name, ClientRequestToken=token, SecretString=text)
    put("second")
    put("second")
    with pytest.raises(secrets.exceptions.ResourceExistsException):
        put("third")
    assert deployment.text() == "second"
