# The function that stores webhooks unchanged. It reads only the config and the secrets that it verifies with, and sends only to the queues.
resource "aws_cloudwatch_log_group" "ingest" {
  count = local.has_ingest ? 1 : 0

  name              = "/aws/lambda/${var.name}-ingest"
  retention_in_days = var.log_retention
  tags              = var.tags
}

resource "aws_iam_role" "ingest" {
  count = local.has_ingest ? 1 : 0

  name                 = "${var.name}-ingest"
  assume_role_policy   = data.aws_iam_policy_document.assume_lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
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
      sid     = "Secrets"
      actions = ["secretsmanager:GetSecretValue"]
      resources = [
        for name in local.ingest_secret_names :
        "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}${endswith(name, "*") ? name : "${name}-??????"}"
      ]
    }
  }

  dynamic "statement" {
    for_each = length(local.ingest_secret_names) > 0 && var.secrets_kms_key_arn != null ? [1] : []
    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [var.secrets_kms_key_arn]
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
    for_each = length(local.learned_secret_arns) > 0 && var.secrets_kms_key_arn != null ? [1] : []
    content {
      sid       = "EncryptSecrets"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.secrets_kms_key_arn]
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
}

resource "aws_iam_role_policies_exclusive" "ingest" {
  count = local.has_ingest && var.exclusive_role_policies ? 1 : 0

  role_name    = aws_iam_role.ingest[0].name
  policy_names = [aws_iam_role_policy.ingest[0].name]
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

  filename         = var.ingest_zip
  source_code_hash = filebase64sha256(var.ingest_zip)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  memory_size = 256
  # API Gateway waits 30 s at most. The sooner a sender gets an error, the sooner it retries.
  timeout = 15

  environment {
    variables = {
      TOWPATH_CONFIG        = "s3://${aws_s3_object.config.bucket}/${aws_s3_object.config.key}"
      TOWPATH_CONFIG_SHA256 = sha256(local.config)
      TOWPATH_LOG           = var.log_level
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
