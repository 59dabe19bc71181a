# Names, times, sizes and policies of the queues. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p", verify = { scheme = "github", secret = "s" } }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "queues_are_named_when_they_are_made" {
  variables {
    queue_name             = "theirs.fifo"
    dead_letter_queue_name = "theirs-dlq.fifo"
  }
  assert {
    condition     = aws_sqs_queue.this.name == "theirs.fifo" && aws_sqs_queue.dead_letters.name == "theirs-dlq.fifo"
    error_message = "The queues have the names of a hand-written set-up."
  }
}

run "and_keep_their_names_and_events" {
  variables {
    name = "renamed"
  }
  assert {
    condition     = aws_sqs_queue.this.name == "theirs.fifo" && aws_sqs_queue.dead_letters.name == "theirs-dlq.fifo" && aws_sqs_queue.refused[0].name == "towpath-refused.fifo"
    error_message = "A queue with another name would be an empty one."
  }
  assert {
    condition     = aws_lambda_function.host.function_name == "renamed-host" && aws_cloudwatch_metric_alarm.this["oldest-message"].dimensions["QueueName"] == "theirs.fifo"
    error_message = "Everything else is renamed, and watches the queue by its name."
  }
}

run "times_of_a_hand_written_set_up" {
  variables {
    dead_letter_retention_seconds = 345600
    message_retention_seconds     = 604800
  }
  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds == 345600 && aws_sqs_queue.this.message_retention_seconds == 604800
    error_message = "Retention is given in seconds, as AWS and hand-written modules do."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters-left"].period * aws_cloudwatch_metric_alarm.this["dead-letters-left"].evaluation_periods == 2 * 86400
    error_message = "The alarm comes when half of the time is over."
  }
}

run "a_max_age_that_fits" {
  command = plan
  variables {
    message_retention_seconds = 1209600
    routes                    = [{ path = "a", group = "a", plugin = "p", max_age = "12days 23h 59m" }, { path = "b", group = "b", plugin = "p", max_age = "90s" }]
  }
}

run "refuses_a_max_age_that_the_queue_does_not_keep" {
  command = plan
  variables {
    message_retention_seconds = 604800
    routes                    = [{ path = "a", group = "a", plugin = "p", max_age = "6d 13h" }]
  }
  expect_failures = [var.message_retention_seconds]
}

run "refuses_the_default_max_age_in_a_queue_of_three_days" {
  command = plan
  variables {
    message_retention_seconds = 259200
  }
  expect_failures = [var.message_retention_seconds]
}

run "refuses_a_short_retention_of_dead_letters" {
  command = plan
  variables {
    dead_letter_retention_seconds = 345599
  }
  expect_failures = [var.dead_letter_retention_seconds]
}

run "sizes_that_are_said" {
  variables {
    max_message_size             = 131072
    dead_letter_max_message_size = 200000
  }
  assert {
    condition     = aws_sqs_queue.dead_letters.max_message_size == 200000 && aws_sqs_queue.refused[0].max_message_size == 200000
    error_message = "The dead-letter queue has the size that was given."
  }
}

run "refuses_a_dead_letter_queue_that_takes_less" {
  command = plan
  variables {
    dead_letter_max_message_size = 131072
  }
  expect_failures = [var.dead_letter_max_message_size]
}

run "refuses_a_queue_name_without_fifo" {
  command = plan
  variables {
    queue_name = "theirs"
  }
  expect_failures = [var.queue_name]
}

run "tls_only" {
  assert {
    condition = { for name, document in data.aws_iam_policy_document.queue : name => [one(document.statement).effect, one(one(document.statement).condition).variable] } == {
      for name in ["dead_letters", "events", "refused"] : name => ["Deny", "aws:SecureTransport"]
    }
    error_message = "All queues deny requests without TLS."
  }
  assert {
    condition     = toset(keys(aws_sqs_queue_policy.this)) == toset(["dead_letters", "events", "refused"])
    error_message = "All queues have the policy."
  }
}

run "without_a_policy_on_request" {
  variables {
    queue_tls_only = false
  }
  assert {
    condition     = length(aws_sqs_queue_policy.this) == 0
    error_message = "Somebody else may set the policies."
  }
}

run "statements_of_others_join_the_policies" {
  variables {
    source_queue_policy_documents             = ["{\"Statement\":[{\"Sid\":\"Topic\"}]}"]
    source_dead_letter_queue_policy_documents = ["{\"Statement\":{\"Sid\":\"Audit\"}}", "{\"Statement\":[]}"]
  }
  assert {
    condition = { for name, document in data.aws_iam_policy_document.queue : name => jsonencode(coalesce(document.source_policy_documents, [])) } == {
      events       = jsonencode(var.source_queue_policy_documents)
      dead_letters = jsonencode(var.source_dead_letter_queue_policy_documents)
      refused      = "[]"
    }
    error_message = "Each queue gets its own documents."
  }
  assert {
    condition     = alltrue([for document in data.aws_iam_policy_document.queue : one(document.statement).sid == "TlsOnly" && one(document.statement).effect == "Deny"])
    error_message = "All queues still deny requests without TLS."
  }
}

run "statements_of_others_without_ours" {
  variables {
    queue_tls_only                = false
    source_queue_policy_documents = ["{\"Statement\":[]}"]
  }
  assert {
    condition     = keys(aws_sqs_queue_policy.this) == ["events"] && length(data.aws_iam_policy_document.queue["events"].statement) == 0
    error_message = "Only the queue with documents has a policy, and it is theirs."
  }
}

run "refuses_a_document_that_would_lose_its_statement_to_ours" {
  command = plan
  variables {
    source_queue_policy_documents             = ["{\"Statement\":[{\"Sid\":\"TlsOnly\",\"Effect\":\"Allow\"}]}"]
    source_dead_letter_queue_policy_documents = ["{\"Statement\":{\"Sid\":\"TlsOnly\",\"Effect\":\"Allow\"}}"]
  }
  expect_failures = [var.source_queue_policy_documents, var.source_dead_letter_queue_policy_documents]
}

run "refuses_what_is_no_policy_document" {
  command = plan
  variables {
    source_queue_policy_documents             = ["no JSON"]
    source_dead_letter_queue_policy_documents = ["{}"]
  }
  expect_failures = [var.source_queue_policy_documents, var.source_dead_letter_queue_policy_documents]
}

run "a_key_of_the_queues" {
  variables {
    queue_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/queue"
    routes            = [{ path = "a", group = "a", plugin = "p" }, { path = "d", group = "d", plugin = "p", ingress = "direct" }]
  }
  assert {
    condition     = aws_sqs_queue.this.kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/queue" && aws_sqs_queue.dead_letters.kms_master_key_id == aws_sqs_queue.this.kms_master_key_id
    error_message = "The queues are encrypted with the key."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.pipeline, data.aws_iam_policy_document.ingest[0], data.aws_iam_policy_document.api[0]] :
      contains([for statement in document.statement : "${join(" ", sort(statement.actions))} ${join(" ", statement.resources)}"], "kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:123456789012:key/queue")
    ])
    error_message = "Who sends or receives may use the key."
  }
  assert {
    condition     = length(aws_iam_role_policy.queue_keys) == 0 && aws_iam_role_policies_exclusive.host[0].policy_names == toset(["host"])
    error_message = "One key needs no second policy."
  }
}

run "the_next_key_is_granted_before_the_queues_use_it" {
  variables {
    queue_kms_additional_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/next"]
    routes                        = [{ path = "a", group = "a", plugin = "p" }, { path = "d", group = "d", plugin = "p", ingress = "direct" }]
  }
  assert {
    condition     = aws_sqs_queue.this.kms_master_key_id == null && aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "The queues stay as they are."
  }
  assert {
    condition = { for room, policy in aws_iam_role_policy.queue_keys : room => policy.role } == {
      host = aws_iam_role.host.name, ingest = aws_iam_role.ingest[0].name, api = aws_iam_role.api[0].name,
    }
    error_message = "Everybody who sends or receives may use the key."
  }
  assert {
    condition = [
      for policies in [aws_iam_role_policies_exclusive.host[0], aws_iam_role_policies_exclusive.ingest[0], aws_iam_role_policies_exclusive.api[0]] : join(" ", sort(policies.policy_names))
    ] == ["host queue-keys", "ingest queue-keys", "api queue-keys"]
    error_message = "Only others' policies are removed from the roles."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.queue_keys[0], data.aws_iam_policy_document.operator, data.aws_iam_policy_document.poll] :
      contains([for statement in document.statement : "${join(" ", sort(statement.actions))} ${join(" ", statement.resources)}"], "kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:123456789012:key/next")
    ])
    error_message = "So may operators and `towpath poll`."
  }
}

run "the_previous_key_is_kept_when_the_queues_have_another" {
  variables {
    queue_kms_key_arn             = "arn:aws:kms:eu-west-1:123456789012:key/now"
    queue_kms_additional_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/before"]
  }
  assert {
    condition     = aws_sqs_queue.this.kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/now"
    error_message = "The queues use one key."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.queue_keys[0], data.aws_iam_policy_document.operator] :
      one([for statement in document.statement : join(" ", sort(statement.resources)) if contains(statement.actions, "kms:GenerateDataKey")])
      == "arn:aws:kms:eu-west-1:123456789012:key/before arn:aws:kms:eu-west-1:123456789012:key/now"
    ])
    error_message = "Both may be used, even if the list no longer has the queues' own."
  }
}

run "refuses_an_alias_among_further_keys" {
  command = plan
  variables {
    queue_kms_additional_key_arns = ["alias/next"]
  }
  expect_failures = [var.queue_kms_additional_key_arns]
}
