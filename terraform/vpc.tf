# The host function in a VPC: on request a security group, and endpoints of the services that it calls.
locals {
  vpcs             = var.vpc == null ? [] : [var.vpc]
  vpc_of_group     = [for vpc in local.vpcs : vpc if vpc.create_security_group]
  vpc_of_endpoints = [for vpc in local.vpcs : vpc if vpc.create_endpoints]

  # Without `try` and `flatten`: their lengths are not known at plan if the ids are not.
  host_security_group_ids = var.vpc == null ? [] : concat(aws_security_group.host[*].id, var.vpc.security_group_ids)

  # In China only S3 has the prefix of the other partitions.
  service_prefix = "${data.aws_partition.current.reverse_dns_prefix}.${local.region}"
}

resource "aws_security_group" "host" {
  count = length(local.vpc_of_group)

  name_prefix = "${var.name}-host-"
  description = "Towpath: the host function"
  vpc_id      = local.vpc_of_group[count.index].id
  tags        = merge(var.tags, { Name = "${var.name}-host" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "host" {
  count = length(local.vpc_of_group)

  description       = "Targets and AWS"
  security_group_id = aws_security_group.host[count.index].id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_security_group" "endpoints" {
  count = length(local.vpc_of_endpoints)

  name_prefix = "${var.name}-endpoints-"
  description = "Towpath: endpoints of SQS and Secrets Manager"
  vpc_id      = local.vpc_of_endpoints[count.index].id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })

  lifecycle {
    create_before_destroy = true
  }
}

data "aws_vpc" "endpoints" {
  count = length(local.vpc_of_endpoints)

  id = local.vpc_of_endpoints[count.index].id
}

# Private DNS leads every client in the VPC to the endpoints, so all of them must get in.
resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = length(local.vpc_of_endpoints)

  description       = "Clients in the VPC"
  security_group_id = aws_security_group.endpoints[count.index].id
  cidr_ipv4         = data.aws_vpc.endpoints[count.index].cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(length(local.vpc_of_endpoints) > 0 ? concat(["sqs", "secretsmanager"], [for archive in local.archives : "kinesis-firehose"]) : [])

  vpc_id              = local.vpc_of_endpoints[0].id
  service_name        = "${local.service_prefix}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.vpc_of_endpoints[0].subnet_ids
  security_group_ids  = aws_security_group.endpoints[*].id
  private_dns_enabled = true
  tags                = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_vpc_endpoint" "s3" {
  count = length(local.vpc_of_endpoints)

  vpc_id            = local.vpc_of_endpoints[count.index].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.vpc_of_endpoints[count.index].route_table_ids
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}
