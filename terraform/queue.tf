resource "aws_sqs_queue" "this" {
  name       = "${var.name}-events.fifo"
  fifo_queue = true

  deduplication_scope         = var.deduplication_scope
  fifo_throughput_limit       = var.deduplication_scope == "messageGroup" ? "perMessageGroupId" : "perQueue"
  content_based_deduplication = var.content_based_deduplication
  visibility_timeout_seconds  = coalesce(var.visibility_timeout, 6 * var.timeout)
  message_retention_seconds   = var.message_retention * 86400
  receive_wait_time_seconds   = 20
  max_message_size            = var.max_message_size
  # SSE-SQS: a KMS key would need a policy for every service that sends.
  sqs_managed_sse_enabled = true
  tags                    = var.tags
}

resource "aws_sqs_queue" "dead_letters" {
  name       = "${var.name}-dead.fifo"
  fifo_queue = true

  deduplication_scope       = var.deduplication_scope
  fifo_throughput_limit     = var.deduplication_scope == "messageGroup" ? "perMessageGroupId" : "perQueue"
  message_retention_seconds = var.dead_letter_retention * 86400
  # A dead letter is its message plus the reason: whatever fits into the queue must fit here.
  max_message_size        = var.max_message_size == null ? null : max(var.max_message_size, 262144)
  sqs_managed_sse_enabled = true
  tags                    = var.tags
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
  max_message_size          = var.max_message_size == null ? null : max(var.max_message_size, 262144)
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
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
