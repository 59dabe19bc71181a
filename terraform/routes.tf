# What the routes mean for the rest of the module. Each has its own keys, so none may be taken for granted.
locals {
  # The config does not accept null, so keys that are not set are left out.
  routes = [for route in var.routes : { for key, value in route : key => value if value != null }]

  ingest_routes = { for route in local.routes : route.path => route if try(route.ingress, "lambda") == "lambda" }
  direct_routes = { for route in local.routes : route.path => route if try(route.ingress, "lambda") == "direct" }
  has_ingest    = length(local.ingest_routes) > 0
  has_direct    = length(local.direct_routes) > 0

  # The tables of `verify`, by path: one, several or none. Several secrets become a list in `secret`.
  verifications = {
    for route in local.routes : route.path => [
      for way in try(flatten([route.verify]), []) : merge(
        { for key, value in way : key => value if value != null && key != "secrets" },
        { for key, value in way : "secret" => value if value != null && key == "secrets" },
        # On direct routes API Gateway writes to the queue itself, so only the pipeline can verify.
        { for key in try(route.ingress, "lambda") == "direct" ? ["at"] : [] : key => try(coalesce(way.at, "pipeline"), "pipeline") },
      )
    ]
  }

  # The names of the secrets of each route: what it verifies with, and what the ingest function needs of that.
  provider_secrets = {
    for route in local.routes : route.path => flatten([
      try(route.secrets, route.provider.secret, route.provider.name, route.provider, [])
    ])
  }

  answer_secrets = {
    for route in local.routes : route.path => flatten([for answer in try(route.answer, []) : try(flatten([answer.secret]), [])])
  }

  verify_secrets = {
    for path, ways in local.verifications : path => flatten([for way in ways : try(way.secret, [])])
  }

  # Whether the ingest function verifies anything of a route.
  verifies_at_ingest = {
    for path, route in local.ingest_routes : path => anytrue(concat(
      [contains(keys(route), "provider")],
      [for way in local.verifications[path] : try(way.at, "ingest") == "ingest"],
      [for answer in try(route.answer, []) : try(answer.verified, false)],
    ))
  }

  # The names of all secrets; NAME#KEY is a key of the secret NAME, and a value of the webhook in a name stands for any text.
  secret_names = distinct([
    for name in concat(
      flatten([for target in values(var.targets) : [for auth in target.auth : compact(concat([auth.secret], coalesce(auth.secrets, [])))]]),
      flatten([values(local.verify_secrets), values(local.provider_secrets), values(local.answer_secrets)]),
      flatten([for plugin in values(var.plugins) : coalesce(plugin.secrets, [])]),
      var.note_keys,
    ) : replace(split("#", name)[0], "/\\{[^}]*\\}/", "*")
  ])

  # The names of the secrets that the ingest function verifies with, of the keys by which it vouches for that, and of those that it answers
  # handshakes with.
  ingest_secret_names = distinct([
    for name in flatten([
      for path, verifies in local.verifies_at_ingest :
      concat(verifies ? concat(local.verify_secrets[path], var.note_keys) : [], local.provider_secrets[path], local.answer_secrets[path])
    ]) : replace(split("#", name)[0], "/\\{[^}]*\\}/", "*")
  ])

  # The names of the secrets that handshakes bring. What a provider needs is known to the function only.
  learned_secret_names = distinct(concat(var.learned_secrets, flatten([
    for path, route in local.ingest_routes : local.verify_secrets[path] if anytrue([for answer in try(route.answer, []) : try(answer.keep, null) != null])
  ])))

  # With the six characters that Secrets Manager puts behind a name, and without: IAM judges a name that no secret has as it is.
  learned_secret_arns = flatten([
    for name in local.learned_secret_names : [
      for suffix in ["", "-??????"] : "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}${name}${suffix}"
    ]
  ])

  # Whether the ingest function can answer 401 or 422, and so needs a queue to keep those webhooks.
  can_refuse = anytrue(concat(
    values(local.verifies_at_ingest),
    [for route in values(local.ingest_routes) : try(route.on_missing_key, "fallback") == "refuse"],
  ))

  # The methods that each route of the ingest function takes: those of its events, and those of its handshakes. What a provider needs is
  # known to the function only.
  ingest_methods = {
    for path, route in local.ingest_routes : path => distinct(concat(
      try(tolist(route.methods), ["POST"]),
      contains(keys(route), "provider") ? ["ANY"] : [],
      flatten([for answer in try(route.answer, []) : try(flatten([answer.when.method]), ["ANY"])]),
    ))
  }

  # The paths of each route as API Gateway writes them: what takes whatever follows also takes nothing.
  ingest_paths = {
    for path in keys(local.ingest_routes) : path => endswith(path, "/*") ? [trimsuffix(path, "/*"), "${trimsuffix(path, "/*")}/{proxy+}"] : [path]
  }

  # The routes of the API: "POST approval" has the key "approval", any other its method too.
  ingest_route_keys = merge([
    for path, methods in local.ingest_methods : merge([
      for api_path in local.ingest_paths[path] : {
        for method in contains(methods, "ANY") ? ["ANY"] : methods :
        (method == "POST" ? api_path : "${method} ${api_path}") => "${method} ${var.path_prefix}/${api_path}"
      }
    ]...)
  ]...)

  # What a direct route has that API Gateway cannot do without code. With an empty list it has nothing.
  beyond_direct = {
    for path, route in local.direct_routes : path => compact(concat(
      [for key in ["provider", "order", "answer", "ack", "unwrap", "split"] : contains(keys(route), key) ? key : ""],
      [
        try(length(setsubtract(route.methods, ["POST"])) > 0, false) ? "methods other than POST" : "",
        can(regex("[{*]", path)) ? "a path with {name} or *" : "",
        try(route.on_missing_key, "fallback") == "refuse" ? "on_missing_key = \"refuse\"" : "",
        anytrue([for way in local.verifications[path] : way.at != "pipeline"]) ? "verify with at = \"ingest\"" : "",
        can(regex("[\"{](query|path)[:}|\"]|\\{method", jsonencode(local.verifications[path]))) ? "a proof that needs more than body and headers" : "",
        can(regex("^([^{}]|\\{header:[A-Za-z0-9-]+\\}|\\{json:(/[A-Za-z0-9_-]+)+\\})+$", route.group)) ? "" : "a group of more than literals, {header:NAME} and {json:/plain/keys}",
        can(regex("^(header:[A-Za-z0-9-]+|json:(/[A-Za-z0-9_-]+)+)$", try(route.dedup, "json:/none"))) ? "" : "a dedup other than header:NAME and json:/plain/keys",
      ],
    ))
  }
}
