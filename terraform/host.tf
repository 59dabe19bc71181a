data "aws_iam_policy_document" "assume_lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_group" "host" {
  name              = "/aws/lambda/${var.name}-host"
  retention_in_days = var.log_retention
  tags              = var.tags
}

resource "aws_iam_role" "host" {
  name                 = "${var.name}-host"
  assume_role_policy   = data.aws_iam_policy_document.assume_lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

data "aws_iam_policy_document" "host" {
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
    # Without it S3 answers "forbidden" for a missing object.
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  statement {
    sid       = "ReportBreakers"
    actions   = ["s3:PutObject"]
    resources = ["${local.bucket_arn}/${local.holds_key}.breakers/*"]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.host.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(local.secret_names) > 0 ? [1] : []
    content {
      sid     = "Secrets"
      actions = ["secretsmanager:GetSecretValue"]
      # Secrets Manager appends six random characters to an ARN.
      resources = [
        for name in local.secret_names :
        "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}${endswith(name, "*") ? name : "${name}-??????"}"
      ]
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
    for_each = var.secrets_kms_key_arn == null ? [] : [1]
    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = [var.secrets_kms_key_arn]
    }
  }

  dynamic "statement" {
    for_each = var.vpc == null ? [] : [1]
    content {
      # These actions do not support resource-level permissions. Source: AWSLambdaVPCAccessExecutionRole.
      sid = "NetworkInterfaces"
      actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "host" {
  name   = "host"
  role   = aws_iam_role.host.name
  policy = data.aws_iam_policy_document.host.json
}

resource "aws_iam_role_policies_exclusive" "host" {
  count = var.exclusive_role_policies ? 1 : 0

  role_name    = aws_iam_role.host.name
  policy_names = [aws_iam_role_policy.host.name]
}

resource "aws_iam_role_policy_attachments_exclusive" "host" {
  count = var.exclusive_role_policies ? 1 : 0

  role_name   = aws_iam_role.host.name
  policy_arns = []
}

resource "aws_lambda_function" "host" {
  function_name = "${var.name}-host"
  description   = "Towpath: maps, delivers and dead-letters what waits in ${aws_sqs_queue.this.name}"
  role          = aws_iam_role.host.arn

  filename         = var.host_zip
  source_code_hash = filebase64sha256(var.host_zip)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  memory_size                    = var.memory
  timeout                        = var.timeout
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)

  environment {
    variables = {
      TOWPATH_CONFIG        = "s3://${aws_s3_object.config.bucket}/${aws_s3_object.config.key}"
      TOWPATH_CONFIG_SHA256 = sha256(local.config)
      TOWPATH_LOG           = var.log_level
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  tags = var.tags

  # Without its permissions a function fails to start; without its log group it creates another one.
  depends_on = [aws_iam_role_policy.host, aws_cloudwatch_log_group.host]
}

resource "aws_lambda_event_source_mapping" "host" {
  event_source_arn = aws_sqs_queue.this.arn
  function_name    = aws_lambda_function.host.arn
  enabled          = !var.paused
  batch_size       = var.batch_size

  # Deliberately not a variable: without it Lambda deletes the messages that the host reports as failed.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  tags = var.tags

  # The dead-letter queue must exist before the first message is received.
  depends_on = [aws_sqs_queue_redrive_policy.this]
}
