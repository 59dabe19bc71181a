"""The policies that the module gives out, tried with keys of users that have nothing else. moto judges them: see moto_iam.py."""

import hashlib
import json
import shlex
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import REGION


@pytest.fixture
def judged(aws):
    """While it lasts, moto judges every request."""

    def judge_after(requests):
        plain = {"content-type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{aws.url}/moto-api/reset-auth", str(requests).encode(), plain))

    yield lambda: judge_after(0)
    judge_after("inf")


class User:
    def __init__(self, aws, name, policy):
        iam = aws.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.url = aws.url
        self.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
        )


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


# The last one is what boto3 makes of an answer without a body that it understands.
DENIED = ("AccessDenied", "AccessDeniedException", "403")


@pytest.fixture
def place(applied):
    bucket, key = applied["config_url"].removeprefix("s3://").split("/", 1)
    return {"Bucket": bucket, "Key": key}


def test_a_publisher_publishes_and_does_nothing_else(aws, applied, place, towpath, judged):
    user = User(aws, "publisher", applied["publisher_policy"])
    judged()
    code, said, wrong = towpath("plugin", "publish", "plugins/approval", "-c", applied["config_url"], "--as", "candidate", keys=user.keys)
    assert code == 0, said + wrong
    code, said, wrong = towpath("plugin", "versions", "approval", "-c", applied["config_url"], keys=user.keys)
    assert code == 0, said + wrong
    assert refused(user.client("s3").put_object, **place, Body=b"{}") in DENIED
    assert refused(user.client("s3").put_object, Bucket=place["Bucket"], Key="holds.json", Body=b"{}") in DENIED
    assert refused(user.client("s3").list_objects_v2, Bucket=place["Bucket"], Prefix="other/") in DENIED
    assert refused(user.client("sqs").get_queue_attributes, QueueUrl=applied["queue_url"]) in DENIED


def test_a_release_holds_and_resumes_its_target_before_there_are_holds(aws, applied, place, towpath, judged):
    user = User(aws, "release", applied["release_policy"])
    blind = json.loads(applied["release_policy"])
    blind["Statement"] = [statement for statement in blind["Statement"] if statement["Action"] != "s3:ListBucket"]
    blind = User(aws, "blind", json.dumps(blind))
    aws.client("s3").delete_object(Bucket=place["Bucket"], Key="holds.json")
    judged()
    code, _, wrong = towpath("hold", "sss", "-c", applied["config_url"], "--for", "45m", keys=blind.keys)
    assert code != 0 and "AccessDenied" in wrong, "without ListBucket the first hold is forbidden"
    for command in (("hold", "sss", "--for", "45m", "--reason", "release"), ("resume", "sss", "--rate", "20/s")):
        code, said, wrong = towpath(*command, "-c", applied["config_url"], keys=user.keys)
        assert code == 0, said + wrong
    assert refused(user.client("s3").put_object, **place, Body=b"{}") in DENIED
    assert refused(user.client("s3").put_object, Bucket=place["Bucket"], Key="plugins/approval/x", Body=b"") in DENIED
    assert refused(user.client("sqs").receive_message, QueueUrl=applied["queue_url"]) in DENIED


def test_an_operator_operates_and_reads_no_messages_of_the_queue(aws, applied, towpath, judged):
    user = User(aws, "operator", applied["operator_policy"])
    judged()
    for command in (("pause",), ("resume",), ("hold", "sss"), ("resume", "sss")):
        code, said, wrong = towpath(*command, "-c", applied["config_url"], keys=user.keys)
        assert code == 0, f"{command}: {said}{wrong}"
    # `status` and `dlq` take a queue on this machine for one of `towpath serve`, with keys of its own: so what they ask SQS is asked here.
    sqs, letter = user.client("sqs"), {"MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    for url in (applied["dead_letter_queue_url"], applied["refused_queue_url"]):
        sqs.get_queue_attributes(QueueUrl=url)
        sqs.send_message(QueueUrl=url, **letter)
        (found,) = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"], VisibilityTimeout=1)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
    sqs.get_queue_attributes(QueueUrl=applied["queue_url"])
    sqs.send_message(QueueUrl=applied["queue_url"], **letter)
    # And what `deploy check`, `tail` and `trace` ask.
    functions, host = user.client("lambda"), {"FunctionName": applied["host_function_name"]}
    functions.list_event_source_mappings(EventSourceArn=applied["queue_arn"])
    functions.get_function_configuration(**host)
    functions.get_function_concurrency(**host)
    functions.invoke(**host, Payload=b"{}")
    user.client("cloudwatch").describe_alarms()
    user.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{applied['host_function_name']}")
    assert refused(functions.delete_function, **host) in DENIED
    assert refused(user.client("logs").filter_log_events, logGroupName="/aws/lambda/other") in DENIED
    assert refused(user.client("sqs").receive_message, QueueUrl=applied["queue_url"]) in DENIED
    assert refused(user.client("sqs").delete_queue, QueueUrl=applied["queue_url"]) in DENIED
    assert refused(user.client("secretsmanager").get_secret_value, SecretId="towpath-example/sss-token") in DENIED


def test_poll_receives_and_dead_letters(aws, applied, place, judged):
    user = User(aws, "poll", applied["poll_policy"])
    judged()
    sqs, s3 = user.client("sqs"), user.client("s3")
    sqs.receive_message(QueueUrl=applied["queue_url"])
    # `poll` looks at both queues when it starts.
    for url in (applied["queue_url"], applied["dead_letter_queue_url"]):
        sqs.get_queue_attributes(QueueUrl=url)
    letter = {"MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    sqs.send_message(QueueUrl=applied["dead_letter_queue_url"], **letter)
    assert refused(sqs.send_message, QueueUrl=applied["queue_url"], **letter) in DENIED
    assert refused(sqs.receive_message, QueueUrl=applied["dead_letter_queue_url"]) in DENIED
    s3.get_object(**place)
    assert refused(s3.get_object, Bucket=place["Bucket"], Key="plugins/nobody/current.json") == "NoSuchKey", "missing is not forbidden"
    assert refused(s3.put_object, Bucket=place["Bucket"], Key="holds.json", Body=b"{}") in DENIED
    s3.put_object(Bucket=place["Bucket"], Key="holds.json.breakers/sss.json", Body=b"{}")


@pytest.fixture
def versions(applied, towpath, tmp_path):
    """Lists versions of a plugin with this profile and no keys in the environment, which would come first."""
    code, said, wrong = towpath("plugin", "publish", "plugins/approval", "-c", applied["config_url"], "--as", "candidate")
    assert code == 0, said + wrong

    def versions(profile, **environment):
        file = tmp_path / "config"
        file.write_text(f"[profile ops]\n{profile}")
        nothing = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"}
        keys = {**nothing, "AWS_PROFILE": "ops", "AWS_CONFIG_FILE": str(file), "HOME": str(tmp_path), **environment}
        return towpath("plugin", "versions", "approval", "-c", applied["config_url"], keys=keys)

    return versions


def test_a_person_signs_in_with_a_program_that_prints_credentials(aws, applied, versions, judged, tmp_path):
    user = User(aws, "by-program", applied["publisher_policy"])
    printed = {"Version": 1, "AccessKeyId": user.keys["AWS_ACCESS_KEY_ID"], "SecretAccessKey": user.keys["AWS_SECRET_ACCESS_KEY"]}
    program = tmp_path / "program.py"
    program.write_text(f"print({json.dumps(printed)!r})")
    judged()
    code, said, wrong = versions(f"credential_process = {shlex.join([sys.executable, str(program)])}\n")
    assert code == 0, said + wrong
    code, _, wrong = versions("region = eu-west-1\n")
    assert code != 0 and "credentials" in wrong, "a profile without a way to sign in has no credentials"


def test_a_person_signs_in_with_identity_center(versions, tmp_path):
    # moto cannot judge a session that it did not give out: any key does.
    asked = []

    class Portal(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["x-amz-sso_bearer_token"]))
            role = {
                "accessKeyId": "key", "secretAccessKey": "secret", "sessionToken": "a session", "expiration": 4102444800000,
            }
            body = json.dumps({"roleCredentials": role}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    # What `aws sso login` leaves behind.
    cache = tmp_path / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b'corp').hexdigest()}.json"
    cache.parent.mkdir(parents=True)
    token = {"accessToken": "a token", "expiresAt": "2099-01-01T00:00:00Z", "startUrl": "https://corp.example/start", "region": REGION}
    cache.write_text(json.dumps(token))
    profile = (
        "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Publisher\n"
        f"[sso-session corp]\nsso_region = {REGION}\nsso_start_url = https://corp.example/start\n"
    )
    with HTTPServer(("127.0.0.1", 0), Portal) as portal:
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        code, said, wrong = versions(profile, AWS_ENDPOINT_URL_SSO=f"http://127.0.0.1:{portal.server_port}")
        portal.shutdown()
    assert code == 0, said + wrong
    # Each client asks by itself.
    ((path, bearer),) = set(asked)
    assert path.startswith("/federation/credentials") and "Publisher" in path and bearer == "a token"
