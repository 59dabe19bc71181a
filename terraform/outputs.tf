output "hook_urls" {
  description = "Where senders post to, by the routes' paths."
  value       = { for route in var.routes : route.path => "${local.api_endpoint}${var.path_prefix}/${route.path}" }
}

output "api_id" {
  description = "The HTTP API."
  value       = local.api_id
}

output "queue_url" {
  description = "The queue."
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "The queue's ARN."
  value       = aws_sqs_queue.this.arn
}

output "dead_letter_queue_url" {
  description = "The dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_arn" {
  description = "The dead-letter queue's ARN."
  value       = aws_sqs_queue.dead_letters.arn
}

output "refused_queue_url" {
  description = "The queue of what the ingest function refused, if a route can refuse: `towpath dlq list --refused`."
  value       = one(aws_sqs_queue.refused[*].url)
}

output "config_url" {
  description = "The config, for `towpath -c`."
  value       = "s3://${local.bucket}/${local.config_key}"
}

output "registry_url" {
  description = "The plugin registry, for `towpath plugin publish --to`."
  value       = "s3://${local.bucket}/${local.registry_prefix}"
}

output "host_function_name" {
  description = "The host function."
  value       = aws_lambda_function.host.function_name
}

output "ingest_function_name" {
  description = "The ingest function; null if every route is direct."
  value       = local.has_ingest ? aws_lambda_function.ingest[0].function_name : null
}

output "event_source_mapping_id" {
  description = "What feeds the host from the queue."
  value       = aws_lambda_event_source_mapping.host.uuid
}

output "host_role_name" {
  description = "The host's role."
  value       = aws_iam_role.host.name
}

output "secret_names" {
  description = "The secrets that must be in Secrets Manager."
  value       = [for name in local.secret_names : "${var.secrets_prefix}${name}"]
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
