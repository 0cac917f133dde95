# By reference and never by address: workers reach the coordinator's port, both reach S3 and the endpoints by HTTPS, and
# nobody reaches a worker.

data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.current.region}.s3"
}

locals {
  groups = { coordinator = aws_security_group.coordinator.id, worker = aws_security_group.worker.id }

  # By number, for the ids of groups that are made in the same apply are not known before.
  endpoint_connections = { for pair in setproduct(["coordinator", "worker"], range(length(var.endpoint_security_group_ids))) :
    "${pair[0]} ${pair[1]}" => { role = pair[0], endpoint = pair[1] }
  }

  https_egress = merge([for role in ["coordinator", "worker"] :
    { for cidr in var.https_egress_cidrs : "${role} ${cidr}" => { role = role, cidr = cidr } }
  ]...)
}

resource "aws_security_group" "coordinator" {
  # checkov:skip=CKV2_AWS_5:attached to the coordinator's network interface
  name        = "${local.name}-coordinator"
  description = "Lakewright ${local.name}: the coordinator"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-coordinator" })
}

resource "aws_security_group" "worker" {
  # checkov:skip=CKV2_AWS_5:attached by the workers' launch template
  name        = "${local.name}-worker"
  description = "Lakewright ${local.name}: workers"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-worker" })
}

resource "aws_vpc_security_group_ingress_rule" "coordinator_from_workers" {
  security_group_id            = aws_security_group.coordinator.id
  description                  = "Tasks, from workers"
  referenced_security_group_id = aws_security_group.worker.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "workers_to_coordinator" {
  security_group_id            = aws_security_group.worker.id
  description                  = "Tasks, to the coordinator"
  referenced_security_group_id = aws_security_group.coordinator.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = local.groups

  security_group_id = each.value
  description       = "S3, by the network's gateway endpoint or a NAT"
  prefix_list_id    = data.aws_ec2_managed_prefix_list.s3.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  for_each = local.endpoint_connections

  security_group_id            = local.groups[each.value.role]
  description                  = "Endpoints of AWS services"
  referenced_security_group_id = var.endpoint_security_group_ids[each.value.endpoint]
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = local.endpoint_connections

  security_group_id            = var.endpoint_security_group_ids[each.value.endpoint]
  description                  = "Lakewright ${local.name}: ${each.value.role}"
  referenced_security_group_id = local.groups[each.value.role]
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.https_egress

  security_group_id = local.groups[each.value.role]
  description       = "AWS services, by a NAT"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}
