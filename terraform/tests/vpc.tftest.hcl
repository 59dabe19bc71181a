# The host in a VPC. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "http://sss.internal.example:8080", allow_private = true } }
}

run "with_groups_that_exist" {
  variables {
    vpc = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }
  assert {
    condition     = one(aws_lambda_function.host.vpc_config).security_group_ids == toset(["sg-1"])
    error_message = "The host has the groups."
  }
  assert {
    condition     = length(aws_security_group.host) + length(aws_vpc_endpoint.interface) + length(aws_vpc_endpoint.s3) + length(aws_security_group.endpoints) == 0
    error_message = "Nothing is made that was not asked for."
  }
}

run "with_what_it_needs" {
  variables {
    vpc = { id = "vpc-1", subnet_ids = ["subnet-1"], create_security_group = true, create_endpoints = true, route_table_ids = ["rtb-1"] }
  }
  assert {
    condition     = one(aws_lambda_function.host.vpc_config).security_group_ids == toset([aws_security_group.host[0].id]) && output.host_security_group_id == aws_security_group.host[0].id
    error_message = "The host has the new group, and targets can name it."
  }
  assert {
    condition = toset(concat([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name], aws_vpc_endpoint.s3[*].service_name)) == toset([
      "com.amazonaws.eu-west-1.sqs", "com.amazonaws.eu-west-1.secretsmanager", "com.amazonaws.eu-west-1.s3",
    ])
    error_message = "The host reaches SQS, Secrets Manager and S3."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled]) && aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-1"])
    error_message = "The usual names lead to the endpoints."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.0.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "Private DNS leads every client in the VPC to the endpoints."
  }
}

run "in_china" {
  variables {
    vpc = { id = "vpc-1", subnet_ids = ["subnet-1"], create_security_group = true, create_endpoints = true, route_table_ids = ["rtb-1"] }
  }
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", reverse_dns_prefix = "cn.com.amazonaws" }
  }
  override_data {
    target = data.aws_region.current
    values = { id = "cn-north-1" }
  }
  assert {
    condition = toset(concat([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name], aws_vpc_endpoint.s3[*].service_name)) == toset([
      "cn.com.amazonaws.cn-north-1.sqs", "cn.com.amazonaws.cn-north-1.secretsmanager", "com.amazonaws.cn-north-1.s3",
    ])
    error_message = "Services have other names there, except S3."
  }
}

run "refuses_no_group" {
  command = plan
  variables {
    vpc = { subnet_ids = ["subnet-1"] }
  }
  expect_failures = [var.vpc]
}

run "refuses_a_new_group_without_its_vpc" {
  command = plan
  variables {
    vpc = { subnet_ids = ["subnet-1"], create_security_group = true }
  }
  expect_failures = [var.vpc]
}

run "refuses_endpoints_without_a_route_to_s3" {
  command = plan
  variables {
    vpc = { id = "vpc-1", subnet_ids = ["subnet-1"], create_security_group = true, create_endpoints = true }
  }
  expect_failures = [var.vpc]
}
