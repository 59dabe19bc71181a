# The queue, its dead-letter queue, and how the host is fed.

variable "queue_name" {
  description = "Name of a new queue, ending in .fifo. Null: {name}-events.fifo. SQS cannot rename a queue, so a later change is ignored: the queue keeps its name and its events."
  type        = string
  default     = null

  validation {
    condition     = var.queue_name == null || can(regex("^[A-Za-z0-9_-]{1,75}\\.fifo$", var.queue_name))
    error_message = "queue_name must end in .fifo, and have at most 75 letters, digits, hyphens and underscores before that."
  }
}

variable "dead_letter_queue_name" {
  description = "Name of a new dead-letter queue, ending in .fifo. Null: {name}-dead.fifo. A later change is ignored, as with queue_name."
  type        = string
  default     = null

  validation {
    condition     = var.dead_letter_queue_name == null || can(regex("^[A-Za-z0-9_-]{1,75}\\.fifo$", var.dead_letter_queue_name))
    error_message = "dead_letter_queue_name must end in .fifo, and have at most 75 letters, digits, hyphens and underscores before that."
  }
}

variable "visibility_timeout" {
  description = "How long a message stays hidden after an invocation received it, in seconds. Null: six times timeout. With less, down to timeout itself, each invocation first extends its messages, at one request a batch."
  type        = number
  default     = null

  validation {
    condition     = var.visibility_timeout == null || (coalesce(var.visibility_timeout, 0) >= var.timeout && coalesce(var.visibility_timeout, 0) <= 43200)
    error_message = "visibility_timeout must be at least timeout, which is the least that Lambda accepts, and 43200 s at most."
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

variable "message_retention_seconds" {
  description = "How long the queue keeps a message, in seconds: at most 1209600, 14 days. Hosts dead-letter what is still there after 13/14 of it, so that must be at least the longest max_age of a route."
  type        = number
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 3600 && var.message_retention_seconds <= 1209600
    error_message = "message_retention_seconds must be 3600 (an hour) to 1209600 (14 days)."
  }
  validation {
    condition     = local.longest_max_age <= var.message_retention_seconds * 13 / 14
    error_message = "A route's max_age (three days, if it has none) is longer than 13/14 of message_retention_seconds: what waits would be dead-lettered earlier. Set 1209600, or a shorter max_age."
  }
}

variable "dead_letter_retention_seconds" {
  description = "How long the dead-letter queue keeps a dead letter, in seconds: 345600 (four days, a long weekend) to 1209600 (14 days). SQS then deletes it."
  type        = number
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.dead_letter_retention_seconds >= 345600 && var.dead_letter_retention_seconds <= 1209600
    error_message = "dead_letter_retention_seconds must be 345600 (four days) to 1209600 (14 days): SQS deletes what nobody has looked at by then."
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

variable "dead_letter_max_message_size" {
  description = "Maximum message size of the dead-letter queue, in bytes, at least that of the queue: a dead letter is its message plus the reason. Null: that of the queue, and at least 262144."
  type        = number
  default     = null

  validation {
    condition = var.dead_letter_max_message_size == null || (
      coalesce(var.dead_letter_max_message_size, 0) >= coalesce(var.max_message_size, 262144) && coalesce(var.dead_letter_max_message_size, 0) <= 1048576
    )
    error_message = "dead_letter_max_message_size must be at least the queue's maximum (max_message_size, or 262144) and at most 1048576: a message that does not fit blocks its group."
  }
}

variable "content_based_deduplication" {
  description = "Whether a direct route without dedup deduplicates by a hash of the body: two equal bodies within five minutes are one message. The ingest function never does this."
  type        = bool
  default     = false
  nullable    = false
}

variable "deduplication_scope" {
  description = "Scope of deduplication ids: \"messageGroup\" (throughput limit per group) or \"queue\" (throughput limit per queue). With \"queue\", events of two routes with the same id are one event, even if one of the routes verifies nothing."
  type        = string
  default     = "messageGroup"
  nullable    = false

  validation {
    condition     = contains(["messageGroup", "queue"], var.deduplication_scope)
    error_message = "deduplication_scope must be \"messageGroup\" or \"queue\"."
  }
}

variable "queue_tls_only" {
  description = "Whether the queues deny requests without TLS."
  type        = bool
  default     = true
  nullable    = false
}

variable "source_queue_policy_documents" {
  description = "Policy documents (JSON) whose statements become part of the policy of the queue, such as one that lets an SNS topic send. The statements of queue_tls_only stay as they are."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for document in var.source_queue_policy_documents : can(jsondecode(document).Statement)])
    error_message = "source_queue_policy_documents must be policy documents in JSON, each with Statement."
  }
  validation {
    condition = alltrue([
      for document in var.source_queue_policy_documents : !contains([for statement in try(flatten([jsondecode(document).Statement]), []) : try(statement.Sid, "")], "TlsOnly")
    ])
    error_message = "The Sid TlsOnly in source_queue_policy_documents is that of the module's own statement, which takes its place: give yours another one."
  }
}

variable "source_dead_letter_queue_policy_documents" {
  description = "Policy documents (JSON) whose statements become part of the policy of the dead-letter queue, such as one that lets another account read it. The statements of queue_tls_only stay as they are."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for document in var.source_dead_letter_queue_policy_documents : can(jsondecode(document).Statement)])
    error_message = "source_dead_letter_queue_policy_documents must be policy documents in JSON, each with Statement."
  }
  validation {
    condition = alltrue([
      for document in var.source_dead_letter_queue_policy_documents : !contains([for statement in try(flatten([jsondecode(document).Statement]), []) : try(statement.Sid, "")], "TlsOnly")
    ])
    error_message = "The Sid TlsOnly in source_dead_letter_queue_policy_documents is that of the module's own statement, which takes its place: give yours another one."
  }
}

variable "queue_kms_key_arn" {
  description = "ARN of the KMS key of the queues. Null: SSE-SQS. The key's policy must allow the roles, if it does not leave that to IAM; for the console also who looks at messages. To change it in a running deployment, see docs/operate/aws-kms.md."
  type        = string
  default     = null

  validation {
    condition     = var.queue_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:", var.queue_kms_key_arn))
    error_message = "queue_kms_key_arn must be the ARN of a key: a policy cannot name an alias."
  }
}

variable "queue_kms_additional_key_arns" {
  description = "ARNs of further KMS keys that the roles may use for messages: the next key before the queues switch to it, and the previous one as long as messages are encrypted with it."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.queue_kms_additional_key_arns : can(regex("^arn:[a-z-]+:kms:", arn))])
    error_message = "queue_kms_additional_key_arns must be ARNs of keys: a policy cannot name an alias."
  }
}
