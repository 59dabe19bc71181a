# The policies of the queues as AWS gets them. The provider is the real one, because only that merges documents. It calls nobody: a plan
# asks AWS only for the account, which is given here.
provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

override_resource {
  target          = aws_sqs_queue.this
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-1:123456789012:q.fifo", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo" }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-1:123456789012:d.fifo", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/d.fifo" }
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "a_topic_may_send_and_nobody_without_tls" {
  command = plan
  variables {
    source_queue_policy_documents = [jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "Topic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "*"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:eu-west-1:123456789012:t.fifo" } }
      }]
    })]
  }
  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.this["events"].policy).Statement : "${statement.Sid} ${statement.Effect}"] == [
      "Topic Allow", "TlsOnly Deny",
    ]
    error_message = "The policy has both statements."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.this["events"].policy).Statement[1].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "The module's statement is as it was."
  }
  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue_policy.this["dead_letters"].policy).Statement : statement.Sid] == ["TlsOnly"]
    error_message = "The dead-letter queue has not got what is for the queue."
  }
}
