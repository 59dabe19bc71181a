# Direct ingress: API Gateway sends the body unchanged, without code.
locals {
  # The parts of a group template: [kind, reference, literal]; absent parts are null.
  group_pieces = {
    for path, route in local.direct_routes :
    path => regexall("\\{(json|header):([^}]*)\\}|([^{]+)", try(route.group, ""))
  }

  # "approval/{json:/workflow/id}" becomes "approval/${request.body.workflow.id}".
  direct_groups = {
    for path, pieces in local.group_pieces : path => join("", [
      for piece in pieces :
      piece[2] != null ? piece[2] : (
        piece[0] == "header" ? "$${request.header.${piece[1]}}" : "$${request.body${replace(piece[1], "/", ".")}}"
      )
    ])
  }

  # Nothing is verified before it is stored here. So with verify no value of an event may serve as deduplication id: someone who knows
  # the value of a future event could take its place. The target recognizes a repeat by its webhook-id.
  direct_dedup = {
    for path, route in local.direct_routes : path => length(local.verifications[path]) > 0 ? "$context.requestId" : (
      !contains(keys(route), "dedup") ? (var.content_based_deduplication ? null : "$context.requestId") : (
        startswith(route.dedup, "header:")
        ? "$request.header.${trimprefix(route.dedup, "header:")}"
        : "$request.body${replace(trimprefix(route.dedup, "json:"), "/", ".")}"
      )
    )
  }

  # All attributes are one JSON text, because API Gateway cannot map a header to a single attribute.
  direct_attributes = {
    for path, route in local.direct_routes : path => try(length(route.headers), 0) == 0 ? null : "{${join(",", [
      for header in try(route.headers, []) :
      "\"${lower(header)}\":{\"DataType\":\"String\",\"StringValue\":\"$${request.header.${header}}\"}"
    ])}}"
  }
}

data "aws_iam_policy_document" "assume_api" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "api" {
  count = local.has_direct ? 1 : 0

  name                 = "${local.global_name}-api"
  assume_role_policy   = data.aws_iam_policy_document.assume_api.json
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # A new role works only after a while, in which API Gateway would lose webhooks: it keeps its name.
  lifecycle {
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "api" {
  count = local.has_direct ? 1 : 0

  statement {
    sid       = "Store"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.this.arn]
  }

  dynamic "statement" {
    for_each = local.queue_key
    content {
      sid       = "EncryptMessages"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "api" {
  count = local.has_direct ? 1 : 0

  name   = "api"
  role   = aws_iam_role.api[0].name
  policy = data.aws_iam_policy_document.api[0].json

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policies_exclusive" "api" {
  count = local.has_direct && var.exclusive_role_policies ? 1 : 0

  role_name    = aws_iam_role.api[0].name
  policy_names = concat([aws_iam_role_policy.api[0].name], local.queue_keys_policies["api"])
}

resource "aws_iam_role_policy_attachments_exclusive" "api" {
  count = local.has_direct && var.exclusive_role_policies ? 1 : 0

  role_name   = aws_iam_role.api[0].name
  policy_arns = []
}

resource "aws_apigatewayv2_integration" "direct" {
  for_each = local.direct_routes

  api_id                 = local.api_id
  description            = "Towpath: ${each.key}, without code"
  integration_type       = "AWS_PROXY"
  integration_subtype    = "SQS-SendMessage"
  credentials_arn        = aws_iam_role.api[0].arn
  payload_format_version = "1.0"
  request_parameters = {
    for key, value in {
      QueueUrl               = aws_sqs_queue.this.url
      MessageBody            = "$request.body"
      MessageGroupId         = local.direct_groups[each.key]
      MessageDeduplicationId = local.direct_dedup[each.key]
      MessageAttributes      = local.direct_attributes[each.key]
    } : key => value if value != null
  }

  lifecycle {
    precondition {
      condition     = length(local.beyond_direct[each.key]) == 0
      error_message = "The route \"${each.key}\" has ${join(", ", local.beyond_direct[each.key])}: API Gateway cannot do that without code. Use ingress = \"lambda\"."
    }
  }

  depends_on = [aws_iam_role_policy.api]
}
