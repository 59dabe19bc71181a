# The HTTP API: a new one, or an existing one that gets the routes.

variable "create_api" {
  description = "Whether to create an HTTP API. Null: yes, unless api_id or api_name is given. Set it to false if api_id comes from a resource: Terraform must know what to create before it knows the id."
  type        = bool
  default     = null

  validation {
    condition     = var.create_api != true || (var.api_id == null && var.api_name == null)
    error_message = "create_api = true creates another API: leave out api_id and api_name, or set create_api = false."
  }
  validation {
    condition     = var.create_api != false || var.api_id != null || var.api_name != null
    error_message = "create_api = false needs the API that gets the routes: set api_id or api_name."
  }
}

variable "api_id" {
  description = "Id of an existing HTTP API that gets the routes. With an id that comes from a resource, set create_api = false."
  type        = string
  default     = null
}

variable "api_name" {
  description = "Name of an existing HTTP API that gets the routes, instead of api_id. Exactly one API of the region must have it."
  type        = string
  default     = null

  validation {
    condition     = var.api_name == null || var.api_id == null
    error_message = "api_id and api_name are two ways to name one API: set only one of them."
  }
}

variable "api_stage" {
  description = "Name of the API's stage, which is part of the URLs that senders use. Null: $default, which is not."
  type        = string
  default     = null

  validation {
    condition     = var.api_stage == null || can(regex("^(\\$default|[A-Za-z0-9_-]{1,128})$", var.api_stage))
    error_message = "api_stage must be the name of a stage: letters, digits, hyphens and underscores, or $default."
  }
  validation {
    condition = var.path_prefix != "" || var.api_stage == null || !contains(
      [for route in var.routes : try(split("/", route.path)[0], "")], coalesce(var.api_stage, "$default")
    )
    error_message = "Without path_prefix no route may begin with the name of the stage: behind a custom domain the function could not tell them apart. Set path_prefix, or rename the route."
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

variable "create_deployment" {
  description = "Whether to create a deployment of the routes, for an existing API whose stage has no auto_deploy. Its owner sets deployment_id of the stage to the output api_deployment_id. Without that, the routes are not live."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.create_deployment || var.create_api == false || var.api_id != null || var.api_name != null
    error_message = "create_deployment is for an existing API: the stage of a new one deploys each change itself."
  }
}

variable "domain" {
  description = <<-EOT
    A custom domain of the API, for hook_urls.
    - name: hooks.example.com.
    - path: the key of the API mapping, if it has one. Try a route of the ingest function with it first: AWS does not document whether the
      function then sees the key in the path, and it would answer 404.
    - create: whether to create the domain and the mapping. It needs certificate_arn, of a certificate in this region. The output
      api_domain_target is what the DNS record must point to.
    - zone_id: the hosted zone of Route 53 that gets the alias records of a new domain: A, and with ip_address_type = "dualstack" also
      AAAA. Null: none. A record that exists already is not replaced: import it.
    - create_records: whether to create the records. Null: yes, if zone_id is given. Set it to true if zone_id comes from a resource:
      Terraform must know what to create before it knows the id.
    - ip_address_type: "ipv4" or "dualstack" for a new domain. Null: AWS's default, ipv4. With "dualstack", allow_from of the routes must
      list senders' IPv6 addresses too.
  EOT
  type = object({
    name            = string
    path            = optional(string)
    create          = optional(bool, false)
    certificate_arn = optional(string)
    zone_id         = optional(string)
    create_records  = optional(bool)
    ip_address_type = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^(\\*\\.)?([a-z0-9-]+\\.)+[a-z0-9-]+$", var.domain.name))
    error_message = "domain.name must be a host name in lower case, without https:// and path."
  }
  validation {
    condition     = try(var.domain.path, null) == null || can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.domain.path))
    error_message = "domain.path must be the key of the API mapping, without slashes at its ends."
  }
  validation {
    condition     = !try(var.domain.create, false) || try(var.domain.certificate_arn, null) != null
    error_message = "A new domain needs a certificate: set domain.certificate_arn, or create = false."
  }
  validation {
    condition     = try(var.domain.zone_id, null) == null || can(regex("^Z[A-Z0-9]{1,31}$", var.domain.zone_id))
    error_message = "domain.zone_id must be the id of a hosted zone, such as Z0123456789ABCDEFGHIJ."
  }
  validation {
    condition     = contains(["ipv4", "dualstack"], try(coalesce(var.domain.ip_address_type), "ipv4"))
    error_message = "domain.ip_address_type must be \"ipv4\" or \"dualstack\"."
  }
  validation {
    condition     = try(var.domain.create, true) || (try(var.domain.zone_id, null) == null && try(var.domain.ip_address_type, null) == null)
    error_message = "domain.zone_id and domain.ip_address_type are for a new domain: set create = true, or leave them to who owns the domain."
  }
  validation {
    condition     = try(var.domain.create_records, null) != true || (try(var.domain.create, false) && try(var.domain.zone_id, null) != null)
    error_message = "domain.create_records = true needs create = true and the zone that gets the records: set domain.zone_id."
  }
}

variable "api_throttling" {
  description = "Requests per second (rate) and burst that a new API accepts. Null: the account's limits."
  type        = object({ rate = number, burst = number })
  default     = null

  validation {
    condition     = var.api_throttling == null || (try(var.api_throttling.rate, 1) > 0 && try(var.api_throttling.burst, 1) > 0)
    error_message = "api_throttling needs a rate and a burst above 0; null for the account's limits."
  }
}

variable "create_access_log" {
  description = "Whether a new API logs each request: time, source address, method, route, status. Never the path or the query, which may contain tokens. Who applies needs the permissions of log delivery: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html"
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.create_access_log || var.create_api == true || (var.api_id == null && var.api_name == null)
    error_message = "create_access_log is for a new API: set the log of an existing one at its stage."
  }
}
