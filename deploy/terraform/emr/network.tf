# EMR wants groups of its own and writes inbound rules into them: all ports between primary and nodes, for its daemons. They
# are made here so that nothing else is in them, with the way out that EMR does not write; ours for port 50051 are beside.

data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${local.region}.s3"
}

resource "aws_security_group" "emr_primary" {
  # checkov:skip=CKV2_AWS_5:attached by the cluster
  name                   = "${local.name}-emr-primary"
  description            = "Lakewright ${local.name}: EMR's rules for the primary"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(local.tags, { Name = "${local.name}-emr-primary" })
}

resource "aws_security_group" "emr_nodes" {
  # checkov:skip=CKV2_AWS_5:attached by the cluster
  name                   = "${local.name}-emr-nodes"
  description            = "Lakewright ${local.name}: EMR's rules for core and task nodes"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(local.tags, { Name = "${local.name}-emr-nodes" })
}

resource "aws_security_group" "emr_service" {
  # checkov:skip=CKV2_AWS_5:attached by the cluster
  name                   = "${local.name}-emr-service"
  description            = "Lakewright ${local.name}: EMR's service, in private subnets"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true
  tags                   = merge(local.tags, { Name = "${local.name}-emr-service" })
}

resource "aws_security_group" "coordinator" {
  # checkov:skip=CKV2_AWS_5:attached by the cluster
  name        = "${local.name}-emr-coordinator"
  description = "Lakewright ${local.name}: the coordinator on the primary"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-emr-coordinator" })
}

resource "aws_security_group" "worker" {
  # checkov:skip=CKV2_AWS_5:attached by the cluster
  name        = "${local.name}-emr-worker"
  description = "Lakewright ${local.name}: workers on core and task nodes"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-emr-worker" })
}

locals {
  groups = {
    coordinator = aws_security_group.coordinator.id
    worker      = aws_security_group.worker.id
    primary     = aws_security_group.emr_primary.id
    nodes       = aws_security_group.emr_nodes.id
    service     = aws_security_group.emr_service.id
  }

  # From one group to another: written once, allowed on both sides.
  connections = {
    tasks                  = { from = "worker", to = "coordinator", port = local.port, what = "Tasks" }
    primary_to_service     = { from = "primary", to = "service", port = 9443, what = "EMR's agent to its service" }
    service_to_primary     = { from = "service", to = "primary", port = 8443, what = "EMR's service to its agent" }
    service_to_nodes       = { from = "service", to = "nodes", port = 8443, what = "EMR's service to its agent" }
    primary_to_nodes       = { from = "primary", to = "nodes", port = null, what = "EMR's daemons" }
    nodes_to_primary       = { from = "nodes", to = "primary", port = null, what = "EMR's daemons" }
    nodes_among_each_other = { from = "nodes", to = "nodes", port = null, what = "EMR's daemons" }
  }

  # By number, for the ids of groups that are made in the same apply are not known before.
  endpoint_connections = { for pair in setproduct(["coordinator", "worker"], range(length(var.endpoint_security_group_ids))) :
    "${pair[0]} ${pair[1]}" => { role = pair[0], endpoint = pair[1] }
  }

  https_egress = merge([for role in ["coordinator", "worker"] :
    { for cidr in var.https_egress_cidrs : "${role} ${cidr}" => { role = role, cidr = cidr } }
  ]...)
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  # Those of all ports are EMR's to write.
  for_each = { for name, connection in local.connections : name => connection if connection.port != null }

  security_group_id            = local.groups[each.value.to]
  description                  = each.value.what
  referenced_security_group_id = local.groups[each.value.from]
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.connections

  security_group_id            = local.groups[each.value.from]
  description                  = each.value.what
  referenced_security_group_id = local.groups[each.value.to]
  ip_protocol                  = "tcp"
  from_port                    = coalesce(each.value.port, 0)
  to_port                      = coalesce(each.value.port, 65535)
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = toset(["coordinator", "worker"])

  security_group_id = local.groups[each.value]
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
