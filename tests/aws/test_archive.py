"""The archive: what the module makes, what the roles allow, and what the built function writes through moto's Firehose into S3."""

import gzip
import json
from contextlib import closing

from runtime_api import Function
from setup_site import TOKEN, Site, batch
from test_permissions import DENIED, User, judged, refused  # noqa: F401 (fixture)


def lines(s3, bucket, prefix):
    """The lines of all files below a prefix."""
    found = []
    for file in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=file["Key"])["Body"].read()
        text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        found += [json.loads(line) for line in text.decode().splitlines()]
    return found


def test_the_stream_writes_to_a_private_bucket_whose_events_expire(aws, applied):
    stream = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=applied["archive_stream_name"])
    stream = stream["DeliveryStreamDescription"]
    (destination,) = stream["Destinations"]
    s3 = destination["ExtendedS3DestinationDescription"]
    assert (stream["DeliveryStreamType"], s3["CompressionFormat"]) == ("DirectPut", "GZIP")
    assert s3["Prefix"] == "events/!{timestamp:yyyy/MM/dd}/" and s3["ErrorOutputPrefix"].startswith("errors/")
    assert s3["BufferingHints"] == {"SizeInMBs": 5, "IntervalInSeconds": 60}
    bucket = s3["BucketARN"].rsplit(":", 1)[1]
    assert applied["archive_url"] == f"s3://{bucket}/events/"
    client = aws.client("s3")
    assert all(client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    rules = {rule["ID"]: rule for rule in client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["ExpireEvents"]["Expiration"]["Days"] == 90
    assert rules["AbortIncompleteUploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7


def test_the_role_of_the_stream_writes_below_its_prefixes_and_nothing_else(aws, applied):
    role, bucket = "towpath-example-eu-west-1-archive", applied["archive_url"].removeprefix("s3://").split("/")[0]
    iam = aws.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    allowed = {statement["Sid"]: statement for statement in statements}
    assert set(allowed) == {"WriteFiles", "FindBucketAndUploads", "LogFailures"}
    below = {f"arn:aws:s3:::{bucket}/{folder}/*" for folder in ("events", "errors")}
    assert set(allowed["WriteFiles"]["Resource"]) == below
    assert set(allowed["WriteFiles"]["Action"]) == {"s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"}
    assert allowed["FindBucketAndUploads"]["Resource"] == f"arn:aws:s3:::{bucket}"
    assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]


def test_a_host_puts_records_into_its_stream_alone(aws, applied, judged):
    user, operator = User(aws, "archiver", applied["poll_policy"]), User(aws, "looker", applied["operator_policy"])
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName="other",
        ExtendedS3DestinationConfiguration={"RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b"},
    )
    judged()
    own, records = {"DeliveryStreamName": applied["archive_stream_name"]}, [{"Data": b"{}\n"}]
    firehose = user.client("firehose")
    assert firehose.put_record_batch(**own, Records=records)["FailedPutCount"] == 0
    assert refused(firehose.put_record_batch, DeliveryStreamName="other", Records=records) in DENIED
    assert refused(firehose.put_record, **own, Record=records[0]) in DENIED
    assert refused(firehose.describe_delivery_stream, **own) in DENIED
    operator.client("firehose").describe_delivery_stream(**own)
    assert refused(operator.client("firehose").put_record_batch, **own, Records=records) in DENIED


def test_who_may_read_the_archive_finds_its_events_and_an_operator_alone_is_told_what_is_missing(aws, applied, towpath, judged):
    bucket = applied["archive_url"].removeprefix("s3://").split("/")[0]
    event = {
        "id": "m-1", "webhook_id": "m-1", "group": "crm/1", "sequence": "18849496460467696128", "route": "crm", "receive_count": 1,
        "sent_at": "2026-03-02T09:15:00.000Z", "ended_at": "2026-03-02T09:15:01.000Z", "ending": "delivered", "body": "{}",
    }
    file = {"Bucket": bucket, "Key": "events/2026/03/02/a-1.gz"}
    aws.client("s3").put_object(**file, Body=gzip.compress((json.dumps(event) + "\n").encode()))
    reader, operator = User(aws, "reader", applied["archive_policy"]), User(aws, "operates", applied["operator_policy"])
    config = ("-c", applied["config_url"])
    judged()
    code, said, wrong = towpath("archive", "list", "--json", *config, keys=reader.keys)
    assert code == 0 and [event["message_id"] for event in json.loads(said)] == ["m-1"], said + wrong
    code, said, wrong = towpath("archive", "show", "m-1", "--body", "--bucket", applied["archive_url"], keys=reader.keys)
    assert (code, said) == (0, "{}"), wrong
    code, said, wrong = towpath("archive", "stats", *config, keys=operator.keys)
    assert code == 2 and "allow s3:ListBucket" in wrong, said + wrong
    s3 = reader.client("s3")
    assert refused(s3.put_object, **file, Body=b"") in DENIED
    assert refused(s3.get_object, Bucket=bucket, Key="errors/a") in DENIED
    assert refused(s3.list_objects_v2, Bucket=bucket, Prefix="errors/") in DENIED


def test_the_function_archives_what_it_delivered(aws, bootstrap, tmp_path):
    site = Site(aws)
    for key in ("plugin", "registry"):
        del site.config[key]
    site.config["route"] = [{"path": "sqs-hook", "group": "crm", "target": "sss"}]
    stream = f"{site.bucket[:40]}-archive"
    site.config["archive"] = {"stream": stream}
    site.put_config()
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName=stream,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": f"arn:aws:s3:::{site.bucket}", "Prefix": "events/",
        },
    )
    log = tmp_path / "log"
    with closing(site.target), closing(Function([bootstrap], site.environment, log)) as function:
        function.ready()
        bodies = ['{"n":1}', '{"n":2}\n']
        assert function.invoke(batch(*bodies)) == {"batchItemFailures": []}
        site.target.status = 404
        assert function.invoke(batch('{"n":3}')) == {"batchItemFailures": []}, "it is a dead letter"
    archived = lines(site.s3, site.bucket, "events/")
    assert [line["body"] for line in archived] == bodies, "a dead letter is not archived"
    for line in archived:
        assert (line["ending"], line["group"], line["route"], line["sequence"]) == ("delivered", "crm", "sqs-hook", "1")
        assert line["attempts"][0]["status"] == 200 and line["ended_at"].endswith("Z") and line["sent_at"].startswith("20")
    assert TOKEN not in json.dumps(archived) and "archive-dropped" not in log.read_text()
