# Queue depth, dead letters, retries, releases, and the host's own metrics.
locals {
  host_log = aws_cloudwatch_log_group.host.name

  # Log lines from before the field `event` are found by their messages.
  log_queries = {
    "Dead letters by reason, route and build" = <<-EOT
      filter fields.event = "message-dead-lettered" or fields.message = "message is in the dead-letter queue"
      | stats count(*) as letters, max(@timestamp) as last by fields.reason as reason, span.route as route, span.plugin as plugin, span.digest as digest
      | sort letters desc
    EOT
    "Retries by outcome and route"            = <<-EOT
      filter fields.event = "message-retried" or fields.message = "message will be tried again"
      | stats count(*) as tries, max(@timestamp) as last by fields.outcome as outcome, fields.detail as detail, span.route as route
      | sort tries desc
    EOT
    "Shadow differences"                      = <<-EOT
      filter fields.event = "shadow-differed" or fields.message = "the shadow differs"
      | stats count(*) as messages, max(@timestamp) as last by fields.differs as differs, fields.shadow as shadow, fields.shadow_digest as digest
      | sort messages desc
    EOT
    "Plugin loads, swaps and load failures"   = <<-EOT
      filter fields.event in ["plugin-loaded", "plugin-swapped", "plugin-load-failed", "plugin-fallback"] or fields.message in ["plugin loaded", "plugin swapped", "the new version cannot be loaded, the last good one keeps running", "version cannot be loaded, the one before it is tried", "version cannot be loaded, falling back to the previous version"]
      | display @timestamp, fields.message, fields.plugin, fields.version, fields.digest, fields.problem
      | sort @timestamp desc
      | limit 20
    EOT
  }

  # Metrics of the host: docs/operate/telemetry.md describes them. Each widget is one search over all values of the labels, and one for
  # each smaller set of labels in `fewer`: a label without a value, such as the plugin of a route without one, is no dimension.
  host_metrics = {
    "Messages by outcome, per minute"         = { metric = "towpath.messages", labels = "decision,outcome,plugin,route", fewer = ["decision,outcome,route"], stat = "Sum" }
    "Dead letters by reason, per minute"      = { metric = "towpath.dead_letters", labels = "reason,route", stat = "Sum" }
    "Requests by target and status"           = { metric = "towpath.attempts", labels = "status,target", stat = "Sum" }
    "Request duration by target, p99, s"      = { metric = "towpath.attempt.duration", labels = "target", stat = "p99" }
    "Message age when done, p99, s"           = { metric = "towpath.message.age", labels = "route", stat = "p99" }
    "Groups held by target"                   = { metric = "towpath.groups.held", labels = "target", stat = "Maximum" }
    "Groups blocked by target"                = { metric = "towpath.groups.blocked", labels = "target", stat = "Maximum" }
    "Call duration by plugin, p99, s"         = { metric = "towpath.plugin.duration", labels = "plugin", stat = "p99" }
    "Age of oldest held or failed message, s" = { metric = "towpath.head.age", labels = "", stat = "Maximum" }
  }
  host_searches = {
    for title, search in local.host_metrics : title => [
      for labels in concat([search.labels], try(search.fewer, [])) : join(" ", [
        "SEARCH('{Towpath,${join(",", compact(concat(split(",", labels), ["service"])))}}",
        "MetricName=\"${search.metric}\" service=\"${aws_lambda_function.host.function_name}\"', '${search.stat}', 60)",
      ])
    ] if var.emf
  }
  host_rows = ceil(length(local.host_searches) / 3)

  metric_widgets = [
    {
      title = "Messages in the queue"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.this.name, { label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", aws_sqs_queue.this.name, { label = "in flight or delayed" }],
      ]
    },
    {
      title   = "Age of the oldest message, s"
      metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", aws_sqs_queue.this.name, { stat = "Maximum", label = "oldest" }]]
    },
    {
      title   = "Dead letters in the queue"
      metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead_letters.name, { label = "dead letters" }]]
    },
    {
      title = "Messages in and out, per minute"
      metrics = [
        ["AWS/SQS", "NumberOfMessagesSent", "QueueName", aws_sqs_queue.this.name, { stat = "Sum", label = "stored" }],
        ["AWS/SQS", "NumberOfDeduplicatedSentMessages", "QueueName", aws_sqs_queue.this.name, { stat = "Sum", label = "duplicates" }],
        ["AWS/SQS", "NumberOfMessagesDeleted", "QueueName", aws_sqs_queue.this.name, { stat = "Sum", label = "deleted" }],
      ]
    },
    {
      title = "Functions: errors and throttles"
      metrics = flatten([for room, name in local.functions : [
        ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum", label = "${room} errors" }],
        ["AWS/Lambda", "Throttles", "FunctionName", name, { stat = "Sum", label = "${room} throttles" }],
      ]])
    },
    {
      title   = "Functions: duration, p99, ms"
      metrics = [for room, name in local.functions : ["AWS/Lambda", "Duration", "FunctionName", name, { stat = "p99", label = room }]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.create_dashboard ? 1 : 0

  dashboard_name = local.global_name
  dashboard_body = jsonencode({
    widgets = concat(
      [
        for index, widget in local.metric_widgets : {
          type   = "metric"
          x      = index % 3 * 8
          y      = floor(index / 3) * 6
          width  = 8
          height = 6
          properties = {
            title   = widget.title
            region  = local.region
            view    = "timeSeries"
            period  = 60
            stat    = "Maximum"
            metrics = widget.metrics
          }
        }
      ],
      [
        for index, title in sort(keys(local.host_searches)) : {
          type   = "metric"
          x      = index % 3 * 8
          y      = 12 + floor(index / 3) * 6
          width  = 8
          height = 6
          properties = {
            title   = title
            region  = local.region
            view    = "timeSeries"
            period  = 60
            metrics = [for index, search in local.host_searches[title] : [{ expression = search, id = "found${index}" }]]
          }
        }
      ],
      [
        for index, title in sort(keys(local.log_queries)) : {
          type   = "log"
          x      = index % 2 * 12
          y      = 12 + local.host_rows * 6 + floor(index / 2) * 8
          width  = 12
          height = 8
          properties = {
            title  = title
            region = local.region
            view   = "table"
            query  = "SOURCE '${local.host_log}' | ${local.log_queries[title]}"
          }
        }
      ],
    )
  })
}
