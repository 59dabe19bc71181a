# New and existing APIs, their stages and domains, and the URLs that senders use. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "tenants/{tenant}/crm", group = "crm", plugin = "p", methods = ["POST", "PUT"] }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "plans_with_ids_that_come_from_resources" {
  command = plan
  module {
    source = "./tests/from_resources"
  }
  variables {
    zip = "versions.tf"
  }
}

run "applies_with_ids_that_come_from_resources" {
  module {
    source = "./tests/from_resources"
  }
  variables {
    zip = "versions.tf"
  }
  assert {
    condition     = output.towpath.hook_urls["approval"] == "https://hooks.example.com/hooks/approval"
    error_message = "Behind a custom domain the stage is not in the URL."
  }
  assert {
    condition     = output.towpath.api_deployment_id != null && output.towpath.api_domain_target != null
    error_message = "The owner of stage and zone gets what to set there."
  }
}

run "a_new_api" {
  assert {
    condition     = aws_apigatewayv2_stage.this[0].name == "$default" && aws_apigatewayv2_stage.this[0].auto_deploy
    error_message = "It has the stage $default, which deploys each change."
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://new.example.com/hooks/tenants/{tenant}/crm"
    error_message = "$default is not in the URL."
  }
  assert {
    condition     = length(aws_apigatewayv2_deployment.this) == 0 && length(aws_cloudwatch_log_group.api) == 0 && output.api_domain_target == null
    error_message = "Deployment, access log and domain are only made on request."
  }
}

run "a_new_api_with_a_named_stage" {
  variables {
    api_stage = "prod"
  }
  assert {
    condition     = aws_apigatewayv2_stage.this[0].name == "prod"
    error_message = "The stage has the name."
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://new.example.com/prod/hooks/tenants/{tenant}/crm"
    error_message = "A named stage is in the URL."
  }
}

run "a_new_domain" {
  variables {
    api_stage = "prod"
    domain    = { name = "hooks.example.com", path = "v1/in", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c" }
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://hooks.example.com/v1/in/hooks/tenants/{tenant}/crm"
    error_message = "The URL has the domain and the key of the mapping, and not the stage."
  }
  assert {
    condition     = one(values(aws_apigatewayv2_api_mapping.this)).api_mapping_key == "v1/in" && one(values(aws_apigatewayv2_api_mapping.this)).stage == aws_apigatewayv2_stage.this[0].id
    error_message = "The mapping leads to the stage."
  }
}

run "a_new_domain_has_no_records_unless_its_zone_is_given" {
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c" }
  }
  assert {
    condition     = length(aws_route53_record.domain) == 0 && output.api_domain_target != null
    error_message = "DNS is up to its owner, who gets what the record must point to."
  }
}

run "a_new_domain_in_its_zone" {
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", zone_id = "Z0123456789ABCDEFGHIJ" }
  }
  assert {
    condition     = [for type, record in aws_route53_record.domain : "${type} ${record.type} ${record.name} ${record.zone_id}"] == ["A A hooks.example.com Z0123456789ABCDEFGHIJ"]
    error_message = "A domain for IPv4 has one record."
  }
  assert {
    condition = { name = one(aws_route53_record.domain["A"].alias).name, zone_id = one(aws_route53_record.domain["A"].alias).zone_id } == {
      name    = one(aws_apigatewayv2_domain_name.this["this"].domain_name_configuration).target_domain_name
      zone_id = one(aws_apigatewayv2_domain_name.this["this"].domain_name_configuration).hosted_zone_id
    }
    error_message = "The record is an alias of the domain's endpoint."
  }
}

run "a_new_domain_for_ipv6_too" {
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", zone_id = "Z0123456789ABCDEFGHIJ", ip_address_type = "dualstack" }
  }
  assert {
    condition     = one(aws_apigatewayv2_domain_name.this["this"].domain_name_configuration).ip_address_type == "dualstack"
    error_message = "The domain answers by IPv6."
  }
  assert {
    condition     = { for key, record in aws_route53_record.domain : key => record.type } == { A = "A", AAAA = "AAAA" } && aws_route53_record.domain["AAAA"].alias == aws_route53_record.domain["A"].alias
    error_message = "Both records lead to it."
  }
}

run "records_that_somebody_else_makes" {
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", zone_id = "Z0123456789ABCDEFGHIJ", create_records = false }
  }
  assert {
    condition     = length(aws_route53_record.domain) == 0
    error_message = "False makes none."
  }
}

run "refuses_what_is_no_zone" {
  command = plan
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", zone_id = "example.com" }
  }
  expect_failures = [var.domain]
}

run "refuses_records_of_a_domain_that_exists" {
  command = plan
  variables {
    domain = { name = "hooks.example.com", zone_id = "Z0123456789ABCDEFGHIJ" }
  }
  expect_failures = [var.domain]
}

run "refuses_records_without_their_zone" {
  command = plan
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", create_records = true }
  }
  expect_failures = [var.domain]
}

run "refuses_another_ip_address_type" {
  command = plan
  variables {
    domain = { name = "hooks.example.com", create = true, certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c", ip_address_type = "ipv6" }
  }
  expect_failures = [var.domain]
}

run "throttling_and_access_log" {
  variables {
    api_throttling    = { rate = 50, burst = 100 }
    create_access_log = true
  }
  assert {
    condition     = one(aws_apigatewayv2_stage.this[0].default_route_settings).throttling_rate_limit == 50 && one(aws_apigatewayv2_stage.this[0].default_route_settings).throttling_burst_limit == 100
    error_message = "The stage has the limits."
  }
  assert {
    condition     = !can(regex("path|uery|header|authorizer", lower(one(aws_apigatewayv2_stage.this[0].access_log_settings).format)))
    error_message = "The access log has nothing that may contain a token."
  }
}

run "an_existing_api_by_id" {
  variables {
    api_id = "existing"
  }
  assert {
    condition     = length(aws_apigatewayv2_api.this) + length(aws_apigatewayv2_stage.this) + length(data.aws_apigatewayv2_apis.named) == 0
    error_message = "Neither API nor stage is created."
  }
  assert {
    condition     = toset([for route in aws_apigatewayv2_route.ingest : "${route.api_id} ${route.route_key}"]) == toset(["existing POST /hooks/tenants/{tenant}/crm", "existing PUT /hooks/tenants/{tenant}/crm"])
    error_message = "The existing API gets the routes."
  }
  assert {
    condition     = aws_lambda_permission.ingest[0].source_arn == "arn:aws:execute-api:eu-west-1:123456789012:existing/*/*"
    error_message = "The existing API may invoke the function."
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://existing.example.com/hooks/tenants/{tenant}/crm"
    error_message = "Senders use the URL of the existing API."
  }
}

run "an_existing_api_by_name" {
  variables {
    api_name  = "theirs"
    api_stage = "prod"
  }
  assert {
    condition     = output.api_id == "named" && data.aws_apigatewayv2_apis.named[0].name == "theirs" && length(aws_apigatewayv2_api.this) == 0
    error_message = "The API is found by its name."
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://existing.example.com/prod/hooks/tenants/{tenant}/crm"
    error_message = "Senders use the URL of its stage."
  }
}

run "an_existing_domain" {
  variables {
    api_name  = "theirs"
    api_stage = "prod"
    domain    = { name = "hooks.example.com", path = "in" }
  }
  assert {
    condition     = output.hook_urls["tenants/{tenant}/crm"] == "https://hooks.example.com/in/hooks/tenants/{tenant}/crm" && length(aws_apigatewayv2_domain_name.this) == 0
    error_message = "Senders use the domain, which exists."
  }
}

run "a_deployment_for_a_stage_without_auto_deploy" {
  variables {
    api_name          = "theirs"
    create_deployment = true
  }
  assert {
    condition     = aws_apigatewayv2_deployment.this[0].api_id == "named" && output.api_deployment_id == aws_apigatewayv2_deployment.this[0].id
    error_message = "The owner of the stage gets the id of the deployment."
  }
  assert {
    condition     = aws_apigatewayv2_deployment.this[0].triggers.routes == "POST /hooks/tenants/{tenant}/crm, PUT /hooks/tenants/{tenant}/crm"
    error_message = "Other routes are another deployment: an old one would not have them."
  }
}

run "the_owner_of_a_stage_elsewhere_makes_the_deployment" {
  variables {
    api_name = "theirs"
  }
  assert {
    condition     = length(aws_apigatewayv2_deployment.this) == 0 && output.api_deployment_id == null
    error_message = "A deployment that the module made could not be replaced while the stage uses it."
  }
  assert {
    condition     = output.api_deployment_triggers == run.a_deployment_for_a_stage_without_auto_deploy.api_deployment_triggers && output.api_deployment_triggers.routes == "POST /hooks/tenants/{tenant}/crm, PUT /hooks/tenants/{tenant}/crm"
    error_message = "The owner gets what the module's own deployment depends on."
  }
}

run "other_routes_are_another_deployment_there" {
  variables {
    api_name = "theirs"
    routes   = [{ path = "crm", group = "crm", plugin = "p" }]
  }
  assert {
    condition     = output.api_deployment_triggers.routes == "POST /hooks/crm" && output.api_deployment_triggers.targets != run.the_owner_of_a_stage_elsewhere_makes_the_deployment.api_deployment_triggers.targets
    error_message = "A change of routes changes the triggers."
  }
}

run "refuses_two_apis_of_one_name" {
  command = plan
  variables {
    api_name = "theirs"
  }
  override_data {
    target = data.aws_apigatewayv2_apis.named
    values = { ids = ["one", "two"] }
  }
  expect_failures = [data.aws_apigatewayv2_apis.named]
}

run "refuses_an_api_of_another_kind" {
  command = plan
  variables {
    api_id = "existing"
  }
  override_data {
    target = data.aws_apigatewayv2_api.existing
    values = { protocol_type = "WEBSOCKET" }
  }
  expect_failures = [data.aws_apigatewayv2_api.existing]
}

run "refuses_a_new_api_with_an_id" {
  command = plan
  variables {
    create_api = true
    api_id     = "existing"
  }
  expect_failures = [var.create_api]
}

run "refuses_no_api" {
  command = plan
  variables {
    create_api = false
  }
  expect_failures = [var.create_api]
}

run "refuses_id_and_name" {
  command = plan
  variables {
    api_id   = "existing"
    api_name = "theirs"
  }
  expect_failures = [var.api_name]
}

run "refuses_a_stage_that_a_route_begins_with" {
  command = plan
  variables {
    path_prefix = ""
    api_stage   = "tenants"
    routes      = [{ path = "tenants/crm", group = "crm", plugin = "p" }]
  }
  expect_failures = [var.api_stage]
}

run "refuses_a_deployment_of_a_new_api" {
  command = plan
  variables {
    create_deployment = true
  }
  expect_failures = [var.create_deployment]
}

run "refuses_a_new_domain_without_a_certificate" {
  command = plan
  variables {
    domain = { name = "hooks.example.com", create = true }
  }
  expect_failures = [var.domain]
}

run "refuses_an_access_log_of_an_existing_api" {
  command = plan
  variables {
    api_id            = "existing"
    create_access_log = true
  }
  expect_failures = [var.create_access_log]
}
