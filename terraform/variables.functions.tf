# The two functions: code, size, environment.

variable "host_zip" {
  description = "The host function's zip, built by `make lambda`: dist/towpath-host-arm64.zip. Null: host_s3."
  type        = string
  default     = null

  validation {
    condition     = (var.host_zip == null) != (var.host_s3 == null)
    error_message = "The host's code comes from one place: set either host_zip or host_s3."
  }
}

variable "host_s3" {
  description = "The host function's zip in a bucket of this region, instead of host_zip. A new version deploys it."
  type        = object({ bucket = string, key = string, version = optional(string) })
  default     = null
}

variable "ingest_zip" {
  description = "The ingest function's zip, built by `make lambda`: dist/towpath-ingest-arm64.zip. Not needed if every route is direct."
  type        = string
  default     = null

  validation {
    condition     = var.ingest_zip != null || var.ingest_s3 != null || alltrue([for route in var.routes : try(route.ingress, null) == "direct"])
    error_message = "A route with ingress \"lambda\" needs ingest_zip or ingest_s3."
  }
  validation {
    condition     = var.ingest_zip == null || var.ingest_s3 == null
    error_message = "The code of the ingest function comes from one place: set either ingest_zip or ingest_s3."
  }
}

variable "ingest_s3" {
  description = "The ingest function's zip in a bucket of this region, instead of ingest_zip. A new version deploys it."
  type        = object({ bucket = string, key = string, version = optional(string) })
  default     = null
}

variable "architecture" {
  description = "The architecture of the zips: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be \"arm64\" or \"x86_64\"."
  }
}

variable "memory" {
  description = "Memory of the host function, in MiB. CPU grows with memory: 1,769 MiB give one core."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory >= 128 && var.memory <= 10240
    error_message = "memory must be 128 to 10240 MiB."
  }
}

variable "timeout" {
  description = "How long an invocation of the host may take, in seconds. It must be at least the sum of the timeouts of the targets that one message goes to, plus two seconds."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 10 && var.timeout <= 900
    error_message = "timeout must be 10 to 900 seconds."
  }
}

variable "maximum_concurrency" {
  description = "Maximum number of concurrent invocations of the host, 2 to 1000. A group is never split between invocations. The default leaves room for the ingest function in a new account, which may have ten in all."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be 2 to 1000."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency reserved for the host function. Null: none. AWS keeps part of an account's concurrency unreserved, so a small account cannot reserve any."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || coalesce(var.reserved_concurrency, 0) >= var.maximum_concurrency
    error_message = "reserved_concurrency must not be less than maximum_concurrency: throttled messages count as received."
  }
}

variable "ingest_memory" {
  description = "Memory of the ingest function, in MiB."
  type        = number
  default     = 256
  nullable    = false

  validation {
    condition     = var.ingest_memory >= 128 && var.ingest_memory <= 10240
    error_message = "ingest_memory must be 128 to 10240 MiB."
  }
}

variable "ingest_timeout" {
  description = "How long the ingest function may take, in seconds, 22 to 29. It must be longer than 3 s for a proof, three attempts of 5 s at the queue and the waits between them, or senders get no 503; API Gateway waits 30 s."
  type        = number
  default     = 25
  nullable    = false

  validation {
    condition     = var.ingest_timeout >= 22 && var.ingest_timeout <= 29
    error_message = "ingest_timeout must be 22 to 29 seconds: its own attempts at the queue take up to 21, and API Gateway waits 30."
  }
}

variable "ingest_reserved_concurrency" {
  description = "Concurrency reserved for the ingest function, so that nothing else in the account can keep webhooks from being stored. It is also its limit. Null: none."
  type        = number
  default     = null

  validation {
    condition     = var.ingest_reserved_concurrency == null || coalesce(var.ingest_reserved_concurrency, 1) >= 1
    error_message = "ingest_reserved_concurrency must be at least 1: with 0 every webhook is refused. Null for no reservation."
  }
}

variable "environment" {
  description = "Additional environment variables of both functions, such as OTEL_EXPORTER_OTLP_ENDPOINT. Not for secrets: whoever may look at a function sees them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : !startswith(name, "TOWPATH_") && !startswith(name, "AWS_LAMBDA_")])
    error_message = "environment must not have names that begin with TOWPATH_ or AWS_LAMBDA_: the module and Lambda set those. Secrets belong into Secrets Manager, the level of the logs into log_level, and TOWPATH_EMF is emf."
  }
}

variable "emf" {
  description = "Whether both functions write metrics into their logs in the embedded metric format, of which CloudWatch makes metrics in the namespace Towpath. With false there are no alarms and no widgets on these: send the host's metrics to a collector, with OTEL_EXPORTER_OTLP_ENDPOINT in environment. The ingest function cannot export to a collector."
  type        = bool
  default     = true
  nullable    = false
}

variable "tracing_mode" {
  description = "X-Ray tracing of both functions: \"Active\" or \"PassThrough\". Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.tracing_mode == null || contains(["Active", "PassThrough"], coalesce(var.tracing_mode, "Active"))
    error_message = "tracing_mode must be \"Active\" or \"PassThrough\"; null for none."
  }
}

variable "start_paused" {
  description = "Whether a new mapping is created disabled: messages are stored and wait. Later `towpath pause` and `towpath resume` decide, and an apply changes nothing about it."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_level" {
  description = "Log level of both functions: error, warn, info, debug or trace."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level must be error, warn, info, debug or trace."
  }
}

variable "log_retention" {
  description = "How long CloudWatch keeps the logs, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention)
    error_message = "log_retention must be a number of days that CloudWatch supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, …"
  }
}

variable "log_kms_key_arn" {
  description = "ARN of the KMS key of the logs, whose policy must allow the service logs. Null: CloudWatch's own."
  type        = string
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be the ARN of a key."
  }
}
