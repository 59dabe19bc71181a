data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  bucket     = var.bucket == null ? aws_s3_bucket.this[0].bucket : var.bucket
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"

  registry_prefix = "plugins"
  config_key      = "towpath.json"
  holds_key       = "holds.json"
}
