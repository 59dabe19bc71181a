# Nobody may reach the queues without TLS. Who may reach them at all is up to the roles.
locals {
  queues_by_name = merge(
    { events = aws_sqs_queue.this, dead_letters = aws_sqs_queue.dead_letters },
    { for queue in aws_sqs_queue.refused : "refused" => queue },
  )
  tls_only_queues = toset(var.queue_tls_only ? concat(["events", "dead_letters"], local.can_refuse ? ["refused"] : []) : [])
}

data "aws_iam_policy_document" "queue" {
  for_each = local.tls_only_queues

  statement {
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

resource "aws_sqs_queue_policy" "this" {
  for_each = local.tls_only_queues

  queue_url = local.queues_by_name[each.key].id
  policy    = data.aws_iam_policy_document.queue[each.key].json
}
