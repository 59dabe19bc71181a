"""The SQS endpoint as boto3 and the aws CLI see it. Usage: sqs.py URL AWS_CLI"""

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, AWS = sys.argv[1], sys.argv[2]
ENV = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull}
os.environ.update(ENV)
sqs = boto3.client("sqs", endpoint_url=URL, config=Config(retries={"max_attempts": 1}))


def name(fifo=False):
    return "q-" + uuid.uuid4().hex[:12] + (".fifo" if fifo else "")


def queue(fifo=False, **attributes):
    if fifo:
        attributes["FifoQueue"] = "true"
    return sqs.create_queue(QueueName=name(fifo), Attributes=attributes)["QueueUrl"]


def arn(url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def send(url, body, group="g", **more):
    if url.endswith(".fifo"):
        more = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex, **more}
    return sqs.send_message(QueueUrl=url, MessageBody=body, **more)


def receive(url, **more):
    more = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"], **more}
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def fails(code, call, says="", status=400):
    try:
        call()
    except ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == code, f"{found['Code']} instead of {code}: {found['Message']}"
        assert says in found["Message"], found["Message"]
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
        return
    raise AssertionError(f"no {code}")


def md5_of_attributes(attributes):
    digest = hashlib.md5()
    for key in sorted(attributes):
        value = attributes[key]
        kind = value["DataType"]
        for part in (key.encode(), kind.encode()):
            digest.update(struct.pack("!I", len(part)) + part)
        raw = value["BinaryValue"] if kind.startswith("Binary") else value["StringValue"].encode()
        digest.update(b"\x02" if kind.startswith("Binary") else b"\x01")
        digest.update(struct.pack("!I", len(raw)) + raw)
    return digest.hexdigest()


def queues_are_made_found_listed_and_removed():
    wanted = name(True)
    url = sqs.create_queue(QueueName=wanted, Attributes={"FifoQueue": "true", "VisibilityTimeout": "7"})["QueueUrl"]
    assert url.endswith("/000000000000/" + wanted) and url.startswith(URL), url
    same = sqs.create_queue(QueueName=wanted, Attributes={"FifoQueue": "true", "VisibilityTimeout": "7"})
    assert same["QueueUrl"] == url
    fails("QueueAlreadyExists", lambda: sqs.create_queue(QueueName=wanted, Attributes={"FifoQueue": "true", "VisibilityTimeout": "8"}), "VisibilityTimeout")
    assert sqs.get_queue_url(QueueName=wanted)["QueueUrl"] == url
    assert url in sqs.list_queues(QueueNamePrefix=wanted[:6])["QueueUrls"]
    sqs.delete_queue(QueueUrl=url)
    fails("AWS.SimpleQueueService.NonExistentQueue", lambda: sqs.get_queue_url(QueueName=wanted), "does not exist")
    fails("AWS.SimpleQueueService.NonExistentQueue", lambda: send(url, "x"))
    fails("AWS.SimpleQueueService.QueueDeletedRecently", lambda: sqs.create_queue(QueueName=wanted, Attributes={"FifoQueue": "true"}), "60 seconds")
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=uuid.uuid4().hex)


def what_a_queue_is_set_to_by_default_is_told():
    fifo = sqs.get_queue_attributes(QueueUrl=queue(True, ContentBasedDeduplication="True"), AttributeNames=["All"])["Attributes"]
    found = [fifo[key] for key in ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "SqsManagedSseEnabled"]]
    assert found == ["true", "true", "queue", "perQueue", "true"], found
    url = queue(Policy="{}")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert "Policy" not in found and "FifoThroughputLimit" not in found, found


def every_answer_has_a_request_id():
    ids = {sqs.list_queues()["ResponseMetadata"]["RequestId"] for _ in range(2)}
    try:
        sqs.get_queue_url(QueueName="nowhere")
    except ClientError as error:
        ids.add(error.response["ResponseMetadata"]["RequestId"])
    assert len(ids) == 3, ids


def the_trace_of_a_request_goes_with_its_message():
    url, trace = queue(), "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
    add = lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", trace)
    sqs.meta.events.register("before-send.sqs.SendMessage", add)
    send(url, "traced")
    sqs.meta.events.unregister("before-send.sqs.SendMessage", add)
    (message,) = receive(url)
    assert message["Attributes"]["AWSTraceHeader"] == trace


def lists_come_in_pages():
    prefix = "page" + uuid.uuid4().hex[:6]
    urls = [sqs.create_queue(QueueName=f"{prefix}-{n}")["QueueUrl"] for n in range(5)]
    pages = list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2}))
    assert [len(page["QueueUrls"]) for page in pages] == [2, 2, 1]
    assert [url for page in pages for url in page["QueueUrls"]] == urls


def names_and_attributes_are_checked():
    for wrong, attributes in [("a b", {}), ("x" * 81, {}), ("plain", {"FifoQueue": "true"}), ("odd.fifo", {})]:
        fails("InvalidParameterValue", lambda: sqs.create_queue(QueueName=wrong, Attributes=attributes))
    for key, value in [("VisibilityTimeout", "43201"), ("MessageRetentionPeriod", "59"), ("DelaySeconds", "901"), ("ReceiveMessageWaitTimeSeconds", "21"), ("MaximumMessageSize", "1048577"), ("VisibilityTimeout", "soon")]:
        fails("InvalidAttributeValue", lambda: queue(**{key: value}), key)
    fails("InvalidAttributeName", lambda: queue(Colour="blue"), "Colour")
    fails("InvalidAttributeName", lambda: queue(ContentBasedDeduplication="true"))
    fails("InvalidParameterValue", lambda: queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:nowhere", "maxReceiveCount": 3})), "does not exist")
    for key, value in [("FifoQueue", "false"), ("DeduplicationScope", "queue"), ("FifoThroughputLimit", "perQueue")]:
        fails("InvalidAttributeName", lambda: queue(**{key: value}), key)
    url = queue()
    own = json.dumps({"deadLetterTargetArn": arn(url), "maxReceiveCount": 1})
    fails("InvalidParameterValue", lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": own}), "its own dead-letter queue")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "9", "Policy": "{}"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (found["VisibilityTimeout"], found["Policy"], found["MessageRetentionPeriod"]) == ("9", "{}", "345600"), found
    assert "FifoQueue" not in found and int(found["CreatedTimestamp"]) > 1_600_000_000
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"] == {"VisibilityTimeout": "9"}
    fails("InvalidAttributeName", lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Colour"]))


def a_fifo_message_keeps_everything():
    url = queue(True)
    attributes = {"text": {"DataType": "String", "StringValue": "ünï"}, "number": {"DataType": "Number.int", "StringValue": "42"}, "raw": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"}}
    body = '{"a": "\U0001F6F6 \r\n\t"}'
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = send(url, body, "g", MessageAttributes=attributes, MessageSystemAttributes=trace, MessageDeduplicationId="d-1")
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(attributes)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(trace)
    again = send(url, "other", "g", MessageDeduplicationId="d-1")
    assert (again["MessageId"], again["SequenceNumber"]) == (sent["MessageId"], sent["SequenceNumber"])
    (message,) = receive(url)
    assert (message["Body"], message["MessageId"]) == (body, sent["MessageId"])
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] and message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"] == attributes, message["MessageAttributes"]
    system = message["Attributes"]
    assert (system["MessageGroupId"], system["MessageDeduplicationId"], system["SequenceNumber"]) == ("g", "d-1", sent["SequenceNumber"])
    assert system["ApproximateReceiveCount"] == "1" and system["AWSTraceHeader"].startswith("Root=")
    assert system["SentTimestamp"] <= system["ApproximateFirstReceiveTimestamp"] and system["SenderId"]


def attributes_come_only_if_asked_for():
    url = queue()
    attributes = {key: {"DataType": "String", "StringValue": "x"} for key in ["a.one", "a.two", "b"]}
    send(url, "x", MessageAttributes=attributes)
    for asked, found in [([], set()), (["b"], {"b"}), (["a.*"], {"a.one", "a.two"}), (["All"], set(attributes)), ([".*"], set(attributes)), (["*"], set(attributes))]:
        (message,) = receive(url, MessageAttributeNames=asked, MessageSystemAttributeNames=["SentTimestamp"], VisibilityTimeout=0)
        assert set(message.get("MessageAttributes", {})) == found, asked
        assert set(message["Attributes"]) == {"SentTimestamp"}
        if found:
            assert message["MD5OfMessageAttributes"] == md5_of_attributes({key: attributes[key] for key in found})
    (message,) = receive(url, MessageAttributeNames=[], MessageSystemAttributeNames=[], VisibilityTimeout=0)
    assert "Attributes" not in message
    (message,) = receive(url, MessageSystemAttributeNames=[], AttributeNames=["All"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "8"


def a_fifo_queue_keeps_order_and_locks_groups():
    url = queue(True)
    for body in ["A1", "B1", "A2", "A3"]:
        send(url, body, body[0])
    batch = receive(url)
    assert bodies(batch) == ["A1", "A2", "A3", "B1"]
    send(url, "A4", "A")
    assert receive(url) == []
    entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(batch)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 4
    assert bodies(receive(url, WaitTimeSeconds=1)) == ["A4"]


def a_standard_queue_has_delays_and_no_groups():
    url = queue()
    sent = send(url, "x")
    assert "SequenceNumber" not in sent
    send(url, "x")
    send(url, "later", DelaySeconds=2)
    first = receive(url)
    assert bodies(first) == ["x", "x"], "no deduplication"
    assert "MessageGroupId" not in first[0]["Attributes"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    found = [counts["ApproximateNumberOfMessages" + kind] for kind in ["", "NotVisible", "Delayed"]]
    assert found == ["0", "2", "1"], found
    assert bodies(receive(url, WaitTimeSeconds=10)) == ["later"], "a long poll sees it when its delay ends"
    fair = send(url, "fair", MessageGroupId="tenant-1")
    (message,) = receive(url)
    assert (message["MessageId"], message["Attributes"]["MessageGroupId"]) == (fair["MessageId"], "tenant-1")
    fails("InvalidParameterValue", lambda: send(url, "x", MessageDeduplicationId="d"))
    fails("InvalidParameterValue", lambda: send(queue(True), "x", DelaySeconds=1), "DelaySeconds")


def handles_expire_and_errors_say_so():
    url = queue(True)
    send(url, "x")
    (message,) = receive(url)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    fails("InvalidParameterValue", lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle=handle), "Reason: The receipt handle has expired.")
    fails("ReceiptHandleIsInvalid", lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="garbage"), status=404)
    (message,) = receive(url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    gone = lambda: sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5)
    fails("InvalidParameterValue", gone, "not available for visibility timeout change")
    standard = queue()
    send(standard, "x")
    (message,) = receive(standard)
    change = lambda seconds: sqs.change_message_visibility(QueueUrl=standard, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)
    fails("InvalidParameterValue", lambda: change(43201))
    fails("InvalidParameterValue", lambda: change(-1))
    change(0)
    change(5)
    assert receive(standard) == [], "a standard queue takes its last handle even when it is late"
    change(0)
    sqs.delete_message(QueueUrl=standard, ReceiptHandle=message["ReceiptHandle"])
    assert receive(standard) == [], "a standard queue takes its last handle even when it is late"


def batches_fail_entry_by_entry_or_as_a_whole():
    url = queue(True)
    entry = lambda id, **more: {"Id": id, "MessageBody": id, "MessageGroupId": "g", "MessageDeduplicationId": uuid.uuid4().hex, **more}
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[entry("a"), entry("b", MessageBody="\x01"), entry("c", MessageGroupId="x y"), entry("d")])
    assert [one["Id"] for one in answer["Successful"]] == ["a", "d"]
    assert answer["Successful"][0]["MD5OfMessageBody"] == hashlib.md5(b"a").hexdigest()
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [("b", "InvalidMessageContents", True), ("c", "InvalidParameterValue", True)]
    code = "AWS.SimpleQueueService."
    lacks = [{key: value for key, value in entry("e").items() if key != id} for id in ("MessageGroupId", "MessageDeduplicationId")]
    for one in lacks:
        fails("InvalidParameterValue", lambda: sqs.send_message_batch(QueueUrl=url, Entries=[entry("x"), one, entry("y")]))
    whole = lambda entries: lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries)
    fails(code + "EmptyBatchRequest", whole([]))
    fails(code + "TooManyEntriesInBatchRequest", whole([entry(str(n)) for n in range(11)]), "11")
    fails(code + "BatchEntryIdsNotDistinct", whole([entry("a"), entry("a")]))
    fails(code + "InvalidBatchEntryId", whole([entry("a b")]))
    fails(code + "BatchRequestTooLong", whole([entry(str(n), MessageBody="x" * 600_000) for n in range(2)]))
    held = receive(url)
    assert bodies(held) == ["a", "d"]
    changes = [{"Id": "1", "ReceiptHandle": held[0]["ReceiptHandle"], "VisibilityTimeout": 60}, {"Id": "2", "ReceiptHandle": "garbage", "VisibilityTimeout": 60}, {"Id": "3", "ReceiptHandle": held[1]["ReceiptHandle"], "VisibilityTimeout": 99999}]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes)
    assert [one["Id"] for one in answer["Successful"]] == ["1"]
    assert {one["Id"]: one["Code"] for one in answer["Failed"]} == {"2": "ReceiptHandleIsInvalid", "3": "InvalidParameterValue"}


def limits_of_messages_are_checked():
    url = queue(True)
    fails("MissingParameter", lambda: sqs.send_message(QueueUrl=url, MessageBody="x"), "MessageGroupId")
    fails("InvalidParameterValue", lambda: sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g"), "ContentBasedDeduplication")
    fails("InvalidMessageContents", lambda: send(url, "\x00"))
    fails("InvalidParameterValue", lambda: send(url, "x" * (1024 * 1024 + 1)), "shorter than 1048576")
    text = {"DataType": "String", "StringValue": "x"}
    assert send(url, "x", MessageAttributes={"größe": text})["MD5OfMessageAttributes"] == md5_of_attributes({"größe": text})
    (umlaut,) = receive(url)
    assert umlaut["MessageAttributes"] == {"größe": text}
    fails("InvalidParameterValue", lambda: send(url, "x", MessageAttributes={"a": {**text, "StringValue": "\x08"}}))
    fails("InvalidParameterValue", lambda: send(url, "x", group=""))
    fails("InvalidParameterValue", lambda: send(url, "x", MessageAttributes={f"a{n}": text for n in range(11)}), "[11]")
    for wrong in ["AWS.x", "a b", ".a", "x" * 257]:
        fails("InvalidParameterValue", lambda: send(url, "x", MessageAttributes={wrong: text}))
    for wrong in [{"DataType": "Colour", "StringValue": "x"}, {"DataType": "Number", "StringValue": "x"}, {"DataType": "Binary", "StringValue": "x"}, {"DataType": "String", "StringValue": ""}]:
        fails("InvalidParameterValue", lambda: send(url, "x", MessageAttributes={"a": wrong}))
    for wrong in [{"MaxNumberOfMessages": 11}, {"MaxNumberOfMessages": 0}, {"WaitTimeSeconds": 21}, {"VisibilityTimeout": 43201}]:
        fails("InvalidParameterValue", lambda: receive(url, **wrong), list(wrong)[0])
    send(url, "x" * (1024 * 1024))
    small = queue(MaximumMessageSize="1024")
    fails("InvalidParameterValue", lambda: send(small, "x" * 1025), "1024")


def an_attempt_id_replays_a_receive():
    url = queue(True)
    send(url, "A1", "A")
    send(url, "B1", "B")
    first = receive(url, MaxNumberOfMessages=1, ReceiveRequestAttemptId="r-1")
    again = receive(url, MaxNumberOfMessages=1, ReceiveRequestAttemptId="r-1")
    assert [m["ReceiptHandle"] for m in first] == [m["ReceiptHandle"] for m in again]
    assert bodies(receive(url, ReceiveRequestAttemptId="r-2")) == ["B1"]


def dead_letters_move_and_come_back():
    for fifo in (True, False):
        dead = queue(fifo)
        policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": "1"}
        url = queue(fifo, VisibilityTimeout="0", RedrivePolicy=json.dumps(policy))
        assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
        sent = send(url, "A1", "A")
        assert bodies(receive(url)) == ["A1"] and receive(url) == []
        (letter,) = receive(dead, VisibilityTimeout=0)
        assert letter["MessageId"] == sent["MessageId"] and letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)
        if fifo:
            assert letter["Attributes"]["MessageDeduplicationId"] == sent["MessageId"]
        fails("InvalidParameterValue", lambda: sqs.start_message_move_task(SourceArn=arn(url)), "Dead Letter Queue")
        fails("ResourceNotFoundException", lambda: sqs.start_message_move_task(SourceArn=arn(url) + "x"), status=404)
        sqs.start_message_move_task(SourceArn=arn(dead))
        (back,) = receive(url, WaitTimeSeconds=10)
        assert back["Body"] == "A1" and back["MessageId"] != sent["MessageId"]
        while (task := sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"][0])["Status"] == "RUNNING":
            pass
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1), task
        fails("AWS.SimpleQueueService.UnsupportedOperation", lambda: sqs.cancel_message_move_task(TaskHandle=handle_of(dead)))


def handle_of(dead):
    for n in range(5):
        send(dead, f"m{n}", f"g{n}")
    handle = sqs.start_message_move_task(SourceArn=arn(dead), DestinationArn=arn(queue(dead.endswith(".fifo"))), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    fails("InvalidParameterValue", lambda: sqs.start_message_move_task(SourceArn=arn(dead)), "already a task running")
    fails("ResourceNotFoundException", lambda: sqs.cancel_message_move_task(TaskHandle=of_no_task(handle)), "Task does not exist", status=404)
    sqs.cancel_message_move_task(TaskHandle=handle)
    assert sqs.list_message_move_tasks(SourceArn=arn(dead), MaxResults=10)["Results"][0]["Status"] == "CANCELLED"
    return handle


def of_no_task(handle):
    task = json.loads(base64.b64decode(handle))
    uuid.UUID(task["taskId"])
    return base64.b64encode(json.dumps({**task, "taskId": str(uuid.uuid4())}).encode()).decode()


def purge_and_tags():
    url = queue()
    send(url, "x")
    sqs.purge_queue(QueueUrl=url)
    assert receive(url) == []
    sqs.tag_queue(QueueUrl=url, Tags={"team": "west", "stage": "dev"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["stage"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "west"}
    fails("InvalidParameterValue", lambda: sqs.tag_queue(QueueUrl=url, Tags={f"t{n}": "" for n in range(50)}), "Too many tags")
    fails("InvalidParameterValue", lambda: sqs.create_queue(QueueName=name(), tags={f"t{n}": "" for n in range(51)}), "Too many tags")
    tagged = sqs.create_queue(QueueName=name(), tags={"a": "b"})["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=tagged)["Tags"] == {"a": "b"}


def the_cli_works():
    def aws(*words):
        command = [AWS, "sqs", *words, "--endpoint-url", URL, "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ENV})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    url = aws("create-queue", "--queue-name", name(True), "--attributes", "FifoQueue=true,ContentBasedDeduplication=true")["QueueUrl"]
    attributes = '{"kind": {"DataType": "String", "StringValue": "test"}}'
    sent = aws("send-message", "--queue-url", url, "--message-body", "hello", "--message-group-id", "g", "--message-attributes", attributes)
    found = aws("receive-message", "--queue-url", url, "--attribute-names", "All", "--message-attribute-names", "All")["Messages"][0]
    assert (found["MessageId"], found["Body"]) == (sent["MessageId"], "hello")
    assert found["MessageAttributes"]["kind"]["StringValue"] == "test"
    aws("delete-message", "--queue-url", url, "--receipt-handle", found["ReceiptHandle"])
    assert aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    aws("delete-queue", "--queue-url", url)


CHECKS = [
    queues_are_made_found_listed_and_removed,
    what_a_queue_is_set_to_by_default_is_told,
    every_answer_has_a_request_id,
    the_trace_of_a_request_goes_with_its_message,
    lists_come_in_pages,
    names_and_attributes_are_checked,
    a_fifo_message_keeps_everything,
    attributes_come_only_if_asked_for,
    a_fifo_queue_keeps_order_and_locks_groups,
    a_standard_queue_has_delays_and_no_groups,
    handles_expire_and_errors_say_so,
    batches_fail_entry_by_entry_or_as_a_whole,
    limits_of_messages_are_checked,
    an_attempt_id_replays_a_receive,
    dead_letters_move_and_come_back,
    purge_and_tags,
    the_cli_works,
]

for check in CHECKS:
    try:
        check()
    except Exception as error:
        print(f"{check.__name__}: {type(error).__name__}: {error}")
        raise
    print(f"ok {check.__name__}")
print(f"{len(CHECKS)} checks passed")
