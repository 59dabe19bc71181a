locals {
  functions = merge(
    { host = aws_lambda_function.host.function_name },
    local.has_ingest ? { ingest = aws_lambda_function.ingest[0].function_name } : {},
  )

  function_alarms = merge([
    for room, name in local.functions : {
      "${room}-errors"    = { metric = "Errors", function = name, what = room == "host" ? "batches come again as a whole" : "senders are told to try again" }
      "${room}-throttles" = { metric = "Throttles", function = name, what = room == "host" ? "messages wait and count as received" : "senders are told to try again" }
    }
  ]...)
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name        = "${var.name}-dead-letters"
  alarm_description = "Messages died. `towpath dlq stats` says why, `towpath dlq redrive` sends them back."

  namespace   = "AWS/SQS"
  metric_name = "ApproximateNumberOfMessagesVisible"
  dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }

  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  alarm_name        = "${var.name}-oldest-message"
  alarm_description = "A message has waited for ${var.oldest_message_alarm} s. `towpath status` says for which target: is it on hold, or away?"

  namespace   = "AWS/SQS"
  metric_name = "ApproximateAgeOfOldestMessage"
  dimensions  = { QueueName = aws_sqs_queue.this.name }

  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.oldest_message_alarm
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}

resource "aws_cloudwatch_metric_alarm" "deduplicated" {
  alarm_name        = "${var.name}-deduplicated"
  alarm_description = "Sends were taken for duplicates. That is right for a sender that tries again; is it more, a route's dedup may not name an event."

  namespace   = "AWS/SQS"
  metric_name = "NumberOfDeduplicatedSentMessages"
  dimensions  = { QueueName = aws_sqs_queue.this.name }

  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.metric} of ${each.value.function}: ${each.value.what}. Its log group says more."

  namespace   = "AWS/Lambda"
  metric_name = each.value.metric
  dimensions  = { FunctionName = each.value.function }

  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}
