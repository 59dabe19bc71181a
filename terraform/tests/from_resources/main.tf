# A caller of the module whose ids all come from resources, so that none is known at plan.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "zip" {
  description = "Any file."
  type        = string
}

resource "aws_apigatewayv2_api" "theirs" {
  name          = "theirs"
  protocol_type = "HTTP"
}

resource "aws_s3_bucket" "theirs" {
  bucket_prefix = "theirs-"
}

resource "aws_kms_key" "theirs" {
  description = "Queues, bucket, logs and secrets"
}

resource "aws_vpc" "theirs" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "theirs" {
  vpc_id     = aws_vpc.theirs.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_route_table" "theirs" {
  vpc_id = aws_vpc.theirs.id
}

resource "aws_security_group" "theirs" {
  vpc_id = aws_vpc.theirs.id
}

resource "aws_acm_certificate" "theirs" {
  domain_name       = "hooks.example.com"
  validation_method = "DNS"
}

resource "aws_route53_zone" "theirs" {
  name = "example.com"
}

resource "aws_sns_topic" "theirs" {
  name = "theirs"
}

# Of the module's own queue, which depends on nothing that is given.
data "aws_iam_policy_document" "theirs" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [module.towpath.queue_arn]
  }
}

module "towpath" {
  source = "../.."

  host_zip   = var.zip
  ingest_zip = var.zip

  create_api        = false
  api_id            = aws_apigatewayv2_api.theirs.id
  api_stage         = "prod"
  create_deployment = true
  domain = {
    name            = "hooks.example.com"
    create          = true
    certificate_arn = aws_acm_certificate.theirs.arn
    zone_id         = aws_route53_zone.theirs.zone_id
    create_records  = true
  }

  create_bucket = false
  bucket        = aws_s3_bucket.theirs.bucket
  key_prefix    = "towpath/"

  source_queue_policy_documents             = [data.aws_iam_policy_document.theirs.json]
  source_dead_letter_queue_policy_documents = [data.aws_iam_policy_document.theirs.json]

  queue_kms_key_arn             = aws_kms_key.theirs.arn
  queue_kms_additional_key_arns = [aws_kms_key.theirs.arn]
  bucket_kms_key_arn            = aws_kms_key.theirs.arn
  log_kms_key_arn               = aws_kms_key.theirs.arn
  secrets_kms_key_arn           = aws_kms_key.theirs.arn

  vpc = {
    id                    = aws_vpc.theirs.id
    subnet_ids            = [aws_subnet.theirs.id]
    security_group_ids    = [aws_security_group.theirs.id]
    create_security_group = true
    create_endpoints      = true
    route_table_ids       = [aws_route_table.theirs.id]
  }

  routes = [
    { path = "approval", group = "approval", plugin = "approval", verify = { scheme = "github", secret = "hook" } },
    { path = "direct", group = "direct", plugin = "approval", ingress = "direct" },
  ]
  plugins       = { approval = {} }
  targets       = { sss = { url = "https://sss.example.com" } }
  alarm_actions = [aws_sns_topic.theirs.arn]
}

output "towpath" {
  description = "All outputs of the module."
  value       = module.towpath
}
