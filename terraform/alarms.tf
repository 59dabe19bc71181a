# Alarms notify at once. Missing data is not an alarm.
locals {
  functions = merge(
    { host = aws_lambda_function.host.function_name },
    local.has_ingest ? { ingest = aws_lambda_function.ingest[0].function_name } : {},
  )

  # Half of the retention, so that time is left to act, and at most 7 days, which is as far as an alarm can look back.
  dead_letter_retention_days = floor(var.dead_letter_retention_seconds / 86400)
  dead_letters_left_days     = max(1, min(7, floor(local.dead_letter_retention_days / 2)))

  # What an error or a throttle means for messages.
  function_errors = {
    host   = { errors = "whole batches are retried", throttles = "messages wait, and each attempt counts as a receive" }
    ingest = { errors = "senders get an error and must retry", throttles = "senders get an error and must retry" }
  }

  queue_alarms = {
    "dead-letters" = {
      description = "There are more than ${coalesce(var.dead_letters_alarm, 0)} dead letters. `towpath dlq stats` shows why; after the cause is fixed, `towpath dlq redrive` sends them back."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
      threshold   = var.dead_letters_alarm
    }
    "oldest-message" = {
      description = "A message has waited for more than ${coalesce(var.oldest_message_alarm, 0)} s by SQS's count, which leaves out what is retried. Do hosts receive, and do they keep up?"
      metric      = "ApproximateAgeOfOldestMessage"
      queue       = aws_sqs_queue.this.name
      threshold   = var.oldest_message_alarm
      periods     = 3
    }
    # Not by ApproximateAgeOfOldestMessage, which ignores messages received more than three times: every look at a dead letter is a receive.
    "dead-letters-left" = {
      description = "There have been dead letters for ${local.dead_letters_left_days} days, and SQS deletes each after ${local.dead_letter_retention_days} days. Run `towpath dlq redrive` or `towpath dlq drop`."
      metric      = "ApproximateNumberOfMessagesVisible"
      queue       = aws_sqs_queue.dead_letters.name
      threshold   = var.dead_letters_alarm
      period      = 3600
      periods     = 24 * local.dead_letters_left_days
    }
    "duplicates" = {
      description = "SQS dropped more than ${coalesce(var.duplicates_alarm, 0)} sends in five minutes as duplicates. A route's dedup may not identify single events."
      metric      = "NumberOfDeduplicatedSentMessages"
      queue       = aws_sqs_queue.this.name
      statistic   = "Sum"
      period      = 300
      threshold   = var.duplicates_alarm
    }
  }

  # Metrics that the host writes, in the namespace and with the dimension of host/telemetry.
  host_alarms = {
    "blocked-head" = {
      metric      = "towpath.head.age"
      description = "A message has been held or retried for more than ${coalesce(var.blocked_head_alarm, 0)} s, and its group waits behind it. `towpath status` shows the target: is it on hold, or down?"
      statistic   = "Maximum"
      threshold   = var.blocked_head_alarm
      # The host writes it when it looks at a message, and looks of a waiting one are 13 days / max_receive_count apart on average. One value
      # in twice that time is enough; CloudWatch looks back one day at most.
      period     = 300
      periods    = min(288, ceil(2 * 13 * 86400 / var.max_receive_count / 300))
      datapoints = 1
    }
    "archive-dropped" = {
      metric      = "towpath.archive.dropped"
      description = "More than ${coalesce(var.archive_dropped_alarm, 0)} events in five minutes were delivered, but are missing in the archive. The host's log event archive-dropped says why."
      statistic   = "Sum"
      threshold   = var.archive == null ? null : var.archive_dropped_alarm
      period      = 300
      periods     = 1
      datapoints  = 1
    }
    "dead-letters-not-stored" = {
      metric      = "towpath.dead_letter.failures"
      description = "Dead letters cannot be stored; their messages are kept and retried. Check that the host may send to the dead-letter queue."
      statistic   = "Sum"
      threshold   = 0
      period      = 60
      periods     = 3
      datapoints  = 3
    }
  }

  alarms = { for key, alarm in merge(
    {
      for key, alarm in local.queue_alarms : key => {
        namespace   = "AWS/SQS"
        metric      = alarm.metric
        dimensions  = { QueueName = alarm.queue }
        description = alarm.description
        statistic   = try(alarm.statistic, "Maximum")
        threshold   = alarm.threshold
        period      = try(alarm.period, 60)
        periods     = try(alarm.periods, 1)
        datapoints  = try(alarm.periods, 1)
      }
    },
    {
      for key, alarm in local.host_alarms : key => merge(alarm, {
        namespace  = "Towpath"
        dimensions = { service = aws_lambda_function.host.function_name }
      }) if var.emf
    },
    {
      for archive in local.archives : "archive-late" => {
        namespace   = "AWS/Firehose"
        metric      = "DeliveryToS3.DataFreshness"
        dimensions  = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.archive[0].name }
        description = "An event has waited for more than ${coalesce(var.archive_late_alarm, 0)} s to be written to S3. After 24 hours Firehose drops it. The log group of the stream says why."
        statistic   = "Maximum"
        threshold   = var.archive_late_alarm
        period      = 300
        periods     = 1
        datapoints  = 1
      }
    },
    merge([
      for room, name in local.functions : {
        for metric, threshold in { Errors = var.errors_alarm, Throttles = var.throttles_alarm } : "${room}-${lower(metric)}" => {
          namespace                       = "AWS/Lambda"
          metric                          = metric
          dimensions                      = { FunctionName = name }
          description                     = "${metric} of ${name}: ${local.function_errors[room][lower(metric)]}. See its log group."
          statistic                       = "Sum"
          threshold                       = threshold
          period                          = 60
          periods                         = 1
          datapoints                      = 1
        }
      }
    ]...),
  ) : key => alarm if var.create_alarms && alarm.threshold != null }
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
  datapoints_to_alarm = each.value.datapoints
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_actions
  ok_actions    = var.alarm_actions
  tags          = var.tags
}
