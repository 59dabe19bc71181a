variable "vpc" {
  description = <<-EOT
    The host function in a VPC, to reach targets inside it. Null: no VPC.
    - subnet_ids: private subnets, best one in each availability zone; with create_endpoints at most one in each.
    - security_group_ids: the function's security groups, which must allow what it calls.
    - create_security_group: whether to create one that allows everything out and nothing in. It needs id.
    - create_endpoints: whether to create the endpoints of SQS, Secrets Manager and S3, and with archive of Firehose, which the host calls. Not needed in subnets with a
      NAT gateway; not possible where the VPC has them already. All clients in the VPC use them from then on: their security group lets in the
      VPC's first range of addresses. It needs id and route_table_ids. The endpoints lead to these only: targets on the internet
      need a NAT gateway, which the module does not make.
    - id: the VPC.
    - route_table_ids: the route tables of the subnets, for the endpoint of S3.
  EOT
  type = object({
    subnet_ids            = list(string)
    security_group_ids    = optional(list(string), [])
    create_security_group = optional(bool, false)
    create_endpoints      = optional(bool, false)
    id                    = optional(string)
    route_table_ids       = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids), 0) > 0
    error_message = "vpc.subnet_ids needs at least one subnet."
  }
  validation {
    condition     = var.vpc == null || try(var.vpc.create_security_group, false) || try(length(var.vpc.security_group_ids), 0) > 0
    error_message = "A function in a VPC needs a security group: set vpc.security_group_ids, or vpc.create_security_group = true."
  }
  validation {
    condition     = !(try(var.vpc.create_security_group, false) || try(var.vpc.create_endpoints, false)) || try(var.vpc.id, null) != null
    error_message = "vpc.create_security_group and vpc.create_endpoints need vpc.id."
  }
  validation {
    condition     = !try(var.vpc.create_endpoints, false) || try(length(var.vpc.route_table_ids), 0) > 0
    error_message = "vpc.create_endpoints needs vpc.route_table_ids: the endpoint of S3 is a route."
  }
}
