# The coordinator and the group of workers.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  lake = {
    name              = "tests"
    tags              = { Project = "lakewright", Environment = "tests" }
    architecture      = "x86_64"
    kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    artifacts_bucket  = "tests-artifacts"
    project_prefix    = "project/1"
    certificates_hash = "0123456789ab"
    glue_database     = null
    bootstrap         = { url = "s3://tests-artifacts/bootstrap/bootstrap-1.sh", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    arguments         = { worker = ["--certificates", "ssm:/it's"], coordinator = ["--project", "s3://tests-artifacts/project/1/"] }
    policies          = { worker = "{}", coordinator = "{}", install_worker = "{}", install_coordinator = "{}" }
  }
  vpc_id                      = "vpc-0a1b2c3d"
  subnet_ids                  = ["subnet-0a", "subnet-0b"]
  endpoint_security_group_ids = ["sg-0e"]
}

run "metadata_is_imdsv2_only_and_one_hop" {
  command = plan

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1 && template.metadata_options[0].http_endpoint == "enabled"])
    error_message = "IMDSv2 is required, and no container reaches it."
  }
}

run "volumes_are_encrypted" {
  command = plan

  variables {
    root_volume_gib = 100
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : length(template.block_device_mappings) == 1 && alltrue([for device in template.block_device_mappings : device.ebs[0].encrypted == "true" && device.ebs[0].delete_on_termination == "true"])])
    error_message = "Every volume is encrypted and goes with its machine."
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : template.block_device_mappings[0].ebs[0].volume_size == 100])
    error_message = "Volumes have the size that was said."
  }
}

run "no_machine_has_a_public_address_or_an_ssh_key" {
  command = plan

  assert {
    condition     = alltrue([for interface in aws_launch_template.worker.network_interfaces : interface.associate_public_ip_address == "false"])
    error_message = "Workers have no public address."
  }

  assert {
    condition     = aws_launch_template.coordinator.network_interfaces[0].network_interface_id == aws_network_interface.coordinator.id
    error_message = "The coordinator's interface is ours, and private."
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : template.key_name == null || template.key_name == ""])
    error_message = "No SSH key."
  }
}

run "workers_are_as_many_as_said_and_on_demand" {
  command = plan

  variables {
    worker_count = 7
  }

  assert {
    condition     = aws_autoscaling_group.workers.desired_capacity == 7 && aws_autoscaling_group.workers.max_size == 7
    error_message = "Seven workers."
  }

  assert {
    condition     = aws_autoscaling_group.workers.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 7
    error_message = "All of them on-demand."
  }

  assert {
    condition     = length(aws_autoscaling_schedule.start) == 0 && length(aws_autoscaling_schedule.stop) == 0
    error_message = "They stay."
  }
}

run "the_rest_is_spot_of_several_types" {
  command = plan

  variables {
    worker_count          = 10
    on_demand_workers     = 2
    worker_instance_types = ["m7i.xlarge", "m7a.xlarge"]
  }

  assert {
    condition     = aws_autoscaling_group.workers.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 2 && aws_autoscaling_group.workers.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0
    error_message = "Two on-demand, the rest spot."
  }

  assert {
    condition     = aws_autoscaling_group.workers.mixed_instances_policy[0].instances_distribution[0].spot_allocation_strategy == "price-capacity-optimized" && aws_autoscaling_group.workers.capacity_rebalance
    error_message = "Spot instances come from where there is capacity."
  }

  assert {
    condition     = aws_autoscaling_group.workers.mixed_instances_policy[0].launch_template[0].override[*].instance_type == tolist(["m7i.xlarge", "m7a.xlarge"])
    error_message = "Of the types that were said."
  }

  assert {
    condition     = aws_autoscaling_group.workers.vpc_zone_identifier == toset(["subnet-0a", "subnet-0b"])
    error_message = "In all subnets."
  }
}

run "workers_keep_hours" {
  command = plan

  variables {
    worker_hours = { start = "45 1 * * *", stop = "0 4 * * *" }
  }

  assert {
    condition     = aws_autoscaling_schedule.start[0].recurrence == "45 1 * * *" && aws_autoscaling_schedule.start[0].desired_capacity == 2 && aws_autoscaling_schedule.stop[0].recurrence == "0 4 * * *" && aws_autoscaling_schedule.stop[0].desired_capacity == 0
    error_message = "They come and go."
  }
}

run "a_worker_that_cannot_be_set_up_is_replaced" {
  command = plan

  assert {
    condition     = aws_launch_template.worker.instance_initiated_shutdown_behavior == "terminate" && strcontains(base64decode(aws_launch_template.worker.user_data), "shutdown --poweroff")
    error_message = "It shuts down and is replaced."
  }

  assert {
    condition     = !strcontains(base64decode(aws_launch_template.coordinator.user_data), "shutdown")
    error_message = "The coordinator stays to be looked at."
  }
}

run "machines_run_the_pinned_script_with_quoted_arguments" {
  command = plan

  variables {
    worker_memory = "12GB"
    run_schedule  = "*-*-* 02:00:00"
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : strcontains(base64decode(template.user_data), "${var.lake.bootstrap.sha256}  $script") && strcontains(base64decode(template.user_data), "aws s3 cp --only-show-errors ${var.lake.bootstrap.url}")])
    error_message = "The script comes from the deployment's bucket and is held against its checksum."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.worker.user_data), "'--role' 'worker'") && strcontains(base64decode(aws_launch_template.worker.user_data), "'--coordinator' '10.60.0.10:50051'") && strcontains(base64decode(aws_launch_template.worker.user_data), "'--memory' '12GB'")
    error_message = "A worker knows its coordinator."
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : strcontains(base64decode(template.user_data), "Certificates 0123456789ab")])
    error_message = "Certificates that are made anew make new machines."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.worker.user_data), "'ssm:/it'\\''s'")
    error_message = "A quote in an argument stays in it."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.coordinator.user_data), "'--schedule' '*-*-* 02:00:00'") && strcontains(base64decode(aws_launch_template.coordinator.user_data), "'--role' 'coordinator'")
    error_message = "The coordinator knows its schedule."
  }
}

run "the_image_is_amazons_newest_of_the_architecture" {
  command = plan

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : template.image_id == "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"])
    error_message = "Amazon Linux 2023."
  }
}

run "everything_has_tags" {
  command = plan

  assert {
    condition     = alltrue([for made in concat([aws_launch_template.coordinator, aws_launch_template.worker, aws_instance.coordinator, aws_network_interface.coordinator, aws_security_group.coordinator, aws_security_group.worker], values(aws_iam_role.this), values(aws_iam_instance_profile.this)) : made.tags["Environment"] == "tests"])
    error_message = "What is made has the tags."
  }

  assert {
    condition     = alltrue([for template in [aws_launch_template.coordinator, aws_launch_template.worker] : alltrue([for specification in template.tag_specifications : specification.tags["Environment"] == "tests"]) && contains(template.tag_specifications[*].resource_type, "volume")])
    error_message = "So have machines and volumes."
  }

  assert {
    condition     = anytrue([for tag in aws_autoscaling_group.workers.tag : tag.key == "Environment" && tag.value == "tests" && tag.propagate_at_launch])
    error_message = "So has the group."
  }
}
