# Alarms that see what they are for, and do not page for what is normal. The provider is a mock; tests/aws checks names and dimensions
# against what the host writes.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "the_alarms" {
  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset([
      "blocked-head", "oldest-message", "dead-letters", "dead-letters-left", "dead-letters-not-stored", "host-errors", "host-throttles", "ingest-errors", "ingest-throttles",
    ])
    error_message = "Duplicates, which retries of senders make, are no alarm."
  }
}

run "a_blocked_head_is_seen" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["blocked-head"].metric_name == "towpath.head.age" && aws_cloudwatch_metric_alarm.this["blocked-head"].dimensions == tomap({ service = "towpath-host" }) && aws_cloudwatch_metric_alarm.this["blocked-head"].statistic == "Maximum"
    error_message = "SQS's own age leaves out what was received more than three times."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["blocked-head"].datapoints_to_alarm == 1
      && aws_cloudwatch_metric_alarm.this["blocked-head"].period * aws_cloudwatch_metric_alarm.this["blocked-head"].evaluation_periods >= 20 * 60
      && aws_cloudwatch_metric_alarm.this["blocked-head"].period * aws_cloudwatch_metric_alarm.this["blocked-head"].evaluation_periods <= 3600
    )
    error_message = "The host writes the age when it looks, which is every 20 minutes after days."
  }
}

run "thresholds" {
  variables {
    blocked_head_alarm   = 120
    oldest_message_alarm = 60
    dead_letters_alarm   = 10
    errors_alarm         = 3
    throttles_alarm      = 4
    duplicates_alarm     = 1000
  }
  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold } == {
      blocked-head            = 120
      oldest-message          = 60
      dead-letters            = 10
      dead-letters-left       = 10
      dead-letters-not-stored = 0
      host-errors             = 3
      ingest-errors           = 3
      host-throttles          = 4
      ingest-throttles        = 4
      duplicates              = 1000
    }
    error_message = "Each alarm has its threshold."
  }
}

run "null_is_no_alarm" {
  variables {
    blocked_head_alarm   = null
    oldest_message_alarm = null
    dead_letters_alarm   = null
    errors_alarm         = null
    throttles_alarm      = null
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["dead-letters-not-stored"]
    error_message = "Alarms without a threshold are not created."
  }
}

run "without_emf_nothing_watches_metrics_that_nobody_writes" {
  variables {
    emf              = false
    duplicates_alarm = 1000
  }
  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset([
      "oldest-message", "dead-letters", "dead-letters-left", "duplicates", "host-errors", "host-throttles", "ingest-errors", "ingest-throttles",
    ])
    error_message = "What SQS and Lambda measure is watched as before, and the host's own metrics are not."
  }
  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "Towpath,")
    error_message = "No widget searches in the namespace Towpath."
  }
  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.type] == concat(
      [for index in range(6) : "metric"], [for index in range(4) : "log"],
    )
    error_message = "The widgets of SQS, Lambda and the logs stay."
  }
  assert {
    condition     = min([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.y if widget.type == "log"]...) == 12
    error_message = "The widgets close up."
  }
}

run "neither_alarms_nor_dashboard" {
  variables {
    create_alarms    = false
    create_dashboard = false
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) + length(aws_cloudwatch_dashboard.this) == 0 && output.dashboard_name == null
    error_message = "Who has alarms of his own gets none."
  }
}

run "refuses_a_negative_threshold" {
  command = plan
  variables {
    dead_letters_alarm = -1
  }
  expect_failures = [var.dead_letters_alarm]
}
