# Somebody is told at once; silence is no alarm.
locals {
  functions = merge(
    { host = aws_lambda_function.host.function_name },
    local.has_ingest ? { ingest = aws_lambda_function.ingest[0].function_name } : {},
  )

  # Half of what SQS keeps them for, and no more than the week that an alarm can look back.
  dead_letters_left_days = max(1, min(7, floor(var.dead_letter_retention / 2)))

  # What an error of a function means.
  function_errors = {
    host   = { errors = "batches come again as a whole", throttles = "messages wait, and count as received" }
    ingest = { errors = "senders are told to try again", throttles = "senders are told to try again" }
  }

  queue_alarms = {
    "dead-letters" = {
      description = "Messages died. `towpath dlq stats` says why, `towpath dlq redrive` sends them back."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
    }
    "oldest-message" = {
      description = "A message has waited for ${var.oldest_message_alarm} s. `towpath status` says for which target: is it on hold, or away?"
      metric      = "ApproximateAgeOfOldestMessage"
      queue       = aws_sqs_queue.this.name
      threshold   = var.oldest_message_alarm
      periods     = 3
    }
    # Not by ApproximateAgeOfOldestMessage: it leaves out what was received more than three times, and who looks at a letter receives it.
    "dead-letters-left" = {
      description = "There have been dead letters for ${local.dead_letters_left_days} days, and SQS deletes each after ${var.dead_letter_retention}: `towpath dlq redrive` or `towpath dlq drop`."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
      period      = 3600
      periods     = 24 * local.dead_letters_left_days
    }
    "deduplicated" = {
      description = "Sends were taken for duplicates. That is right for a sender that tries again; if there are many, a route's dedup may not name an event."
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
        description = "Dead letters cannot be stored: their messages are kept and come again. May the host write to the dead-letter queue?"
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
          description = "${metric} of ${name}: ${local.function_errors[room][lower(metric)]}. Its log group says more."
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
