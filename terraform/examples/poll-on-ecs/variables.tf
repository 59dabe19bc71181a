variable "name" {
  description = "Prefix of every resource's name."
  type        = string
  default     = "towpath-poll"
  nullable    = false
}

variable "tags" {
  description = "Tags for every resource that supports tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "host_zip" {
  description = "dist/towpath-host-arm64.zip"
  type        = string
}

variable "ingest_zip" {
  description = "dist/towpath-ingest-arm64.zip"
  type        = string
}

variable "target_url" {
  description = "URL of SSS."
  type        = string
  default     = "https://sss.example.com/api"
}

variable "target_timeout" {
  description = "Timeout of the target, in seconds. A message that is being delivered when a task stops needs this long."
  type        = number
  default     = 10
  nullable    = false
}

variable "functions_too" {
  description = "Whether the host function also takes messages. False: it starts paused, and the tasks do all the work. Later `towpath pause` and `towpath resume` change that."
  type        = bool
  default     = false
  nullable    = false
}

variable "image" {
  description = "The image, with `towpath` and what health_check calls. Name it by its digest, so that a restart runs the same."
  type        = string
  nullable    = false
}

variable "image_repository_arn" {
  description = "ARN of the image's repository, if that is a private one of ECR. Null: the image is pulled without permissions."
  type        = string
  default     = null
}

variable "architecture" {
  description = "The architecture of image and zips: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be \"arm64\" or \"x86_64\"."
  }
}

variable "entry_point" {
  description = "The program in the image."
  type        = list(string)
  default     = ["towpath"]
  nullable    = false
}

variable "health_check" {
  description = "What ECS runs in the container to see whether the process lives. It must end with 0 while http://127.0.0.1:8081/healthz answers 200."
  type        = list(string)
  default     = ["CMD-SHELL", "curl -fsS http://127.0.0.1:8081/healthz || exit 1"]
  nullable    = false
}

variable "cpu" {
  description = "CPU units of a task: 1024 are one core."
  type        = number
  default     = 512
  nullable    = false
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 1024
  nullable    = false
}

variable "workers" {
  description = "Receivers of a task, 1 to 64."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.workers >= 1 && var.workers <= 64
    error_message = "workers must be 1 to 64."
  }
}

variable "wait" {
  description = "How long one receive waits, 1 to 20 seconds. A stop takes effect after this at the latest."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.wait >= 1 && var.wait <= 20
    error_message = "wait must be 1 to 20 seconds."
  }
}

variable "stop_timeout" {
  description = "How long a task that stops may finish what it began, in seconds: 120 at most on Fargate. After that it is killed, which loses nothing, but may deliver again."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.stop_timeout >= 30 && var.stop_timeout <= 120
    error_message = "stop_timeout must be 30 to 120 seconds: Fargate allows no more."
  }
}

variable "vpc_id" {
  description = "The VPC of the tasks."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets that reach SQS, S3, Secrets Manager, CloudWatch Logs, the image's registry and the targets: by a NAT gateway or VPC endpoints."
  type        = list(string)
  nullable    = false
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address, which public subnets without a NAT gateway need. Nothing can connect to it."
  type        = bool
  default     = false
  nullable    = false
}

variable "egress_ports" {
  description = "TCP ports that tasks may connect to: 443 for AWS, and those of the targets."
  type        = set(number)
  default     = [443]
  nullable    = false
}

variable "min_tasks" {
  description = "Minimum number of tasks, at least 1."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.min_tasks >= 1
    error_message = "min_tasks must be at least 1: with no task, nothing is delivered until the queue is deep."
  }
}

variable "max_tasks" {
  description = "Maximum number of tasks. A hold fills the queue, and so leads to this many tasks."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.max_tasks >= var.min_tasks
    error_message = "max_tasks must not be less than min_tasks."
  }
}

variable "scale_out_at" {
  description = "Visible messages in the queue above which there is one more task, and at ten times as many two more."
  type        = number
  default     = 500
  nullable    = false
}

variable "scale_in_at" {
  description = "Visible messages in the queue below which there is one task less."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.scale_in_at < var.scale_out_at
    error_message = "scale_in_at must be less than scale_out_at, or the number of tasks never settles."
  }
}

variable "log_retention" {
  description = "How long CloudWatch keeps the logs, in days."
  type        = number
  default     = 30
  nullable    = false
}
