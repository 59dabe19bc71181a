# The config, which both functions read when they start. A change restarts them, because its digest is in their environment.
locals {
  config_routes = [
    for route in local.routes : merge(
      { for key, value in route : key => value if !contains(["verify", "headers", "secrets", "ingress"], key) },
      { for key in length(local.verifications[route.path]) == 0 ? [] : ["verify"] : key => jsondecode(
        # One table stays one: a condition cannot have two types.
        length(local.verifications[route.path]) == 1 ? jsonencode(local.verifications[route.path][0]) : jsonencode(local.verifications[route.path])
      ) },
      # So that `towpath config check` refuses what API Gateway cannot do.
      { for key, value in route : key => value if key == "ingress" && value == "direct" },
    )
  ]

  config_plugins = {
    for name, plugin in var.plugins : name => {
      for key, value in {
        version      = plugin.version
        sha256       = plugin.sha256
        min_sequence = plugin.min_sequence
        secrets      = plugin.secrets
        config       = plugin.config == null ? null : jsondecode(plugin.config)
        limits       = plugin.limits == null ? null : { for k, v in plugin.limits : k => v if v != null }
      } : key => value if value != null
    }
  }

  # The auth schemes of each target. Several secrets become a list in `secret`.
  auths = {
    for name, target in var.targets : name => [
      for auth in target.auth : merge(
        { for k, v in auth : k => v if v != null && k != "secrets" },
        auth.secrets == null ? {} : { secret = auth.secrets },
      )
    ]
  }

  config_targets = {
    for name, target in var.targets : name => {
      for key, value in {
        url            = target.url
        timeout        = target.timeout
        allow_private  = target.allow_private
        hold           = target.hold
        ca             = target.ca
        proxy          = target.proxy
        auth           = length(local.auths[name]) == 0 ? null : local.auths[name]
        retry          = target.retry == null ? null : { for k, v in target.retry : k => v if v != null }
        plugin_secrets = target.plugin_secrets
        headers        = target.headers
        breaker        = target.breaker == null ? null : { for k, v in target.breaker : k => v if v != null }
      } : key => value if value != null
    }
  }

  # The largest body that fits into a message as base64 next to 24 KiB of headers. Ingest answers 413 to a larger one, before the queue rejects it.
  body_limit = max(1, floor(coalesce(aws_sqs_queue.this.max_message_size, 262144) / 4) * 3 - 24576)

  config = jsonencode(merge({
    queue = { for key, value in {
      url             = aws_sqs_queue.this.url
      dead_letter_url = aws_sqs_queue.dead_letters.url
      refused_url     = one(aws_sqs_queue.refused[*].url)
      # A batch that Lambda holds back must not be delivered twice at once.
      extend_visibility = coalesce(var.visibility_timeout, 6 * var.timeout) < 6 * var.timeout ? true : null
    } : key => value if value != null }
    dead_letters = { for key, value in { note_key = var.note_keys } : key => value if length(value) > 0 }
    ingest       = { prefix = var.path_prefix, body_limit = local.body_limit }
    holds        = { url = "s3://${local.bucket}/${local.holds_key}" }
    secrets      = { prefix = var.secrets_prefix }
    registry     = { for key, value in { url = "s3://${local.bucket}/${local.registry_prefix}", public_key = var.plugin_public_key } : key => value if value != null }
    route        = local.config_routes
    plugin       = local.config_plugins
    target       = local.config_targets
    },
    # Only with an archive: hosts of earlier versions do not know the table.
    { for archive in local.archives : "archive" => merge(
      { stream = aws_kinesis_firehose_delivery_stream.archive[0].name, bucket = local.archive_url },
      { for key in length(archive.redact) > 0 ? ["redact"] : [] : key => archive.redact },
    ) },
  ))
}

resource "aws_s3_object" "config" {
  bucket       = local.bucket
  key          = local.config_key
  content      = local.config
  content_type = "application/json"
  tags         = var.tags

  # The config must not be in a bucket that is not private yet, or has not got its key.
  depends_on = [
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]
}
