# Who may read which secret, and what the config says about them. Nothing is created: the provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # Any file will do: nothing is uploaded.
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"

  routes = [
    { path = "a", group = "a/x", plugin = "p", verify = { scheme = "github", secrets = ["new", "old#key"] } },
    { path = "b", group = "b/x", plugin = "p", verify = { scheme = "stripe", secret = "stripe", tolerance = "1m", at = "pipeline" } },
  ]
  note_keys = ["notes"]
  plugins   = { p = { secrets = ["api"] } }
  targets = {
    sss = {
      url            = "https://sss.example.com"
      auth           = [{ scheme = "bearer", secret = "token" }, { scheme = "standard-webhooks", secrets = ["s1", "s2"] }]
      plugin_secrets = ["api"]
    }
    iam = { url = "https://iam.example.com", auth = [{ scheme = "aws-sigv4", service = "execute-api", region = "eu-west-1" }] }
  }
}

run "config" {
  assert {
    condition = jsondecode(aws_s3_object.config.content).route == [
      { path = "a", group = "a/x", plugin = "p", verify = { scheme = "github", secret = ["new", "old#key"] } },
      { path = "b", group = "b/x", plugin = "p", verify = { scheme = "stripe", secret = "stripe", tolerance = "1m", at = "pipeline" } },
    ]
    error_message = "Several secrets become a list, one stays a name."
  }
  assert {
    condition = jsondecode(aws_s3_object.config.content).target == {
      sss = { url = "https://sss.example.com", auth = [{ scheme = "bearer", secret = "token" }, { scheme = "standard-webhooks", secret = ["s1", "s2"] }], plugin_secrets = ["api"] }
      iam = { url = "https://iam.example.com", auth = [{ scheme = "aws-sigv4", service = "execute-api", region = "eu-west-1" }] }
    }
    error_message = "A target can have several auth schemes."
  }
}

run "secrets" {
  assert {
    condition     = toset(local.secret_names) == toset(["api", "new", "notes", "old", "s1", "s2", "stripe", "token"])
    error_message = "The host may read every secret that is named."
  }
  assert {
    condition     = toset(local.ingest_secret_names) == toset(["new", "notes", "old"])
    error_message = "The ingest function may read only the secrets that it verifies with, and the key that vouches for it."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.resources if statement.sid == "Secrets"]) == toset(["arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/new-??????", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/notes-??????", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/old-??????"])
    error_message = "The role of the ingest function allows exactly these secrets."
  }
}

run "nobody_writes_a_secret_by_default" {
  assert {
    condition     = !strcontains(jsonencode([data.aws_iam_policy_document.ingest[0].statement, data.aws_iam_policy_document.host.statement]), "PutSecretValue")
    error_message = "Without learned secrets no role may store one."
  }
}

run "the_ingest_function_stores_the_secrets_that_handshakes_bring_and_no_others" {
  variables {
    learned_secrets = ["asana"]
    routes = [
      { path = "asana", provider = "asana", plugin = "p" },
      { path = "b", group = "b/x", plugin = "p", verify = { scheme = "github", secret = "kept" }, answer = [{ when = { present = ["header:x-hook-secret"] }, keep = "header:x-hook-secret" }] },
      { path = "c", group = "c/x", plugin = "p", verify = { scheme = "github", secret = "other" } },
    ]
  }
  assert {
    condition = one([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.resources if contains(statement.actions, "secretsmanager:PutSecretValue")]) == toset([
      for name in ["asana", "asana-??????", "kept", "kept-??????"] : "arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/${name}"
    ])
    error_message = "The ingest function may store exactly the learned secrets."
  }
  assert {
    condition     = !strcontains(jsonencode(data.aws_iam_policy_document.host.statement), "PutSecretValue")
    error_message = "The host stores none."
  }
}

run "the_secrets_of_tenants_are_those_with_their_prefix" {
  variables {
    routes = [{ path = "tenants/{tenant}/crm", group = "crm/{path:tenant}", plugin = "p", verify = { scheme = "github", secret = "crm-{path:tenant}" } }]
  }
  assert {
    condition     = contains(local.ingest_secret_names, "crm-*") && contains(local.secret_names, "crm-*")
    error_message = "A value of the webhook stands for any text."
  }
  assert {
    # Without the six characters behind a name: IAM judges a name that no secret has as it is.
    condition     = contains(one([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.resources if statement.sid == "Secrets"]), "arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/crm-*")
    error_message = "The function may ask for any tenant."
  }
}

run "what_is_refused_has_a_queue_of_its_own" {
  assert {
    condition     = aws_sqs_queue.refused[0].fifo_queue && aws_sqs_queue.refused[0].message_retention_seconds == 86400
    error_message = "The queue keeps messages for a day."
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).queue.refused_url == aws_sqs_queue.refused[0].url
    error_message = "The config names the queue."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.resources if statement.sid == "KeepRefused"]) == toset([aws_sqs_queue.refused[0].arn])
    error_message = "The ingest function may send to the queue."
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).dead_letters.note_key == ["notes"]
    error_message = "The host and `dlq edit` name the same key."
  }
}

run "an_event_of_a_direct_route_that_verifies_takes_nobodys_place" {
  variables {
    routes = [{ path = "a", group = "a/x", plugin = "p", ingress = "direct", dedup = "json:/id", headers = ["X-Hub-Signature-256"], verify = { scheme = "github", secret = "s" } }]
  }
  assert {
    condition     = aws_apigatewayv2_integration.direct["a"].request_parameters.MessageDeduplicationId == "$context.requestId"
    error_message = "An unverified value must not be the deduplication id."
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).route[0].verify.at == "pipeline"
    error_message = "Only the pipeline verifies a direct route."
  }
  assert {
    condition     = length(aws_sqs_queue.refused) == 0
    error_message = "Without an ingest function there is no queue for unauthorized webhooks."
  }
}

run "an_ingest_that_verifies_nothing_reads_no_secret" {
  variables {
    routes = [{ path = "b", group = "b/x", plugin = "p", verify = { scheme = "stripe", secret = "stripe", at = "pipeline" } }]
  }
  assert {
    condition     = !contains([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.sid], "Secrets")
    error_message = "With at = \"pipeline\" it has nothing to verify with."
  }
}

run "policies_for_signed_targets" {
  variables {
    host_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
  assert {
    condition     = data.aws_iam_policy_document.pipeline.source_policy_documents == tolist(["{\"Version\":\"2012-10-17\",\"Statement\":[]}"])
    error_message = "What aws-sigv4 targets need is part of the host's policy."
  }
}

run "direct_routes_cannot_verify_at_ingest" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a/x", plugin = "p", ingress = "direct", verify = { scheme = "github", secret = "s", at = "ingest" } }]
  }
  expect_failures = [aws_apigatewayv2_integration.direct["a"]]
}

run "a_secret_or_several" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a/x", plugin = "p", verify = { scheme = "github", secret = "s", secrets = ["t"] } }]
  }
  expect_failures = [var.routes]
}
