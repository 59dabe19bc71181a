# An existing HTTP API, found by its name, and the settings of a hand-written pipeline: a named stage, one path without a prefix, one
# group, content-based deduplication, one message per batch, dead letters kept for four days.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "api_name" {
  description = "Name of the existing HTTP API."
  type        = string
}

variable "api_stage" {
  description = "Name of its stage; null for $default."
  type        = string
  default     = null
}

variable "host_zip" {
  description = "dist/towpath-host-arm64.zip"
  type        = string
}

module "towpath" {
  source = "../.."

  name      = "sss-forwarder"
  host_zip  = var.host_zip
  api_name  = var.api_name
  api_stage = var.api_stage

  path_prefix = ""
  routes = [{
    path    = "sqs-hook"
    group   = "sss"
    plugin  = "approval"
    ingress = "direct"
  }]
  plugins = { approval = {} }
  targets = { sss = { url = "https://sss.example.com/api", allow_private = true } }

  content_based_deduplication   = true
  batch_size                    = 1
  maximum_concurrency           = 2
  timeout                       = 30
  visibility_timeout            = 300
  dead_letter_retention_seconds = 345600
}

output "hook_urls" {
  description = "The URLs that senders post to, by route path."
  value       = module.towpath.hook_urls
}
