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

  ingest_routes = { for route in var.routes : route.path => route if route.ingress == "lambda" }
  direct_routes = { for route in var.routes : route.path => route if route.ingress == "direct" }
  has_ingest    = length(local.ingest_routes) > 0
  has_direct    = length(local.direct_routes) > 0

  # The names of all secrets; NAME#KEY is a key of the secret NAME.
  secret_names = distinct([
    for name in concat(
      flatten([for target in values(var.targets) : [for auth in target.auth : compact(concat([auth.secret], coalesce(auth.secrets, [])))]]),
      flatten([for verify in local.verifications : compact(concat([verify.secret], coalesce(verify.secrets, [])))]),
      flatten([for plugin in values(var.plugins) : coalesce(plugin.secrets, [])]),
      var.note_keys,
    ) : split("#", name)[0]
  ])

  # The names of the secrets that the ingest function verifies with.
  ingest_secret_names = distinct([
    for name in flatten([for verify in local.verifications_at_ingest : compact(concat([verify.secret], coalesce(verify.secrets, [])))]) :
    split("#", name)[0]
  ])

  verifications = [for route in var.routes : route.verify if route.verify != null]

  verifications_at_ingest = [
    for route in values(local.ingest_routes) : route.verify
    if route.verify != null && try(coalesce(route.verify.at, "ingest"), "") == "ingest"
  ]

  # Whether the ingest function can answer 401 or 422, and so needs a queue to keep those webhooks.
  can_refuse = length(local.verifications_at_ingest) > 0 || anytrue([for route in values(local.ingest_routes) : route.on_missing_key == "refuse"])
}
