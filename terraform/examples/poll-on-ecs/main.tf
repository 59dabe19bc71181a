# `towpath poll` on ECS Fargate, for the queue that the module makes. It takes the place of the host function, which is paused, or works next to
# it. See docs/operate/poll-on-ecs.md.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

locals {
  secrets_prefix = "${var.name}/"
}

# Created empty, and filled by hand: a value set by Terraform would be in its state.
resource "aws_secretsmanager_secret" "token" {
  name                    = "${local.secrets_prefix}sss-token"
  recovery_window_in_days = 0
  tags                    = var.tags
}

module "towpath" {
  source = "../.."

  name         = var.name
  host_zip     = var.host_zip
  ingest_zip   = var.ingest_zip
  architecture = var.architecture
  start_paused = !var.functions_too

  routes  = [{ path = "crm", order = "json:/id", target = "sss" }]
  targets = { sss = { url = var.target_url, timeout = "${var.target_timeout}s", auth = [{ scheme = "bearer", secret = "sss-token" }] } }

  secrets_prefix = local.secrets_prefix
  tags           = var.tags
}

output "towpath" {
  description = "All outputs of the module."
  value       = module.towpath
}

output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "service_name" {
  description = "Name of the ECS service."
  value       = aws_ecs_service.poll.name
}

output "task_role_name" {
  description = "Name of the role that `towpath poll` has."
  value       = aws_iam_role.task.name
}
