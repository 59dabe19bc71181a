# What a pipeline may do, as the host function or as `towpath poll`: receive, dead-letter, read plugins, config, holds and secrets.
locals {
  # Secrets Manager appends six random characters to an ARN.
  secret_arns = {
    for name in distinct(concat(local.secret_names, local.ingest_secret_names)) : name =>
    "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}${endswith(name, "*") ? name : "${name}-??????"}"
  }

  # What may be listed. A read of an object that is missing is judged as a listing without a prefix: hence StringLikeIfExists, because with
  # StringLike S3 would answer "forbidden" instead of "not found".
  listed_prefixes = ["${local.registry_prefix}/*", "${local.holds_key}*", local.config_key]
}

data "aws_iam_policy_document" "pipeline" {
  source_policy_documents = compact([var.host_policy])

  statement {
    sid = "Queue"
    actions = [
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility",
    ]
    resources = [aws_sqs_queue.this.arn]
  }

  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid     = "ReadPluginsConfigAndHolds"
    actions = ["s3:GetObject"]
    resources = [
      "${local.bucket_arn}/${local.registry_prefix}/*",
      "${local.bucket_arn}/${local.config_key}",
      "${local.bucket_arn}/${local.holds_key}",
    ]
  }

  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = local.listed_prefixes
    }
  }

  statement {
    sid       = "ReportBreakers"
    actions   = ["s3:PutObject"]
    resources = ["${local.bucket_arn}/${local.holds_key}.breakers/*"]
  }

  dynamic "statement" {
    for_each = local.archives
    content {
      sid       = "Archive"
      actions   = ["firehose:PutRecordBatch"]
      resources = [local.archive_stream_arn]
    }
  }

  dynamic "statement" {
    for_each = length(local.secret_names) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [for name in local.secret_names : local.secret_arns[name]]
    }
  }

  # It starts before they exist.
  dynamic "statement" {
    for_each = length(local.learned_secret_arns) > 0 ? [1] : []
    content {
      sid       = "LearnedSecrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = local.learned_secret_arns
    }
  }

  dynamic "statement" {
    for_each = local.secrets_key
    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.queue_key
    content {
      sid       = "DecryptMessages"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.bucket_key
    content {
      sid       = "DecryptBucket"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}
