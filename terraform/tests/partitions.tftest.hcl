# Another partition than "aws": GovCloud here, China likewise. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p", verify = { scheme = "github", secret = "s" } }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com", auth = [{ scheme = "bearer", secret = "token" }] } }
  note_keys  = ["notes#key"]
}

run "every_arn_has_the_partition" {
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov", reverse_dns_prefix = "com.amazonaws" }
  }
  override_resource {
    target = aws_sqs_queue.this
    values = { arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q.fifo" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letters
    values = { arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:d.fifo" }
  }
  override_resource {
    target = aws_sqs_queue.refused
    values = { arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:r.fifo" }
  }
  override_resource {
    target = aws_lambda_function.host
    values = { arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f" }
  }
  override_resource {
    target = aws_cloudwatch_log_group.host
    values = { arn = "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:g" }
  }
  override_resource {
    target = aws_cloudwatch_log_group.ingest
    values = { arn = "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:i" }
  }
  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.pipeline, data.aws_iam_policy_document.host, data.aws_iam_policy_document.ingest[0], data.aws_iam_policy_document.publisher,
        data.aws_iam_policy_document.release, data.aws_iam_policy_document.operator, data.aws_iam_policy_document.queue["events"],
      ] : [for statement in document.statement : [for resource in statement.resources : resource == "*" || startswith(resource, "arn:aws-us-gov:")]]
    ]))
    error_message = "An ARN of another partition allows nothing."
  }
}
