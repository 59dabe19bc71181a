# One task more while the queue is deep, one less while it is not, between min_tasks and max_tasks.
resource "aws_appautoscaling_target" "poll" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.poll.name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "out" {
  name               = "${var.name}-out"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.poll.service_namespace
  scalable_dimension = aws_appautoscaling_target.poll.scalable_dimension
  resource_id        = aws_appautoscaling_target.poll.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 120

    # The bounds count from the threshold of the alarm.
    step_adjustment {
      scaling_adjustment          = 1
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 9 * var.scale_out_at
    }
    step_adjustment {
      scaling_adjustment          = 2
      metric_interval_lower_bound = 9 * var.scale_out_at
    }
  }
}

resource "aws_appautoscaling_policy" "in" {
  name               = "${var.name}-in"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.poll.service_namespace
  scalable_dimension = aws_appautoscaling_target.poll.scalable_dimension
  resource_id        = aws_appautoscaling_target.poll.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300

    step_adjustment {
      scaling_adjustment          = -1
      metric_interval_upper_bound = 0
    }
  }
}

locals {
  queue_name = element(split(":", module.towpath.queue_arn), 5)
}

resource "aws_cloudwatch_metric_alarm" "deep" {
  alarm_name          = "${var.name}-queue-deep"
  alarm_description   = "Towpath: more messages than the tasks take. It starts one more."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.scale_out_at
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.out.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "shallow" {
  alarm_name          = "${var.name}-queue-shallow"
  alarm_description   = "Towpath: few messages wait. It stops one task. This is the usual state."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 10
  comparison_operator = "LessThanThreshold"
  threshold           = var.scale_in_at
  # A queue that nobody used for six hours has no metrics.
  treat_missing_data = "breaching"
  alarm_actions      = [aws_appautoscaling_policy.in.arn]
  tags               = var.tags
}
