# What makes `towpath poll` safe on ECS. A change that breaks one must fail here.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1", name = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_s3_object" {
    defaults = { version_id = "v1" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { api_endpoint = "https://new.example.com", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:new" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:q.fifo", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:f", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/f/invocations" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/r" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:g" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::b", bucket = "b" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { id = "arn:aws:ecs:eu-west-1:123456789012:cluster/c" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/poll:1" }
  }
  mock_resource "aws_appautoscaling_policy" {
    defaults = { arn = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:p" }
  }
}

variables {
  # Any file works: nothing is uploaded.
  host_zip   = "main.tf"
  ingest_zip = "main.tf"
  image      = "registry.example.com/towpath@sha256:0000"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1", "subnet-2"]
}

run "task" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].command == ["poll", "-c", "s3://b/towpath.json", "--workers", "2", "--wait", "5s", "--log-format", "json"]
    error_message = "The task polls with the config in S3."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].stopTimeout >= 2 + var.target_timeout + 5
    error_message = "A stop has time to finish what was begun."
  }
  assert {
    condition     = strcontains(jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].healthCheck.command[1], "http://127.0.0.1:8081/healthz")
    error_message = "ECS looks whether the process lives, not whether SQS answers."
  }
  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].portMappings) && !can(jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].secrets)
    error_message = "A task has no ports, and no secrets in its environment."
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].environment[*], { name = "CONFIG_VERSION", value = "v1" })
    error_message = "A new config is a new task definition."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.poll.container_definitions)[0].logConfiguration.options["awslogs-group"] == aws_cloudwatch_log_group.poll.name
    error_message = "The log goes to the log group with the retention."
  }
  assert {
    condition     = aws_ecs_task_definition.poll.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "The task runs on the architecture of the image."
  }
}

run "permissions" {
  assert {
    condition = jsonencode({ for statement in data.aws_iam_policy_document.task.statement : statement.sid => sort(statement.actions) }) == jsonencode({
      Queue                     = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      DeadLetters               = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      ReadPluginsConfigAndHolds = ["s3:GetObject"]
      TellMissingFromForbidden  = ["s3:ListBucket"]
      ReportBreakers            = ["s3:PutObject"]
      Secrets                   = ["secretsmanager:GetSecretValue"]
    })
    error_message = "The task may do what docs/operate/run.md lists, and nothing else."
  }
  assert {
    condition     = alltrue([for resource in flatten(data.aws_iam_policy_document.task.statement[*].resources) : resource != "*" && !endswith(resource, ":*")])
    error_message = "No permission is for everything."
  }
  assert {
    condition     = flatten([for statement in data.aws_iam_policy_document.task.statement : tolist(statement.resources) if statement.sid == "Secrets"]) == ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath-poll/*"]
    error_message = "The task reads the secrets with the prefix, and no others."
  }
  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.task.statement : tolist(statement.resources) if statement.sid == "ReadPluginsConfigAndHolds"])) == toset([
      "arn:aws:s3:::b/plugins/*", "arn:aws:s3:::b/towpath.json", "arn:aws:s3:::b/holds.json",
    ])
    error_message = "The task reads plugins, config and holds, and nothing else of the bucket."
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.execution.statement : statement.sid] == ["Log"]
    error_message = "Without a repository of ECR, ECS may write the log only."
  }
}

run "ecr" {
  variables {
    image_repository_arn = "arn:aws:ecr:eu-west-1:123456789012:repository/towpath"
  }
  assert {
    condition     = flatten([for statement in data.aws_iam_policy_document.execution.statement : tolist(statement.resources) if statement.sid == "PullImage"]) == ["arn:aws:ecr:eu-west-1:123456789012:repository/towpath"]
    error_message = "ECS may pull from this repository."
  }
}

run "service" {
  assert {
    condition     = !aws_ecs_service.poll.network_configuration[0].assign_public_ip
    error_message = "Tasks have no public address."
  }
  assert {
    condition     = length(aws_security_group.poll.ingress) == 0 && keys(aws_vpc_security_group_egress_rule.poll) == ["443"]
    error_message = "Nothing connects to a task, and tasks connect to port 443 only."
  }
  assert {
    condition     = aws_ecs_service.poll.deployment_minimum_healthy_percent == 100 && aws_ecs_service.poll.deployment_circuit_breaker[0].rollback
    error_message = "A release never leaves less than all tasks, and a broken one is taken back."
  }
}

run "scaling" {
  assert {
    condition     = aws_appautoscaling_target.poll.min_capacity == 1 && aws_appautoscaling_target.poll.max_capacity == 4
    error_message = "The number of tasks has limits."
  }
  assert {
    condition     = alltrue([for alarm in [aws_cloudwatch_metric_alarm.deep, aws_cloudwatch_metric_alarm.shallow] : alarm.metric_name == "ApproximateNumberOfMessagesVisible" && alarm.dimensions == tomap({ QueueName = "q.fifo" })])
    error_message = "The depth of the queue decides."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.deep.treat_missing_data == "notBreaching" && aws_cloudwatch_metric_alarm.shallow.treat_missing_data == "breaching"
    error_message = "A queue without metrics is an empty one."
  }
}

run "a_stop_that_is_too_short" {
  command = plan
  variables {
    target_timeout = 60
  }
  expect_failures = [aws_ecs_task_definition.poll]
}

run "a_stop_that_fargate_does_not_allow" {
  command = plan
  variables {
    stop_timeout = 121
  }
  expect_failures = [var.stop_timeout]
}

run "no_task" {
  command = plan
  variables {
    min_tasks = 0
  }
  expect_failures = [var.min_tasks]
}

run "scaling_that_never_settles" {
  command = plan
  variables {
    scale_in_at = 500
  }
  expect_failures = [var.scale_in_at]
}
