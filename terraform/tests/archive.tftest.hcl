# The archive of delivered events: off by default, and least privilege when it is on. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "off_by_default" {
  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.archive) + length(aws_s3_bucket.archive) + length(aws_iam_role.archive) + length(aws_cloudwatch_log_group.archive) == 0
    error_message = "Nothing is made that was not asked for."
  }
  assert {
    condition     = !strcontains(jsonencode([data.aws_iam_policy_document.pipeline.statement, data.aws_iam_policy_document.operator.statement]), "firehose:")
    error_message = "Nobody may use a stream that does not exist."
  }
  assert {
    condition     = !contains(keys(jsondecode(aws_s3_object.config.content)), "archive") && output.archive_stream_name == null && output.archive_url == null && output.archive_policy == null
    error_message = "The host archives nothing, and one of an earlier version can read its config."
  }
}

run "on_request" {
  variables {
    archive = {}
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).archive == { stream = "towpath-archive", bucket = "s3://b/events/" } && output.archive_stream_name == "towpath-archive"
    error_message = "The host knows its stream, and operators where it writes."
  }
  assert {
    condition = (
      one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).prefix == "events/!{timestamp:yyyy/MM/dd}/"
      && startswith(one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).error_output_prefix, "errors/")
      && one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).compression_format == "GZIP"
      && output.archive_url == "s3://b/events/"
    )
    error_message = "Files lie by date, and errors elsewhere."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.archive[0].rule : "${rule.id} ${join("", rule.expiration[*].days)}"] == ["AbortIncompleteUploads ", "ExpireEvents 30"]
    error_message = "Events expire after 30 days, and uploads that broke off are aborted."
  }
  assert {
    condition = (
      aws_s3_bucket_public_access_block.archive[0].block_public_acls && aws_s3_bucket_public_access_block.archive[0].block_public_policy
      && aws_s3_bucket_public_access_block.archive[0].ignore_public_acls && aws_s3_bucket_public_access_block.archive[0].restrict_public_buckets
    )
    error_message = "The bucket is private."
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.archive_bucket[0].statement : "${statement.effect} ${one(statement.condition).variable} ${join("", one(statement.condition).values)}"] == ["Deny aws:SecureTransport false"] && length(aws_s3_bucket_policy.archive) == 1
    error_message = "The bucket denies requests without TLS."
  }
  assert {
    condition = (
      one(one(aws_s3_bucket_server_side_encryption_configuration.archive[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
      && one(aws_kinesis_firehose_delivery_stream.archive[0].server_side_encryption).key_type == "AWS_OWNED_CMK"
    )
    error_message = "Bucket and stream are encrypted without a key of one's own, too."
  }
}

run "each_role_may_do_its_part_and_no_more" {
  variables {
    archive = {}
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.pipeline.statement : { actions = statement.actions, resources = statement.resources } if statement.sid == "Archive"] == [{ actions = toset(["firehose:PutRecordBatch"]), resources = toset(["arn:aws:firehose:eu-west-1:123456789012:deliverystream/towpath-archive"]) }]
    error_message = "The host may only put records, into this stream alone."
  }
  assert {
    condition     = !strcontains(jsonencode(data.aws_iam_policy_document.ingest[0].statement), "firehose:")
    error_message = "The ingest function archives nothing."
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.operator.statement : statement.resources if contains(statement.actions, "firehose:DescribeDeliveryStream")] == [toset(["arn:aws:firehose:eu-west-1:123456789012:deliverystream/towpath-archive"])]
    error_message = "`towpath deploy check` looks at the stream."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.archive[0].statement : statement.resources if contains(statement.actions, "s3:PutObject")]) == toset(["arn:aws:s3:::b/events/*", "arn:aws:s3:::b/errors/*"])
    error_message = "Firehose writes below its prefixes only."
  }
  assert {
    condition     = !contains(flatten([for statement in data.aws_iam_policy_document.archive[0].statement : tolist(statement.resources)]), "*") && !strcontains(jsonencode(data.aws_iam_policy_document.archive[0].statement), "kms:")
    error_message = "Nothing is allowed on everything, and no key without one."
  }
  assert {
    condition     = [for condition in one(data.aws_iam_policy_document.assume_firehose[0].statement).condition : "${condition.variable} ${join("", condition.values)}"] == ["sts:ExternalId 123456789012"]
    error_message = "Only streams of this account can use the role."
  }
}

run "values_are_redacted_on_request" {
  variables {
    archive = { redact = ["/customer/email"] }
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).archive.redact == ["/customer/email"]
    error_message = "The host removes them before it archives an event."
  }
}

run "refuses_to_redact_what_is_no_pointer" {
  command = plan
  variables {
    archive = { redact = ["email"] }
  }
  expect_failures = [var.archive]
}

run "a_reader_of_the_archive_reads_its_events_and_the_config" {
  variables {
    archive            = { bucket = "shared", prefix = "one/", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/archive" }
    bucket_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/bucket"
  }
  assert {
    condition = { for statement in data.aws_iam_policy_document.archive_reader[0].statement : statement.sid => "${join(" ", statement.actions)} ${join(" ", statement.resources)}" } == {
      ReadEvents    = "s3:GetObject arn:aws:s3:::shared/one/events/*"
      ListEvents    = "s3:ListBucket arn:aws:s3:::shared"
      ReadConfig    = "s3:GetObject arn:aws:s3:::b/towpath.json"
      DecryptEvents = "kms:Decrypt arn:aws:kms:eu-west-1:123456789012:key/archive"
      DecryptConfig = "kms:Decrypt arn:aws:kms:eu-west-1:123456789012:key/bucket"
    }
    error_message = "It reads no errors, writes nothing, and uses no other key."
  }
  assert {
    condition     = [for condition in one([for statement in data.aws_iam_policy_document.archive_reader[0].statement : statement if statement.sid == "ListEvents"]).condition : "${condition.test} ${condition.variable} ${join("", condition.values)}"] == ["StringLikeIfExists s3:prefix one/events/*"]
    error_message = "It lists its own events only."
  }
  assert {
    condition     = !strcontains(jsonencode(data.aws_iam_policy_document.operator.statement), "shared")
    error_message = "Operators read no events unless they get this policy too."
  }
}

run "the_key_of_the_queue_is_used_for_the_archive_too" {
  variables {
    archive           = { days = 7 }
    queue_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/queue"
  }
  assert {
    condition = (
      one(aws_kinesis_firehose_delivery_stream.archive[0].server_side_encryption).key_arn == "arn:aws:kms:eu-west-1:123456789012:key/queue"
      && one(aws_kinesis_firehose_delivery_stream.archive[0].server_side_encryption).key_type == "CUSTOMER_MANAGED_CMK"
      && one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/queue"
      && one(one(aws_s3_bucket_server_side_encryption_configuration.archive[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/queue"
    )
    error_message = "What is encrypted in the queue stays encrypted with that key."
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.archive[0].statement : statement.resources if contains(statement.actions, "kms:GenerateDataKey")] == [toset(["arn:aws:kms:eu-west-1:123456789012:key/queue"])]
    error_message = "Firehose may use the key."
  }
}

run "a_key_of_its_own" {
  variables {
    archive           = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/archive" }
    queue_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/queue"
  }
  assert {
    condition     = one(local.archive_key) == "arn:aws:kms:eu-west-1:123456789012:key/archive" && strcontains(jsonencode(data.aws_iam_policy_document.archive[0].statement), "key/archive") && !strcontains(jsonencode(data.aws_iam_policy_document.archive[0].statement), "key/queue")
    error_message = "The archive's own key comes first."
  }
}

run "an_existing_bucket" {
  variables {
    archive = { bucket = "shared", prefix = "one/" }
  }
  assert {
    condition     = length(aws_s3_bucket.archive) + length(aws_s3_bucket_policy.archive) + length(aws_s3_bucket_lifecycle_configuration.archive) + length(aws_s3_bucket_server_side_encryption_configuration.archive) == 0
    error_message = "Nothing about an existing bucket is changed."
  }
  assert {
    condition     = one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).bucket_arn == "arn:aws:s3:::shared" && one(aws_kinesis_firehose_delivery_stream.archive[0].extended_s3_configuration).prefix == "one/events/!{timestamp:yyyy/MM/dd}/" && output.archive_url == "s3://shared/one/events/"
    error_message = "Files lie below the prefix."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.archive[0].statement : statement.resources if contains(statement.actions, "s3:PutObject")]) == toset(["arn:aws:s3:::shared/one/events/*", "arn:aws:s3:::shared/one/errors/*"])
    error_message = "Firehose may write nothing of another deployment."
  }
}

run "the_longest_name_fits" {
  variables {
    name    = "a2345678901234567890123456789012"
    archive = {}
  }
  assert {
    condition     = length(aws_s3_bucket.archive[0].bucket_prefix) <= 37 && length(aws_iam_role.archive[0].name) <= 64 && length(aws_kinesis_firehose_delivery_stream.archive[0].name) <= 64
    error_message = "AWS would refuse a longer name."
  }
}

run "alarms" {
  variables {
    archive            = {}
    archive_late_alarm = 1200
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["archive-dropped"].metric_name == "towpath.archive.dropped" && aws_cloudwatch_metric_alarm.this["archive-dropped"].dimensions == tomap({ service = "towpath-host" }) && aws_cloudwatch_metric_alarm.this["archive-dropped"].threshold == 0
    error_message = "An event that is missing in the archive raises an alarm."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["archive-late"].namespace == "AWS/Firehose" && aws_cloudwatch_metric_alarm.this["archive-late"].metric_name == "DeliveryToS3.DataFreshness"
      && aws_cloudwatch_metric_alarm.this["archive-late"].dimensions == tomap({ DeliveryStreamName = "towpath-archive" }) && aws_cloudwatch_metric_alarm.this["archive-late"].threshold == 1200
    )
    error_message = "So does one that Firehose cannot write."
  }
}

run "null_is_no_alarm" {
  variables {
    archive               = {}
    archive_dropped_alarm = null
    archive_late_alarm    = null
  }
  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if startswith(key, "archive-")]) == 0
    error_message = "Alarms without a threshold are not created."
  }
}

run "a_host_in_a_vpc_reaches_firehose" {
  variables {
    archive = {}
    vpc     = { id = "vpc-1", subnet_ids = ["subnet-1"], create_security_group = true, create_endpoints = true, route_table_ids = ["rtb-1"] }
  }
  assert {
    condition     = contains([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name], "com.amazonaws.eu-west-1.kinesis-firehose")
    error_message = "Without an endpoint every event would be dropped."
  }
}

run "refuses_half_days" {
  command = plan
  variables {
    archive = { days = 0.5 }
  }
  expect_failures = [var.archive]
}

run "refuses_an_existing_bucket_without_a_prefix" {
  command = plan
  variables {
    archive = { bucket = "shared" }
  }
  expect_failures = [var.archive]
}

run "refuses_a_new_bucket_with_a_name" {
  command = plan
  variables {
    archive = { bucket = "shared", create_bucket = true, prefix = "one/" }
  }
  expect_failures = [var.archive]
}

run "refuses_an_alias_of_a_key" {
  command = plan
  variables {
    archive = { kms_key_arn = "alias/archive" }
  }
  expect_failures = [var.archive]
}
