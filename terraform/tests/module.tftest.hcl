# The settings that the host relies on. A change that breaks one must fail here.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # Any file works: nothing is uploaded.
  host_zip   = "versions.tf"
  ingest_zip = "versions.tf"

  routes = [
    { path = "approval", group = "approval/{json:/workflow/id}", plugin = "approval", dedup = "header:x-event-id", verify = { scheme = "hmac-sha256", header = "x-signature", secret = "hook" } },
    { path = "stripe", group = "stripe/{header:x-shop}-{json:/account/id}", plugin = "stripe", dedup = "json:/data/id", ingress = "direct", headers = ["Stripe-Signature", "X-Shop"] },
  ]
  plugins = { approval = { config = "{\"team\":\"west\"}", secrets = ["api#key"] }, stripe = {} }
  targets = { sss = { url = "https://sss.example.com", auth = [{ scheme = "bearer", secret = "token" }] } }
}

run "queue" {
  assert {
    condition     = aws_sqs_queue.this.fifo_queue && endswith(aws_sqs_queue.this.name, ".fifo")
    error_message = "The queue is FIFO."
  }
  assert {
    condition     = aws_sqs_queue.this.deduplication_scope == "messageGroup" && aws_sqs_queue.this.fifo_throughput_limit == "perMessageGroupId"
    error_message = "Deduplication and throughput are per group."
  }
  assert {
    condition     = aws_sqs_queue.this.content_based_deduplication == false
    error_message = "Deduplication ids are explicit."
  }
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 6 * aws_lambda_function.host.timeout
    error_message = "The visibility timeout is six times the function's."
  }
  assert {
    condition     = aws_sqs_queue.this.message_retention_seconds == 1209600
    error_message = "Messages are kept for 14 days."
  }
  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "Both queues are encrypted by SQS."
  }
}

run "dead_letters" {
  assert {
    condition     = aws_sqs_queue.dead_letters.fifo_queue && aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "The dead-letter queue is FIFO and keeps letters for 14 days."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_policy.this.redrive_policy).maxReceiveCount == 1000
    error_message = "The queue's own redrive is a backstop."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_policy.this.redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead_letters.arn
    error_message = "The queue's own redrive goes to the dead-letter queue."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.this.redrive_allow_policy).redrivePermission == "byQueue"
    error_message = "Only the queue may use the dead-letter queue."
  }
}

run "mapping" {
  assert {
    condition     = aws_lambda_event_source_mapping.host.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "Partial batch responses cannot be switched off."
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.host.filter_criteria) == 0
    error_message = "There is no filter, because it deletes what it does not match."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.maximum_batching_window_in_seconds == null
    error_message = "There is no batching window, because FIFO queues do not support one."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.batch_size == 10 && aws_lambda_event_source_mapping.host.enabled
    error_message = "Batches have ten messages, and the mapping is on."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.scaling_config[0].maximum_concurrency == 5
    error_message = "Concurrency is limited by the mapping."
  }
}

run "host" {
  assert {
    condition     = aws_lambda_function.host.runtime == "provided.al2023" && aws_lambda_function.host.architectures == tolist(["arm64"])
    error_message = "The host runs on provided.al2023, arm64."
  }
  assert {
    condition     = length([for name in keys(aws_lambda_function.host.environment[0].variables) : name if strcontains(name, "SECRET")]) == 0
    error_message = "No secret is in the environment."
  }
  assert {
    condition     = aws_lambda_function.host.environment[0].variables["TOWPATH_CONFIG_SHA256"] == sha256(aws_s3_object.config.content)
    error_message = "A change of the config restarts the function."
  }
  assert {
    condition     = aws_cloudwatch_log_group.host.retention_in_days == 30 && aws_cloudwatch_log_group.ingest[0].retention_in_days == 30
    error_message = "Logs are kept for 30 days."
  }
}

run "roles" {
  assert {
    condition = { for statement in data.aws_iam_policy_document.pipeline.statement : statement.sid => sort(statement.actions) } == {
      Queue                     = tolist(["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"])
      DeadLetters               = tolist(["sqs:SendMessage"])
      ReadPluginsConfigAndHolds = tolist(["s3:GetObject"])
      TellMissingFromForbidden  = tolist(["s3:ListBucket"])
      ReportBreakers            = tolist(["s3:PutObject"])
      Secrets                   = tolist(["secretsmanager:GetSecretValue"])
    }
    error_message = "A pipeline may do what it needs and nothing else."
  }
  assert {
    condition     = { for statement in data.aws_iam_policy_document.host.statement : statement.sid => sort(statement.actions) } == { Log = tolist(["logs:CreateLogStream", "logs:PutLogEvents"]) }
    error_message = "On Lambda a pipeline writes its log, and may do nothing else."
  }
  assert {
    condition     = !contains(flatten([for statement in concat(data.aws_iam_policy_document.pipeline.statement, data.aws_iam_policy_document.host.statement) : statement.resources]), "*")
    error_message = "No action is allowed on every resource."
  }
  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.pipeline.statement : statement.resources if statement.sid == "Secrets"])) == toset([
      for name in ["api", "hook", "token"] : "arn:aws:secretsmanager:eu-west-1:123456789012:secret:towpath/${name}-??????"
    ])
    error_message = "The host reads the secrets that the config names."
  }
  assert {
    condition     = toset(flatten([for statement in data.aws_iam_policy_document.ingest[0].statement : statement.actions])) == toset(["sqs:SendMessage", "sqs:GetQueueAttributes", "secretsmanager:GetSecretValue", "s3:GetObject", "logs:CreateLogStream", "logs:PutLogEvents"])
    error_message = "The ingest function stores, verifies, and reads its config."
  }
  assert {
    condition     = length(aws_iam_role_policies_exclusive.host) == 1 && length(aws_iam_role_policy_attachments_exclusive.host[0].policy_arns) == 0
    error_message = "The roles have no other policies."
  }
}

run "api" {
  assert {
    condition     = aws_apigatewayv2_route.ingest["approval"].route_key == "POST /hooks/approval" && aws_apigatewayv2_route.direct["stripe"].route_key == "POST /hooks/stripe"
    error_message = "Every route has its path."
  }
  assert {
    condition     = aws_apigatewayv2_integration.ingest[0].payload_format_version == "2.0"
    error_message = "The ingest function reads payloads of version 2.0."
  }
  assert {
    condition = aws_apigatewayv2_integration.direct["stripe"].request_parameters == tomap({
      QueueUrl               = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo"
      MessageBody            = "$request.body"
      MessageGroupId         = "stripe/$${request.header.x-shop}-$${request.body.account.id}"
      MessageDeduplicationId = "$request.body.data.id"
      MessageAttributes      = "{\"stripe-signature\":{\"DataType\":\"String\",\"StringValue\":\"$${request.header.Stripe-Signature}\"},\"x-shop\":{\"DataType\":\"String\",\"StringValue\":\"$${request.header.X-Shop}\"}}"
    })
    error_message = "The direct integration maps body, group, deduplication id and headers."
  }
  assert {
    condition     = aws_apigatewayv2_integration.direct["stripe"].integration_subtype == "SQS-SendMessage"
    error_message = "The direct integration needs no code."
  }
  assert {
    condition     = output.hook_urls["stripe"] == "${aws_apigatewayv2_api.this[0].api_endpoint}/hooks/stripe"
    error_message = "The output has the URL to post to."
  }
}

run "config" {
  assert {
    condition = jsondecode(aws_s3_object.config.content) == {
      queue = {
        url             = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo"
        dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo"
        refused_url     = "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo"
      }
      dead_letters = {}
      ingest       = { prefix = "/hooks", body_limit = 172032 }
      holds        = { url = "s3://b/holds.json" }
      secrets      = { prefix = "towpath/" }
      registry     = { url = "s3://b/plugins" }
      route = [
        { path = "approval", group = "approval/{json:/workflow/id}", plugin = "approval", dedup = "header:x-event-id", verify = { scheme = "hmac-sha256", header = "x-signature", secret = "hook" } },
        { path = "stripe", group = "stripe/{header:x-shop}-{json:/account/id}", plugin = "stripe", dedup = "json:/data/id", ingress = "direct" },
      ]
      plugin = { approval = { config = { team = "west" }, secrets = ["api#key"] }, stripe = {} }
      target = { sss = { url = "https://sss.example.com", auth = [{ scheme = "bearer", secret = "token" }] } }
    }
    error_message = "The config has the values of the variables, without nulls."
  }
}

run "forward" {
  variables {
    routes  = [{ path = "crm", group = "crm/{json:/id}", target = "sss", forward = { method = "PUT", headers = { x-source = "{header:x-event}" } } }]
    plugins = {}
    targets = { sss = { url = "https://sss.example.com", headers = { x-api-version = "3" } } }
  }

  assert {
    condition = jsondecode(aws_s3_object.config.content).route == [
      { path = "crm", group = "crm/{json:/id}", target = "sss", forward = { method = "PUT", headers = { x-source = "{header:x-event}" } } },
    ]
    error_message = "A route without a plugin has its target."
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).target == { sss = { url = "https://sss.example.com", headers = { x-api-version = "3" } } }
    error_message = "The target has its headers."
  }
}

run "plugin_and_target" {
  command = plan
  variables {
    routes = [{ path = "crm", group = "crm/{json:/id}", plugin = "approval", target = "sss" }]
  }
  expect_failures = [var.routes]
}

run "bucket" {
  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "The bucket is versioned."
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.this[0].block_public_acls && aws_s3_bucket_public_access_block.this[0].block_public_policy && aws_s3_bucket_public_access_block.this[0].ignore_public_acls && aws_s3_bucket_public_access_block.this[0].restrict_public_buckets
    error_message = "The bucket is private."
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_server_side_encryption_configuration.this[0].rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm]) == "AES256"
    error_message = "The bucket is encrypted."
  }
}

run "alarms" {
  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) : alarm.treat_missing_data == "notBreaching"])
    error_message = "Missing data is not an alarm."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters"].threshold == 0 && aws_cloudwatch_metric_alarm.this["dead-letters"].metric_name == "ApproximateNumberOfMessagesVisible"
    error_message = "One dead letter is an alarm."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["oldest-message"].metric_name == "ApproximateAgeOfOldestMessage" && aws_cloudwatch_metric_alarm.this["oldest-message"].threshold == 900
    error_message = "An old message is an alarm."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters-left"].metric_name == "ApproximateNumberOfMessagesVisible" && aws_cloudwatch_metric_alarm.this["dead-letters-left"].period * aws_cloudwatch_metric_alarm.this["dead-letters-left"].evaluation_periods == 7 * 86400 && aws_cloudwatch_metric_alarm.this["dead-letters-left"].dimensions["QueueName"] == aws_sqs_queue.dead_letters.name
    error_message = "Dead letters are an alarm before SQS deletes them."
  }
  assert {
    condition     = toset([for alarm in values(aws_cloudwatch_metric_alarm.this) : "${alarm.metric_name} ${alarm.dimensions["FunctionName"]}" if alarm.namespace == "AWS/Lambda"]) == toset(["Errors towpath-host", "Throttles towpath-host", "Errors towpath-ingest", "Throttles towpath-ingest"])
    error_message = "Errors and throttles of both functions are alarms."
  }
}

run "alarms_of_the_host" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters-not-stored"].namespace == "Towpath" && aws_cloudwatch_metric_alarm.this["dead-letters-not-stored"].dimensions["service"] == aws_lambda_function.host.function_name
    error_message = "Dead letters that cannot be stored are an alarm, by the metric that the host writes."
  }
}

run "dashboard" {
  assert {
    condition     = alltrue([for title in ["Messages in the queue", "Dead letters in the queue", "Dead letters by reason, route and build", "Messages by outcome, per minute", "Groups held by target"] : contains([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.properties.title], title)])
    error_message = "The dashboard shows waiting messages, and dead letters with their reasons."
  }
}

run "hand_written_values" {
  variables {
    api_id                        = "existing"
    ingest_zip                    = null
    path_prefix                   = ""
    routes                        = [{ path = "sqs-hook", group = "sss", plugin = "approval", ingress = "direct" }]
    plugins                       = { approval = {} }
    targets                       = { sss = { url = "https://sss.example.com" } }
    content_based_deduplication   = true
    batch_size                    = 1
    maximum_concurrency           = 2
    reserved_concurrency          = 2
    timeout                       = 30
    visibility_timeout            = 300
    dead_letter_retention_seconds = 345600
    max_receive_count             = 500
    deduplication_scope           = "queue"
  }

  assert {
    condition     = aws_apigatewayv2_route.direct["sqs-hook"].route_key == "POST /sqs-hook" && aws_apigatewayv2_route.direct["sqs-hook"].api_id == "existing"
    error_message = "An existing API gets the route."
  }
  assert {
    condition     = length(aws_apigatewayv2_api.this) == 0 && length(aws_lambda_function.ingest) == 0
    error_message = "Nothing is created that is not needed."
  }
  assert {
    condition     = !contains(keys(aws_apigatewayv2_integration.direct["sqs-hook"].request_parameters), "MessageDeduplicationId") && aws_sqs_queue.this.content_based_deduplication
    error_message = "Content-based deduplication takes no id."
  }
  assert {
    condition     = aws_sqs_queue.this.fifo_throughput_limit == "perQueue" && aws_sqs_queue.this.visibility_timeout_seconds == 300 && aws_sqs_queue.dead_letters.message_retention_seconds == 345600
    error_message = "The queues are as they were."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.host.batch_size == 1 && aws_lambda_event_source_mapping.host.scaling_config[0].maximum_concurrency == 2
    error_message = "The mapping is as it was."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_policy.this.redrive_policy).maxReceiveCount == 500 && aws_lambda_function.host.reserved_concurrent_executions == 2
    error_message = "Receives and concurrency are as they were."
  }
  assert {
    condition     = !contains([for statement in data.aws_iam_policy_document.pipeline.statement : statement.sid], "Secrets")
    error_message = "A config without secrets may read none."
  }
}

run "without_a_deduplication_id_every_post_is_its_own_message" {
  variables {
    routes = [{ path = "a", group = "a", plugin = "approval", ingress = "direct" }]
  }

  assert {
    condition     = aws_apigatewayv2_integration.direct["a"].request_parameters["MessageDeduplicationId"] == "$context.requestId"
    error_message = "The request's id is the deduplication id."
  }
}

run "messages_of_another_size" {
  variables {
    max_message_size = 131072
  }

  assert {
    condition     = aws_sqs_queue.this.max_message_size == 131072 && jsondecode(aws_s3_object.config.content).ingest.body_limit == 73728
    error_message = "A body that ingest accepts fits into a message."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.max_message_size == 262144
    error_message = "A dead letter is its message plus the reason: its queue takes no less."
  }
}

run "extends_messages_where_the_visibility_timeout_is_the_functions" {
  variables {
    timeout            = 30
    visibility_timeout = 30
  }

  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 30 && jsondecode(aws_s3_object.config.content).queue.extend_visibility
    error_message = "An invocation must extend messages that could return before it ends."
  }
}

run "does_not_extend_messages_by_default" {
  assert {
    condition     = !contains(keys(jsondecode(aws_s3_object.config.content).queue), "extend_visibility")
    error_message = "Six times the timeout needs no request for each batch."
  }
}

run "refuses_a_visibility_timeout_that_lambda_refuses" {
  command = plan
  variables {
    timeout            = 30
    visibility_timeout = 29
  }
  expect_failures = [var.visibility_timeout]
}

run "refuses_less_concurrency_than_the_mapping_has" {
  command = plan
  variables {
    reserved_concurrency = 4
  }
  expect_failures = [var.reserved_concurrency]
}

run "refuses_a_concurrency_of_one" {
  command = plan
  variables {
    maximum_concurrency = 1
  }
  expect_failures = [var.maximum_concurrency]
}

run "refuses_a_route_without_its_plugin" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a", plugin = "nobody" }]
  }
  expect_failures = [var.routes]
}

run "refuses_headers_that_api_gateway_does_not_hand_over" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a", plugin = "approval", ingress = "direct", headers = ["Authorization"] }]
  }
  expect_failures = [var.routes]
}

run "refuses_headers_whose_quotes_would_lose_the_event" {
  command = plan
  variables {
    routes = [{ path = "a", group = "a", plugin = "approval", ingress = "direct", headers = ["X-Shop", "Content-Type"] }]
  }
  expect_failures = [var.routes]
}

run "refuses_the_ingest_function_without_its_zip" {
  command = plan
  variables {
    ingest_zip = null
  }
  expect_failures = [var.ingest_zip]
}

run "reaches_targets_inside" {
  variables {
    vpc = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = aws_lambda_function.host.vpc_config[0].subnet_ids == toset(["subnet-1"])
    error_message = "The host is in the subnets."
  }
}
