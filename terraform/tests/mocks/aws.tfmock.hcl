# What the mock of the provider returns: an account in eu-west-1. Shared by all test files.

mock_data "aws_iam_policy_document" {
  defaults = { json = "{\"Statement\":[]}" }
}
mock_data "aws_region" {
  defaults = { id = "eu-west-1", name = "eu-west-1" }
}
mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}
mock_data "aws_partition" {
  defaults = { partition = "aws", reverse_dns_prefix = "com.amazonaws" }
}
mock_data "aws_vpc" {
  defaults = { cidr_block = "10.0.0.0/16" }
}
mock_data "aws_apigatewayv2_apis" {
  defaults = { ids = ["named"] }
}
mock_data "aws_apigatewayv2_api" {
  defaults = {
    protocol_type = "HTTP"
    api_endpoint  = "https://existing.example.com"
    execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:existing"
  }
}
mock_resource "aws_apigatewayv2_api" {
  defaults = { api_endpoint = "https://new.example.com", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:new" }
}
mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:q.fifo", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo" }
}
mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/f/invocations"
  }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/r" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:g" }
}
mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::b", bucket = "b" }
}
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/k" }
}
mock_resource "aws_acm_certificate" {
  defaults = { arn = "arn:aws:acm:eu-west-1:123456789012:certificate/c" }
}
mock_resource "aws_route53_zone" {
  defaults = { zone_id = "Z0123456789ABCDEFGHIJ" }
}
mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:t" }
}
