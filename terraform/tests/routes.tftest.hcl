# Routes of any method and path through the ingest function, and what a direct route cannot do. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # Any file will do: nothing is uploaded.
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"

  routes = [
    { path = "plain", group = "plain", plugin = "p" },
    { path = "put", group = "put", plugin = "p", methods = ["POST", "PUT"], unwrap = "form:payload", on_missing_key = null },
    { path = "tenants/{tenant}/crm", group = "crm/{path:tenant}", plugin = "p", methods = ["POST"], ack = { status = 200, json = { ok = true } } },
    { path = "forward/*", group = "forward", plugin = "p", methods = ["GET", "POST"] },
    { path = "stars/{a}/{b}/*", group = "stars", plugin = "p" },
    {
      path   = "meta"
      group  = "meta"
      plugin = "p"
      verify = [
        { scheme = "github", secret = "new", at = null },
        { scheme = "jwt", algorithms = ["HS256"], secret = ["jwt", "jwt-old"], claims = { sub = ["a", "b"] } },
      ]
      answer = [
        { when = { method = "GET", present = ["query:hub.challenge"] }, token = "query:hub.verify_token", secret = "verify-token", body = "{query:hub.challenge}" },
        { when = { method = ["HEAD", "OPTIONS"] } },
      ]
    },
    { path = "any", group = "any", plugin = "p", answer = [{ when = { present = ["header:x-hook-secret"] }, status = 204 }] },
    { path = "gh", plugin = "p", provider = "github" },
    { path = "fb", plugin = "p", provider = { name = "facebook", secret = ["fb-new", "fb-old"] }, secrets = ["fb-new", "fb-old", "facebook-verify-token"], order = "json:/id" },
    { path = "tw", plugin = "p", provider = { name = "twilio", url = "https://x.example/hooks/tw" } },
  ]
  plugins = { p = {} }
  targets = { sss = { url = "https://sss.example.com" } }
}

run "each_route_takes_its_methods_and_those_of_its_handshakes" {
  assert {
    condition = { for key, route in aws_apigatewayv2_route.ingest : key => route.route_key } == {
      "plain"                  = "POST /hooks/plain"
      "put"                    = "POST /hooks/put"
      "PUT put"                = "PUT /hooks/put"
      "tenants/{tenant}/crm"   = "POST /hooks/tenants/{tenant}/crm"
      "forward"                = "POST /hooks/forward"
      "forward/{proxy+}"       = "POST /hooks/forward/{proxy+}"
      "GET forward"            = "GET /hooks/forward"
      "GET forward/{proxy+}"   = "GET /hooks/forward/{proxy+}"
      "stars/{a}/{b}"          = "POST /hooks/stars/{a}/{b}"
      "stars/{a}/{b}/{proxy+}" = "POST /hooks/stars/{a}/{b}/{proxy+}"
      "meta"                   = "POST /hooks/meta"
      "GET meta"               = "GET /hooks/meta"
      "HEAD meta"              = "HEAD /hooks/meta"
      "OPTIONS meta"           = "OPTIONS /hooks/meta"
      "ANY any"                = "ANY /hooks/any"
      "ANY gh"                 = "ANY /hooks/gh"
      "ANY fb"                 = "ANY /hooks/fb"
      "ANY tw"                 = "ANY /hooks/tw"
    }
    error_message = "API Gateway passes on what the route takes, and a star also takes nothing."
  }
}

run "the_config_has_the_keys_of_the_routes_as_they_are" {
  assert {
    condition = jsondecode(aws_s3_object.config.content).route == [
      { path = "plain", group = "plain", plugin = "p" },
      { path = "put", group = "put", plugin = "p", methods = ["POST", "PUT"], unwrap = "form:payload" },
      { path = "tenants/{tenant}/crm", group = "crm/{path:tenant}", plugin = "p", methods = ["POST"], ack = { status = 200, json = { ok = true } } },
      { path = "forward/*", group = "forward", plugin = "p", methods = ["GET", "POST"] },
      { path = "stars/{a}/{b}/*", group = "stars", plugin = "p" },
      {
        path   = "meta"
        group  = "meta"
        plugin = "p"
        verify = [
          { scheme = "github", secret = "new" },
          { scheme = "jwt", algorithms = ["HS256"], secret = ["jwt", "jwt-old"], claims = { sub = ["a", "b"] } },
        ]
        answer = [
          { when = { method = "GET", present = ["query:hub.challenge"] }, token = "query:hub.verify_token", secret = "verify-token", body = "{query:hub.challenge}" },
          { when = { method = ["HEAD", "OPTIONS"] } },
        ]
      },
      { path = "any", group = "any", plugin = "p", answer = [{ when = { present = ["header:x-hook-secret"] }, status = 204 }] },
      { path = "gh", plugin = "p", provider = "github" },
      { path = "fb", plugin = "p", provider = { name = "facebook", secret = ["fb-new", "fb-old"] }, order = "json:/id" },
      { path = "tw", plugin = "p", provider = { name = "twilio", url = "https://x.example/hooks/tw" } },
    ]
    error_message = "No key is dropped or changed but secrets and null."
  }
}

run "the_ingest_function_reads_the_secrets_of_proofs_handshakes_and_providers" {
  assert {
    condition     = toset(local.ingest_secret_names) == toset(["new", "jwt", "jwt-old", "verify-token", "github", "fb-new", "fb-old", "facebook-verify-token", "twilio"])
    error_message = "It reads these secrets and no others."
  }
  assert {
    condition     = toset(local.secret_names) == toset(local.ingest_secret_names)
    error_message = "The host verifies again with the same secrets."
  }
}

run "a_handshake_that_must_be_verified_needs_the_secret_of_verify" {
  variables {
    routes = [
      { path = "a", group = "a", plugin = "p", verify = { scheme = "github", secret = "s", at = "pipeline" }, answer = [{ when = { method = "GET" }, verified = true }] },
      { path = "b", group = "b", plugin = "p", verify = { scheme = "github", secret = "t", at = "pipeline" } },
    ]
  }
  assert {
    condition     = local.ingest_secret_names == tolist(["s"])
    error_message = "Only the first route verifies at ingest."
  }
}

run "direct_cannot_do_another_method" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", methods = ["POST", "PUT"] }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_path_pattern" {
  command = plan
  variables {
    routes = [{ path = "a/{b}", plugin = "p", ingress = "direct", group = "a" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a/{b}"]]
}

run "direct_cannot_do_a_handshake" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", answer = [{ when = { method = "GET" } }] }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_an_ack" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", ack = { status = 200 } }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_an_unwrap" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", unwrap = "form:payload" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_provider" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", provider = "github" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_an_order" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", order = "json:/id" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_split" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", split = "/events" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_refusal_for_missing_keys" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", on_missing_key = "refuse" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_group_of_a_form" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a/{form:From}" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_dedup_of_the_body" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", dedup = "body|sha256|hex" }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_token_in_the_query" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", verify = { scheme = "token", token = "query:token", secret = "s" } }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "direct_cannot_do_a_signature_of_the_query" {
  command = plan
  variables {
    routes = [{ path = "a", plugin = "p", ingress = "direct", group = "a", verify = { scheme = "signature", signature = "header:x-sig", signed = "{query}{body}", secret = "s" } }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "refuses_a_path_that_is_none" {
  command = plan
  variables {
    routes = [{ path = "a/{b", group = "a", plugin = "p" }]
  }
  expect_failures = [var.routes]
}

run "refuses_a_star_in_the_middle" {
  command = plan
  variables {
    routes = [{ path = "a/*/b", group = "a", plugin = "p" }]
  }
  expect_failures = [var.routes]
}

run "refuses_a_star_over_the_same_path" {
  command = plan
  variables {
    routes = [{ path = "a/*", group = "a", plugin = "p" }, { path = "a", group = "b", plugin = "p" }]
  }
  expect_failures = [var.routes]
}

run "refuses_a_method_that_api_gateway_does_not_have" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a", plugin = "p", methods = ["LINK"] }]
  }
  expect_failures = [var.routes]
}

run "refuses_a_segment_named_as_what_a_star_takes" {
  command = plan
  variables {
    routes = [{ path = "{proxy}/*", group = "a", plugin = "p" }]
  }
  expect_failures = [var.routes]
}

run "a_named_stage_is_part_of_the_urls" {
  variables {
    api_id    = "existing"
    api_stage = "prod"
    routes    = [{ path = "tenants/{tenant}/crm", group = "a", plugin = "p" }]
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://existing.example.com/prod/hooks/tenants/{tenant}/crm"
    error_message = "Senders use the URL of the stage."
  }
}

run "refuses_no_routes" {
  command = plan
  variables {
    routes = []
  }
  expect_failures = [var.routes]
}
