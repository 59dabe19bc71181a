# Two deployments of one account do not get in each other's way. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }, { path = "d", group = "d", plugin = "p", ingress = "direct" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "what_belongs_to_the_account_has_the_region_in_its_name" {
  assert {
    condition = [aws_iam_role.host.name, aws_iam_role.ingest[0].name, aws_iam_role.api[0].name, aws_cloudwatch_dashboard.this[0].dashboard_name] == [
      "towpath-eu-west-1-host", "towpath-eu-west-1-ingest", "towpath-eu-west-1-api", "towpath-eu-west-1",
    ]
    error_message = "Roles and dashboards of two regions have different names."
  }
}

run "names_of_earlier_versions" {
  state_key = "earlier"
  variables {
    region_in_names = false
  }
  assert {
    condition     = [aws_iam_role.host.name, aws_iam_role.ingest[0].name, aws_iam_role.api[0].name, aws_cloudwatch_dashboard.this[0].dashboard_name] == ["towpath-host", "towpath-ingest", "towpath-api", "towpath"]
    error_message = "A deployment can keep its roles."
  }
}

run "a_deployment_keeps_its_roles_when_its_name_changes" {
  state_key = "earlier"
  variables {
    name = "renamed"
  }
  assert {
    condition     = aws_iam_role.host.name == "towpath-host" && aws_iam_role.api[0].name == "towpath-api" && aws_lambda_function.host.function_name == "renamed-host"
    error_message = "A new role works only after a while: what uses it would lose webhooks meanwhile."
  }
}

run "the_longest_name_fits" {
  state_key = "longest"
  variables {
    name = "abcdefghijklmnopqrstuvwxyz012345"
  }
  override_data {
    target = data.aws_region.current
    values = { id = "ap-southeast-1" }
  }
  assert {
    condition     = length(aws_iam_role.ingest[0].name) <= 64
    error_message = "A role's name has at most 64 characters."
  }
}
