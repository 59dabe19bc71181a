# Routes, plugins and targets.

variable "routes" {
  description = <<-EOT
    The webhooks to accept, and the plugin that maps each or the target that gets it as it came: a list of objects with the keys of [[route]] in towpath.toml, such as path,
    methods, provider, group, order, dedup, plugin, target, forward, verify, answer, ack, unwrap. They go into the config as they are, and
    `towpath config check` says what is wrong with them. A message belongs to the first route whose group template matches its group.
    What differs from towpath.toml:
    - path: the webhook is sent to {path_prefix}/{path}. API Gateway gets a route for each of methods and of the methods of answer, or for
      any method if an answer has none or the route has a provider.
    - verify: two or more secrets go into secrets instead of secret. The ingest function verifies, and may read these secrets, unless
      at = "pipeline".
    - secrets: with provider, the names of all secrets that it uses, as `towpath provider show` lists them. Default: its first one.
    - ingress: "lambda" stores all headers and the body byte for byte, through the ingest function. With "direct", API Gateway writes
      to the queue without code: for POST to a literal path with a JSON body up to 256 KiB, if every request has the headers that the plugin
      needs. Only the host verifies then, and dedup does not decide what is stored once, because a stranger could take the place of a
      future event. A repeat has the same webhook-id for the target.
    - headers: with "direct", the headers to keep, at most 9. API Gateway rejects a request that lacks one.
  EOT
  # Not a list of one type of object: routes differ, and new keys of the config need no change here.
  type     = any
  nullable = false

  validation {
    condition     = can([for route in var.routes : keys(route)]) && can(length(var.routes) > 0 ? true : tobool("no route"))
    error_message = "routes must be a list of objects, with at least one route."
  }
  validation {
    condition     = alltrue([for route in var.routes : can(regex("^([A-Za-z0-9_.-]+|\\{[A-Za-z0-9_-]+\\})(/([A-Za-z0-9_.-]+|\\{[A-Za-z0-9_-]+\\}))*(/\\*)?$", route.path))])
    error_message = "A route's path must be letters, digits, -, _ and . between slashes, without a slash at either end. A segment may be {name}, and the last one *."
  }
  validation {
    condition     = alltrue([for route in var.routes : !can(regex("\\{proxy\\}.*/\\*$", route.path))])
    error_message = "A path that ends in * cannot have a segment {proxy}: API Gateway has that name for what the star takes. Give the segment another name."
  }
  validation {
    condition     = length(distinct([for route in var.routes : trimsuffix(try(route.path, ""), "/*")])) == length(var.routes)
    error_message = "Two routes have the same path: every path must be unique, and \"a/*\" takes \"a\" too."
  }
  validation {
    condition     = alltrue([for route in var.routes : contains(["lambda", "direct"], try(coalesce(route.ingress, "lambda"), "lambda"))])
    error_message = "A route's ingress must be \"lambda\" or \"direct\"."
  }
  validation {
    condition     = alltrue([for route in var.routes : try(contains(keys(var.plugins), route.plugin), try(route.plugin, null) == null)])
    error_message = "A route's plugin must be a key of plugins."
  }
  validation {
    condition     = alltrue([for route in var.routes : (try(route.plugin, null) == null) != (try(route.target, null) == null)])
    error_message = "A route must have either plugin or target."
  }
  validation {
    condition     = alltrue([for route in var.routes : try(contains(keys(var.targets), route.target), try(route.target, null) == null)])
    error_message = "A route's target must be a key of targets."
  }
  validation {
    condition = alltrue([for route in var.routes : alltrue([
      for method in try(flatten([route.methods]), []) : contains(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"], method) if method != null
    ])])
    error_message = "methods may be GET, HEAD, OPTIONS, POST, PUT, PATCH and DELETE: API Gateway has no others."
  }
  validation {
    condition     = alltrue([for route in var.routes : try(route.on_dead_letter, null) == null || contains(["continue", "block"], try(coalesce(route.on_dead_letter, "continue"), "continue"))])
    error_message = "on_dead_letter must be \"continue\" or \"block\"; \"park\" is only for the local queue."
  }
  validation {
    condition = alltrue([for route in var.routes : alltrue([
      for way in try(flatten([route.verify]), []) : try(way.secret, null) == null || try(way.secrets, null) == null
    ])])
    error_message = "A route's verify must have either secret or secrets, not both."
  }
  validation {
    condition     = alltrue([for route in var.routes : try(length(route.headers), 0) <= 9 && (try(route.ingress, null) == "direct" || try(length(route.headers), 0) == 0)])
    error_message = "headers is only for ingress = \"direct\", with at most 9 names; the ingest function keeps all headers."
  }
  validation {
    condition     = alltrue(flatten([for route in var.routes : [for header in try(coalesce(route.headers, []), []) : !can(regex("(?i)^(content-type|content-disposition|cookie|etag|if-.*|link|forwarded|digest|content-digest|signature|signature-input)$", header))]]))
    error_message = "With ingress = \"direct\", headers must not name one that may contain quotes, such as Content-Type or Signature: API Gateway is assumed to paste values into JSON as they are, so that a quote would lose the event. Use ingress = \"lambda\"."
  }

  validation {
    condition     = alltrue(flatten([for route in var.routes : [for header in try(coalesce(route.headers, []), []) : !can(regex("(?i)^(authorization|content-encoding|host|x-amz-.*|towpath-.*)$", header))]]))
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
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for plugin in values(var.plugins) : plugin.config == null || can(keys(jsondecode(coalesce(plugin.config, "{}"))))])
    error_message = "A plugin's config must be a JSON object: config = jsonencode({ team = \"west\" })."
  }
}

variable "targets" {
  description = <<-EOT
    The systems that requests are sent to, by name. Secrets are given by their names in Secrets Manager, without secrets_prefix.
    - auth: schemes as in towpath.toml, such as [{ scheme = "bearer", secret = "…" }]. Two signing secrets go into secrets instead of
      secret. For aws-sigv4, allow the calls in host_policy.
    - ca: the only trusted certificate authorities, as PEM. Default: the system's.
    - plugin_secrets: the secrets that plugins may send to this target.
    - headers: fixed headers of every request, such as { x-api-version = "3" }.
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
    headers        = optional(map(string))
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
