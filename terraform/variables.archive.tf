# The archive of delivered events. Off unless it is asked for.

variable "archive" {
  description = <<-EOT
    Whether the host archives the events that it delivered or skipped: through Amazon Data Firehose into S3, best effort. Null: no. {} is enough.
    - days: after how many days the new bucket deletes them.
    - bucket: name of an existing bucket. It must not be public, and the module changes nothing about it: it needs a lifecycle rule of its own.
    - create_bucket: false if bucket comes from a resource, because Terraform must know what to create before it knows the name.
    - prefix: prefix of the keys, such as "towpath/". An existing bucket needs one, different for each deployment.
    - force_destroy: whether a destroy deletes the new bucket with the events in it.
    - redact: JSON pointers to values in bodies that are not archived, such as ["/customer/email"]. Such events cannot be replayed.
    - kms_key_arn: ARN of the KMS key of the stream and the files. Null: queue_kms_key_arn, and without that AWS's own keys.
  EOT
  type = object({
    days          = optional(number, 30)
    bucket        = optional(string)
    create_bucket = optional(bool)
    prefix        = optional(string)
    force_destroy = optional(bool, false)
    redact        = optional(list(string), [])
    kms_key_arn   = optional(string)
  })
  default = null

  validation {
    condition     = try(var.archive.days >= 1 && floor(var.archive.days) == var.archive.days, var.archive == null)
    error_message = "archive.days must be a whole number of days, at least 1."
  }
  validation {
    condition     = try(var.archive.create_bucket, null) != true || try(var.archive.bucket, null) == null
    error_message = "archive.create_bucket = true creates another bucket: leave out archive.bucket, or set create_bucket = false."
  }
  validation {
    condition     = try(var.archive.create_bucket, null) != false || try(var.archive.bucket, null) != null
    error_message = "archive.create_bucket = false needs the name of a bucket: set archive.bucket."
  }
  validation {
    condition     = var.archive == null || try(var.archive.prefix, null) != null || try(var.archive.create_bucket, null) == true || (try(var.archive.create_bucket, null) == null && try(var.archive.bucket, null) == null)
    error_message = "An existing bucket needs archive.prefix: \"NAME/\", different for each deployment."
  }
  validation {
    condition     = try(var.archive.prefix, null) == null || can(regex("^([A-Za-z0-9_.-]+/)*$", var.archive.prefix))
    error_message = "archive.prefix must be folders that each end with a slash, such as \"towpath/\", or empty."
  }
  validation {
    condition     = alltrue([for pointer in try(var.archive.redact, []) : can(regex("^/", pointer))])
    error_message = "archive.redact must be JSON pointers, such as \"/customer/email\"."
  }
  validation {
    condition     = try(var.archive.kms_key_arn, null) == null || can(regex("^arn:[a-z-]+:kms:", var.archive.kms_key_arn))
    error_message = "archive.kms_key_arn must be the ARN of a key: a policy cannot name an alias."
  }
}
