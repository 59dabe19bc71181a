# The API that takes the webhooks: a new one, or an existing one.
locals {
  create_api = var.create_api != null ? var.create_api : var.api_id == null && var.api_name == null
}

resource "aws_apigatewayv2_api" "this" {
  count = local.create_api ? 1 : 0

  name          = var.name
  description   = "Towpath: webhooks"
  protocol_type = "HTTP"
  tags          = var.tags
}

data "aws_apigatewayv2_apis" "named" {
  count = !local.create_api && var.api_name != null ? 1 : 0

  name          = var.api_name
  protocol_type = "HTTP"

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = "${length(self.ids)} HTTP APIs of this region are named \"${var.api_name}\": set api_id and create_api = false instead of api_name."
    }
  }
}

data "aws_apigatewayv2_api" "existing" {
  count = local.create_api ? 0 : 1

  api_id = var.api_name != null ? one(data.aws_apigatewayv2_apis.named[0].ids) : var.api_id

  lifecycle {
    postcondition {
      condition     = self.protocol_type == "HTTP"
      error_message = "The API ${self.api_id} has the protocol ${self.protocol_type}: the routes need an HTTP API."
    }
  }
}

locals {
  api_id            = local.create_api ? aws_apigatewayv2_api.this[0].id : data.aws_apigatewayv2_api.existing[0].api_id
  api_endpoint      = local.create_api ? aws_apigatewayv2_api.this[0].api_endpoint : data.aws_apigatewayv2_api.existing[0].api_endpoint
  api_execution_arn = local.create_api ? aws_apigatewayv2_api.this[0].execution_arn : data.aws_apigatewayv2_api.existing[0].execution_arn
}

resource "aws_apigatewayv2_integration" "ingest" {
  count = local.has_ingest ? 1 : 0

  api_id                 = local.api_id
  description            = "Towpath: the ingest function"
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.ingest[0].invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "direct" {
  for_each = local.direct_routes

  api_id    = local.api_id
  route_key = "POST ${var.path_prefix}/${each.key}"
  target    = "integrations/${aws_apigatewayv2_integration.direct[each.key].id}"
}

resource "aws_apigatewayv2_route" "ingest" {
  for_each = local.ingest_route_keys

  api_id    = local.api_id
  route_key = each.value
  target    = "integrations/${aws_apigatewayv2_integration.ingest[0].id}"
}
