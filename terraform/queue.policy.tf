# Nobody may reach the queues without TLS. Who may reach them at all is up to the roles, and to the documents that were given.
locals {
  queues_by_name = merge(
    { events = aws_sqs_queue.this, dead_letters = aws_sqs_queue.dead_letters },
    { for queue in aws_sqs_queue.refused : "refused" => queue },
  )

  queue_policy_sources = {
    events       = var.source_queue_policy_documents
    dead_letters = var.source_dead_letter_queue_policy_documents
    refused      = []
  }

  # By their number: what is in the documents may be known only during the apply.
  queue_policies = toset([
    for name in concat(["events", "dead_letters"], local.can_refuse ? ["refused"] : []) : name
    if var.queue_tls_only || length(local.queue_policy_sources[name]) > 0
  ])
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queue_policies

  # A statement of this document takes the place of one with the same Sid in these.
  source_policy_documents = local.queue_policy_sources[each.key]

  dynamic "statement" {
    for_each = var.queue_tls_only ? [1] : []
    content {
      sid       = "TlsOnly"
      effect    = "Deny"
      actions   = ["sqs:*"]
      resources = [local.queues_by_name[each.key].arn]
      principals {
        type        = "*"
        identifiers = ["*"]
      }
      condition {
        test     = "Bool"
        variable = "aws:SecureTransport"
        values   = ["false"]
      }
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queue_policies

  queue_url = local.queues_by_name[each.key].id
  policy    = data.aws_iam_policy_document.queue[each.key].json
}
