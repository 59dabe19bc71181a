"""What the module makes or changes before what, as Terraform's graph says: its edges mean "after"."""

import re
from collections import defaultdict

import pytest

MODULE = "module.towpath."


@pytest.fixture(scope="module")
def after(complete):
    """What Terraform makes or changes before a resource of the module."""
    edges = defaultdict(set)
    for later, earlier in re.findall(r'"([^"]+)" -> "([^"]+)"', complete.run("graph").stdout):
        edges[later.removeprefix(MODULE)].add(earlier.removeprefix(MODULE))

    def reach(resource):
        found, left = set(), [resource]
        while left:
            for earlier in edges[left.pop()] - found:
                found.add(earlier)
                left.append(earlier)
        return found

    return reach


@pytest.mark.parametrize("queue", ["this", "dead_letters", "refused"])
def test_roles_may_use_a_key_before_a_queue_does(after, queue):
    assert "aws_iam_role_policy.queue_keys" in after(f"aws_sqs_queue.{queue}")


@pytest.mark.parametrize("role", ["host", "ingest"])
def test_roles_may_use_a_key_before_the_bucket_does(after, role):
    assert f"aws_iam_role_policy.{role}" in after("aws_s3_bucket_server_side_encryption_configuration.this")


def test_the_config_is_stored_with_the_buckets_key(after):
    assert "aws_s3_bucket_server_side_encryption_configuration.this" in after("aws_s3_object.config")


def test_functions_start_with_their_permissions(after):
    for function in ("host", "ingest"):
        assert {f"aws_iam_role_policy.{function}", "aws_iam_role_policy.queue_keys"} <= after(f"aws_lambda_function.{function}")


def test_senders_find_a_domain_only_when_it_leads_to_the_routes(after):
    assert {"aws_apigatewayv2_api_mapping.this", "aws_apigatewayv2_route.direct", "aws_apigatewayv2_route.ingest"} <= after("aws_route53_record.domain")
