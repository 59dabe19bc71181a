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

variable "region_in_names" {
  description = "Whether the names of IAM roles and of the dashboard, which belong to the account and not to a region, contain the region: two deployments of one name in two regions need that. A change replaces the roles; false keeps those of earlier versions of the module."
  type        = bool
  default     = true
  nullable    = false
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
  description = "Names of the secrets that senders send in a handshake, such as [\"asana\"] for a route with provider = \"asana\": the ingest function may store a new value of exactly these. The secrets of routes whose own answer has keep are added. `towpath secret arm` arms a route for one."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets_kms_key_arn" {
  description = "ARN of the KMS key that the secrets are encrypted with, if it is not the account's default key."
  type        = string
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

