data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # For what belongs to the account and not to a region.
  global_name = var.region_in_names ? "${var.name}-${local.region}" : var.name

  create_bucket = var.create_bucket != null ? var.create_bucket : var.bucket == null
  bucket        = local.create_bucket ? aws_s3_bucket.this[0].bucket : var.bucket
  bucket_arn    = "arn:${local.partition}:s3:::${local.bucket}"

  key_prefix      = var.key_prefix == null ? "" : var.key_prefix
  registry_prefix = "${local.key_prefix}plugins"
  config_key      = "${local.key_prefix}towpath.json"
  holds_key       = "${local.key_prefix}holds.json"

  # The environment of both functions. Ours comes last: it cannot be overridden.
  environment = merge(
    var.environment,
    {
      TOWPATH_CONFIG        = "s3://${aws_s3_object.config.bucket}/${aws_s3_object.config.key}"
      TOWPATH_CONFIG_SHA256 = sha256(local.config)
      TOWPATH_LOG           = var.log_level
    },
    var.emf ? {} : { TOWPATH_EMF = "off" },
  )
}
