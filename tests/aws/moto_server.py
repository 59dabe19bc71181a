"""moto's server, with additions that the tests need.

- `RedriveAllowPolicy` of a queue: Terraform's real provider waits until it can read back what it wrote.
- `Policy` of a queue stays when other attributes are set.
- `RedrivePolicy` without spaces, as SQS returns it: otherwise each plan would change it.
- CloudWatch's `DescribeAlarms` over CBOR, which the Rust SDK uses. The answer comes from moto's own alarms.
"""

import json
import sys

import boto3
import cbor2
from moto.server import main
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs.models import Queue

import moto_iam  # noqa: F401 (replaces how moto judges policies)

_attributes = Queue.attributes.fget


def attributes(self):
    known = dict(_attributes(self))
    if known.get("RedrivePolicy"):
        known["RedrivePolicy"] = json.dumps(json.loads(known["RedrivePolicy"]), separators=(",", ":"))
    if self.redrive_allow_policy:
        known["RedriveAllowPolicy"] = self.redrive_allow_policy
    return known


_set_attributes = Queue._set_attributes


def set_attributes(self, attributes, *arguments, **named):
    policy = getattr(self, "policy", None)
    _set_attributes(self, attributes, *arguments, **named)
    if "Policy" not in attributes:
        self.policy = policy


Queue._set_attributes = set_attributes
Queue.attributes = property(attributes)
Queue.redrive_allow_policy = None
# The attribute names that clients may request.
Queue.KMS_ATTRIBUTES = [*Queue.KMS_ATTRIBUTES, "RedriveAllowPolicy"]

_dispatch = DomainDispatcherApplication.__call__


def dispatch(self, environ, start_response):
    if not environ["PATH_INFO"].endswith("/operation/DescribeAlarms"):
        return _dispatch(self, environ, start_response)
    # "…/eu-west-1/monitoring/aws4_request"
    region = environ["HTTP_AUTHORIZATION"].split("/monitoring/")[0].rsplit("/", 1)[1]
    here = f"http://127.0.0.1:{environ['SERVER_PORT']}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    alarms = boto3.client("cloudwatch", endpoint_url=here, region_name=region, **keys).describe_alarms()["MetricAlarms"]
    names = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Period", "EvaluationPeriods")
    body = cbor2.dumps({"MetricAlarms": [{name: alarm[name] for name in names} for alarm in alarms]})
    start_response("200 OK", [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")])
    return [body]


DomainDispatcherApplication.__call__ = dispatch

if __name__ == "__main__":
    main(sys.argv[1:])
