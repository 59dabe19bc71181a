# What people and pipelines may do, in every partition. The provider is a mock; tests/aws tries the policies against moto.
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

run "a_publisher_writes_to_the_registry_only" {
  assert {
    condition     = [for statement in data.aws_iam_policy_document.publisher.statement : tolist(statement.resources) if contains(statement.actions, "s3:PutObject")] == [tolist(["arn:aws:s3:::b/plugins/*"])]
    error_message = "A publisher cannot change config or holds."
  }
}

run "a_release_writes_holds_only" {
  assert {
    condition     = [for statement in data.aws_iam_policy_document.release.statement : tolist(statement.resources) if contains(statement.actions, "s3:PutObject")] == [tolist(["arn:aws:s3:::b/holds.json"])]
    error_message = "A release cannot publish plugins."
  }
}

run "operators_read_no_secret_but_the_note_keys" {
  assert {
    condition     = [for statement in data.aws_iam_policy_document.operator.statement : tolist(statement.resources) if contains(statement.actions, "secretsmanager:GetSecretValue")] == [tolist(["arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/notes-??????"])]
    error_message = "The token of a target is no business of operators."
  }
  assert {
    condition     = toset(flatten([for statement in data.aws_iam_policy_document.operator.statement : statement.actions if contains(statement.resources, "*")])) == toset(["cloudwatch:DescribeAlarms", "lambda:ListEventSourceMappings"])
    error_message = "Only what has no resource is allowed on all."
  }
}

run "poll_may_do_what_the_host_does" {
  assert {
    condition     = data.aws_iam_policy_document.poll.source_policy_documents == tolist([data.aws_iam_policy_document.pipeline.json]) && data.aws_iam_policy_document.host.source_policy_documents == tolist([data.aws_iam_policy_document.pipeline.json])
    error_message = "The pipeline has one policy, wherever it runs."
  }
}

run "who_may_miss_an_object_may_list_its_prefix_and_no_more" {
  assert {
    condition = alltrue(flatten([
      for document in [data.aws_iam_policy_document.pipeline, data.aws_iam_policy_document.publisher, data.aws_iam_policy_document.release, data.aws_iam_policy_document.operator] : [
        for statement in document.statement : [
          for condition in statement.condition :
          condition.test == "StringLikeIfExists" && condition.variable == "s3:prefix" && alltrue([for prefix in condition.values : can(regex("^(plugins/\\*|holds.json\\*|towpath.json)$", prefix))])
        ] if contains(statement.actions, "s3:ListBucket")
      ]
    ]))
    error_message = "ListBucket is limited to the keys of the deployment."
  }
  assert {
    condition     = alltrue([for document in [data.aws_iam_policy_document.pipeline, data.aws_iam_policy_document.publisher, data.aws_iam_policy_document.release] : length([for statement in document.statement : 1 if contains(statement.actions, "s3:ListBucket") && length(statement.condition) == 1]) == 1])
    error_message = "Without ListBucket S3 answers \"forbidden\" for a missing object."
  }
}
