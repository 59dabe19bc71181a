"""`make aws-smoke` on this machine: its table, and that each probe fails when what it expects is broken."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import boto3
import pytest

from conftest import REGION, ROOT, built

SMOKE = ROOT / "tests/aws_smoke"
sys.path.insert(0, str(SMOKE))

import on_this_machine  # noqa: E402
import report  # noqa: E402
from on_aws import OnAws, Terraform  # noqa: E402
from probe import Clock, Probe, Result  # noqa: E402
from probes import ALL, cold_starts, direct, headers, hold, large_letter, order, receives, redrive, release, stage  # noqa: E402

NEEDS_AWS = {"direct-quote", "direct-missing", "stage", "headers", "cold-starts"}


def smoke(*arguments, **environment):
    """The program, started."""
    return subprocess.Popen(
        [sys.executable, SMOKE, *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def local_run():
    """All probes, while the other tests run."""
    built("TOWPATH_BIN", "towpath")
    run = smoke("--local", "--json")
    yield run
    # Not a kill: what it started must end with it.
    if run.poll() is None:
        run.terminate()
        run.communicate(timeout=60)


@pytest.fixture(scope="module")
def site(local_run):
    """A deployment whose parts the tests break."""
    binaries = built("TOWPATH_BIN", "towpath"), built("TOWPATH_INGEST", "ingest function")
    with on_this_machine.deployed("smoke-broken", binaries) as deployment:
        yield deployment


def see(probe, deployment):
    return probe.run(deployment, Clock(90))


class Changed:
    """Something of which one part is different."""

    def __init__(self, real, **parts):
        self.__dict__ = {"real": real, **parts}

    def __getattr__(self, name):
        return getattr(self.real, name)


class Direct(Changed):
    """What might stand behind a direct route: a header is put into the module's JSON text by `put`, and the event is stored."""

    def __init__(self, real, put):
        super().__init__(real, put=put)

    def post(self, _, body, headers=()):
        mark = dict(headers).get("X-Smoke-Mark", "none")
        attributes = json.loads('{"x-smoke-mark":{"DataType":"String","StringValue":"' + self.put(mark) + '"}}')
        event = json.loads(body)
        self.sqs.send_message(
            QueueUrl=self.queue_url, MessageBody=body.decode(), MessageAttributes=attributes,
            MessageGroupId=f"direct/{event['group']}", MessageDeduplicationId=event["id"],
        )
        return 200


def naive(value):
    return value


def escaped(value):
    return json.dumps(value)[1:-1]


def test_a_forged_attribute_fails_and_a_whole_or_rejected_header_passes(site):
    forged = see(direct.QUOTE, Direct(site, naive))
    assert forged.as_expected is False and "FORGED" in forged.text, forged
    whole = see(direct.QUOTE, Direct(site, escaped))
    assert whole.as_expected is True, whole
    cut = see(direct.QUOTE, Direct(site, lambda value: value.split('"')[0]))
    assert cut.as_expected is False, cut


def test_an_accepted_event_that_is_lost_fails(site):
    soon = replace(on_this_machine.SIZES, delivery_seconds=1)
    through = Direct(site, escaped)

    def answering(status):
        """Takes ordinary events; answers all others, and stores none of them."""
        ordinary = [("X-Smoke-Mark", "plain")]
        post = lambda route, body, headers=(): through.post(route, body, headers) if headers == ordinary else status
        return Changed(site, sizes=soon, post=post)

    for probe in (direct.QUOTE, direct.MISSING):
        lost = see(probe, answering(200))
        assert lost.as_expected is False and "LOST" in lost.text, lost
        assert see(probe, answering(400)).as_expected is True
    stored = see(direct.MISSING, Direct(site, escaped))
    assert stored.as_expected is False, stored


def test_stages_and_headers_as_documented_pass_and_others_fail(site):
    assert see(stage.PROBE, site).as_expected is True
    assert see(stage.PROBE, Changed(site, stage="other", sizes=replace(on_this_machine.SIZES, delivery_seconds=1))).as_expected is False
    assert see(headers.PROBE, site).as_expected is True
    swapped = see(headers.PROBE, Changed(site, post=lambda route, body, sent: site.post(route, body, sorted(sent, reverse=True))))
    assert swapped.as_expected is False and "two,one" in swapped.text, swapped


def test_lost_and_overtaken_events_fail(site):
    few = replace(on_this_machine.SIZES, events=8, groups=2, delivery_seconds=5)
    assert see(order.PROBE, Changed(site, sizes=few)).as_expected is True
    overtaken = see(order.PROBE, Changed(site, sizes=few, records=lambda run: site.records(run)[::-1]))
    assert overtaken.as_expected is False and "broken in 2 of 2" in overtaken.text, overtaken
    lost = see(order.PROBE, Changed(site, sizes=few, records=lambda run: site.records(run)[:7]))
    assert lost.as_expected is False and "7 of 8" in lost.text, lost


def test_a_hold_that_does_not_hold_fails(site):
    soon = replace(on_this_machine.SIZES, hold_seconds=2, notice_seconds=0)
    seen = see(hold.PROBE, Changed(site, sizes=soon, towpath=lambda *_: ""))
    assert seen.as_expected is False and " 0 delivered during it" not in seen.text, seen


def test_letters_that_are_changed_or_overtaken_fail(site):
    def cut(group):
        return [{**letter, "Body": json.dumps({"body": ""})} for letter in site.letters(group)]

    changed = see(large_letter.PROBE, Changed(site, letters=cut))
    assert changed.as_expected is False and "CHANGED" in changed.text, changed
    overtaken = see(redrive.PROBE, Changed(site, records=lambda run: site.records(run)[::-1]))
    assert overtaken.as_expected is False and "[1, 0]" in overtaken.text, overtaken


def test_a_queue_that_moves_too_late_fails(site):
    def later(QueueName, Attributes):
        return site.sqs.create_queue(
            QueueName=QueueName, Attributes={key: value.replace("3", "4") if key == "RedrivePolicy" else value for key, value in Attributes.items()}
        )

    seen = see(receives.PROBE, Changed(site, name="smoke-later", sqs=Changed(site.sqs, create_queue=later)))
    assert seen.as_expected is False and "AAAABBBB" in seen.text, seen


def test_releases_that_lose_overtake_or_bury_an_event_fail():
    approvals = [{"title": f"run {number}", "status": status} for number, status in enumerate(("pending", "waiting", "pending"))]
    assert release.judge(3, approvals, 0).as_expected
    assert not release.judge(4, approvals, 0).as_expected
    assert not release.judge(3, approvals[::-1], 0).as_expected
    assert not release.judge(3, approvals, 1).as_expected
    assert release.judge(3, [*approvals, approvals[1]], 0).as_expected, "a repeat is allowed"


def test_cold_starts_are_read_from_the_report_and_judged():
    report = "REPORT RequestId: 1 Duration: 3.10 ms Billed Duration: 90 ms Memory Size: 512 MB Init Duration: 85.42 ms"
    assert cold_starts.initialization_ms(report) == 85.42
    assert cold_starts.initialization_ms(report.split("Init")[0]) is None
    assert cold_starts.judge({"host": [80.0, 90.0], "ingest": [40.0]}).as_expected is True
    assert cold_starts.judge({"host": [80.0, 10_001.0], "ingest": [40.0]}).as_expected is False
    assert cold_starts.judge({"host": [80.0], "ingest": []}).as_expected is None


def test_a_probe_that_waits_in_vain_or_breaks_is_unknown(site):
    late = Probe("late", "", lambda _, clock: clock.wait_until(lambda: False, "the event"), 1)
    broken = Probe("broken", "", lambda *_: [][0], 1)
    assert [probe.result(site).result for probe in (late, broken)] == ["unknown", "unknown"]


def test_the_program_refuses_an_account_that_was_not_named(aws):
    for named, problem in ((None, "AWS_SMOKE_ACCOUNT is not set"), ("999999999999", "belong to account 123456789012")):
        environment = {**aws.environment, **({"AWS_SMOKE_ACCOUNT": named} if named else {})}
        run = smoke(**environment)
        said, wrong = run.communicate(timeout=60)
        assert run.returncode == 2 and problem in wrong and said == "", wrong
    assert aws.client("sqs").list_queues(QueueNamePrefix="smoke-").get("QueueUrls", []) == []


def test_what_is_left_after_a_destroy_is_named(aws):
    session = boto3.Session("test", "test", region_name=REGION)
    session.client = lambda service, config: aws.client(service)
    site = OnAws("smoke-left", session, "towpath", ("", ""), "arm64", {})
    assert site.named() == []
    queue = aws.client("sqs").create_queue(QueueName="smoke-left-events")["QueueUrl"]
    aws.client("logs").create_log_group(logGroupName="/aws/lambda/smoke-left-host")
    aws.client("apigatewayv2").create_api(Name="smoke-left", ProtocolType="HTTP")
    aws.client("apigatewayv2").create_api(Name="smoke-leftover", ProtocolType="HTTP")
    assert site.named() == [f"queue {queue}", "log group /aws/lambda/smoke-left-host", "API smoke-left"]
    session.client = lambda service, config: aws.client("s3") if service == "iam" else aws.client(service)
    assert any(left.startswith("role: cannot be listed") for left in site.named())


def test_a_deployment_that_never_began_is_destroyed_and_one_that_cannot_be_is_named(tmp_path):
    terraform = Terraform(tmp_path, {})
    assert terraform.destroy() == []
    terraform.example.mkdir(parents=True)
    (terraform.example / "terraform.tfstate").write_text("damaged")
    [left] = terraform.destroy()
    assert str(terraform.example) in left, left


def test_the_table_has_every_probe_and_what_can_run_here_passes(local_run):
    said, wrong = local_run.communicate(timeout=300)
    results = json.loads(said)["results"]
    assert [result["probe"] for result in results] == [probe.name for probe in ALL]
    for result in results:
        needs = result["probe"] in NEEDS_AWS
        assert result["result"] == ("not run" if needs else "pass"), (result, wrong[-2000:])
        assert result["expected"] and result["seen"].startswith("needs AWS: ") == needs
    assert local_run.returncode == 0


def test_the_table_shows_each_result_with_a_sum():
    results = [Result(name, "what was expected", "what was seen", kind, 1) for name, kind in (("a", "pass"), ("b", "fail"), ("c", "pass"))]
    shown = report.table(results)
    assert "2 pass, 1 fail" in shown and all(word in shown for word in ("expected", "seen", "what was seen"))
