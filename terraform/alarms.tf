# Alarms notify at once. Missing data is not an alarm.
locals {
  functions = merge(
    { host = aws_lambda_function.host.function_name },
    local.has_ingest ? { ingest = aws_lambda_function.ingest[0].function_name } : {},
  )

  # Half of the retention, so that time is left to act, and at most 7 days, which is as far as an alarm can look back.
  dead_letters_left_days = max(1, min(7, floor(var.dead_letter_retention / 2)))

  # What an error or a throttle means for messages.
  function_errors = {
    host   = { errors = "whole batches are retried", throttles = "messages wait, and each attempt counts as a receive" }
    ingest = { errors = "senders get an error and must retry", throttles = "senders get an error and must retry" }
  }

  queue_alarms = {
    "dead-letters" = {
      description = "There are dead letters. `towpath dlq stats` shows why; after the cause is fixed, `towpath dlq redrive` sends them back."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
    }
    "oldest-message" = {
      description = "A message has waited for more than ${var.oldest_message_alarm} s. `towpath status` shows the target: is it on hold, or down?"
      metric      = "ApproximateAgeOfOldestMessage"
      queue       = aws_sqs_queue.this.name
      threshold   = var.oldest_message_alarm
      periods     = 3
    }
    # Not by ApproximateAgeOfOldestMessage, which ignores messages received more than three times: every look at a dead letter is a receive.
    "dead-letters-left" = {
      description = "There have been dead letters for ${local.dead_letters_left_days} days, and SQS deletes each after ${var.dead_letter_retention} days. Run `towpath dlq redrive` or `towpath dlq drop`."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
      period      = 3600
      periods     = 24 * local.dead_letters_left_days
    }
    "deduplicated" = {
      description = "SQS dropped sends as duplicates. That is expected when a sender retries. If there are many, a route's dedup may not identify single events."
      metric      = "NumberOfDeduplicatedSentMessages"
      queue       = aws_sqs_queue.this.name
      statistic   = "Sum"
    }
  }

  alarms = merge(
    {
      for key, alarm in local.queue_alarms : key => {
        namespace   = "AWS/SQS"
        metric      = alarm.metric
        dimensions  = { QueueName = alarm.queue }
        description = alarm.description
        statistic   = try(alarm.statistic, "Maximum")
        threshold   = try(alarm.threshold, 0)
        period      = try(alarm.period, 60)
        periods     = try(alarm.periods, 1)
      }
    },
    {
      "dead-letters-not-stored" = {
        namespace   = "Towpath"
        metric      = "towpath.dead_letter.failures"
        dimensions  = { service = aws_lambda_function.host.function_name }
        description = "Dead letters cannot be stored; their messages are kept and retried. Check that the host may send to the dead-letter queue."
        statistic   = "Sum"
        threshold   = 0
        period      = 60
        periods     = 3
      }
    },
    merge([
      for room, name in local.functions : {
        for metric in ["Errors", "Throttles"] : "${room}-${lower(metric)}" => {
          namespace   = "AWS/Lambda"
          metric      = metric
          dimensions  = { FunctionName = name }
          description = "${metric} of ${name}: ${local.function_errors[room][lower(metric)]}. See its log group."
          statistic   = "Sum"
          threshold   = 0
          period      = 60
          periods     = 1
        }
      }
    ]...),
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description

  namespace   = each.value.namespace
  metric_name = each.value.metric
  dimensions  = each.value.dimensions

  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}
