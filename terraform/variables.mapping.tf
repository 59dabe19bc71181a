# What comes in, what maps it, and where it goes.

variable "routes" {
  description = <<-EOT
    What comes in, and which plugin maps it. The first whose group can have made a message's group counts.
    - path: POST {path_prefix}/{path}.
    - group: the order key: a fixed text, or with placeholders: "crm/{json:/customer/id}", "shop/{header:x-shop}".
    - dedup: "header:NAME" or "json:/POINTER": the same value twice in five minutes and one group is stored once. Without it
      every POST is a message of its own.
    - plugin: the name of a plugin.
    - ingress: "lambda" stores every header and body byte for byte through the ingest function. "direct" lets API Gateway write to
      the queue without code: for JSON bodies up to 256 KiB whose headers, if the plugin needs any, are always there.
    - headers: with "direct", the headers that are kept, at most 9. One that is missing makes API Gateway refuse the request.
    - verify: as in towpath.toml; several secrets are in secrets instead of secret. The ingest function verifies, and may read these
      secrets, unless at = "pipeline". With ingress = "direct" only the host verifies, and dedup does not decide what is stored
      once: a stranger could take the place of an event that is to come. A repeat has the same webhook-id for the target.
    - on_missing_key ("fallback" or "refuse"), with ingress = "lambda": what happens to a webhook without its keys.
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
    error_message = "routes needs at least one route."
  }
  validation {
    condition     = alltrue([for route in var.routes : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", route.path))])
    error_message = "A route's path is letters, digits, -, _ and . between slashes, without a slash at either end."
  }
  validation {
    condition     = length(distinct(var.routes[*].path)) == length(var.routes)
    error_message = "Every route needs a path of its own."
  }
  validation {
    condition     = alltrue([for route in var.routes : contains(["lambda", "direct"], route.ingress)])
    error_message = "A route's ingress is \"lambda\" or \"direct\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : contains(keys(var.plugins), route.plugin)])
    error_message = "A route's plugin must be a key of plugins."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.on_dead_letter == null || contains(["continue", "block"], coalesce(route.on_dead_letter, "continue"))])
    error_message = "on_dead_letter is \"continue\" or \"block\"; \"park\" is for the local queue."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.on_missing_key == null || contains(["fallback", "refuse"], coalesce(route.on_missing_key, "fallback"))])
    error_message = "on_missing_key is \"fallback\" or \"refuse\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.dedup == null || can(regex("^(header:[A-Za-z0-9-]+|json:/.+)$", route.dedup))])
    error_message = "dedup is \"header:NAME\" or \"json:/POINTER\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.verify == null ? true : (route.verify.secret == null) != (route.verify.secrets == null)])
    error_message = "A route's verify has either secret or secrets."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.verify == null ? true : route.verify.at != "ingest" || route.ingress == "lambda"])
    error_message = "verify with at = \"ingest\" needs ingress = \"lambda\": API Gateway checks no signatures. The host does, in the pipeline."
  }
  validation {
    condition     = alltrue([for route in var.routes : route.ingress == "lambda" || can(regex("^([^{}]|\\{header:[A-Za-z0-9-]+\\}|\\{json:(/[A-Za-z0-9_-]+)+\\})+$", route.group))])
    error_message = "With direct ingress a group has literals, {header:NAME} and {json:/plain/keys} only."
  }
  validation {
    condition     = alltrue([for route in var.routes : length(route.headers) <= 9 && (route.ingress == "direct" || length(route.headers) == 0)])
    error_message = "headers is for direct ingress, which keeps 9 at most; the ingest function keeps all of them."
  }
  validation {
    condition     = alltrue(flatten([for route in var.routes : [for header in route.headers : !can(regex("(?i)^(authorization|content-encoding|host|x-amz-.*|towpath-.*)$", header))]]))
    error_message = "API Gateway does not hand over authorization, content-encoding, host and x-amz-*: use the ingest function for that route. Names with towpath- are the host's own."
  }
}

variable "plugins" {
  description = <<-EOT
    The plugins that routes name, by their names in the registry.
    - version: a channel, or a version that is pinned. Default: the channel "current".
    - config: handed to the plugin, as JSON.
    - sha256: the digest that its component must have.
    - limits: memory ("64MiB"), fuel and timeout ("2s") of one call.
    - secrets: names that it may put into headers.
    - min_sequence: with plugin_public_key, the lowest sequence that its pointer may have.
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
    error_message = "A plugin's config is a JSON object: config = jsonencode({ team = \"west\" })."
  }
}

variable "targets" {
  description = <<-EOT
    Where plugins send to, by name. Secrets are names of secrets in Secrets Manager, without secrets_prefix.
    - auth: schemes as in towpath.toml, such as [{ scheme = "bearer", secret = "…" }]. Two signing secrets are in secrets instead of
      secret. For aws-sigv4, host_policy allows what is called.
    - ca: the certificates of the authorities that count, as PEM; the system's without it.
    - plugin_secrets: the secrets that plugins may send to it.
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
    error_message = "A target's url begins with https:// or http://."
  }
}
