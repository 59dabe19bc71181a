# Policies for people and pipelines, as outputs: attach each to the role that needs it.

# Publishes plugins, and moves their channels.
data "aws_iam_policy_document" "publisher" {
  statement {
    sid       = "Registry"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arn}/${local.registry_prefix}/*"]
  }

  statement {
    sid       = "ReadConfig"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${local.config_key}"]
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

  dynamic "statement" {
    for_each = local.bucket_key
    content {
      sid       = "EncryptBucket"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# Holds and resumes targets, in the pipeline that releases them.
data "aws_iam_policy_document" "release" {
  statement {
    sid       = "Holds"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arn}/${local.holds_key}"]
  }

  statement {
    sid       = "ReadConfigAndBreakers"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${local.config_key}", "${local.bucket_arn}/${local.holds_key}.breakers/*"]
  }

  statement {
    # The first hold ever finds no object.
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${local.holds_key}*", local.config_key]
    }
  }

  statement {
    sid       = "SeeWhatWaits"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.this.arn, aws_sqs_queue.dead_letters.arn]
  }

  dynamic "statement" {
    for_each = local.bucket_key
    content {
      sid       = "EncryptBucket"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# Everything that `towpath` does with a deployment, except publishing: status, hold, pause, dlq, deploy check, tail, trace.
data "aws_iam_policy_document" "operator" {
  source_policy_documents = [data.aws_iam_policy_document.release.json]

  statement {
    sid       = "ReadRegistry"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${local.registry_prefix}/*"]
  }

  statement {
    sid       = "ListRegistry"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${local.registry_prefix}/*"]
    }
  }

  statement {
    sid       = "SendBack"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this.arn]
  }

  statement {
    sid = "DeadLetters"
    actions = [
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:SendMessage",
      "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility",
    ]
    resources = concat([aws_sqs_queue.dead_letters.arn], aws_sqs_queue.refused[*].arn)
  }

  statement {
    # Neither action supports resource-level permissions for what the host asks.
    sid       = "FindMappingsAndAlarms"
    actions   = ["lambda:ListEventSourceMappings", "cloudwatch:DescribeAlarms"]
    resources = ["*"]
  }

  statement {
    sid       = "PauseAndResume"
    actions   = ["lambda:UpdateEventSourceMapping"]
    resources = ["arn:${local.partition}:lambda:${local.region}:${local.account}:event-source-mapping:${aws_lambda_event_source_mapping.host.uuid}"]
  }

  statement {
    sid       = "CheckHost"
    actions   = ["lambda:GetFunctionConfiguration", "lambda:GetFunctionConcurrency", "lambda:InvokeFunction"]
    resources = [aws_lambda_function.host.arn]
  }

  dynamic "statement" {
    for_each = local.archives
    content {
      sid       = "CheckArchive"
      actions   = ["firehose:DescribeDeliveryStream"]
      resources = [local.archive_stream_arn]
    }
  }

  statement {
    sid       = "ReadLogs"
    actions   = ["logs:FilterLogEvents"]
    resources = [for group in concat([aws_cloudwatch_log_group.host], aws_cloudwatch_log_group.ingest) : "${group.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(var.note_keys) > 0 ? [1] : []
    content {
      # `dlq edit` signs with them.
      sid       = "NoteKeys"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [for name in distinct([for name in var.note_keys : split("#", name)[0]]) : local.secret_arns[name]]
    }
  }

  dynamic "statement" {
    for_each = length(var.note_keys) > 0 ? local.secrets_key : []
    content {
      sid       = "DecryptNoteKeys"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = length(local.queue_keys) > 0 ? [1] : []
    content {
      sid       = "DecryptMessages"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = local.queue_keys
    }
  }
}

# Reads the archive, which holds bodies and headers of senders. Together with the operators' policy it replays.
data "aws_iam_policy_document" "archive_reader" {
  count = length(local.archives)

  statement {
    sid       = "ReadEvents"
    actions   = ["s3:GetObject"]
    resources = ["${local.archive_bucket_arn}/${local.archive_key_prefixes.events}*"]
  }

  statement {
    sid       = "ListEvents"
    actions   = ["s3:ListBucket"]
    resources = [local.archive_bucket_arn]
    # A request for one file has no prefix: a file that expired meanwhile is missing, and not forbidden.
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${local.archive_key_prefixes.events}*"]
    }
  }

  statement {
    sid       = "ReadConfig"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${local.config_key}"]
  }

  dynamic "statement" {
    for_each = local.archive_key
    content {
      sid       = "DecryptEvents"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.bucket_key
    content {
      sid       = "DecryptConfig"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

# Runs `towpath poll`, which also looks whether there is a dead-letter queue when it starts.
data "aws_iam_policy_document" "poll" {
  source_policy_documents = [data.aws_iam_policy_document.pipeline.json]

  statement {
    sid       = "FindDeadLetters"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  dynamic "statement" {
    for_each = length(var.queue_kms_additional_key_arns) > 0 ? [1] : []
    content {
      sid       = "UseQueueKeys"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = var.queue_kms_additional_key_arns
    }
  }
}
