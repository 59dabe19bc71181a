"""Applies the module with the real provider against moto, reads it back, runs `towpath deploy check`, and destroys it.

moto shows what was created, not how FIFO queues behave. That is tested on Towpath's own SQS endpoint.
"""

import json
from collections import defaultdict

import pytest

from conftest import REGION


def attributes(aws, url):
    return aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_the_queues_are_as_the_rules_say(aws, applied):
    queue = attributes(aws, applied["queue_url"])
    letters = attributes(aws, applied["dead_letter_queue_url"])
    assert queue["FifoQueue"] == "true" and letters["FifoQueue"] == "true"
    assert (queue["DeduplicationScope"], queue["FifoThroughputLimit"]) == ("messageGroup", "perMessageGroupId")
    assert queue["ContentBasedDeduplication"] == "false"
    assert queue["VisibilityTimeout"] == "360" and queue["MessageRetentionPeriod"] == "1209600"
    assert letters["MessageRetentionPeriod"] == "1209600"
    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": letters["QueueArn"], "maxReceiveCount": 1000}
    allowed = json.loads(letters["RedriveAllowPolicy"])
    assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [queue["QueueArn"]]}


def test_a_second_apply_changes_nothing_and_resumes_nothing(aws, complete, applied):
    functions, mapping = aws.client("lambda"), applied["event_source_mapping_id"]
    # As `towpath pause` does it.
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    changed, plan = complete.changes(*complete.variables)
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)
    assert not changed, plan


def test_the_mapping_gives_partial_responses_and_deletes_by_no_filter(aws, applied):
    mapping = aws.client("lambda").get_event_source_mapping(UUID=applied["event_source_mapping_id"])
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["EventSourceArn"] == applied["queue_arn"] and mapping["BatchSize"] == 10
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert not mapping.get("FilterCriteria") and not mapping.get("MaximumBatchingWindowInSeconds")


def test_the_functions_find_their_config_and_know_no_secret(aws, applied):
    for name in (applied["host_function_name"], applied["ingest_function_name"]):
        function = aws.client("lambda").get_function_configuration(FunctionName=name)
        assert (function["Runtime"], function["Architectures"]) == ("provided.al2023", ["arm64"])
        variables = function["Environment"]["Variables"]
        assert variables["TOWPATH_CONFIG"] == applied["config_url"]
        assert not [name for name in variables if "SECRET" in name or "TOKEN" in name]
    bucket, key = applied["config_url"].removeprefix("s3://").split("/", 1)
    config = json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    refused = config["queue"].pop("refused_url")
    assert refused == applied["queue_url"].replace("-events.fifo", "-refused.fifo")
    assert config["queue"] == {"url": applied["queue_url"], "dead_letter_url": applied["dead_letter_queue_url"]}
    assert [route["path"] for route in config["route"]] == [
        "approval", "github", "tenants/{tenant}/events", "forward/*", "stripe",
    ]
    assert config["target"]["sss"]["auth"] == [{"scheme": "bearer", "secret": "sss-token"}]


def test_what_the_config_says_is_what_the_host_understands(applied, towpath):
    code, said, wrong = towpath("config", "check", "-c", applied["config_url"], "--skip-secrets", "--skip-plugins")
    assert code == 0, said + wrong
    assert "routes 5, plugins 5, targets 2" in said


def test_the_roles_allow_what_is_needed_and_nothing_on_everything(aws, applied):
    iam = aws.client("iam")
    wanted = {
        "towpath-example-eu-west-1-host": {
            "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility",
            "sqs:SendMessage", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "logs:CreateLogStream",
            "logs:PutLogEvents", "secretsmanager:GetSecretValue", "firehose:PutRecordBatch",
        },
        "towpath-example-eu-west-1-ingest": {
            "sqs:SendMessage", "sqs:GetQueueAttributes", "s3:GetObject", "logs:CreateLogStream", "logs:PutLogEvents",
            "secretsmanager:GetSecretValue",
        },
        "towpath-example-eu-west-1-api": {"sqs:SendMessage"},
    }
    for role, actions in wanted.items():
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        assert len(names) == 1 and not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        statements = iam.get_role_policy(RoleName=role, PolicyName=names[0])["PolicyDocument"]["Statement"]
        as_list = lambda value: value if isinstance(value, list) else [value]
        assert {action for s in statements for action in as_list(s["Action"])} == actions, role
        assert "*" not in [resource for s in statements for resource in as_list(s["Resource"])], role
        by_action = defaultdict(list)
        for s in statements:
            for action in as_list(s["Action"]):
                by_action[action] += as_list(s["Resource"])
        if "sqs:ReceiveMessage" in actions:
            assert by_action["sqs:ReceiveMessage"] == [applied["queue_arn"]]
            assert by_action["sqs:SendMessage"] == [applied["dead_letter_queue_arn"]]
            assert sorted(arn.rsplit(":", 1)[1] for arn in by_action["secretsmanager:GetSecretValue"]) == [
                "towpath-example/approval-webhook-??????",
                "towpath-example/sss-token-??????",
                "towpath-example/verify-token-??????",
            ]
        elif "sqs:GetQueueAttributes" in actions:
            refused = applied["queue_arn"].replace("-events.fifo", "-refused.fifo")
            assert sorted(by_action["sqs:SendMessage"]) == sorted([applied["queue_arn"], refused])
            assert by_action["sqs:GetQueueAttributes"] == [refused]
            secrets = by_action["secretsmanager:GetSecretValue"]
            assert sorted(arn.rsplit(":", 1)[1] for arn in secrets) == [
                "towpath-example/approval-webhook-??????",
                "towpath-example/verify-token-??????",
            ]
        else:
            assert by_action["sqs:SendMessage"] == [applied["queue_arn"]]


def test_api_gateway_sends_each_route_where_it_belongs(aws, applied):
    api = aws.client("apigatewayv2")
    integrations = {i["IntegrationId"]: i for i in api.get_integrations(ApiId=applied["api_id"])["Items"]}
    routes = {
        route["RouteKey"]: integrations[route["Target"].removeprefix("integrations/")]
        for route in api.get_routes(ApiId=applied["api_id"])["Items"]
    }
    assert set(routes) == {
        "POST /hooks/approval", "POST /hooks/github", "POST /hooks/stripe", "POST /hooks/tenants/{tenant}/events",
        "PUT /hooks/tenants/{tenant}/events", "GET /hooks/tenants/{tenant}/events", "POST /hooks/forward",
        "POST /hooks/forward/{proxy+}",
    }
    direct = routes["POST /hooks/stripe"]
    assert direct["IntegrationSubtype"] == "SQS-SendMessage"
    assert direct["RequestParameters"] == {
        "QueueUrl": applied["queue_url"],
        "MessageBody": "$request.body",
        "MessageGroupId": "stripe/${request.body.account}",
        "MessageDeduplicationId": "$request.body.id",
        "MessageAttributes": json.dumps(
            {
                name.lower(): {"DataType": "String", "StringValue": "${request.header." + name + "}"}
                for name in ("Stripe-Signature",)
            },
            separators=(",", ":"),
        ),
    }
    assert routes["POST /hooks/github"]["PayloadFormatVersion"] == "2.0"
    through_ingest = [integration["IntegrationId"] for key, integration in routes.items() if not key.endswith("/stripe")]
    assert set(through_ingest) == {routes["POST /hooks/github"]["IntegrationId"]}
    assert applied["ingest_function_name"] in routes["POST /hooks/github"]["IntegrationUri"]


def test_alarms_are_silent_until_something_happens(aws, applied):
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="towpath-example")["MetricAlarms"]
    assert {alarm["AlarmName"].removeprefix("towpath-example-") for alarm in alarms} == {
        "dead-letters", "oldest-message", "blocked-head", "dead-letters-left", "dead-letters-not-stored",
        "host-errors", "host-throttles", "ingest-errors", "ingest-throttles", "archive-dropped", "archive-late",
    }
    assert {alarm["TreatMissingData"] for alarm in alarms} == {"notBreaching"}
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName=applied["dashboard_name"])
    titles = {widget["properties"]["title"] for widget in json.loads(dashboard["DashboardBody"])["widgets"]}
    assert {"Messages in the queue", "Dead letters in the queue", "Dead letters by reason, route and build"} <= titles


def test_the_bucket_keeps_versions_and_shows_nobody_anything(aws, applied):
    s3, bucket = aws.client("s3"), applied["config_url"].removeprefix("s3://").split("/")[0]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_logs_are_kept_for_as_long_as_was_said(aws, applied):
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/towpath-example")["logGroups"]
    assert {group["logGroupName"].rsplit("-", 1)[1]: group["retentionInDays"] for group in groups} == {"host": 30, "ingest": 30}


# The order matters: first a correct deployment, then broken ones, then pause and resume.


def describe(aws, towpath, digests, version=None):
    """Sets the answer of the function to the next `about` invocation."""
    code, said, _ = towpath("--version")
    assert code == 0
    about = {
        "towpath": version or said.split()[1],
        "wasmtime": "48.0.8",
        "plugins": [{"name": name, "version": "1", "digest": digest} for name, digest in digests.items()],
    }
    aws.tell("static/lambda-simple/response", {"results": [json.dumps(about)], "region": REGION})


@pytest.fixture(scope="module")
def released(applied, towpath):
    digests = {}
    for plugin in ("approval", "github", "stripe"):
        code, said, wrong = towpath("--json", "plugin", "publish", f"plugins/{plugin}", "--to", applied["registry_url"])
        assert code == 0, said + wrong
        digests[plugin] = json.loads(said)["wasm_sha256"]
    return digests


def test_deploy_check_finds_nothing_wrong_with_what_the_module_made(aws, applied, towpath, released):
    describe(aws, towpath, released)
    code, said, wrong = towpath("deploy", "check", "-c", applied["config_url"])
    assert code == 0, said + wrong
    assert "8 checks, 0 failed" in said


def test_deploy_check_tells_what_is_wrong_and_the_cure(aws, applied, towpath, released):
    def failed(digests=released, version=None):
        # moto returns each answer once.
        describe(aws, towpath, digests, version)
        code, said, wrong = towpath("--json", "deploy", "check", "-c", applied["config_url"])
        rows = {row["check"]: row["problem"] for row in json.loads(said) if "problem" in row}
        assert code == (1 if rows else 0), said + wrong
        return rows

    functions, sqs, alarms = aws.client("lambda"), aws.client("sqs"), aws.client("cloudwatch")
    host, mapping = applied["host_function_name"], applied["event_source_mapping_id"]

    assert "github" in failed({**released, "github": "0" * 64})["plugins"]
    assert "towpath 0.0.9" in failed(version="0.0.9")["function"]

    functions.update_event_source_mapping(UUID=mapping, FunctionResponseTypes=[])
    assert "ReportBatchItemFailures" in failed()["mapping"]
    functions.update_event_source_mapping(UUID=mapping, FunctionResponseTypes=["ReportBatchItemFailures"])

    sqs.set_queue_attributes(QueueUrl=applied["queue_url"], Attributes={"VisibilityTimeout": "30", "MessageRetentionPeriod": "3600"})
    problem = failed()["queue"]
    assert "visibility timeout is 30 s" in problem and "max_age" in problem
    sqs.set_queue_attributes(QueueUrl=applied["queue_url"], Attributes={"VisibilityTimeout": "360", "MessageRetentionPeriod": "1209600"})

    function = functions.get_function_configuration(FunctionName=host)
    variables = function["Environment"]["Variables"]
    odd = {**variables, "TOWPATH_SECRET_SSS_TOKEN": "x", "TOWPATH_CONFIG": "s3://other/towpath.json"}
    functions.update_function_configuration(FunctionName=host, Timeout=5, Environment={"Variables": odd})
    problem = failed()["function"]
    assert "Secrets Manager" in problem and "timeout is 5 s" in problem and "s3://other" in problem
    functions.update_function_configuration(FunctionName=host, Timeout=60, Environment={"Variables": variables})

    bucket, key = applied["config_url"].removeprefix("s3://").split("/", 1)
    s3 = aws.client("s3")
    config = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**json.loads(config), "archive": {"stream": "nowhere"}}).encode())
    assert "nowhere" in failed()["archive"]
    s3.put_object(Bucket=bucket, Key=key, Body=config)

    kept = alarms.describe_alarms(AlarmNames=["towpath-example-dead-letters"])["MetricAlarms"][0]
    alarms.delete_alarms(AlarmNames=[kept["AlarmName"]])
    assert failed()["alarms"] == "no alarm watches dead letters"
    names = (
        "AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods",
        "ComparisonOperator", "Threshold", "TreatMissingData",
    )
    alarms.put_metric_alarm(**{name: kept[name] for name in names})
    assert failed() == {}


def test_pause_and_resume_switch_the_mapping(aws, applied, towpath, released):
    def state():
        return aws.client("lambda").get_event_source_mapping(UUID=applied["event_source_mapping_id"])["State"]

    assert towpath("pause", "-c", applied["config_url"])[0] == 0
    assert state() == "Disabled"
    code, said, _ = towpath("deploy", "check", "-c", applied["config_url"])
    assert code == 1 and "towpath resume" in said, said
    assert towpath("resume", "-c", applied["config_url"])[0] == 0
    assert state() == "Enabled"
