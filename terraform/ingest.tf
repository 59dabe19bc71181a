# The function that stores webhooks unchanged. It reads only the config and the secrets that it verifies with, and sends only to the queues.
resource "aws_cloudwatch_log_group" "ingest" {
  count = local.has_ingest ? 1 : 0

  name              = "/aws/lambda/${var.name}-ingest"
  retention_in_days = var.log_retention
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "ingest" {
  count = local.has_ingest ? 1 : 0

  name                 = "${local.global_name}-ingest"
  assume_role_policy   = data.aws_iam_policy_document.assume_lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # A new role works only after a while, in which messages would fail: it keeps its name.
  lifecycle {
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "ingest" {
  count = local.has_ingest ? 1 : 0

  statement {
    sid       = "Store"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this.arn]
  }

  statement {
    sid       = "ReadConfig"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${local.config_key}"]
  }

  dynamic "statement" {
    for_each = aws_sqs_queue.refused
    content {
      sid       = "KeepRefused"
      actions   = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = length(local.ingest_secret_names) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [for name in local.ingest_secret_names : local.secret_arns[name]]
    }
  }

  dynamic "statement" {
    for_each = length(local.ingest_secret_names) > 0 ? local.secrets_key : []
    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.queue_key
    content {
      sid       = "EncryptMessages"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
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

  dynamic "statement" {
    for_each = var.tracing_mode == null ? [] : [1]
    content {
      # These actions do not support resource-level permissions. Source: AWSXRayDaemonWriteAccess.
      sid       = "Trace"
      actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = length(local.learned_secret_arns) > 0 ? [1] : []
    content {
      sid       = "LearnSecrets"
      actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
      resources = local.learned_secret_arns
    }
  }

  dynamic "statement" {
    for_each = length(local.learned_secret_arns) > 0 ? local.secrets_key : []
    content {
      sid       = "EncryptSecrets"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.ingest[0].arn}:*"]
  }
}

resource "aws_iam_role_policy" "ingest" {
  count = local.has_ingest ? 1 : 0

  name   = "ingest"
  role   = aws_iam_role.ingest[0].name
  policy = data.aws_iam_policy_document.ingest[0].json

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policies_exclusive" "ingest" {
  count = local.has_ingest && var.exclusive_role_policies ? 1 : 0

  role_name    = aws_iam_role.ingest[0].name
  policy_names = concat([aws_iam_role_policy.ingest[0].name], local.queue_keys_policies["ingest"])
}

resource "aws_iam_role_policy_attachments_exclusive" "ingest" {
  count = local.has_ingest && var.exclusive_role_policies ? 1 : 0

  role_name   = aws_iam_role.ingest[0].name
  policy_arns = []
}

resource "aws_lambda_function" "ingest" {
  count = local.has_ingest ? 1 : 0

  function_name = "${var.name}-ingest"
  description   = "Towpath: stores webhooks in ${aws_sqs_queue.this.name}"
  role          = aws_iam_role.ingest[0].arn

  filename          = var.ingest_zip
  source_code_hash  = var.ingest_zip == null ? null : filebase64sha256(var.ingest_zip)
  s3_bucket         = try(var.ingest_s3.bucket, null)
  s3_key            = try(var.ingest_s3.key, null)
  s3_object_version = try(var.ingest_s3.version, null)

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]

  memory_size                    = var.ingest_memory
  timeout                        = var.ingest_timeout
  reserved_concurrent_executions = coalesce(var.ingest_reserved_concurrency, -1)

  environment {
    variables = local.environment
  }

  dynamic "tracing_config" {
    for_each = var.tracing_mode == null ? [] : [var.tracing_mode]
    content {
      mode = tracing_config.value
    }
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.ingest, aws_cloudwatch_log_group.ingest]
}

resource "aws_lambda_permission" "ingest" {
  count = local.has_ingest ? 1 : 0

  statement_id  = "ApiGateway"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.ingest[0].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${local.api_execution_arn}/*/*"
}
