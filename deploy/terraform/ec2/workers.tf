locals {
  on_demand_workers = var.on_demand_workers == null ? var.worker_count : var.on_demand_workers
}

resource "aws_launch_template" "worker" {
  name                   = "${local.name}-worker"
  description            = "Lakewright ${local.name}: workers"
  image_id               = local.image
  instance_type          = var.worker_instance_types[0]
  ebs_optimized          = true
  update_default_version = true
  user_data              = base64encode(local.user_data.worker)
  tags                   = merge(local.tags, { Name = "${local.name}-worker" })

  # A worker that cannot be set up shuts itself down, and the group makes another.
  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = aws_iam_instance_profile.this["worker"].arn
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
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.worker.id]
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = "${local.name}-worker" })
    }
  }
}

resource "aws_autoscaling_group" "workers" {
  name                = "${local.name}-workers"
  vpc_zone_identifier = var.subnet_ids
  min_size            = 0
  max_size            = var.worker_count
  # With hours, the schedule says how many there are, and an apply in between must not.
  desired_capacity          = var.worker_hours == null ? var.worker_count : null
  capacity_rebalance        = true
  health_check_type         = "EC2"
  wait_for_capacity_timeout = "0"

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = local.on_demand_workers
      on_demand_percentage_above_base_capacity = 0
      on_demand_allocation_strategy            = "prioritized"
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.worker.id
        version            = aws_launch_template.worker.latest_version
      }

      dynamic "override" {
        for_each = var.worker_instance_types

        content {
          instance_type = override.value
        }
      }
    }
  }

  # A new release replaces workers a few at a time; SIGTERM drains each.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 50
    }
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = "${local.name}-worker" })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
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

resource "aws_autoscaling_schedule" "start" {
  count = var.worker_hours == null ? 0 : 1

  scheduled_action_name  = "start"
  autoscaling_group_name = aws_autoscaling_group.workers.name
  recurrence             = var.worker_hours.start
  min_size               = 0
  max_size               = var.worker_count
  desired_capacity       = var.worker_count
}

resource "aws_autoscaling_schedule" "stop" {
  count = var.worker_hours == null ? 0 : 1

  scheduled_action_name  = "stop"
  autoscaling_group_name = aws_autoscaling_group.workers.name
  recurrence             = var.worker_hours.stop
  min_size               = 0
  max_size               = var.worker_count
  desired_capacity       = 0
}
