# The address belongs to the interface and outlives the machine: workers find a new coordinator where the old one was.
resource "aws_network_interface" "coordinator" {
  subnet_id       = var.subnet_ids[0]
  description     = "Lakewright ${local.name}: the coordinator"
  security_groups = [aws_security_group.coordinator.id]
  tags            = merge(local.tags, { Name = "${local.name}-coordinator" })
}

resource "aws_launch_template" "coordinator" {
  name                   = "${local.name}-coordinator"
  description            = "Lakewright ${local.name}: the coordinator"
  image_id               = local.image
  instance_type          = var.coordinator_instance_type
  ebs_optimized          = true
  update_default_version = true
  user_data              = base64encode(local.user_data.coordinator)
  tags                   = merge(local.tags, { Name = "${local.name}-coordinator" })

  iam_instance_profile {
    arn = aws_iam_instance_profile.this["coordinator"].arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = var.root_volume_gib
      delete_on_termination = true
    }
  }

  network_interfaces {
    device_index         = 0
    network_interface_id = aws_network_interface.coordinator.id
    # It waits for the next machine.
    delete_on_termination = false
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = "${local.name}-coordinator" })
    }
  }
}

resource "aws_instance" "coordinator" {
  # checkov:skip=CKV_AWS_8:the launch template encrypts the volume
  # checkov:skip=CKV_AWS_79:the launch template asks for IMDSv2
  # checkov:skip=CKV_AWS_126:the launch template turns detailed monitoring on
  # checkov:skip=CKV_AWS_135:the launch template asks for it
  # checkov:skip=CKV2_AWS_41:the launch template has the profile
  tags = merge(local.tags, { Name = "${local.name}-coordinator" })

  launch_template {
    id      = aws_launch_template.coordinator.id
    version = aws_launch_template.coordinator.latest_version
  }

  lifecycle {
    # A new release or project is a new machine, which is what sets itself up.
    replace_triggered_by = [aws_launch_template.coordinator]
  }

  depends_on = [
    aws_iam_role_policy.lake,
    aws_iam_role_policy.install,
    aws_iam_role_policy.session_manager,
    aws_vpc_security_group_egress_rule.workers_to_coordinator,
    aws_vpc_security_group_egress_rule.s3,
    aws_vpc_security_group_egress_rule.endpoints,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_ingress_rule.coordinator_from_workers,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}
