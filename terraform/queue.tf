locals {
  # The keys of queues, bucket and secrets, as lists of none or one.
  queue_key   = var.queue_kms_key_arn == null ? [] : [var.queue_kms_key_arn]
  bucket_key  = var.bucket_kms_key_arn == null ? [] : [var.bucket_kms_key_arn]
  secrets_key = var.secrets_kms_key_arn == null ? [] : [var.secrets_kms_key_arn]

  # The keys that messages are, were or will be encrypted with.
  queue_keys = concat(local.queue_key, var.queue_kms_additional_key_arns)

  dead_letter_max_message_size = (
    var.dead_letter_max_message_size != null ? var.dead_letter_max_message_size :
    var.max_message_size == null ? null : max(var.max_message_size, 262144)
  )
}

resource "aws_sqs_queue" "this" {
  name       = coalesce(var.queue_name, "${var.name}-events.fifo")
  fifo_queue = true

  deduplication_scope         = var.deduplication_scope
  fifo_throughput_limit       = var.deduplication_scope == "messageGroup" ? "perMessageGroupId" : "perQueue"
  content_based_deduplication = var.content_based_deduplication
  visibility_timeout_seconds  = coalesce(var.visibility_timeout, 6 * var.timeout)
  message_retention_seconds   = var.message_retention_seconds
  receive_wait_time_seconds   = 20
  max_message_size            = var.max_message_size
  # SSE-SQS unless there is a key: a KMS key needs a policy for every service that sends.
  sqs_managed_sse_enabled = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id       = var.queue_kms_key_arn
  tags                    = var.tags

  lifecycle {
    # SQS cannot rename a queue: Terraform would delete it, with its events, and make an empty one.
    ignore_changes = [name]
  }

  # Who sends and receives may use a listed key before the queue does.
  depends_on = [aws_iam_role_policy.queue_keys]
}

resource "aws_sqs_queue" "dead_letters" {
  name       = coalesce(var.dead_letter_queue_name, "${var.name}-dead.fifo")
  fifo_queue = true

  deduplication_scope       = var.deduplication_scope
  fifo_throughput_limit     = var.deduplication_scope == "messageGroup" ? "perMessageGroupId" : "perQueue"
  message_retention_seconds = var.dead_letter_retention_seconds
  # A dead letter is its message plus the reason: whatever fits into the queue must fit here.
  max_message_size        = local.dead_letter_max_message_size
  sqs_managed_sse_enabled = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id       = var.queue_kms_key_arn
  tags                    = var.tags

  lifecycle {
    ignore_changes = [name]
  }

  depends_on = [aws_iam_role_policy.queue_keys]
}

# Webhooks that the ingest function answered with 401 or 422. Strangers can fill it, so it keeps them for a day, and the function
# stops at 10,000.
resource "aws_sqs_queue" "refused" {
  count = local.can_refuse ? 1 : 0

  name       = "${var.name}-refused.fifo"
  fifo_queue = true

  deduplication_scope       = "messageGroup"
  fifo_throughput_limit     = "perMessageGroupId"
  message_retention_seconds = 86400
  max_message_size          = local.dead_letter_max_message_size
  sqs_managed_sse_enabled   = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id         = var.queue_kms_key_arn
  tags                      = var.tags

  lifecycle {
    ignore_changes = [name]
  }

  depends_on = [aws_iam_role_policy.queue_keys]
}

# Separate resources, because as attributes they would make the two queues depend on each other.
resource "aws_sqs_queue_redrive_policy" "this" {
  queue_url = aws_sqs_queue.this.id
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "this" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this.arn]
  })
}
