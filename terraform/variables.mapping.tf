# Routes, plugins and targets.

variable "routes" {
  description = <<-EOT
    The webhooks to accept, and the plugin that maps each. A message belongs to the first route whose group template matches its group.
    - path: the webhook is posted to {path_prefix}/{path}.
    - group: the order key: fixed text, or text with placeholders: "crm/{json:/customer/id}", "shop/{header:x-shop}".
    - dedup: "header:NAME" or "json:/POINTER". A value that occurs twice in one group within five minutes is stored once. Without
      dedup every POST is a new message.
    - plugin: a key of plugins.
    - ingress: "lambda" stores all headers and the body byte for byte, through the ingest function. With "direct", API Gateway writes
      to the queue without code: for JSON bodies up to 256 KiB, if every request has the headers that the plugin needs.
    - headers: with "direct", the headers to keep, at most 9. API Gateway rejects a request that lacks one.
    - verify: as in towpath.toml, but two or more secrets go into secrets instead of secret. The ingest function verifies, and may
      read these secrets, unless at = "pipeline". With ingress = "direct" only the host verifies, and then dedup does not decide
      what is stored once, because a stranger could take the place of a future event. A repeat has the same webhook-id for the target.
    - on_missing_key ("fallback" or "refuse"), with ingress = "lambda": what to do with a webhook whose keys are missing.
    - on_dead_letter ("continue" or "block"), max_age, shadow, canary: as in towpath.toml.
  EOT
  type = list(object({
    path           = string
    group          = string
    plugin         = string
    dedup          = optional(string)
    ingress        = optional(string, "lambda")
    headers        = optional(list(string), [])
    on_missing_key = optional(string)
    on_dead_letter = optional(string)
    max_age        = optional(string)
    shadow         = optional(string)
    canary         = optional(string)
    verify = optional(object({
      scheme         = string
      secret         = optional(string)
      secrets        = optional(list(string))
      at             = optional(string)
      header         = optional(string)
      prefix         = optional(string)
      name           = optional(string)
      user           = optional(string)
      url            = optional(string)
      algorithm      = optional(string)
      encoding       = optional(string)
      signed         = optional(string)
      timestamp      = optional(string)
      timestamp_unit = optional(string)
      tolerance      = optional(string)
    }))
  }))
  nullable = false

  validation {
    condition     = length(var.routes) > 0
    error_message = "routes must contain at least one route."
  }
  validation {
    condition     = alltrue([for route in var.routes : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", route.path))])
    error_message = "A route's path must be letters, digits, -, _ and . between slashes, without a slash at either end."
  }
  validation {
    condition     = length(distinct(var.routes[*].path)) == length(var.routes)
    error_message = "Two routes have the same path: every path must be unique."
  }
  validation {
    condition     = alltrue([for route in var.routes : contains(["lambda", "direct"], route.ingress)])
    error_message = "A route's ingress must be \"lambda\" or \"direct\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : contains(keys(var.plugins), route.plugin)])
    error_message = "A route's plugin must be a key of plugins."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.on_dead_letter == null || contains(["continue", "block"], coalesce(route.on_dead_letter, "continue"))])
    error_message = "on_dead_letter must be \"continue\" or \"block\"; \"park\" is only for the local queue."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.on_missing_key == null || contains(["fallback", "refuse"], coalesce(route.on_missing_key, "fallback"))])
    error_message = "on_missing_key must be \"fallback\" or \"refuse\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.dedup == null || can(regex("^(header:[A-Za-z0-9-]+|json:/.+)$", route.dedup))])
    error_message = "dedup must be \"header:NAME\" or \"json:/POINTER\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.verify == null ? true : (route.verify.secret == null) != (route.verify.secrets == null)])
    error_message = "A route's verify must have either secret or secrets, not both."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.verify == null ? true : route.verify.at != "ingest" || route.ingress == "lambda"])
    error_message = "verify with at = \"ingest\" needs ingress = \"lambda\", because API Gateway does not check signatures. For direct routes leave at out: the host verifies in the pipeline."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.ingress == "lambda" || can(regex("^([^{}]|\\{header:[A-Za-z0-9-]+\\}|\\{json:(/[A-Za-z0-9_-]+)+\\})+$", route.group))])
    error_message = "With ingress = \"direct\", a group may contain only literals, {header:NAME} and {json:/plain/keys}."
  }
  validation {
    condition     = alltrue([for route in var.routes : length(route.headers) <= 9 && (route.ingress == "direct" || length(route.headers) == 0)])
    error_message = "headers is only for ingress = \"direct\", with at most 9 names; the ingest function keeps all headers."
  }
  validation {
    condition     = alltrue(flatten([for route in var.routes : [for header in route.headers : !can(regex("(?i)^(authorization|content-encoding|host|x-amz-.*|towpath-.*)$", header))]]))
    error_message = "API Gateway does not pass on authorization, content-encoding, host and x-amz-*: use ingress = \"lambda\" for that route. Names that begin with towpath- are reserved for the host."
  }
}

variable "plugins" {
  description = <<-EOT
    The plugins that routes use, by their names in the registry.
    - version: a channel, or a version to pin. Default: the channel "current".
    - config: passed to the plugin, as JSON.
    - sha256: the digest that the component must have.
    - limits: memory ("64MiB"), fuel and timeout ("2s") of one call.
    - secrets: names of secrets that the plugin may put into headers.
    - min_sequence: with plugin_public_key, the lowest sequence that the plugin's pointer may have.
  EOT
  type = map(object({
    version      = optional(string)
    config       = optional(string)
    sha256       = optional(string)
    min_sequence = optional(number)
    secrets      = optional(list(string))
    limits = optional(object({
      memory  = optional(string)
      fuel    = optional(number)
      timeout = optional(string)
    }))
  }))
  nullable = false

  validation {
    condition     = alltrue([for plugin in values(var.plugins) : plugin.config == null || can(keys(jsondecode(coalesce(plugin.config, "{}"))))])
    error_message = "A plugin's config must be a JSON object: config = jsonencode({ team = \"west\" })."
  }
}

variable "targets" {
  description = <<-EOT
    The systems that plugins send requests to, by name. Secrets are given by their names in Secrets Manager, without secrets_prefix.
    - auth: schemes as in towpath.toml, such as [{ scheme = "bearer", secret = "…" }]. Two signing secrets go into secrets instead of
      secret. For aws-sigv4, allow the calls in host_policy.
    - ca: the only trusted certificate authorities, as PEM. Default: the system's.
    - plugin_secrets: the secrets that plugins may send to this target.
    - timeout, retry, breaker, allow_private, hold, proxy: as in towpath.toml.
  EOT
  type = map(object({
    url            = string
    timeout        = optional(string)
    allow_private  = optional(bool)
    hold           = optional(bool)
    ca             = optional(string)
    proxy          = optional(string)
    plugin_secrets = optional(list(string))
    auth = optional(list(object({
      scheme      = string
      secret      = optional(string)
      secrets     = optional(list(string))
      name        = optional(string)
      user        = optional(string)
      header      = optional(string)
      prefix      = optional(string)
      algorithm   = optional(string)
      encoding    = optional(string)
      signed      = optional(string)
      token_url   = optional(string)
      client_id   = optional(string)
      client_auth = optional(string)
      scope       = optional(string)
      audience    = optional(string)
      service     = optional(string)
      region      = optional(string)
    })), [])
    retry = optional(object({
      on   = optional(list(string))
      base = optional(string)
      cap  = optional(string)
    }))
    breaker = optional(object({
      failures = optional(number)
      base     = optional(string)
      cap      = optional(string)
    }))
  }))
  nullable = false

  validation {
    condition     = alltrue([for target in values(var.targets) : can(regex("^https?://", target.url))])
    error_message = "A target's url must begin with https:// or http://."
  }
}
