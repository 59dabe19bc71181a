# The stage of a new API, its access log, a deployment for an existing API, a domain with its records, and the URLs that senders use.
locals {
  stage = coalesce(var.api_stage, "$default")

  domain = var.domain == null ? [] : [var.domain]

  # A custom domain is mapped to a stage, whose name is then not in the URL.
  base_url = one(concat(
    [for domain in local.domain : "https://${domain.name}${domain.path == null ? "" : "/${domain.path}"}"],
    [for url in [local.api_endpoint] : "${url}${local.stage == "$default" ? "" : "/${local.stage}"}" if var.domain == null],
  ))
}

resource "aws_cloudwatch_log_group" "api" {
  count = local.create_api && var.create_access_log ? 1 : 0

  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "this" {
  count = local.create_api ? 1 : 0

  api_id      = aws_apigatewayv2_api.this[0].id
  name        = local.stage
  auto_deploy = true
  tags        = var.tags

  dynamic "default_route_settings" {
    for_each = var.api_throttling == null ? [] : [var.api_throttling]
    content {
      throttling_rate_limit  = default_route_settings.value.rate
      throttling_burst_limit = default_route_settings.value.burst
    }
  }

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.api
    content {
      destination_arn = access_log_settings.value.arn
      # The route instead of the path, and no query: both may contain a sender's token.
      format = jsonencode({
        requestId        = "$context.requestId"
        time             = "$context.requestTime"
        sourceIp         = "$context.identity.sourceIp"
        method           = "$context.httpMethod"
        route            = "$context.routeKey"
        status           = "$context.status"
        bytes            = "$context.responseLength"
        integrationError = "$context.integrationErrorMessage"
      })
    }
  }
}

# What a deployment copies, which is the API at one moment, must be part of its identity.
locals {
  deployment_triggers = {
    routes = join(", ", sort([for route in concat(values(aws_apigatewayv2_route.direct), values(aws_apigatewayv2_route.ingest)) : route.route_key]))
    targets = sha256(jsonencode([
      [for route in aws_apigatewayv2_route.direct : route.target],
      [for route in aws_apigatewayv2_route.ingest : route.target],
      [for integration in aws_apigatewayv2_integration.direct : [integration.request_parameters, integration.credentials_arn]],
      [for integration in aws_apigatewayv2_integration.ingest : integration.integration_uri],
    ]))
  }
}

# For a stage without auto_deploy: its owner, in the same configuration, sets deployment_id.
resource "aws_apigatewayv2_deployment" "this" {
  count = var.create_deployment ? 1 : 0

  api_id      = local.api_id
  description = "Towpath: ${var.name}"

  triggers = local.deployment_triggers

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_domain_name" "this" {
  for_each = { for domain in local.domain : "this" => domain if domain.create }

  domain_name = each.value.name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = each.value.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
    ip_address_type = each.value.ip_address_type
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  for_each = aws_apigatewayv2_domain_name.this

  api_id          = local.api_id
  domain_name     = each.value.id
  stage           = local.create_api ? aws_apigatewayv2_stage.this[0].id : local.stage
  api_mapping_key = var.domain.path
}

resource "aws_route53_record" "domain" {
  for_each = toset(flatten([
    for domain in local.domain : domain.ip_address_type == "dualstack" ? ["A", "AAAA"] : ["A"]
    if domain.create && (domain.create_records != null ? domain.create_records : domain.zone_id != null)
  ]))

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = each.key

  alias {
    name                   = aws_apigatewayv2_domain_name.this["this"].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.this["this"].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }

  # Without the mapping and the routes API Gateway answers 403 and 404, which senders may not retry.
  depends_on = [aws_apigatewayv2_api_mapping.this, aws_apigatewayv2_route.direct, aws_apigatewayv2_route.ingest]
}
