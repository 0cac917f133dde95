locals {
  # A worker whose data fits into memory never writes here; EMR's release and logs do.
  data_volume = { size = var.data_volume_gib, type = "gp3" }

  bootstrap_arguments = concat(var.lake.arguments.coordinator, var.memory == null ? [] : ["--memory", var.memory])

  # The coordinator on the primary, under its role; without more arguments a run.
  as_coordinator = [
    "/usr/bin/env",
    "AWS_CONFIG_FILE=/etc/lakewright/project/aws.config",
    "AWS_PROFILE=coordinator",
    "/opt/lakewright/current/host/run-step",
  ]
}

# The step takes the coordinator's role by this profile; bootstrap.sh brings it with the project.
resource "aws_s3_object" "aws_config" {
  bucket       = var.lake.artifacts_bucket
  key          = "${var.lake.project_prefix}/aws.config"
  content_type = "text/plain"
  kms_key_id   = var.lake.kms_key_arn
  tags         = var.lake.tags

  content = <<-CONFIG
    [profile coordinator]
    role_arn = ${aws_iam_role.coordinator.arn}
    credential_source = Ec2InstanceMetadata
    region = ${local.region}
  CONFIG
}

resource "aws_emr_cluster" "this" {
  name                   = local.name
  release_label          = var.release_label
  service_role           = aws_iam_role.service.arn
  security_configuration = aws_emr_security_configuration.this.name
  log_uri                = "s3://${var.lake.artifacts_bucket}/logs/"
  ebs_root_volume_size   = var.root_volume_gib
  tags                   = merge(local.tags, { Name = local.name })

  # Managed scaling and scaling policies look at YARN, and our workers are no YARN containers: it would see idle nodes and
  # end them in the middle of a run. So neither is made here, and YARN gets next to no memory.
  applications = ["Hadoop"]
  configurations_json = jsonencode([
    {
      Classification = "yarn-site"
      Properties = {
        "yarn.nodemanager.resource.memory-mb"  = "1024"
        "yarn.scheduler.maximum-allocation-mb" = "1024"
        "yarn.nodemanager.resource.cpu-vcores" = "1"
      }
    },
  ])

  keep_job_flow_alive_when_no_steps = var.keep_alive
  termination_protection            = false
  step_concurrency_level            = 1

  dynamic "auto_termination_policy" {
    for_each = var.keep_alive ? [var.idle_seconds] : []

    content {
      idle_timeout = auto_termination_policy.value
    }
  }

  ec2_attributes {
    instance_profile                  = aws_iam_instance_profile.node.arn
    subnet_ids                        = var.subnet_ids
    emr_managed_master_security_group = aws_security_group.emr_primary.id
    emr_managed_slave_security_group  = aws_security_group.emr_nodes.id
    service_access_security_group     = aws_security_group.emr_service.id
    additional_master_security_groups = aws_security_group.coordinator.id
    additional_slave_security_groups  = aws_security_group.worker.id
  }

  master_instance_fleet {
    name                      = "coordinator"
    target_on_demand_capacity = 1

    instance_type_configs {
      instance_type = var.primary_instance_type

      ebs_config {
        size = local.data_volume.size
        type = local.data_volume.type
      }
    }
  }

  core_instance_fleet {
    name                      = "workers"
    target_on_demand_capacity = var.core.on_demand
    target_spot_capacity      = var.core.spot

    dynamic "instance_type_configs" {
      for_each = var.worker_instance_types

      content {
        instance_type     = instance_type_configs.value
        weighted_capacity = 1

        ebs_config {
          size = local.data_volume.size
          type = local.data_volume.type
        }
      }
    }

    launch_specifications {
      on_demand_specification {
        allocation_strategy = "lowest-price"
      }

      spot_specification {
        allocation_strategy      = "price-capacity-optimized"
        timeout_action           = "SWITCH_TO_ON_DEMAND"
        timeout_duration_minutes = var.spot_timeout_minutes
      }
    }
  }

  # On every node: the primary becomes the coordinator's place, the others workers. What fails here ends its node.
  bootstrap_action {
    name = "lakewright"
    path = var.lake.bootstrap.url
    args = local.bootstrap_arguments
  }

  step {
    name              = "run"
    action_on_failure = var.keep_alive ? "CONTINUE" : "TERMINATE_CLUSTER"

    hadoop_jar_step {
      jar  = "command-runner.jar"
      args = local.as_coordinator
    }
  }

  # So that Athena and Spark find the tables by name.
  dynamic "step" {
    for_each = var.lake.glue_database == null ? [] : [var.lake.glue_database]

    content {
      name = "catalog"
      # The run has committed all the same.
      action_on_failure = "CONTINUE"

      hadoop_jar_step {
        jar  = "command-runner.jar"
        args = concat(local.as_coordinator, ["catalog", "--database", step.value, "--apply"])
      }
    }
  }

  lifecycle {
    # EMR lists steps that were added by hand here too; they are no reason for a new cluster.
    ignore_changes = [step]
  }

  depends_on = [
    aws_s3_object.aws_config,
    aws_iam_role_policy.node,
    aws_iam_role_policy.coordinator,
    aws_iam_role_policy.service,
    aws_iam_role_policy_attachment.service,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_egress_rule.s3,
    aws_vpc_security_group_egress_rule.endpoints,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_ingress_rule.this,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

resource "aws_emr_instance_fleet" "task" {
  count = var.task.on_demand + var.task.spot > 0 ? 1 : 0

  cluster_id                = aws_emr_cluster.this.id
  name                      = "more-workers"
  target_on_demand_capacity = var.task.on_demand
  target_spot_capacity      = var.task.spot

  dynamic "instance_type_configs" {
    for_each = var.worker_instance_types

    content {
      instance_type     = instance_type_configs.value
      weighted_capacity = 1

      ebs_config {
        size = local.data_volume.size
        type = local.data_volume.type
      }
    }
  }

  launch_specifications {
    on_demand_specification {
      allocation_strategy = "lowest-price"
    }

    spot_specification {
      allocation_strategy      = "price-capacity-optimized"
      timeout_action           = "SWITCH_TO_ON_DEMAND"
      timeout_duration_minutes = var.spot_timeout_minutes
    }
  }
}
