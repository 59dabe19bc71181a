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
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "host" {
  name                 = "${local.global_name}-host"
  assume_role_policy   = data.aws_iam_policy_document.assume_lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # A new role works only after a while, in which messages would fail: it keeps its name.
  lifecycle {
    ignore_changes = [name]
  }
}

# What a pipeline does, and what the function needs to run on Lambda.
data "aws_iam_policy_document" "host" {
  source_policy_documents = [data.aws_iam_policy_document.pipeline.json]

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.host.arn}:*"]
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

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policies_exclusive" "host" {
  count = var.exclusive_role_policies ? 1 : 0

  role_name    = aws_iam_role.host.name
  policy_names = concat([aws_iam_role_policy.host.name], local.queue_keys_policies["host"])
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

  filename          = var.host_zip
  source_code_hash  = var.host_zip == null ? null : filebase64sha256(var.host_zip)
  s3_bucket         = try(var.host_s3.bucket, null)
  s3_key            = try(var.host_s3.key, null)
  s3_object_version = try(var.host_s3.version, null)

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]

  memory_size                    = var.memory
  timeout                        = var.timeout
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)

  environment {
    variables = local.environment
  }

  dynamic "tracing_config" {
    for_each = var.tracing_mode == null ? [] : [var.tracing_mode]
    content {
      mode = tracing_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = local.host_security_group_ids
    }
  }

  tags = var.tags

  # Without its permissions a function fails to start; without its log group it creates another one.
  depends_on = [aws_iam_role_policy.host, aws_cloudwatch_log_group.host]
}

resource "aws_lambda_event_source_mapping" "host" {
  event_source_arn = aws_sqs_queue.this.arn
  function_name    = aws_lambda_function.host.arn
  enabled          = !var.start_paused
  batch_size       = var.batch_size

  # Deliberately not a variable: without it Lambda deletes the messages that the host reports as failed.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  tags = var.tags

  lifecycle {
    # `towpath pause` and `resume` decide this: an apply in the middle of an incident must not resume.
    ignore_changes = [enabled]
  }

  # The dead-letter queue must exist before the first message is received, and in a VPC the ways to S3, SQS and Secrets Manager.
  depends_on = [
    aws_sqs_queue_redrive_policy.this,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.host,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}
