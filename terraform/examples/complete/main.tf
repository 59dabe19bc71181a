# Every feature of the module, with made-up names. `terraform apply -var host_zip=… -var ingest_zip=…`
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "host_zip" {
  description = "dist/towpath-host-arm64.zip"
  type        = string
}

variable "ingest_zip" {
  description = "dist/towpath-ingest-arm64.zip"
  type        = string
}

variable "architecture" {
  description = "The architecture of the zips."
  type        = string
  default     = "arm64"
}

variable "public_key" {
  description = "The public key printed by `towpath plugin keygen`, if releases are signed."
  type        = string
  default     = null
}

variable "target_url" {
  description = "URL of SSS."
  type        = string
  default     = "https://sss.example.com/api"
}

# Created empty, and filled by hand: a value set by Terraform would be in its state.
resource "aws_secretsmanager_secret" "this" {
  for_each = toset(["approval-webhook", "sss-token", "verify-token"])

  name                    = "towpath-example/${each.key}"
  recovery_window_in_days = 0
}

resource "aws_sns_topic" "alarms" {
  name = "towpath-example-alarms"
}

module "towpath" {
  source = "../.."

  name         = "towpath-example"
  host_zip     = var.host_zip
  ingest_zip   = var.ingest_zip
  architecture = var.architecture

  routes = [
    {
      path   = "approval"
      group  = "approval/{json:/workflow/id}"
      dedup  = "header:x-event-id"
      plugin = "approval"
      verify = { scheme = "hmac", header = "x-signature", secret = "approval-webhook" }
      canary = "5%"
    },
    {
      # One group: every POST in order, through the ingest function.
      path           = "github"
      group          = "github"
      dedup          = "header:x-github-delivery"
      plugin         = "github"
      on_dead_letter = "block"
      max_age        = "5d"
      shadow         = "github@candidate"
    },
    {
      # One route for all tenants, each with its own groups, and a handshake that shows the sender that somebody is there.
      path    = "tenants/{tenant}/events"
      group   = "tenants/{path:tenant}/{json:/id}"
      methods = ["POST", "PUT"]
      plugin  = "approval"
      ack     = { status = 200, json = { ok = true } }
      answer = [{
        when   = { method = "GET", present = ["query:challenge"] }
        token  = "query:token"
        secret = "verify-token"
        body   = "{query:challenge}"
      }]
    },
    {
      # Whatever follows the path goes to the plugin too.
      path   = "forward/*"
      group  = "forward"
      plugin = "approval"
    },
    {
      # Direct: the plugin needs one header, and every request has it.
      path    = "stripe"
      group   = "stripe/{json:/account}"
      dedup   = "json:/id"
      plugin  = "stripe"
      ingress = "direct"
      headers = ["Stripe-Signature"]
    },
  ]

  plugins = {
    approval = { config = jsonencode({ team = "west" }), limits = { memory = "32MiB", timeout = "1s" } }
    github   = {}
    stripe   = {}
  }

  targets = {
    sss = {
      url     = var.target_url
      auth    = [{ scheme = "bearer", secret = "sss-token" }]
      timeout = "10s"
      retry   = { on = ["408", "425", "429", "5xx"], base = "2s", cap = "15m" }
      breaker = { failures = 10 }
    }
    billing = { url = "https://billing.example.com" }
  }

  # Delivered events, in S3 for 90 days.
  archive = { days = 90, force_destroy = true }

  plugin_public_key    = var.public_key
  secrets_prefix       = "towpath-example/"
  bucket_force_destroy = true
  memory               = 512
  timeout              = 60
  alarm_actions        = [aws_sns_topic.alarms.arn]
  tags                 = { service = "towpath" }
}

output "towpath" {
  description = "All outputs of the module."
  value       = module.towpath
}
