# Code, size, environment and concurrency of the functions, and what pauses the host. The provider is a mock.
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

run "a_mapping_may_start_paused" {
  variables {
    start_paused = true
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.enabled == false
    error_message = "A new queue may fill before anything is delivered."
  }
}

run "a_pause_survives_an_apply" {
  variables {
    start_paused = false
    batch_size   = 5
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.enabled == false && aws_lambda_event_source_mapping.host.batch_size == 5
    error_message = "Only `towpath resume` ends a pause."
  }
}

run "both_functions_have_the_environment_and_tracing" {
  variables {
    environment  = { OTEL_EXPORTER_OTLP_ENDPOINT = "https://collector.example.com" }
    tracing_mode = "Active"
  }
  assert {
    condition = alltrue([for function in [aws_lambda_function.host, aws_lambda_function.ingest[0]] :
      function.environment[0].variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector.example.com"
      && function.environment[0].variables["TOWPATH_LOG"] == "info"
      && function.tracing_config[0].mode == "Active"
    ])
    error_message = "The functions have what was given, beside their own."
  }
  assert {
    condition     = alltrue([for document in [data.aws_iam_policy_document.host, data.aws_iam_policy_document.ingest[0]] : contains(flatten([for statement in document.statement : statement.actions]), "xray:PutTraceSegments")])
    error_message = "Who traces may send what it traced."
  }
}

run "functions_write_metrics_by_default" {
  assert {
    condition = alltrue([for function in [aws_lambda_function.host, aws_lambda_function.ingest[0]] :
      !contains(keys(function.environment[0].variables), "TOWPATH_EMF")
    ])
    error_message = "A deployment that sets nothing keeps its environment."
  }
}

run "without_emf_neither_function_writes_metrics" {
  variables {
    emf         = false
    environment = { OTEL_EXPORTER_OTLP_ENDPOINT = "https://collector.example.com" }
  }
  assert {
    condition = alltrue([for function in [aws_lambda_function.host, aws_lambda_function.ingest[0]] :
      function.environment[0].variables["TOWPATH_EMF"] == "off"
      && function.environment[0].variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector.example.com"
      && function.environment[0].variables["TOWPATH_LOG"] == "info"
    ])
    error_message = "Both functions are told, and keep the rest of their environment."
  }
}

run "refuses_emf_in_the_environment" {
  command = plan
  variables {
    environment = { TOWPATH_EMF = "on" }
  }
  expect_failures = [var.environment]
}

run "defaults_that_fit_an_account_of_ten" {
  assert {
    condition     = aws_lambda_event_source_mapping.host.scaling_config[0].maximum_concurrency <= 5 && aws_lambda_function.host.reserved_concurrent_executions == -1 && aws_lambda_function.ingest[0].reserved_concurrent_executions == -1
    error_message = "The host leaves half to the ingest function, and nothing is reserved."
  }
  assert {
    condition     = aws_lambda_function.ingest[0].timeout > 3 + 3 * 5 + 3 && aws_lambda_function.ingest[0].timeout < 30
    error_message = "Ingest has time for its attempts and the 503, and answers before API Gateway gives up."
  }
}

run "ingest_on_request" {
  variables {
    ingest_memory               = 512
    ingest_timeout              = 28
    ingest_reserved_concurrency = 20
  }
  assert {
    condition     = aws_lambda_function.ingest[0].memory_size == 512 && aws_lambda_function.ingest[0].timeout == 28 && aws_lambda_function.ingest[0].reserved_concurrent_executions == 20
    error_message = "The ingest function is as it was asked for."
  }
}

run "code_from_a_bucket" {
  variables {
    host_zip   = null
    ingest_zip = null
    host_s3    = { bucket = "builds", key = "host.zip", version = "v1" }
    ingest_s3  = { bucket = "builds", key = "ingest.zip" }
  }
  assert {
    condition     = aws_lambda_function.host.s3_bucket == "builds" && aws_lambda_function.host.s3_object_version == "v1" && aws_lambda_function.host.filename == null
    error_message = "The host's code is the version in the bucket."
  }
  assert {
    condition     = aws_lambda_function.ingest[0].s3_key == "ingest.zip"
    error_message = "So is that of the ingest function."
  }
}

run "refuses_two_places_of_code" {
  command = plan
  variables {
    host_s3 = { bucket = "builds", key = "host.zip" }
  }
  expect_failures = [var.host_zip]
}

run "refuses_no_code" {
  command = plan
  variables {
    host_zip   = null
    ingest_zip = null
  }
  expect_failures = [var.host_zip, var.ingest_zip]
}

run "refuses_our_names_in_the_environment" {
  command = plan
  variables {
    environment = { TOWPATH_SECRET_SSS = "x" }
  }
  expect_failures = [var.environment]
}

run "refuses_an_ingest_timeout_that_cuts_off_its_attempts" {
  command = plan
  variables {
    ingest_timeout = 15
  }
  expect_failures = [var.ingest_timeout]
}

run "refuses_a_concurrency_that_refuses_every_webhook" {
  command = plan
  variables {
    ingest_reserved_concurrency = 0
  }
  expect_failures = [var.ingest_reserved_concurrency]
}

run "refuses_another_tracing_mode" {
  command = plan
  variables {
    tracing_mode = "active"
  }
  expect_failures = [var.tracing_mode]
}
