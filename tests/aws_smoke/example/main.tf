# What the smoke test deploys: the module with a route for each thing that is tried, and a target that records what it gets.
# `make aws-smoke` copies this folder, applies it and destroys it.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "name" {
  description = "Prefix of every resource's name, and the first segment of the recorder's path, which nobody else knows."
  type        = string
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
}

variable "host_zip" {
  description = "dist/towpath-host-arm64.zip"
  type        = string
}

variable "ingest_zip" {
  description = "dist/towpath-ingest-arm64.zip"
  type        = string
}

variable "recorder_zip" {
  description = "recorder.py as a zip."
  type        = string
}

variable "architecture" {
  description = "The architecture of the zips."
  type        = string
  default     = "arm64"
}

variable "moto" {
  description = "Whether the provider's endpoint is moto, which knows no bucket names in host names and denies what a policy denies under conditions."
  type        = bool
  default     = false
}

provider "aws" {
  s3_use_path_style = var.moto

  default_tags {
    tags = var.tags
  }
}

# The recorder. An API of its own: the module's API exists only after the module knows the URL of its target.
resource "aws_sqs_queue" "records" {
  name                      = "${var.name}-records.fifo"
  fifo_queue                = true
  message_retention_seconds = 86400
}

resource "aws_iam_role" "recorder" {
  name = "${var.name}-recorder"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_cloudwatch_log_group" "recorder" {
  name              = "/aws/lambda/${var.name}-recorder"
  retention_in_days = 1
}

resource "aws_iam_role_policy" "recorder" {
  name = "recorder"
  role = aws_iam_role.recorder.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.records.arn },
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.recorder.arn}:*" },
    ]
  })
}

resource "aws_lambda_function" "recorder" {
  function_name    = "${var.name}-recorder"
  role             = aws_iam_role.recorder.arn
  filename         = var.recorder_zip
  source_code_hash = filebase64sha256(var.recorder_zip)
  runtime          = "python3.13"
  handler          = "recorder.handler"
  memory_size      = 256
  timeout          = 10

  environment {
    variables = {
      RECORDS     = aws_sqs_queue.records.url
      SECRET_PATH = var.name
    }
  }

  depends_on = [aws_iam_role_policy.recorder, aws_cloudwatch_log_group.recorder]
}

resource "aws_apigatewayv2_api" "recorder" {
  name          = "${var.name}-recorder"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "recorder" {
  api_id      = aws_apigatewayv2_api.recorder.id
  name        = "$default"
  auto_deploy = true
}

resource "aws_apigatewayv2_integration" "recorder" {
  api_id                 = aws_apigatewayv2_api.recorder.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.recorder.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "recorder" {
  api_id    = aws_apigatewayv2_api.recorder.id
  route_key = "ANY /${var.name}/{proxy+}"
  target    = "integrations/${aws_apigatewayv2_integration.recorder.id}"
}

resource "aws_lambda_permission" "recorder" {
  statement_id  = "ApiGateway"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.recorder.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.recorder.execution_arn}/*/*"
}

locals {
  recorder = { url = "${aws_apigatewayv2_api.recorder.api_endpoint}/${var.name}/", timeout = "10s" }
}

# What is tried. The keys of the routes are those of routes.json, which the local mode uses too.
module "towpath" {
  source = "../../../terraform"

  name         = var.name
  host_zip     = var.host_zip
  ingest_zip   = var.ingest_zip
  architecture = var.architecture

  routes  = jsondecode(file("${path.module}/routes.json"))
  plugins = { approval = {} }
  # Three names of one recorder: what holds one, or makes its breaker open, does not stop the other probes.
  targets = { recorder = local.recorder, held = local.recorder, sss = local.recorder }

  # A new account may have ten concurrent executions in all, and the recorder needs some.
  maximum_concurrency = 2

  bucket_force_destroy = true
  bucket_tls_only      = !var.moto
  log_retention        = 1
  timeout              = 30
  tags                 = var.tags
}

# A second stage of the module's API, with a name.
resource "aws_apigatewayv2_stage" "named" {
  api_id      = module.towpath.api_id
  name        = "smoke"
  auto_deploy = true
}

output "towpath" {
  description = "All outputs of the module."
  value       = module.towpath
}

output "records_url" {
  description = "URL of the queue with what the recorder got, in the order of its arrival."
  value       = aws_sqs_queue.records.url
}

output "stage" {
  description = "Name of the stage that has one."
  value       = aws_apigatewayv2_stage.named.name
}
