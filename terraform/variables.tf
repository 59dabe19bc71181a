variable "name" {
  description = "Begins the name of everything that is made: letters, digits and hyphens, at most 32."
  type        = string
  default     = "towpath"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", var.name))
    error_message = "name must be 1 to 32 letters, digits and hyphens, and not begin with a hyphen."
  }
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "host_policy" {
  description = "A policy document, as JSON, with what the host's role may do besides: what targets with auth aws-sigv4 need."
  type        = string
  default     = null
}

variable "host_zip" {
  description = "The host's zip, as `make lambda` makes it: dist/towpath-host-arm64.zip."
  type        = string
  nullable    = false
}

variable "ingest_zip" {
  description = "The ingest function's zip: dist/towpath-ingest-arm64.zip. Null if every route is direct."
  type        = string
  default     = null

  validation {
    condition     = var.ingest_zip != null || alltrue([for route in var.routes : route.ingress == "direct"])
    error_message = "A route with ingress \"lambda\" needs ingest_zip."
  }
}

variable "architecture" {
  description = "The architecture that the zips were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is \"arm64\" or \"x86_64\"."
  }
}

variable "memory" {
  description = "Memory of the host function, in MiB. CPU grows with it: 1,769 MiB are one core."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory >= 128 && var.memory <= 10240
    error_message = "memory is 128 to 10240 MiB."
  }
}

variable "timeout" {
  description = "How long an invocation of the host may take, in seconds. It must hold the timeouts of the targets that one message goes to, and two seconds."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 10 && var.timeout <= 900
    error_message = "timeout is 10 to 900 seconds."
  }
}

variable "visibility_timeout" {
  description = "How long a message that an invocation has stands still, in seconds. Null: six times the timeout, which is the least."
  type        = number
  default     = null

  validation {
    condition     = var.visibility_timeout == null || (coalesce(var.visibility_timeout, 0) >= 6 * var.timeout && coalesce(var.visibility_timeout, 0) <= 43200)
    error_message = "visibility_timeout must be at least six times timeout, and 43200 s at most: a batch must not come again while it is worked on."
  }
}

variable "batch_size" {
  description = "How many messages an invocation gets at most, 1 to 10."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10
    error_message = "batch_size is 1 to 10: a FIFO queue hands out no more."
  }
}

variable "maximum_concurrency" {
  description = "How many invocations run at the same time, 2 to 1000. Groups are never split between them."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency is 2 to 1000."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency that is kept for the host function. Null: none."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || coalesce(var.reserved_concurrency, 0) >= var.maximum_concurrency
    error_message = "reserved_concurrency must not be less than maximum_concurrency: messages that are throttled count as received."
  }
}

variable "paused" {
  description = "Whether the queue is left alone: messages are stored and wait. `towpath pause` does it without an apply."
  type        = bool
  default     = false
  nullable    = false
}

variable "message_retention" {
  description = "How long the queue keeps a message, in days. It must be longer than every route's max_age."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.message_retention >= 1 && var.message_retention <= 14
    error_message = "message_retention is 1 to 14 days."
  }
}

variable "dead_letter_retention" {
  description = "How long the dead-letter queue keeps a letter, in days."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.dead_letter_retention >= 1 && var.dead_letter_retention <= 14
    error_message = "dead_letter_retention is 1 to 14 days."
  }
}

variable "max_receive_count" {
  description = "After how many receives the queue itself moves a message. Every look at a message that waits is a receive, and the host plans its waits so that these last 13 days: with fewer than 1000 looks are rarer, with fewer than 64 they cannot last."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 64 && var.max_receive_count <= 1000
    error_message = "max_receive_count is 64 to 1000: with fewer receives a message cannot wait for 13 days."
  }
}

variable "max_message_size" {
  description = "The largest message of the queue, in bytes: 1024 to 1048576. Null: what the provider takes, 262144 with versions 5 of it, which refuse more. Bodies are in base64: three quarters of it, less 24 KiB for headers."
  type        = number
  default     = null

  validation {
    condition     = var.max_message_size == null || (coalesce(var.max_message_size, 0) >= 1024 && coalesce(var.max_message_size, 0) <= 1048576)
    error_message = "max_message_size is 1024 to 1048576 bytes."
  }
}

variable "content_based_deduplication" {
  description = "Whether a direct route without dedup takes the hash of the body: two equal bodies within five minutes are one message. The ingest function never does."
  type        = bool
  default     = false
  nullable    = false
}

variable "deduplication_scope" {
  description = "Where a deduplication id counts: \"messageGroup\", with the throughput of each group, or \"queue\", with that of the queue: then events of two routes with the same id are one event, also where one of the routes verifies nothing. A change makes a new queue."
  type        = string
  default     = "messageGroup"
  nullable    = false

  validation {
    condition     = contains(["messageGroup", "queue"], var.deduplication_scope)
    error_message = "deduplication_scope is \"messageGroup\" or \"queue\"."
  }
}

variable "path_prefix" {
  description = "Stands before every route's path: /hooks. Empty for paths of their own, such as POST /sqs-hook."
  type        = string
  default     = "/hooks"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)*$", var.path_prefix))
    error_message = "path_prefix begins with a slash and ends without, or is empty."
  }
}

variable "api_id" {
  description = "The HTTP API that gets the routes. Null: a new one."
  type        = string
  default     = null
}

variable "api_throttling" {
  description = "Requests a second and at once that a new API takes. Null: the account's."
  type        = object({ rate = number, burst = number })
  default     = null
}

variable "bucket" {
  description = "A bucket of yours for plugins, config and holds. Null: a new one, versioned, private, encrypted."
  type        = string
  default     = null
}

variable "bucket_force_destroy" {
  description = "Whether a destroy removes the new bucket with all that is in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "bucket_tls_only" {
  description = "Whether the new bucket refuses requests without TLS."
  type        = bool
  default     = true
  nullable    = false
}

variable "plugin_public_key" {
  description = "The key that releases must be signed with, as `towpath plugin keygen` prints it. Null: whoever may write to the bucket may release."
  type        = string
  default     = null
}

variable "note_keys" {
  description = "The secrets whose values prove operators' edits of dead letters, such as 32 random bytes in hex: `towpath dlq edit` and the host need them. The first one signs; name the old one behind it until what was edited is delivered. Without any dead letters cannot be edited."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets_prefix" {
  description = "Stands before the names of secrets in Secrets Manager."
  type        = string
  default     = "towpath/"
  nullable    = false
}

variable "secrets_kms_key_arn" {
  description = "The KMS key that the secrets are encrypted with, if it is not the account's own."
  type        = string
  default     = null
}

variable "vpc" {
  description = "The subnets and security groups of the host function, to reach targets inside. Null: none."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "exclusive_role_policies" {
  description = "Whether policies that somebody else gave the roles are taken away."
  type        = bool
  default     = true
  nullable    = false
}

variable "permissions_boundary" {
  description = "The ARN of the boundary of all roles. Null: none."
  type        = string
  default     = null
}

variable "log_level" {
  description = "error, warn, info, debug or trace."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level is error, warn, info, debug or trace."
  }
}

variable "log_retention" {
  description = "How long logs are kept, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention)
    error_message = "log_retention is one of the numbers of days that CloudWatch takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, …"
  }
}

variable "alarm_actions" {
  description = "ARNs of SNS topics and the like that are told of alarms, and of their end."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "oldest_message_alarm" {
  description = "After how many seconds of waiting somebody is told."
  type        = number
  default     = 900
  nullable    = false
}
