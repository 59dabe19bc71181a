# SSS inside a VPC, found by Cloud Map: the host function runs in private subnets without a NAT gateway, and reaches AWS through endpoints
# that the module creates. Nothing here leads to the internet: a public target needs a NAT gateway too, in a public subnet, and a default route to it in
# aws_route_table.private. `terraform apply -var host_zip=… -var ingest_zip=…`
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "host_zip" {
  description = "dist/towpath-host-arm64.zip"
  type        = string
}

variable "ingest_zip" {
  description = "dist/towpath-ingest-arm64.zip"
  type        = string
}

data "aws_availability_zones" "available" {
  state = "available"
}

# Private DNS needs both settings: the endpoints and the namespace answer by it.
resource "aws_vpc" "this" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = "towpath-vpc" }
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  availability_zone = data.aws_availability_zones.available.names[count.index]
  tags              = { Name = "towpath-vpc-private-${count.index}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "towpath-vpc-private" }
}

resource "aws_route_table_association" "private" {
  count = 2

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

# A namespace with DNS. The names of an HTTP namespace cannot be resolved: only an API call finds what is registered there.
resource "aws_service_discovery_private_dns_namespace" "internal" {
  name = "internal.example"
  vpc  = aws_vpc.this.id
}

# An ECS service would name this in service_registries. With A records the port is not in the DNS: it stands in the target's URL.
resource "aws_service_discovery_service" "sss" {
  name = "sss"

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.internal.id
    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_security_group" "sss" {
  name_prefix = "towpath-vpc-sss-"
  description = "SSS"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "sss" {
  description                  = "Towpath"
  security_group_id            = aws_security_group.sss.id
  referenced_security_group_id = module.towpath.host_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

module "towpath" {
  source = "../.."

  name       = "towpath-vpc"
  host_zip   = var.host_zip
  ingest_zip = var.ingest_zip

  vpc = {
    id                    = aws_vpc.this.id
    subnet_ids            = aws_subnet.private[*].id
    create_security_group = true
    create_endpoints      = true
    route_table_ids       = [aws_route_table.private.id]
  }

  routes  = [{ path = "crm", group = "crm/{json:/id}", target = "sss" }]
  targets = { sss = { url = "http://sss.internal.example:8080", allow_private = true } }
}

output "hook_urls" {
  description = "The URLs that senders post to, by route path."
  value       = module.towpath.hook_urls
}
