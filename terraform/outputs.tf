output "hook_urls" {
  description = "The URLs that senders post to, by route path."
  value       = { for route in var.routes : route.path => "${local.base_url}${var.path_prefix}/${route.path}" }
}

output "api_id" {
  description = "Id of the HTTP API."
  value       = local.api_id
}

output "api_deployment_id" {
  description = "With create_deployment, the id for deployment_id of the API's stage; otherwise null."
  value       = one(aws_apigatewayv2_deployment.this[*].id)
}

output "api_deployment_triggers" {
  description = "What a deployment of the routes depends on, for the triggers of an aws_apigatewayv2_deployment in the configuration that has the API's stage."
  value       = local.deployment_triggers
}

output "api_domain_target" {
  description = "With domain.create, the name and hosted zone that the domain's DNS record (an alias, or a CNAME) must point to, which domain.zone_id makes; otherwise null."
  value = one([for domain in aws_apigatewayv2_domain_name.this : {
    name    = domain.domain_name_configuration[0].target_domain_name
    zone_id = domain.domain_name_configuration[0].hosted_zone_id
  }])
}

output "queue_url" {
  description = "URL of the queue."
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.this.arn
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "refused_queue_url" {
  description = "URL of the queue for webhooks that the ingest function answered with 401 or 422 (`towpath dlq list --refused`); null if no route can answer so."
  value       = one(aws_sqs_queue.refused[*].url)
}

output "config_url" {
  description = "URL of the config, for `towpath -c`."
  value       = "s3://${local.bucket}/${local.config_key}"
}

output "registry_url" {
  description = "URL of the plugin registry, for `towpath plugin publish --to`."
  value       = "s3://${local.bucket}/${local.registry_prefix}"
}

output "host_function_name" {
  description = "Name of the host function."
  value       = aws_lambda_function.host.function_name
}

output "ingest_function_name" {
  description = "Name of the ingest function; null if every route is direct."
  value       = local.has_ingest ? aws_lambda_function.ingest[0].function_name : null
}

output "event_source_mapping_id" {
  description = "Id of the event source mapping that feeds the host from the queue."
  value       = aws_lambda_event_source_mapping.host.uuid
}

output "host_role_arn" {
  description = "ARN of the host function's role."
  value       = aws_iam_role.host.arn
}

output "host_role_name" {
  description = "Name of the host function's role."
  value       = aws_iam_role.host.name
}

output "secret_names" {
  description = "Names of the secrets that must exist in Secrets Manager."
  value       = [for name in local.secret_names : "${var.secrets_prefix}${name}"]
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "publisher_policy" {
  description = "Policy (JSON) for who publishes plugins: `towpath plugin`."
  value       = data.aws_iam_policy_document.publisher.json
}

output "release_policy" {
  description = "Policy (JSON) for the pipeline that releases a target: `towpath hold` and `towpath resume` of targets."
  value       = data.aws_iam_policy_document.release.json
}

output "operator_policy" {
  description = "Policy (JSON) for operators: every command but those that publish, and those of `towpath secret`."
  value       = data.aws_iam_policy_document.operator.json
}

output "poll_policy" {
  description = "Policy (JSON) for a server that runs `towpath poll` instead of, or beside, the host function."
  value       = data.aws_iam_policy_document.poll.json
}

output "archive_policy" {
  description = "Policy (JSON) for who reads the archive: `towpath archive`, and `towpath replay` for operators. Null without an archive."
  value       = one(data.aws_iam_policy_document.archive_reader[*].json)
}

output "archive_stream_name" {
  description = "Name of the delivery stream of the archive; null without one."
  value       = one(aws_kinesis_firehose_delivery_stream.archive[*].name)
}

output "archive_url" {
  description = "Where the archived events lie, in folders by date; null without an archive."
  value       = one([for archive in local.archives : local.archive_url])
}

output "host_security_group_id" {
  description = "Id of the security group that the module created for the host function; otherwise null. Targets allow it in."
  value       = one(aws_security_group.host[*].id)
}
