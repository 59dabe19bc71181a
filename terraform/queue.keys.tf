# What lets the roles use the next key before the queues do, and the previous one after that. Policies of their own, because the other ones name the
# queues, so that Terraform changes them after the queues. They exist only if keys are listed: whether queue_kms_key_arn is null may not be known yet.
locals {
  queue_roles = merge(
    { host = aws_iam_role.host.name },
    local.has_ingest ? { ingest = aws_iam_role.ingest[0].name } : {},
    local.has_direct ? { api = aws_iam_role.api[0].name } : {},
  )

  # The names of these policies, by role: one or none.
  queue_keys_policies = { for room in ["host", "ingest", "api"] : room => [for key, policy in aws_iam_role_policy.queue_keys : policy.name if key == room] }
}

data "aws_iam_policy_document" "queue_keys" {
  count = length(var.queue_kms_additional_key_arns) > 0 ? 1 : 0

  statement {
    sid       = "UseQueueKeys"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = local.queue_keys
  }
}

resource "aws_iam_role_policy" "queue_keys" {
  for_each = { for room, role in local.queue_roles : room => role if length(var.queue_kms_additional_key_arns) > 0 }

  name   = "queue-keys"
  role   = each.value
  policy = data.aws_iam_policy_document.queue_keys[0].json

  lifecycle {
    create_before_destroy = true
  }
}
