"""Lets moto judge identity policies by resource and condition, as AWS does. moto itself compares every resource but that of S3 with `*`, and
takes a condition that is not met for a denial.

- Resources: of S3 as moto knows them, of SQS by the queue's URL, of Firehose by the stream, of logs by the group, of Lambda by the mapping or function in
  the path.
- Conditions: `StringLike` and `StringLikeIfExists` on `s3:prefix`.
- A missing object is "forbidden" to who may not list the bucket. Source: "GetObject" in the API reference of S3. That read has no
  `s3:prefix`.
- Signatures are not checked: the key says who asks.
"""

import fnmatch
import json
import re
from urllib.parse import parse_qs, unquote, urlparse

from moto.iam import access_control
from moto.iam.access_control import IAMPolicyStatement, IAMRequestBase, PermissionResult
from moto.s3.models import s3_backends

_of_principals = IAMPolicyStatement.is_action_permitted
_check = IAMRequestBase.check_action_permitted


def listed(value):
    return value if isinstance(value, list) else [value]


def like(text, patterns):
    return any(fnmatch.fnmatchcase(text, pattern.replace("[", "[[]")) for pattern in listed(patterns))


def is_met(operator, key, values, context):
    if operator not in ("StringLike", "StringLikeIfExists"):
        raise NotImplementedError(operator)
    return like(context[key], values) if key in context else operator.endswith("IfExists")


def is_action_permitted(self, action, resource="*", principal=None, incoming_condition_values=None):
    statement = self._statement
    if "Principal" in statement:
        return _of_principals(self, action, resource, principal, incoming_condition_values)
    context = incoming_condition_values or {}
    conditions = [(operator, *pair) for operator, pairs in statement.get("Condition", {}).items() for pair in pairs.items()]
    concerned = (
        like(action, statement["Action"])
        and like(resource, statement["Resource"])
        and all(is_met(*condition, context) for condition in conditions)
    )
    if not concerned:
        return PermissionResult.NEUTRAL
    return PermissionResult.PERMITTED if statement["Effect"] == "Allow" else PermissionResult.DENIED


def resource_of(request, resource):
    """The ARN that a request is about, where moto does not know it."""
    path = unquote(urlparse(request._path).path)
    region, account = request._region, request.account_id
    if request._service == "sqs":
        url = json.loads(request._body or b"{}").get("QueueUrl", "")
        return f"arn:aws:sqs:{region}:{account}:{url.rsplit('/', 1)[-1]}"
    if request._service == "firehose":
        return f"arn:aws:firehose:{region}:{account}:deliverystream/{json.loads(request._body)['DeliveryStreamName']}"
    if request._service == "logs":
        return f"arn:aws:logs:{region}:{account}:log-group:{json.loads(request._body)['logGroupName']}:*"
    if mapping := re.search(r"/event-source-mappings/([^/]+)$", path):
        return f"arn:aws:lambda:{region}:{account}:event-source-mapping:{mapping[1]}"
    if function := re.search(r"/functions/([^/]+)/", path):
        return f"arn:aws:lambda:{region}:{account}:function:{function[1].rsplit(':', 1)[-1]}"
    return resource


# Operations whose action has another name.
ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction", "monitoring:DescribeAlarms": "cloudwatch:DescribeAlarms"}


def judge(request, action, resource, context):
    results = [
        access_control.IAMPolicy(policy).is_action_permitted(action, resource, None, context)
        for policy in request._access_key.collect_policies()
    ]
    return PermissionResult.PERMITTED in results and PermissionResult.DENIED not in results


def check_action_permitted(self, resource):
    if self._service == "sts":
        return _check(self, resource)
    resource = resource_of(self, resource) if self._service != "s3" else resource
    prefix = parse_qs(urlparse(self._path).query, keep_blank_values=True).get("prefix")
    context = {"s3:prefix": prefix[0]} if prefix else {}
    permitted = judge(self, ACTIONS.get(self._action, self._action), resource, context)
    if permitted and self._action == "s3:GetObject":
        bucket, _, key = resource.partition(":::")[2].partition("/")
        exists = s3_backends[self.account_id]["aws"].get_object(bucket, key) is not None
        permitted = exists or judge(self, "s3:ListBucket", f"arn:aws:s3:::{bucket}", {})
    if not permitted:
        self._raise_access_denied()


IAMPolicyStatement.is_action_permitted = is_action_permitted
IAMRequestBase.check_action_permitted = check_action_permitted
IAMRequestBase.check_signature = lambda self: None
