# A caller that makes a deployment in some environments only.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "create" {
  description = "Whether this environment has a deployment."
  type        = bool
}

variable "zip" {
  description = "Any file."
  type        = string
}

module "towpath" {
  source = "../.."
  count  = var.create ? 1 : 0

  host_zip   = var.zip
  ingest_zip = var.zip
  routes     = [{ path = "crm", group = "crm/{json:/id}", target = "sss" }]
  targets    = { sss = { url = "https://sss.example.com" } }
}

output "towpath" {
  description = "All outputs of the module; null without a deployment."
  value       = one(module.towpath)
}

output "hook_urls" {
  description = "The URLs that senders post to; null without a deployment."
  value       = one(module.towpath[*].hook_urls)
}
