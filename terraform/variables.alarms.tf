# Alarms and the dashboard. An alarm whose threshold is null is not created.

variable "create_alarms" {
  description = "Whether to create alarms."
  type        = bool
  default     = true
  nullable    = false
}

variable "create_dashboard" {
  description = "Whether to create the dashboard."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_actions" {
  description = "ARNs, such as those of SNS topics, to notify when an alarm starts and when it ends."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "blocked_head_alarm" {
  description = "Age, in seconds, of the oldest message that the host holds or retries, above which an alarm is raised. SQS's own age leaves out messages that were received more than three times, which these are."
  type        = number
  default     = 900

  validation {
    condition     = var.blocked_head_alarm == null || coalesce(var.blocked_head_alarm, 0) >= 0
    error_message = "blocked_head_alarm must be seconds; null for no alarm."
  }
}

variable "oldest_message_alarm" {
  description = "Age, in seconds, of the oldest message by SQS's count above which an alarm is raised: hosts do not keep up, or receive nothing."
  type        = number
  default     = 900

  validation {
    condition     = var.oldest_message_alarm == null || coalesce(var.oldest_message_alarm, 0) >= 0
    error_message = "oldest_message_alarm must be seconds; null for no alarm."
  }
}

variable "dead_letters_alarm" {
  description = "Number of dead letters above which an alarm is raised. 0: at the first one."
  type        = number
  default     = 0

  validation {
    condition     = var.dead_letters_alarm == null || coalesce(var.dead_letters_alarm, 0) >= 0
    error_message = "dead_letters_alarm must be a number of dead letters; null for no alarm."
  }
}

variable "errors_alarm" {
  description = "Number of errors of a function in a minute above which an alarm is raised."
  type        = number
  default     = 0

  validation {
    condition     = var.errors_alarm == null || coalesce(var.errors_alarm, 0) >= 0
    error_message = "errors_alarm must be a number of errors; null for no alarm."
  }
}

variable "throttles_alarm" {
  description = "Number of throttled invocations of a function in a minute above which an alarm is raised."
  type        = number
  default     = 0

  validation {
    condition     = var.throttles_alarm == null || coalesce(var.throttles_alarm, 0) >= 0
    error_message = "throttles_alarm must be a number of invocations; null for no alarm."
  }
}

variable "duplicates_alarm" {
  description = "Number of sends in five minutes that SQS dropped as duplicates, above which an alarm is raised. Duplicates are normal when senders retry. Null: no alarm; the dashboard shows them."
  type        = number
  default     = null

  validation {
    condition     = var.duplicates_alarm == null || coalesce(var.duplicates_alarm, 0) >= 0
    error_message = "duplicates_alarm must be a number of sends; null for no alarm."
  }
}

variable "archive_dropped_alarm" {
  description = "With archive, number of events in five minutes that are missing in it, above which an alarm is raised. 0: at the first one."
  type        = number
  default     = 0

  validation {
    condition     = var.archive_dropped_alarm == null || coalesce(var.archive_dropped_alarm, 0) >= 0
    error_message = "archive_dropped_alarm must be a number of events; null for no alarm."
  }
}

variable "archive_late_alarm" {
  description = "With archive, age, in seconds, of the oldest event that is not in S3 yet, above which an alarm is raised. Files are written each minute."
  type        = number
  default     = 900

  validation {
    condition     = var.archive_late_alarm == null || coalesce(var.archive_late_alarm, 60) >= 60
    error_message = "archive_late_alarm must be at least 60 seconds, which is how often files are written; null for no alarm."
  }
}
