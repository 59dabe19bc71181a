variable "name" {
  description = "Prefix of every resource's name: letters, digits and hyphens, at most 32."
  type        = string
  default     = "towpath"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", var.name))
    error_message = "name must be 1 to 32 letters, digits and hyphens, and not begin with a hyphen."
  }
}

variable "tags" {
  description = "Tags for every resource that supports tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "host_policy" {
  description = "Additional permissions for the host's role, as a JSON policy document: what targets with auth aws-sigv4 need."
  type        = string
  default     = null
}

variable "host_zip" {
  description = "The host function's zip, built by `make lambda`: dist/towpath-host-arm64.zip."
  type        = string
  nullable    = false
}

variable "ingest_zip" {
  description = "The ingest function's zip, built by `make lambda`: dist/towpath-ingest-arm64.zip. Null only if every route is direct."
  type        = string
  default     = null

  validation {
    condition     = var.ingest_zip != null || alltrue([for route in var.routes : try(route.ingress, null) == "direct"])
    error_message = "A route with ingress \"lambda\" needs ingest_zip."
  }
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

variable "visibility_timeout" {
  description = "How long a message stays hidden after an invocation received it, in seconds. Null: six times timeout, which is also the minimum."
  type        = number
  default     = null

  validation {
    condition     = var.visibility_timeout == null || (coalesce(var.visibility_timeout, 0) >= 6 * var.timeout && coalesce(var.visibility_timeout, 0) <= 43200)
    error_message = "visibility_timeout must be at least six times timeout, and 43200 s at most: a batch must not be delivered again while it is being processed."
  }
}

variable "batch_size" {
  description = "Maximum number of messages per invocation, 1 to 10."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10
    error_message = "batch_size must be 1 to 10: a FIFO queue hands out no more."
  }
}

variable "maximum_concurrency" {
  description = "Maximum number of concurrent invocations, 2 to 1000. A group is never split between invocations."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be 2 to 1000."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency reserved for the host function. Null: none."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || coalesce(var.reserved_concurrency, 0) >= var.maximum_concurrency
    error_message = "reserved_concurrency must not be less than maximum_concurrency: throttled messages count as received."
  }
}

variable "paused" {
  description = "Whether processing is paused: messages are stored and wait. `towpath pause` does the same without an apply."
  type        = bool
  default     = false
  nullable    = false
}

variable "message_retention" {
  description = "How long the queue keeps a message, 1 to 14 days. Must be longer than every route's max_age."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.message_retention >= 1 && var.message_retention <= 14
    error_message = "message_retention must be 1 to 14 days."
  }
}

variable "dead_letter_retention" {
  description = "How long the dead-letter queue keeps a dead letter, 1 to 14 days."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.dead_letter_retention >= 1 && var.dead_letter_retention <= 14
    error_message = "dead_letter_retention must be 1 to 14 days."
  }
}

variable "max_receive_count" {
  description = "After how many receives SQS itself moves a message to the dead-letter queue, 64 to 1000. Every check of a waiting message is a receive, and the host plans its waits so that they last 13 days. With fewer than 1000, checks are rarer; with fewer than 64 they cannot last that long."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 64 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be 64 to 1000: with fewer receives a message cannot wait for 13 days."
  }
}

variable "max_message_size" {
  description = "Maximum message size of the queue, in bytes: 1024 to 1048576. Null: the provider's default, which is 262144 in versions 5; those accept no more. Bodies are stored in base64, so the largest body is three quarters of this, minus 24 KiB for headers."
  type        = number
  default     = null

  validation {
    condition     = var.max_message_size == null || (coalesce(var.max_message_size, 0) >= 1024 && coalesce(var.max_message_size, 0) <= 1048576)
    error_message = "max_message_size must be 1024 to 1048576 bytes."
  }
}

variable "content_based_deduplication" {
  description = "Whether a direct route without dedup deduplicates by a hash of the body: two equal bodies within five minutes are one message. The ingest function never does this."
  type        = bool
  default     = false
  nullable    = false
}

variable "deduplication_scope" {
  description = "Scope of deduplication ids: \"messageGroup\" (throughput limit per group) or \"queue\" (throughput limit per queue). With \"queue\", events of two routes with the same id are one event, even if one of the routes verifies nothing. A change replaces the queue."
  type        = string
  default     = "messageGroup"
  nullable    = false

  validation {
    condition     = contains(["messageGroup", "queue"], var.deduplication_scope)
    error_message = "deduplication_scope must be \"messageGroup\" or \"queue\"."
  }
}

variable "path_prefix" {
  description = "Prefix of every route's path. Empty for paths without a prefix, such as POST /sqs-hook."
  type        = string
  default     = "/hooks"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)*$", var.path_prefix))
    error_message = "path_prefix must begin with a slash and not end with one, or be empty."
  }
}

variable "api_id" {
  description = "Id of an existing HTTP API that gets the routes. Null: create one."
  type        = string
  default     = null
}

variable "api_stage" {
  description = "With api_id, the name of the API's stage, which is part of the URLs that senders use. Null: $default, which is not."
  type        = string
  default     = null

  validation {
    condition     = var.api_stage == null || var.api_id != null
    error_message = "api_stage is for an existing API (api_id): a new one has the stage $default."
  }
}

variable "api_throttling" {
  description = "Requests per second (rate) and burst that a new API accepts. Null: the account's limits."
  type        = object({ rate = number, burst = number })
  default     = null
}

variable "bucket" {
  description = "An existing bucket for plugins, config and holds. Null: create one, versioned, private and encrypted."
  type        = string
  default     = null
}

variable "bucket_force_destroy" {
  description = "Whether a destroy deletes the new bucket with everything in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "bucket_tls_only" {
  description = "Whether the new bucket denies requests without TLS."
  type        = bool
  default     = true
  nullable    = false
}

variable "plugin_public_key" {
  description = "The public key that releases must be signed with, as printed by `towpath plugin keygen`. Null: anyone who can write to the bucket can release."
  type        = string
  default     = null
}

variable "note_keys" {
  description = "Names of the secrets that prove operators' edits of dead letters, and that the ingest function verified a webhook; each holds, for example, 32 random bytes in hex. `towpath dlq edit` and the host need them. The first one signs. During a rotation, list the old one after it until the edited messages are delivered. If the list is empty, dead letters cannot be edited."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets_prefix" {
  description = "Prefix of the secrets' names in Secrets Manager."
  type        = string
  default     = "towpath/"
  nullable    = false
}

variable "learned_secrets" {
  description = "Names of the secrets that senders send in a handshake, such as [\"asana\"] for a route with provider = \"asana\": the ingest function may store a new value of exactly these. The secrets of routes whose own answer has keep are added. `towpath secret arm` opens a route for one."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets_kms_key_arn" {
  description = "ARN of the KMS key that the secrets are encrypted with, if it is not the account's default key."
  type        = string
  default     = null
}

variable "vpc" {
  description = "Subnets and security groups of the host function, to reach targets inside a VPC. Null: no VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "exclusive_role_policies" {
  description = "Whether policies that others attached to the roles are removed."
  type        = bool
  default     = true
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary for all roles. Null: none."
  type        = string
  default     = null
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

variable "alarm_actions" {
  description = "ARNs, such as those of SNS topics, to notify when an alarm starts and when it ends."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "oldest_message_alarm" {
  description = "Age of the oldest message, in seconds, above which an alarm is raised."
  type        = number
  default     = 900
  nullable    = false
}
