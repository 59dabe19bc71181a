data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  region     = data.aws_region.current.id
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  bucket     = split("/", trimprefix(module.towpath.config_url, "s3://"))[0]
  config_key = trimprefix(module.towpath.config_url, "s3://${local.bucket}/")
  # A stop waits for the receives, and for the message that each group is at: two seconds for a plugin, its targets, and some to answer the queue.
  drain_seconds = max(var.wait, 2 + var.target_timeout) + 5
}

# Hosts read the config when they start, so a new version of it must be a new task definition.
data "aws_s3_object" "config" {
  bucket = local.bucket
  key    = local.config_key

  depends_on = [module.towpath]
}

resource "aws_cloudwatch_log_group" "poll" {
  name              = "/ecs/${var.name}-poll"
  retention_in_days = var.log_retention
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_ecs_task_definition" "poll" {
  family                   = "${var.name}-poll"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  container_definitions = jsonencode([{
    name       = "poll"
    image      = var.image
    essential  = true
    entryPoint = var.entry_point
    command = [
      "poll", "-c", module.towpath.config_url, "--workers", tostring(var.workers), "--wait", "${var.wait}s", "--log-format", "json",
    ]
    # No secrets: the host fetches them itself, and again when a target rejects one.
    environment = [
      { name = "AWS_REGION", value = local.region },
      { name = "CONFIG_VERSION", value = data.aws_s3_object.config.version_id },
      { name = "XDG_CACHE_HOME", value = "/tmp/towpath/cache" },
      { name = "XDG_STATE_HOME", value = "/tmp/towpath/state" },
    ]
    # SIGTERM drains, SIGKILL comes after this.
    stopTimeout = var.stop_timeout
    # Not /readyz: while SQS does not answer, another task would not be better off.
    healthCheck     = { command = var.health_check, interval = 10, timeout = 5, retries = 3, startPeriod = 60 }
    linuxParameters = { capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = aws_cloudwatch_log_group.poll.name, awslogs-region = local.region, awslogs-stream-prefix = "poll" }
    }
  }])

  lifecycle {
    precondition {
      condition     = var.stop_timeout >= local.drain_seconds
      error_message = "stop_timeout is ${var.stop_timeout} s, a stop takes up to ${local.drain_seconds} s: the longer of wait and two seconds plus target_timeout, plus five."
    }
  }
}

resource "aws_security_group" "poll" {
  name        = "${var.name}-poll"
  description = "Towpath: connects, and accepts no connections"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "poll" {
  for_each = toset([for port in var.egress_ports : tostring(port)])

  security_group_id = aws_security_group.poll.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
  tags              = var.tags
}

resource "aws_ecs_service" "poll" {
  name            = "${var.name}-poll"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.poll.arn
  launch_type     = "FARGATE"
  desired_count   = var.min_tasks
  propagate_tags  = "SERVICE"
  tags            = var.tags

  # New tasks start before old ones stop. Both may run: SQS gives a group to one of them at a time.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.poll.id]
    assign_public_ip = var.assign_public_ip
  }

  lifecycle {
    # The scaling sets it.
    ignore_changes = [desired_count]
  }

  # Without its permissions a task fails to start.
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]
}
