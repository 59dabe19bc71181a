# New and existing buckets, and the keys in them. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"
  routes     = [{ path = "a", group = "a", plugin = "p" }]
  plugins    = { p = {} }
  targets    = { sss = { url = "https://sss.example.com" } }
}

run "a_new_bucket" {
  assert {
    condition     = aws_s3_object.config.key == "towpath.json" && output.registry_url == "s3://b/plugins" && jsondecode(aws_s3_object.config.content).holds.url == "s3://b/holds.json"
    error_message = "A bucket of its own needs no prefix."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this[0].rule : "${rule.id} ${join("", rule.noncurrent_version_expiration[*].noncurrent_days)}"] == ["AbortIncompleteUploads ", "ExpireReplacedVersions 90"]
    error_message = "Old versions expire, current objects never."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this[0].rule : length(rule.expiration) == 0])
    error_message = "No rule deletes what is current."
  }
}

run "versions_are_kept_on_request" {
  variables {
    bucket_noncurrent_days = null
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this[0].rule : rule.id] == ["AbortIncompleteUploads"]
    error_message = "Null keeps every version."
  }
}

run "a_key_of_the_bucket" {
  variables {
    bucket_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/bucket"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/bucket"
    error_message = "The bucket is encrypted with the key."
  }
}

run "an_existing_bucket" {
  variables {
    bucket     = "shared"
    key_prefix = "one/"
  }
  assert {
    condition     = length(aws_s3_bucket.this) + length(aws_s3_bucket_policy.this) + length(aws_s3_bucket_lifecycle_configuration.this) == 0
    error_message = "Nothing about an existing bucket is changed."
  }
  assert {
    condition     = output.config_url == "s3://shared/one/towpath.json" && output.registry_url == "s3://shared/one/plugins"
    error_message = "Config and registry are below the prefix."
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).holds.url == "s3://shared/one/holds.json" && jsondecode(aws_s3_object.config.content).registry.url == "s3://shared/one/plugins"
    error_message = "The host reads below the prefix."
  }
  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.pipeline.statement : statement.resources if startswith(statement.sid, "Read") || startswith(statement.sid, "Report")])) == toset([
      "arn:aws:s3:::shared/one/plugins/*", "arn:aws:s3:::shared/one/towpath.json", "arn:aws:s3:::shared/one/holds.json", "arn:aws:s3:::shared/one/holds.json.breakers/*",
    ])
    error_message = "The host may reach nothing of another deployment in the bucket."
  }
}

run "refuses_an_existing_bucket_without_a_prefix" {
  command = plan
  variables {
    bucket = "shared"
  }
  expect_failures = [var.key_prefix]
}

run "takes_an_empty_prefix_that_is_said" {
  command = plan
  variables {
    bucket     = "shared"
    key_prefix = ""
  }
}

run "refuses_a_prefix_without_its_slash" {
  command = plan
  variables {
    key_prefix = "one"
  }
  expect_failures = [var.key_prefix]
}

run "refuses_a_new_bucket_with_a_name" {
  command = plan
  variables {
    create_bucket = true
    bucket        = "shared"
  }
  expect_failures = [var.create_bucket]
}

run "refuses_no_bucket" {
  command = plan
  variables {
    create_bucket = false
    key_prefix    = "one/"
  }
  expect_failures = [var.create_bucket]
}
