# The archive of delivered events: the host hands them to a delivery stream, which writes them to S3 by date.
locals {
  archives             = var.archive == null ? [] : [var.archive]
  archive_buckets      = [for archive in local.archives : archive if archive.create_bucket != null ? archive.create_bucket : archive.bucket == null]
  archive_bucket       = length(local.archive_buckets) > 0 ? aws_s3_bucket.archive[0].bucket : one(local.archives[*].bucket)
  archive_bucket_arn   = "arn:${local.partition}:s3:::${coalesce(local.archive_bucket, "none")}"
  archive_name         = "${var.name}-archive"
  archive_prefix       = try(var.archive.prefix, null) == null ? "" : var.archive.prefix
  archive_url          = "s3://${coalesce(local.archive_bucket, "none")}/${local.archive_key_prefixes.events}"
  archive_key_prefixes = { events = "${local.archive_prefix}events/", errors = "${local.archive_prefix}errors/" }

  # As lists of none or one: whether a key is null may not be known yet, so it decides about blocks only.
  archive_key = var.archive == null ? [] : try(var.archive.kms_key_arn, null) != null ? [var.archive.kms_key_arn] : local.queue_key

  archive_stream_arn = "arn:${local.partition}:firehose:${local.region}:${local.account}:deliverystream/${local.archive_name}"
}

resource "aws_s3_bucket" "archive" {
  count = length(local.archive_buckets)

  # At most 37 characters.
  bucket_prefix = "${substr(lower(var.name), 0, 28)}-archive-"
  force_destroy = local.archive_buckets[count.index].force_destroy
  tags          = var.tags

  # Another name would be another bucket, without the events.
  lifecycle {
    ignore_changes = [bucket_prefix]
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archive" {
  count = length(local.archive_buckets)

  bucket = aws_s3_bucket.archive[count.index].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = length(local.archive_key) > 0 ? "aws:kms" : "AES256"
      kms_master_key_id = one(local.archive_key)
    }
    # One data key for many objects: fewer calls of KMS.
    bucket_key_enabled = length(local.archive_key) > 0 ? true : null
  }
}

resource "aws_s3_bucket_public_access_block" "archive" {
  count = length(local.archive_buckets)

  bucket                  = aws_s3_bucket.archive[count.index].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "archive" {
  count = length(local.archive_buckets)

  bucket = aws_s3_bucket.archive[count.index].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# Without versions, so that an event is gone once it has expired.
resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  count = length(local.archive_buckets)

  bucket = aws_s3_bucket.archive[count.index].id

  rule {
    id     = "AbortIncompleteUploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "ExpireEvents"
    status = "Enabled"
    filter {}
    expiration {
      days = local.archive_buckets[count.index].days
    }
  }
}

data "aws_iam_policy_document" "archive_bucket" {
  count = var.bucket_tls_only ? length(local.archive_buckets) : 0

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.archive[count.index].arn, "${aws_s3_bucket.archive[count.index].arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "archive" {
  count = var.bucket_tls_only ? length(local.archive_buckets) : 0

  bucket = aws_s3_bucket.archive[count.index].id
  policy = data.aws_iam_policy_document.archive_bucket[count.index].json

  depends_on = [aws_s3_bucket_public_access_block.archive]
}

data "aws_iam_policy_document" "assume_firehose" {
  count = length(local.archives)

  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["firehose.amazonaws.com"]
    }
    # Firehose gives the account that a stream belongs to: no stream of another account can use the role.
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "archive" {
  count = length(local.archives)

  name                 = "${local.global_name}-archive"
  assume_role_policy   = data.aws_iam_policy_document.assume_firehose[0].json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  lifecycle {
    ignore_changes = [name]
  }
}

# Source: "Grant Firehose access to an Amazon S3 destination" in the guide of Amazon Data Firehose.
data "aws_iam_policy_document" "archive" {
  count = length(local.archives)

  statement {
    sid       = "WriteFiles"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
    resources = [for prefix in values(local.archive_key_prefixes) : "${local.archive_bucket_arn}/${prefix}*"]
  }

  statement {
    sid       = "FindBucketAndUploads"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [local.archive_bucket_arn]
  }

  dynamic "statement" {
    for_each = local.archive_key
    content {
      sid       = "EncryptFiles"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "LogFailures"
    actions   = ["logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.archive[0].arn}:log-stream:${aws_cloudwatch_log_stream.archive[0].name}"]
  }
}

resource "aws_iam_role_policy" "archive" {
  count = length(local.archives)

  name   = "archive"
  role   = aws_iam_role.archive[0].name
  policy = data.aws_iam_policy_document.archive[0].json

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policies_exclusive" "archive" {
  count = var.exclusive_role_policies ? length(local.archives) : 0

  role_name    = aws_iam_role.archive[0].name
  policy_names = [aws_iam_role_policy.archive[0].name]
}

resource "aws_iam_role_policy_attachments_exclusive" "archive" {
  count = var.exclusive_role_policies ? length(local.archives) : 0

  role_name   = aws_iam_role.archive[0].name
  policy_arns = []
}

# Why files could not be written.
resource "aws_cloudwatch_log_group" "archive" {
  count = length(local.archives)

  name              = "/aws/kinesisfirehose/${local.archive_name}"
  retention_in_days = var.log_retention
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_cloudwatch_log_stream" "archive" {
  count = length(local.archives)

  name           = "DestinationDelivery"
  log_group_name = aws_cloudwatch_log_group.archive[0].name
}

resource "aws_kinesis_firehose_delivery_stream" "archive" {
  count = length(local.archives)

  name        = local.archive_name
  destination = "extended_s3"

  server_side_encryption {
    enabled  = true
    key_type = length(local.archive_key) > 0 ? "CUSTOMER_MANAGED_CMK" : "AWS_OWNED_CMK"
    key_arn  = one(local.archive_key)
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.archive[0].arn
    bucket_arn          = local.archive_bucket_arn
    prefix              = "${local.archive_key_prefixes.events}!{timestamp:yyyy/MM/dd}/"
    error_output_prefix = "${local.archive_key_prefixes.errors}!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    buffering_size      = 5
    buffering_interval  = 60
    compression_format  = "GZIP"
    kms_key_arn         = one(local.archive_key)

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.archive[0].name
      log_stream_name = aws_cloudwatch_log_stream.archive[0].name
    }
  }

  tags = var.tags

  # It must not write before it may, nor into a bucket that is not private yet, or has not got its key.
  depends_on = [
    aws_iam_role_policy.archive,
    aws_s3_bucket_public_access_block.archive,
    aws_s3_bucket_ownership_controls.archive,
    aws_s3_bucket_server_side_encryption_configuration.archive,
  ]
}
