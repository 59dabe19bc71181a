# The bucket for plugins, config and holds.

variable "create_bucket" {
  description = "Whether to create a bucket. Null: yes, unless bucket is given. Set it to false if bucket comes from a resource: Terraform must know what to create before it knows the name."
  type        = bool
  default     = null

  validation {
    condition     = var.create_bucket != true || var.bucket == null
    error_message = "create_bucket = true creates another bucket: leave out bucket, or set create_bucket = false."
  }
  validation {
    condition     = var.create_bucket != false || var.bucket != null
    error_message = "create_bucket = false needs the name of a bucket: set bucket."
  }
}

variable "bucket" {
  description = "Name of an existing bucket for plugins, config and holds. It must not be public. With a name that comes from a resource, set create_bucket = false."
  type        = string
  default     = null
}

variable "key_prefix" {
  description = "Prefix of every key in the bucket, such as \"towpath/\". An existing bucket needs one, so that deployments that share it do not read each other's config, holds and plugins. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.key_prefix != null || (var.create_bucket == true || (var.create_bucket == null && var.bucket == null))
    error_message = "An existing bucket needs key_prefix: \"NAME/\", different for each deployment. \"\" keeps the keys of a deployment that had none."
  }
  validation {
    condition     = var.key_prefix == null || can(regex("^([A-Za-z0-9_.-]+/)*$", var.key_prefix))
    error_message = "key_prefix must be folders that each end with a slash, such as \"towpath/\", or empty."
  }
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

variable "bucket_noncurrent_days" {
  description = "After how many days the new bucket deletes versions of objects that were replaced or deleted. Null: never."
  type        = number
  default     = 90

  validation {
    condition     = var.bucket_noncurrent_days == null || coalesce(var.bucket_noncurrent_days, 1) >= 1
    error_message = "bucket_noncurrent_days must be at least 1; null to keep every version."
  }
}

variable "bucket_kms_key_arn" {
  description = "ARN of the KMS key of the bucket. A new bucket is encrypted with it; for an existing one, the roles may use it. Null: SSE-S3."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:", var.bucket_kms_key_arn))
    error_message = "bucket_kms_key_arn must be the ARN of a key: a policy cannot name an alias."
  }
}
